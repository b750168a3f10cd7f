-- Proofs of what budgets say is spent, against leases, message rows and so the ledger (I2); read as those of verify.sql. $1: the
-- first id that is kept, $2: final states of receipts. A message is charged when the carrier took it, or on delivery, as its
-- first final receipt says.

-- name: months
-- scope: report
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('budget of merchant %1$s in %2$s: %3$s micros are spent%4$s, its leases were charged %5$s', merchant_id,
                      to_char(month, 'YYYY-MM'), told, CASE WHEN prepaid THEN ' of its balance' ELSE '' END, charged)
               ORDER BY merchant_id, month, prepaid))[1] AS first
FROM (
    SELECT merchant_id, month, prepaid, coalesce(s.spent_micros, 0) AS told, coalesce(c.charged, 0) AS charged
    FROM budget_spent s
    FULL JOIN (
        SELECT merchant_id, month, prepaid, sum(spent_micros) AS charged FROM budget_charge GROUP BY merchant_id, month, prepaid
    ) c USING (merchant_id, month, prepaid)
) x
WHERE told <> charged;

-- name: charges
-- scope: report
-- Set-wise: each row of a merchant finds its lease by binary search in the ranges of all of them, which `twice` proves apart.
WITH ranges AS MATERIALIZED (
    SELECT c.merchant_id, array_agg(lower(r) ORDER BY lower(r)) AS firsts, array_agg(upper(r) ORDER BY lower(r)) AS ends,
        array_agg(c.lease_id ORDER BY lower(r)) AS leases
    FROM budget_charge c CROSS JOIN LATERAL unnest(c.message_ids) AS r
    WHERE c.lease_id <> 0 AND lower(c.message_ids) >= $1
    GROUP BY c.merchant_id
), rows AS (
    SELECT s.merchant_id, n.leases[n.place] AS lease_id, sum(s.sell_micros) AS charged
    FROM sent s
    JOIN ranges g ON g.merchant_id = s.merchant_id
    CROSS JOIN LATERAL (SELECT width_bucket(s.message_id, g.firsts) AS place, g.ends, g.leases OFFSET 0) n
    LEFT JOIN price_item i ON i.item_id = s.sell_item_id
    WHERE s.message_id >= $1 AND s.status = 0 AND n.place > 0 AND s.message_id < n.ends[n.place]
        AND (i.basis IS DISTINCT FROM 'delivered' OR 2 = (
            SELECT r.state FROM receipt r
            WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
                AND r.state = ANY ($2::smallint[])
            ORDER BY r.received_at, r.state LIMIT 1))
    GROUP BY 1, 2
)
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('lease %1$s of merchant %2$s: %3$s micros are spent, the rows of its messages have %4$s', lease_id, merchant_id,
                      spent, coalesce(charged, 0)) ORDER BY merchant_id, lease_id))[1] AS first
FROM (
    SELECT merchant_id, lease_id, sum(spent_micros) AS spent
    FROM budget_charge
    WHERE lease_id <> 0 AND lower(message_ids) >= $1
    GROUP BY merchant_id, lease_id
) c
LEFT JOIN rows USING (merchant_id, lease_id)
WHERE spent <> coalesce(charged, 0);

-- name: twice
-- scope: report
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('message %1$s of merchant %2$s counts in two leases', id, merchant_id) ORDER BY merchant_id, id))[1] AS first
FROM (
    SELECT merchant_id, lower(ids) AS id,
        max(upper(ids)) OVER (PARTITION BY merchant_id ORDER BY lower(ids), upper(ids) ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
            AS before
    FROM (
        SELECT merchant_id, unnest(message_ids) AS ids FROM budget_charge
        UNION ALL
        SELECT merchant_id, int8range(m, m, '[]') FROM budget_lease CROSS JOIN LATERAL unnest(message_ids) AS m
    ) n
) x
WHERE id < before;

-- name: uncounted
-- scope: report
-- Whatever is charged, a lease has or had it; but for what was claimed before the budget came, a minute at most with two clocks,
-- and what a receipt charges so late that nobody waits for it (14 days, decision 0035).
WITH counted AS MATERIALIZED (
    SELECT merchant_id, range_agg(ids) AS ids
    FROM (
        SELECT merchant_id, message_ids AS ids FROM budget_charge
        UNION ALL
        SELECT l.merchant_id, (SELECT range_agg(int8range(m, m, '[]')) FROM unnest(l.message_ids) AS m) FROM budget_lease l
    ) n
    GROUP BY merchant_id
)
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('message %1$s of merchant %2$s is charged %3$s micros, and no lease has it', message_id, merchant_id, sell_micros)
               ORDER BY message_id))[1] AS first
FROM (
    SELECT s.merchant_id, s.message_id, s.sell_micros
    FROM budget b
    LEFT JOIN counted c ON c.merchant_id = b.merchant_id
    JOIN sent s ON s.merchant_id = b.merchant_id
    LEFT JOIN price_item i ON i.item_id = s.sell_item_id
    WHERE s.message_id >= $1 AND s.status = 0 AND s.sell_micros > 0 AND NOT coalesce(c.ids @> s.message_id, false)
        AND to_timestamp(((s.message_id >> 22) + 1735689600000) / 1000.0) >= b.began_at + interval '1 minute'
        AND (i.basis IS DISTINCT FROM 'delivered' OR EXISTS (
            SELECT FROM (
                SELECT r.state, r.received_at FROM receipt r
                WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
                    AND r.state = ANY ($2::smallint[])
                ORDER BY r.received_at, r.state LIMIT 1) f
            WHERE f.state = 2 AND f.received_at < to_timestamp(((s.message_id >> 22) + 1735689600000) / 1000.0) + interval '14 days'))
) x;

-- name: overdrawn
-- scope: report
-- A message is charged no more than its lease holds for it.
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('message %1$s of merchant %2$s is charged %3$s micros, its lease holds %4$s', message_id, merchant_id, charged, micros)
               ORDER BY message_id))[1] AS first
FROM (
    SELECT l.merchant_id, m.message_id, m.micros, (
        SELECT coalesce(sum(s.sell_micros), 0) FROM sent s
        WHERE s.merchant_id = l.merchant_id AND s.message_id = m.message_id AND s.status = 0) AS charged
    FROM budget_lease l
    CROSS JOIN LATERAL unnest(l.message_ids, l.micros) AS m (message_id, micros)
    WHERE m.message_id >= $1
) x
WHERE charged > micros;
