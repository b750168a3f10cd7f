-- Proofs of payouts, read as those of verify_documents.sql: $1 and $2 are currencies and micros of their minor units.

-- name: lines
-- scope: report
-- R15, once more: retail price without VAT x both shares x count, one fraction, half away from zero; all of it is above zero.
SELECT 'I7' AS invariant, count(*) AS wrong,
    (array_agg(format('line %1$s of document %2$s-%3$s: %4$s for %5$s gives %6$s, not %7$s', line, series, number, billed, short_code,
                      coalesce(expected::text, 'nothing'), coalesce(net_minor::text, 'nothing')) ORDER BY merchant_id, document_id, line))[1] AS first
FROM (
    SELECT d.merchant_id, d.document_id, d.series, d.number, line, p.short_code, p.billed, l.net_minor,
        div(2 * p.retail_micros::numeric * p.billed * p.carrier_share_micros * p.merchant_share_micros + w.whole, 2 * w.whole) AS expected
    FROM document d
    JOIN unnest($1::text[], $2::bigint[]) AS s (currency, scale) ON s.currency = d.currency
    JOIN (
        SELECT merchant_id, document_id, line FROM document_line WHERE kind = 'payout'
        UNION SELECT merchant_id, document_id, line FROM payout_line
    ) n USING (merchant_id, document_id)
    LEFT JOIN document_line l USING (merchant_id, document_id, line)
    LEFT JOIN payout_line p USING (merchant_id, document_id, line)
    CROSS JOIN LATERAL (SELECT (100000000 + p.vat_rate_micros)::numeric * 100000000 * s.scale AS whole) w
) x
WHERE net_minor IS DISTINCT FROM expected;

-- name: postings
-- scope: report
SELECT 'I9' AS invariant, count(*) AS wrong,
    (array_agg(format('payout %1$s-%2$s of merchant %3$s: the ledger owes %4$s, has %5$s VAT and %6$s cost for it', series, number,
                      merchant_id, owed, vat, cost) ORDER BY merchant_id, document_id))[1] AS first
FROM (
    SELECT merchant_id, d.document_id, d.series, d.number, coalesce(e.owed, 0) AS owed, coalesce(e.vat, 0) AS vat,
        coalesce(e.cost, 0) AS cost, d.gross, d.tax
    FROM (
        SELECT d.merchant_id, d.document_id, d.series, d.number, p.posting_id, d.gross_minor * s.scale AS gross, d.vat_minor * s.scale AS tax
        FROM document d
        JOIN unnest($1::text[], $2::bigint[]) AS s (currency, scale) ON s.currency = d.currency
        LEFT JOIN payout p ON p.merchant_id = d.merchant_id AND p.document_id = d.document_id
        WHERE d.doc_type = '389' AND d.gross_minor <> 0
    ) d
    FULL JOIN (
        SELECT merchant_id, posting_id, -sum(amount_micros) FILTER (WHERE account = 'payout') AS owed,
            sum(amount_micros) FILTER (WHERE account = 'vat') AS vat, sum(amount_micros) FILTER (WHERE account = 'payout_cost') AS cost
        FROM ledger_entry WHERE direction = 'payout' GROUP BY merchant_id, posting_id
    ) e USING (merchant_id, posting_id)
) x
WHERE (owed, vat, cost) IS DISTINCT FROM (gross, tax, gross - tax);
