-- Proofs over budgets; read as those of verify.sql.

-- name: balances
-- scope: report
-- Held (leases) and spent are what the budget says, paid in is what the ledger has, and none of it is more than was paid in.
SELECT 'I13' AS invariant, count(*) AS wrong,
    (array_agg(format('budget of merchant %1$s: %2$s', merchant_id, what) ORDER BY merchant_id))[1] AS first
FROM (
    SELECT b.merchant_id, CASE
        WHEN b.paid_in_micros <> l.paid THEN format('%1$s micros were paid in, the ledger has %2$s', b.paid_in_micros, l.paid)
        WHEN b.paid_in_micros <> t.paid THEN format('%1$s micros were paid in, its payments are %2$s', b.paid_in_micros, t.paid)
        WHEN b.leased_micros <> h.held THEN format('%1$s micros are leased, its leases hold %2$s', b.leased_micros, h.held)
        WHEN b.spent_micros <> s.spent THEN format('%1$s micros are spent, its months say %2$s', b.spent_micros, s.spent)
        WHEN b.paid_in_micros < b.spent_micros + b.leased_micros
            THEN format('%1$s micros are spent or leased, %2$s were paid in', b.spent_micros + b.leased_micros, b.paid_in_micros)
        END AS what
    FROM budget b
    CROSS JOIN LATERAL (SELECT coalesce(-sum(e.amount_micros), 0) AS paid FROM ledger_entry e
                        WHERE e.merchant_id = b.merchant_id AND e.account = 'prepaid') l
    CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount_micros), 0) AS paid FROM budget_topup p WHERE p.merchant_id = b.merchant_id) t
    CROSS JOIN LATERAL (SELECT coalesce(sum(k.held_micros), 0) AS held FROM budget_lease k
                        WHERE k.merchant_id = b.merchant_id AND k.prepaid) h
    CROSS JOIN LATERAL (SELECT coalesce(sum(m.spent_micros), 0) AS spent FROM budget_spent m
                        WHERE m.merchant_id = b.merchant_id AND m.prepaid) s
) x WHERE what IS NOT NULL;

-- name: caps
-- scope: report
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('budget of merchant %1$s in %2$s: %3$s', merchant_id, to_char(month, 'YYYY-MM'), what) ORDER BY merchant_id))[1] AS first
FROM (
    SELECT b.merchant_id, b.month, CASE
        WHEN b.month_leased_micros <> h.held THEN format('%1$s micros are leased, its leases hold %2$s', b.month_leased_micros, h.held)
        WHEN b.month_spent_micros <> s.spent THEN format('%1$s micros are spent, the month says %2$s', b.month_spent_micros, s.spent)
        WHEN b.month_cap_micros < b.month_spent_micros + b.month_leased_micros
            THEN format('%1$s micros are spent or leased, the cap is %2$s', b.month_spent_micros + b.month_leased_micros, b.month_cap_micros)
        END AS what
    FROM budget b
    CROSS JOIN LATERAL (SELECT coalesce(sum(k.held_micros), 0) AS held FROM budget_lease k
                        WHERE k.merchant_id = b.merchant_id AND k.month = b.month) h
    CROSS JOIN LATERAL (SELECT coalesce(sum(m.spent_micros), 0) AS spent FROM budget_spent m
                        WHERE m.merchant_id = b.merchant_id AND m.month = b.month) s
) x WHERE what IS NOT NULL;

-- name: leases
-- scope: report
-- A lease holds what its messages may cost, and no message has money in two of them.
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('lease %1$s of merchant %2$s: %3$s', lease_id, merchant_id, what) ORDER BY merchant_id, lease_id))[1] AS first
FROM (
    SELECT l.merchant_id, l.lease_id, CASE
        WHEN cardinality(l.message_ids) <> cardinality(l.micros) OR l.held_micros <> (SELECT sum(m) FROM unnest(l.micros) AS m)
            THEN format('it holds %1$s micros, its messages may cost %2$s', l.held_micros, (SELECT sum(m) FROM unnest(l.micros) AS m))
        WHEN NOT EXISTS (SELECT FROM budget b WHERE b.merchant_id = l.merchant_id) THEN 'its merchant has no budget'
        END AS what
    FROM budget_lease l
    UNION ALL
    SELECT l.merchant_id, min(l.lease_id), format('message %1$s has money in %2$s leases', m, count(*))
    FROM budget_lease l CROSS JOIN LATERAL unnest(l.message_ids) AS m
    GROUP BY l.merchant_id, m HAVING count(*) > 1
) x WHERE what IS NOT NULL;
