-- name: messages_of_price
-- scope: merchant
-- Charged messages of one price, newest first, in the range of ids of a month. $7: of delivered basis; $8: final states of receipts.
SELECT s.message_id AS page_id, count(*) AS parts, sum(s.segments)::bigint AS segments, sum(s.sell_micros)::bigint AS micros
FROM sent s
WHERE s.merchant_id = $1 AND s.message_id < $2 AND s.message_id >= $5 AND s.message_id < $6 AND s.status = 0
    AND s.sell_item_id = $4
    AND (NOT $7 OR (SELECT r.state FROM receipt r
                    WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
                        AND r.message_id >= $5 AND r.message_id < $6 AND r.state = ANY ($8::smallint[])
                    ORDER BY r.received_at, r.state LIMIT 1) = 2)
    AND NOT EXISTS (SELECT FROM charge_reversal v
                    WHERE v.merchant_id = s.merchant_id AND v.message_id = s.message_id AND v.segment = s.segment)
GROUP BY s.message_id
ORDER BY s.message_id DESC
LIMIT $3;

-- name: replies_of_price
-- scope: merchant
SELECT i.inbound_id AS page_id, 1::bigint AS parts, i.segments::bigint AS segments, i.sell_micros AS micros, i.received_at
FROM inbound_message i
WHERE i.merchant_id = $1 AND i.inbound_id < $2 AND i.sell_item_id = $4 AND i.received_at >= $5 AND i.received_at < $6
    AND NOT EXISTS (SELECT FROM charge_reversal v WHERE v.merchant_id = i.merchant_id AND v.message_id = i.inbound_id)
ORDER BY i.inbound_id DESC
LIMIT $3;
