-- What `smsgate billing simulate --through-database` writes before a case's messages, and reads at its end.

-- name: merchant
-- scope: merchant
INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency)
VALUES ($1, 'Worked case', $2, 'FR', 'en', $3, $4)

-- name: profile
-- scope: merchant
INSERT INTO billing_profile (merchant_id, legal_name, street, postcode, city, country, business, payment_days)
VALUES ($1, 'Worked case', '1 rue de la Paix', '75002', 'Paris', 'FR', true, 30)

-- name: vat
-- scope: merchant
INSERT INTO billing_vat (merchant_id, valid_from, category, rate_micros, reason) VALUES ($1, $2, $3, $4, 'the case says so')

-- name: commitment
-- scope: merchant
INSERT INTO billing_commitment (merchant_id, version, currency, first_month, last_month, minimum_minor) VALUES ($1, $2, $3, $4, $5, $6)

-- name: price_list
-- scope: control
INSERT INTO price_list (price_list_id, name, side, currency) VALUES ($1, $2, 'sell', $3)

-- name: price_version
-- scope: control
INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) VALUES ($1, $2, $3, '')

-- name: price_item
-- scope: control
INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, basis, ladder)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)

-- name: open_since
-- scope: merchant
-- The first acceptance of what was recorded after the last cut.
SELECT min(e.accepted_at) AS at
FROM ledger_entry e
WHERE e.merchant_id = $1 AND e.account = 'unbilled' AND e.direction <> 'document'
    AND (e.at >= coalesce((SELECT max(b.cut_at) FROM billing_period b WHERE b.merchant_id = $1), '-infinity')
         OR e.accepted_at >= coalesce((SELECT max(b.ends_at) FROM billing_period b WHERE b.merchant_id = $1), '-infinity'))

-- name: balances
-- scope: merchant
SELECT account, currency, sum(amount_micros)::bigint AS micros
FROM ledger_entry WHERE merchant_id = $1
GROUP BY account, currency HAVING sum(amount_micros) <> 0
ORDER BY account, currency

-- name: documents
-- scope: merchant
SELECT document_id, month, currency, doc_type, net_minor, vat_minor, gross_minor, exact_micros, rounding_micros, payload
FROM document WHERE merchant_id = $1 ORDER BY series, number

-- name: lines
-- scope: merchant
SELECT document_id, line, kind, price_list_id, item_id, version, origin, unit_micros, vat_category, vat_rate_micros, quantity,
    net_minor
FROM document_line WHERE merchant_id = $1 ORDER BY document_id, line
