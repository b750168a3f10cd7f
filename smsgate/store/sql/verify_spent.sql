-- Proofs of what budgets say is spent, against leases; read as those of verify.sql; verify_messages.sql holds leases to the message rows, and
-- so to the ledger (I2). $1: the first id that is kept.

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
-- Ids of a charged lease are apart in its multirange, those of an open one may repeat; so their ranges are looked at only where
-- the spans of two leases overlap, or an open one repeats itself.
WITH span AS (
    SELECT merchant_id, lower(message_ids) AS first_id, upper(message_ids) AS end_id FROM budget_charge WHERE NOT isempty(message_ids)
    UNION ALL
    SELECT l.merchant_id, min(m), max(m) + 1 FROM budget_lease l CROSS JOIN LATERAL unnest(l.message_ids) AS m
    GROUP BY l.merchant_id, l.lease_id
), crossed AS MATERIALIZED (
    SELECT DISTINCT merchant_id
    FROM (
        SELECT merchant_id, first_id, max(end_id) OVER (
            PARTITION BY merchant_id ORDER BY first_id, end_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM span
    ) s
    WHERE first_id < before
    UNION
    SELECT merchant_id FROM budget_lease
    WHERE cardinality(message_ids) > (SELECT count(DISTINCT m) FROM unnest(message_ids) AS m)
)
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('message %1$s of merchant %2$s counts %3$s', id, merchant_id,
                      CASE WHEN again THEN 'twice in lease ' || lease_id ELSE 'in two leases' END) ORDER BY merchant_id, id))[1] AS first
FROM (
    SELECT merchant_id, lease_id, lower(ids) AS id, max(upper(ids)) OVER (id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
        lease_id = lag(lease_id) OVER id AS again
    FROM (
        SELECT merchant_id, lease_id, unnest(message_ids) AS ids FROM budget_charge JOIN crossed USING (merchant_id)
        UNION ALL
        SELECT merchant_id, lease_id, int8range(m, m, '[]') FROM budget_lease JOIN crossed USING (merchant_id)
        CROSS JOIN LATERAL unnest(message_ids) AS m
    ) n
    WINDOW id AS (PARTITION BY merchant_id ORDER BY lower(ids), upper(ids), lease_id)
) x
WHERE id < before;

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
