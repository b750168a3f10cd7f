-- Issued documents as accounting entries. Of a payout (389) the merchant is the seller.

-- name: issued
-- scope: report
SELECT series, number, doc_type, issued_on, currency, slug, net_minor, gross_minor,
    CASE WHEN doc_type = '389' THEN p -> 'seller' ->> 'name' ELSE p -> 'buyer' ->> 'name' END AS partner,
    p -> 'buyer' ->> 'country' AS buyer_country, p -> 'buyer' ->> 'legal_id' AS buyer_legal_id,
    (p -> 'vats')::text AS vats, p ->> 'other_currency' AS other_currency, (p ->> 'other_vat_minor')::bigint AS other_vat_minor,
    coalesce(a.gross, 0)::bigint AS advances_minor, coalesce(a.vat, 0)::bigint AS advances_vat_minor
FROM (
    SELECT d.*, m.slug, convert_from(d.payload, 'UTF8')::jsonb AS p
    FROM document d JOIN merchant m ON m.merchant_id = d.merchant_id
    WHERE d.issued_on BETWEEN $1 AND $2 AND ($4 OR d.doc_type <> '389')
) x
LEFT JOIN LATERAL (
    SELECT sum((e ->> 'gross_minor')::bigint) AS gross, sum((e ->> 'vat_minor')::bigint) AS vat
    FROM jsonb_array_elements(p -> 'advances') AS e) a ON true
ORDER BY issued_on, series, number
LIMIT $3

-- name: counts
-- scope: report
SELECT doc_type, count(*) AS documents FROM document WHERE issued_on >= $1 AND issued_on < $2 GROUP BY doc_type
