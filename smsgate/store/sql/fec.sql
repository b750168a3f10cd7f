-- Issued documents as accounting entries. Of a payout (389) the merchant is the seller.

-- name: issued
-- scope: report
SELECT series, number, doc_type, issued_on, currency, slug, net_minor, gross_minor,
    CASE WHEN doc_type = '389' THEN p -> 'seller' ->> 'name' ELSE p -> 'buyer' ->> 'name' END AS partner,
    (p -> 'vats')::text AS vats, p ->> 'other_currency' AS other_currency, (p ->> 'other_vat_minor')::bigint AS other_vat_minor
FROM (
    SELECT d.*, m.slug, convert_from(d.payload, 'UTF8')::jsonb AS p
    FROM document d JOIN merchant m ON m.merchant_id = d.merchant_id
    WHERE d.issued_on BETWEEN $1 AND $2
) x
ORDER BY issued_on, series, number
LIMIT $3

-- name: counts
-- scope: report
SELECT doc_type, count(*) AS documents FROM document WHERE issued_on >= $1 AND issued_on < $2 GROUP BY doc_type
