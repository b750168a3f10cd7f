-- Proofs over budgets; read as those of verify.sql.

-- name: balances
-- scope: report
-- $1, $2: currencies, and micros of their minor units. Held (leases) and spent are what the budget says, and none of it is more than was paid in and not paid back.
SELECT 'I13' AS invariant, count(*) AS wrong,
    (array_agg(format('budget of merchant %1$s: %2$s', merchant_id, what) ORDER BY merchant_id))[1] AS first
FROM (
    SELECT b.merchant_id, CASE
        WHEN b.paid_in_micros <> l.paid THEN format('%1$s micros were paid in, the ledger has %2$s', b.paid_in_micros, l.paid)
        WHEN b.drawn_micros + b.refunded_micros <> l.out
            THEN format('%1$s micros are deducted or paid back, the ledger has %2$s', b.drawn_micros + b.refunded_micros, l.out)
        WHEN b.refunded_micros <> r.back * c.scale
            THEN format('%1$s micros are paid back, its documents say %2$s', b.refunded_micros, r.back * c.scale)
        WHEN b.paid_in_micros <> t.paid THEN format('%1$s micros were paid in, its payments are %2$s', b.paid_in_micros, t.paid)
        WHEN b.leased_micros <> h.held THEN format('%1$s micros are leased, its leases hold %2$s', b.leased_micros, h.held)
        WHEN b.spent_micros <> s.spent + b.adjusted_micros
            THEN format('%1$s micros are spent, its months say %2$s', b.spent_micros, s.spent + b.adjusted_micros)
        WHEN b.paid_in_micros - b.refunded_micros < b.spent_micros + b.leased_micros
            THEN format('%1$s micros are spent or leased, %2$s were paid in', b.spent_micros + b.leased_micros,
                        b.paid_in_micros - b.refunded_micros)
        WHEN b.drawn_micros > b.spent_micros + b.leased_micros
            THEN format('%1$s micros are deducted, %2$s are spent or leased', b.drawn_micros, b.spent_micros + b.leased_micros)
        END AS what
    FROM budget b
    JOIN unnest($1::text[], $2::bigint[]) AS c (currency, scale) ON c.currency = b.currency
    CROSS JOIN LATERAL (SELECT coalesce(sum(d.net_minor), 0) AS back FROM document d
                        WHERE d.merchant_id = b.merchant_id AND d.doc_type = '503' AND d.currency = b.currency) r
    CROSS JOIN LATERAL (SELECT coalesce(-sum(e.amount_micros) FILTER (WHERE e.direction = 'payment'), 0) AS paid,
                            coalesce(sum(e.amount_micros) FILTER (WHERE e.direction <> 'payment'), 0) AS out
                        FROM ledger_entry e WHERE e.merchant_id = b.merchant_id AND e.account = 'prepaid') l
    CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount_micros), 0) AS paid FROM budget_topup p WHERE p.merchant_id = b.merchant_id) t
    CROSS JOIN LATERAL (SELECT coalesce(sum(k.held_micros), 0) AS held FROM budget_lease k
                        WHERE k.merchant_id = b.merchant_id AND k.prepaid) h
    CROSS JOIN LATERAL (SELECT coalesce(sum(m.spent_micros), 0) AS spent FROM budget_spent m
                        WHERE m.merchant_id = b.merchant_id AND m.prepaid) s
) x WHERE what IS NOT NULL;

-- name: deductions
-- scope: report
-- What a document deducts is what the ledger moved out of `prepaid` for it.
SELECT 'I13' AS invariant, count(*) AS wrong, (array_agg(what ORDER BY merchant_id, document_id))[1] AS first
FROM (
    SELECT d.merchant_id, d.document_id, CASE
        WHEN d.doc_type = '380' AND d.paid_minor <> coalesce(a.gross, 0)
            THEN format('document %1$s-%2$s: %3$s are paid, its advances make %4$s', d.series, d.number, d.paid_minor, coalesce(a.gross, 0))
        WHEN d.doc_type = '386' AND d.paid_minor <> d.gross_minor OR d.doc_type = '503' AND coalesce(a.gross, 0) <> d.gross_minor
            THEN format('document %1$s-%2$s: its gross is %3$s, %4$s of it are paid', d.series, d.number, d.gross_minor,
                        CASE WHEN d.doc_type = '386' THEN d.paid_minor ELSE coalesce(a.gross, 0) END)
        WHEN (coalesce(a.gross, 0) - coalesce(a.vat, 0)) * s.scale <> coalesce(p.out, 0)
            THEN format('document %1$s-%2$s: the ledger moved %3$s micros of prepaid for it, its advances make %4$s', d.series, d.number,
                        coalesce(p.out, 0), (coalesce(a.gross, 0) - coalesce(a.vat, 0)) * s.scale)
        WHEN d.doc_type = '380' AND coalesce(a.told, '') <> coalesce(w.told, '')
            THEN format('document %1$s-%2$s: its paper deducts %3$s, it is %4$s', d.series, d.number, coalesce(w.told, 'nothing'),
                        coalesce(a.told, 'nothing'))
        END AS what
    FROM document d
    JOIN unnest($1::text[], $2::bigint[]) AS s (currency, scale) ON s.currency = d.currency
    LEFT JOIN (
        SELECT a.merchant_id, a.document_id, sum(a.gross_minor) AS gross, sum(a.vat_minor) AS vat,
            string_agg(format('%1$s of %2$s-%3$s', a.gross_minor, o.series, lpad(o.number::text, 6, '0')), ', '
                       ORDER BY o.issued_on, o.document_id) AS told
        FROM document_advance a
        LEFT JOIN document o ON o.merchant_id = a.merchant_id AND o.document_id = a.advance_id
        GROUP BY a.merchant_id, a.document_id
    ) a ON a.merchant_id = d.merchant_id AND a.document_id = d.document_id
    LEFT JOIN (
        SELECT merchant_id, posting_id, sum(amount_micros) AS out FROM ledger_entry
        WHERE account = 'prepaid' AND direction = 'document' GROUP BY merchant_id, posting_id
    ) p ON p.merchant_id = d.merchant_id AND p.posting_id = d.posting_id
    LEFT JOIN LATERAL (
        SELECT string_agg(format('%1$s of %2$s', e->>'gross_minor', e->>'number'), ', ' ORDER BY n) AS told
        FROM jsonb_array_elements(convert_from(d.payload, 'UTF8')::jsonb -> 'advances') WITH ORDINALITY AS x (e, n)
    ) w ON true
) x WHERE what IS NOT NULL;

-- name: advances
-- scope: report
-- No more is deducted of a prepayment invoice than it has, and of its VAT the share of that, rounded once; it is a payment's.
SELECT 'I13' AS invariant, count(*) AS wrong, (array_agg(what ORDER BY merchant_id, advance_id))[1] AS first
FROM (
    SELECT u.merchant_id, u.advance_id, CASE
        WHEN d.doc_type IS DISTINCT FROM '386' THEN format('document id %1$s is deducted and no prepayment invoice', u.advance_id)
        WHEN u.gross > d.gross_minor
            THEN format('document %1$s-%2$s: %3$s of %4$s are deducted', d.series, d.number, u.gross, d.gross_minor)
        WHEN u.vat <> div(2 * d.vat_minor::numeric * u.gross + d.gross_minor, 2 * d.gross_minor)
            THEN format('document %1$s-%2$s: VAT of %3$s is deducted with %4$s of %5$s', d.series, d.number, u.vat, u.gross, d.gross_minor)
        END AS what
    FROM (SELECT merchant_id, advance_id, sum(gross_minor) AS gross, sum(vat_minor) AS vat
          FROM document_advance GROUP BY merchant_id, advance_id) u
    LEFT JOIN document d ON d.merchant_id = u.merchant_id AND d.document_id = u.advance_id
    UNION ALL
    SELECT coalesce(d.merchant_id, t.merchant_id), coalesce(d.document_id, t.document_id), CASE
        WHEN d.document_id IS NULL THEN format('payment %1$s of merchant %2$s: its document is not there', t.reference, t.merchant_id)
        WHEN t.document_id IS NULL THEN format('document %1$s-%2$s is of no payment', d.series, d.number)
        WHEN t.amount_micros <> d.exact_micros
            THEN format('document %1$s-%2$s: %3$s micros net, its payment is %4$s', d.series, d.number, d.exact_micros, t.amount_micros)
        END
    FROM (SELECT * FROM document WHERE doc_type = '386') d
    FULL JOIN (SELECT * FROM budget_topup WHERE document_id IS NOT NULL) t
        ON t.merchant_id = d.merchant_id AND t.document_id = d.document_id
) x WHERE what IS NOT NULL;

-- name: caps
-- scope: report
-- Of month and day alike: leases, what was spent, the cap. What a day was charged before the budget came is no lease's.
SELECT 'I14' AS invariant, count(*) AS wrong,
    (array_agg(format('budget of merchant %1$s %2$s: %3$s', merchant_id, span, what) ORDER BY merchant_id, span))[1] AS first
FROM (
    SELECT b.merchant_id, s.span, CASE
        WHEN s.leased <> s.held THEN format('%1$s micros are leased, its leases hold %2$s', s.leased, s.held)
        WHEN s.spent <> s.charged THEN format('%1$s micros are spent, %2$s %3$s', s.spent, s.told_by, s.charged)
        WHEN s.cap < s.spent + s.leased THEN format('%1$s micros are spent or leased, the cap is %2$s', s.spent + s.leased, s.cap)
        END AS what
    FROM budget b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(k.held_micros) FILTER (WHERE k.month = b.month), 0) AS month_held,
            coalesce(sum(k.held_micros) FILTER (WHERE k.day = b.day), 0) AS day_held
        FROM budget_lease k WHERE k.merchant_id = b.merchant_id
    ) l
    CROSS JOIN LATERAL (VALUES
        ('in ' || to_char(b.month, 'YYYY-MM'), b.month_leased_micros, l.month_held, b.month_spent_micros, 'the month says',
         (SELECT coalesce(sum(m.spent_micros), 0) FROM budget_spent m WHERE m.merchant_id = b.merchant_id AND m.month = b.month),
         b.month_cap_micros),
        ('on ' || b.day, b.day_leased_micros, l.day_held, b.day_spent_micros, 'its leases were charged',
         b.day_before_micros + (SELECT coalesce(sum(c.spent_micros), 0) FROM budget_charge c
                                WHERE c.merchant_id = b.merchant_id AND c.day = b.day),
         b.day_cap_micros)
    ) AS s (span, leased, held, spent, told_by, charged, cap)
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
    SELECT l.merchant_id, min(l.lease_id), CASE WHEN count(DISTINCT l.lease_id) = 1 THEN format('message %1$s has money in it %2$s times', m, count(*))
        ELSE format('message %1$s has money in %2$s leases', m, count(DISTINCT l.lease_id)) END
    FROM budget_lease l CROSS JOIN LATERAL unnest(l.message_ids) AS m
    GROUP BY l.merchant_id, m HAVING count(*) > 1
) x WHERE what IS NOT NULL;
