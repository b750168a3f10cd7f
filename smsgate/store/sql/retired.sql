-- Days of message rows that are dropped, and what they made of the books. Ids carry milliseconds since 2025-01-01 above 22 bits
-- (smsgate.ids). A day's text, which its seal holds: the day and its messages, then merchant, month, account, carrier, item,
-- messages, segments, micros of each row in this order.

-- name: horizon
-- scope: report
-- The first id that the partitions of `sent` still hold.
SELECT min((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\d+)'))[1]::bigint)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'sent'::regclass;

-- name: is_retired
-- scope: control
SELECT EXISTS (SELECT FROM retired_day WHERE day = $1);

-- name: sum_day
-- scope: control
-- $1: the day, $2 to $3: its ids, $4: items that charge on delivery, $5: final states of receipts.
WITH taken AS (
    SELECT merchant_id, carrier_id, sell_item_id, cost_item_id, message_id, segments, sell_micros, cost_micros, false AS delivered
    FROM sent
    WHERE message_id >= $2 AND message_id < $3 AND status = 0 AND sell_item_id <> ALL ($4::bigint[]) AND cost_item_id <> ALL ($4::bigint[])
    UNION ALL
    SELECT s.merchant_id, s.carrier_id, s.sell_item_id, s.cost_item_id, s.message_id, s.segments, s.sell_micros, s.cost_micros,
        coalesce(min(r.received_at) FILTER (WHERE r.state = 2) = min(r.received_at), false)
    FROM sent s
    LEFT JOIN receipt r ON r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
        AND r.message_id >= $2 AND r.message_id < $3 AND r.state = ANY ($5::smallint[])
    WHERE s.message_id >= $2 AND s.message_id < $3 AND s.status = 0
        AND (s.sell_item_id = ANY ($4::bigint[]) OR s.cost_item_id = ANY ($4::bigint[]))
    GROUP BY s.merchant_id, s.message_id, s.segment
), outcome AS MATERIALIZED (
    SELECT merchant_id, carrier_id, sell_item_id, cost_item_id, delivered, ((message_id >> 22) + 1735689600000) / 900000 AS quarter,
        count(*) AS messages, sum(segments) AS segments, sum(sell_micros) AS sell, sum(cost_micros) AS cost
    FROM taken
    GROUP BY 1, 2, 3, 4, 5, 6
), charged AS (
    SELECT merchant_id, 'revenue' AS account, carrier_id, sell_item_id AS item_id, quarter, messages, segments, sell AS micros
    FROM outcome WHERE sell_item_id <> 0 AND (delivered OR sell_item_id <> ALL ($4::bigint[]))
    UNION ALL
    SELECT s.merchant_id, 'revenue', s.carrier_id, s.sell_item_id, ((s.message_id >> 22) + 1735689600000) / 900000,
        -1, -s.segments, -s.sell_micros
    FROM charge_reversal v
    JOIN sent s ON s.merchant_id = v.merchant_id AND s.message_id = v.message_id AND s.segment = v.segment
    WHERE v.message_id >= $2 AND v.message_id < $3 AND s.message_id >= $2 AND s.message_id < $3
        AND (s.sell_item_id <> ALL ($4::bigint[]) OR 2 = (
            SELECT r.state FROM receipt r
            WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
                AND r.message_id >= $2 AND r.message_id < $3 AND r.state = ANY ($5::smallint[])
            ORDER BY r.received_at, r.state LIMIT 1))
    UNION ALL
    SELECT merchant_id, 'cost', carrier_id, cost_item_id, quarter, messages, segments, cost
    FROM outcome WHERE cost_item_id <> 0 AND (delivered OR cost_item_id <> ALL ($4::bigint[]))
)
INSERT INTO retired_usage (merchant_id, day, month, account, carrier_id, item_id, messages, segments, micros)
SELECT c.merchant_id, $1::date, date_trunc('month', to_timestamp(c.quarter * 900) AT TIME ZONE coalesce(m.timezone, 'UTC'))::date,
    c.account, c.carrier_id, c.item_id, sum(c.messages), sum(c.segments), sum(c.micros)
FROM charged c
LEFT JOIN merchant m ON m.merchant_id = c.merchant_id
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: seal_day
-- scope: control
WITH last AS (
    SELECT coalesce((SELECT chain_sha256 FROM retired_day ORDER BY day DESC LIMIT 1), '') AS chain
), told AS (
    SELECT (SELECT count(*) FROM sent WHERE message_id >= $2 AND message_id < $3 AND status = 0) AS messages,
        (SELECT string_agg(format(E'%1$s %2$s %3$s %4$s %5$s %6$s %7$s %8$s\n', merchant_id, month, account, carrier_id, item_id,
                                  messages, segments, micros), '' ORDER BY merchant_id, month, account, carrier_id, item_id)
         FROM retired_usage WHERE day = $1) AS sums
)
INSERT INTO retired_day (day, messages, previous_sha256, chain_sha256)
SELECT $1, t.messages, l.chain,
    sha256(l.chain || convert_to(format(E'%1$s %2$s\n', $1::date, t.messages) || coalesce(t.sums, ''), 'UTF8'))
FROM last l, told t;

-- name: retired_of_month
-- scope: merchant
SELECT item_id, sum(segments)::bigint AS segments, sum(micros)::bigint AS micros
FROM retired_usage
WHERE merchant_id = $1 AND month = $2 AND account = 'revenue'
GROUP BY item_id;

-- name: books
-- scope: report
-- Days whose rows are gone, from the first one whose sums were kept: sums against the ledger. $1: the first instant whose rows
-- are kept.
SELECT 'I2' AS invariant, count(*) AS wrong,
    (array_agg(format('merchant %1$s, carrier %2$s, %3$s, item %4$s, accepted on %5$s: the rows, which are gone, had %6$s messages, '
                      '%7$s segments, %8$s micros, the ledger has %9$s, %10$s, %11$s', merchant_id, carrier_id, account, item_id, day,
                      rows_messages, rows_segments, rows_micros, books_messages, books_segments, books_micros)
               ORDER BY day, merchant_id, account DESC, item_id, carrier_id))[1] AS first
FROM (
    SELECT merchant_id, carrier_id, account, item_id, day, coalesce(r.messages, 0) AS rows_messages,
        coalesce(r.segments, 0) AS rows_segments, coalesce(r.micros, 0) AS rows_micros, coalesce(b.messages, 0) AS books_messages,
        coalesce(b.segments, 0) AS books_segments, coalesce(b.micros, 0) AS books_micros
    FROM (
        SELECT merchant_id, carrier_id, account, item_id, day, sum(messages) AS messages, sum(segments) AS segments, sum(micros) AS micros
        FROM retired_usage GROUP BY merchant_id, carrier_id, account, item_id, day
    ) r
    FULL JOIN (
        SELECT merchant_id, carrier_id, account, item_id, (accepted_at AT TIME ZONE 'UTC')::date AS day, sum(messages) AS messages,
            sum(segments) AS segments, sum(CASE WHEN account = 'revenue' THEN -amount_micros ELSE amount_micros END) AS micros
        FROM ledger_entry
        WHERE direction = 'mt' AND account IN ('revenue', 'cost') AND item_id <> 0 AND accepted_at < $1
            AND accepted_at >= (SELECT min(day)::timestamp AT TIME ZONE 'UTC' FROM retired_day)
        GROUP BY 1, 2, 3, 4, 5
    ) b USING (merchant_id, carrier_id, account, item_id, day)
) x
WHERE (rows_messages, rows_segments, rows_micros) <> (books_messages, books_segments, books_micros);

-- name: chain
-- scope: report
SELECT 'I15' AS invariant, count(*) AS wrong,
    (array_agg(format('the sums of %1$s, whose message rows are gone, are not those that were sealed, or the day before it', day)
               ORDER BY day))[1] AS first
FROM (
    SELECT day, d.previous_sha256, d.chain_sha256, coalesce(lag(d.chain_sha256) OVER (ORDER BY day), '') AS before,
        sha256(d.previous_sha256 || convert_to(format(E'%1$s %2$s\n', day, d.messages) || coalesce(u.sums, ''), 'UTF8')) AS chain
    FROM retired_day d
    FULL JOIN (
        SELECT day, string_agg(format(E'%1$s %2$s %3$s %4$s %5$s %6$s %7$s %8$s\n', merchant_id, month, account, carrier_id, item_id,
                                      messages, segments, micros), '' ORDER BY merchant_id, month, account, carrier_id, item_id) AS sums
        FROM retired_usage GROUP BY day
    ) u USING (day)
) x
WHERE (previous_sha256, chain_sha256) IS DISTINCT FROM (before, chain);
