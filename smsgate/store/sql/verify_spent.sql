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

-- name: charges
-- scope: report
-- Set-wise, one pass over the rows of who has a budget: each finds its lease by binary search in the ranges of all of them, which
-- `twice` proves apart. $3: items that charge on delivery. Open leases are number 0 here, NULL is none.
-- Whatever is charged, a lease has or had it; but for what was claimed before the budget came, a minute at most with two clocks,
-- and what a receipt charges so late that nobody waits for it (14 days, decision 0035).
WITH payer AS MATERIALIZED (
    SELECT merchant_id, b.began_at + interval '1 minute' AS since, r.firsts, r.ends, r.leases
    FROM (
        SELECT merchant_id, array_agg(lower(ids) ORDER BY lower(ids), lease_id) AS firsts,
            array_agg(upper(ids) ORDER BY lower(ids), lease_id) AS ends, array_agg(lease_id ORDER BY lower(ids), lease_id) AS leases
        FROM (
            SELECT merchant_id, lease_id, unnest(message_ids) AS ids FROM budget_charge
            UNION ALL
            SELECT merchant_id, 0, unnest((SELECT range_agg(int8range(m, m, '[]')) FROM unnest(l.message_ids) AS m)) FROM budget_lease l
        ) n
        GROUP BY merchant_id
    ) r
    FULL JOIN budget b USING (merchant_id)
), charged AS (
    SELECT merchant_id, message_id, sell_micros, NULL::timestamptz AS received_at
    FROM sent s
    WHERE s.message_id >= $1 AND s.status = 0 AND s.sell_item_id <> ALL ($3::bigint[])
    UNION ALL
    SELECT s.merchant_id, s.message_id, s.sell_micros, min(r.received_at)
    FROM payer p
    JOIN sent s ON s.merchant_id = p.merchant_id
    JOIN receipt r ON r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
    WHERE cardinality($3::bigint[]) > 0 AND s.message_id >= $1 AND r.message_id >= $1 AND s.status = 0
        AND s.sell_item_id = ANY ($3::bigint[]) AND r.state = ANY ($2::smallint[])
    GROUP BY s.merchant_id, s.message_id, s.segment, s.sell_micros
    HAVING min(r.received_at) FILTER (WHERE r.state = 2) = min(r.received_at)
), rows AS MATERIALIZED (
    SELECT merchant_id, lease_id, sum(sell_micros) AS charged, count(*) FILTER (WHERE due) AS due,
        min(message_id) FILTER (WHERE due) AS first_due
    FROM (
        SELECT s.merchant_id, s.message_id, s.sell_micros, n.lease_id,
            n.lease_id IS NULL AND s.sell_micros > 0 AND to_timestamp(((s.message_id >> 22) + 1735689600000) / 1000.0) >= p.since
                AND (s.received_at IS NULL
                     OR s.received_at < to_timestamp(((s.message_id >> 22) + 1735689600000) / 1000.0) + interval '14 days') AS due
        FROM charged s
        JOIN payer p ON p.merchant_id = s.merchant_id
        CROSS JOIN LATERAL (SELECT width_bucket(s.message_id, p.firsts) AS place OFFSET 0) w
        CROSS JOIN LATERAL (
            SELECT CASE WHEN w.place > 0 AND s.message_id < p.ends[w.place] THEN p.leases[w.place] END AS lease_id OFFSET 0) n
    ) x
    GROUP BY merchant_id, lease_id
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
WHERE spent <> coalesce(charged, 0)
UNION ALL
SELECT 'I14', coalesce(sum(due), 0)::bigint,
    (array_agg(format('message %1$s of merchant %2$s is charged %3$s micros, and no lease has it', first_due, merchant_id,
                      (SELECT s.sell_micros FROM sent s WHERE s.merchant_id = rows.merchant_id AND s.message_id = first_due
                           AND s.status = 0 AND s.sell_micros > 0 ORDER BY s.segment LIMIT 1)) ORDER BY first_due))[1]
FROM rows WHERE due > 0;

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
