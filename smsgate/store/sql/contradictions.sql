-- Messages whose final receipts contradict the first of them, which alone counts (R8); states and times in the order of arrival.

-- name: of_month
-- scope: merchant
-- $2 to $3: ids, $4: final states, $5: how many are shown; `found`: how many there are.
SELECT message_id, segment, states, received_at, count(*) OVER () AS found
FROM (
    SELECT message_id, segment, array_agg(state ORDER BY received_at, state) AS states,
        array_agg(received_at ORDER BY received_at, state) AS received_at
    FROM receipt
    WHERE merchant_id = $1 AND message_id >= $2 AND message_id < $3 AND state = ANY ($4::smallint[])
    GROUP BY message_id, segment HAVING min(state) <> max(state)
) x
ORDER BY message_id, segment
LIMIT $5;

-- name: every
-- scope: report
-- $1: final states, $2: their names, in the same order.
SELECT 'R8' AS rule, count(*) AS found,
    (array_agg(format('message %1$s of merchant %2$s, part %3$s: %4$s', message_id, merchant_id, segment, told)
               ORDER BY message_id, merchant_id, segment))[1] AS first
FROM (
    -- Of two that differ one is not DELIVRD (2): few have one, and they alone are looked for among all.
    SELECT DISTINCT r.merchant_id, r.message_id, r.segment
    FROM receipt o
    JOIN receipt r ON r.merchant_id = o.merchant_id AND r.message_id = o.message_id AND r.segment = o.segment
        AND r.state = ANY ($1::smallint[]) AND r.state <> o.state
    WHERE o.state = ANY ($1::smallint[]) AND o.state <> 2
) x
CROSS JOIN LATERAL (
    SELECT string_agg(format('%1$s at %2$s', ($2::text[])[array_position($1::smallint[], r.state)],
                             to_char(r.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                      ', then ' ORDER BY r.received_at, r.state) AS told
    FROM receipt r
    WHERE r.merchant_id = x.merchant_id AND r.message_id = x.message_id AND r.segment = x.segment AND r.state = ANY ($1::smallint[])
) t;
