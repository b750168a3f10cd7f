-- Payouts of premium messages: one a merchant, month and currency.

-- name: insert_payout
-- scope: merchant
INSERT INTO payout (merchant_id, month, currency, document_id, posting_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (merchant_id, month, currency) DO NOTHING RETURNING document_id

-- name: payout_document
-- scope: merchant
SELECT document_id FROM payout WHERE merchant_id = $1 AND month = $2 AND currency = $3

-- name: insert_payout_lines
-- scope: merchant
INSERT INTO payout_line (merchant_id, document_id, line, short_code, retail_micros, vat_rate_micros, carrier_share_micros,
                         merchant_share_micros, billed)
SELECT $1, $2, t.place, t.short_code, t.retail, t.vat_rate, t.carrier_share, t.merchant_share, t.billed
FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    WITH ORDINALITY AS t (short_code, retail, vat_rate, carrier_share, merchant_share, billed, place)

-- name: payout_lines
-- scope: merchant
SELECT short_code, retail_micros, vat_rate_micros, carrier_share_micros, merchant_share_micros, billed
FROM payout_line WHERE merchant_id = $1 AND document_id = $2 ORDER BY line
