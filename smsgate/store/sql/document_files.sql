-- Files that documents were handed out as.

-- name: keep
-- scope: merchant
INSERT INTO document_file (merchant_id, document_id, form, sha256, octets, made_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING

-- name: kept_hash
-- scope: merchant
SELECT sha256 FROM document_file WHERE merchant_id = $1 AND document_id = $2 AND form = $3

-- name: kept
-- scope: report
SELECT d.series, d.number, d.payload, f.form, f.sha256, f.octets
FROM document_file f JOIN document d ON d.merchant_id = f.merchant_id AND d.document_id = f.document_id
ORDER BY d.series, d.number, f.form
