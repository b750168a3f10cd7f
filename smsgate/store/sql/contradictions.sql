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
