-- Issued documents as accounting entries. Of a payout (389) the merchant is the seller.

-- name: issued
-- scope: report
SELECT series, number, doc_type, issued_on, currency, slug, net_minor, gross_minor,
    CASE WHEN doc_type = '389' THEN p -> 'seller' ->> 'name' ELSE p -> 'buyer' ->> 'name' END AS partner,
    p -> 'buyer' ->> 'country' AS buyer_country, p -> 'buyer' ->> 'legal_id' AS buyer_legal_id,
    (p -> 'vats')::text AS vats, p ->> 'other_currency' AS other_currency, (p ->> 'other_vat_minor')::bigint AS other_vat_minor,
    coalesce(p ->> 'other_rate', '') AS other_rate, a.advances::text AS advances
FROM (
    SELECT d.*, m.slug, convert_from(d.payload, 'UTF8')::jsonb AS p
    FROM document d JOIN merchant m ON m.merchant_id = d.merchant_id
    WHERE d.issued_on BETWEEN $1 AND $2 AND ($4 OR d.doc_type <> '389')
) x
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_array(t.gross_minor, t.vat_minor, coalesce(v.p ->> 'other_rate', ''),
                                     v.p #>> '{vats,0,category}', (v.p #>> '{vats,0,rate_micros}')::bigint,
                                     coalesce(b.gross_minor, 0), coalesce(b.vat_minor, 0))
                    ORDER BY t.advance_id) AS advances
    FROM document_advance t JOIN document r ON r.merchant_id = t.merchant_id AND r.document_id = t.advance_id
    CROSS JOIN LATERAL (SELECT convert_from(r.payload, 'UTF8')::jsonb AS p) v
    LEFT JOIN LATERAL (
        SELECT sum(e.gross_minor)::bigint AS gross_minor, sum(e.vat_minor)::bigint AS vat_minor FROM document_advance e
        WHERE e.merchant_id = t.merchant_id AND e.advance_id = t.advance_id AND e.document_id < t.document_id) b ON true
    WHERE t.merchant_id = x.merchant_id AND t.document_id = x.document_id AND x.doc_type IN ('380', '503')) a ON true
ORDER BY issued_on, series, number
LIMIT $3

-- name: counts
-- scope: report
SELECT doc_type, count(*) AS documents FROM document WHERE issued_on >= $1 AND issued_on < $2 GROUP BY doc_type
