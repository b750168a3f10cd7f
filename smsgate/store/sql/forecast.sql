-- name: awaited
-- scope: merchant
-- What carriers took of a month of acceptance, that a DELIVRD will charge, and that has no final receipt; by hour of its sending.
SELECT l.currency, s.sell_item_id, date_trunc('hour', s.sent_at) AS sent_at, count(*) AS messages,
    sum(s.segments)::bigint AS segments, sum(s.sell_micros)::bigint AS micros
FROM sent s
JOIN price_item i ON i.item_id = s.sell_item_id AND i.basis = 'delivered'
JOIN price_list l ON l.price_list_id = i.price_list_id
WHERE s.merchant_id = $1 AND s.message_id >= $2 AND s.message_id < $3 AND s.status = 0
    AND NOT EXISTS (
        SELECT FROM receipt r
        WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
            AND r.message_id >= $2 AND r.message_id < $3 AND r.state = ANY ($4::smallint[]))
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- name: delays
-- scope: merchant
-- How many of the newest messages of a time got their first final receipt after which delay ($6: the borders), and said DELIVRD (2).
SELECT width_bucket(r.received_at - s.sent_at, $6::interval[]) AS place, r.state = 2 AS delivered, count(*) AS messages
FROM (
    SELECT t.merchant_id, t.message_id, t.segment, t.sent_at FROM sent t
    WHERE t.merchant_id = $1 AND t.message_id >= $2 AND t.message_id < $3 AND t.status = 0
    ORDER BY t.message_id DESC
    LIMIT $4
) s
LEFT JOIN LATERAL (
    SELECT y.received_at, y.state FROM receipt y
    WHERE y.merchant_id = s.merchant_id AND y.message_id = s.message_id AND y.segment = s.segment
        AND y.message_id >= $2 AND y.message_id < $3 AND y.state = ANY ($5::smallint[])
    ORDER BY y.received_at, y.state
    LIMIT 1
) r ON true
GROUP BY 1, 2;
