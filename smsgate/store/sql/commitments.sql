-- Minimums per month. Versions are added in the order of their numbers, and none is changed.

-- name: commitments_of
-- scope: merchant
SELECT version, currency, minimum_minor, first_month, last_month, set_at FROM billing_commitment
WHERE merchant_id = $1 ORDER BY version

-- name: closes_of
-- scope: merchant
-- Who is billed, and where its closes stand.
SELECT m.currency, m.timezone, (SELECT max(b.month) FROM billing_period b WHERE b.merchant_id = m.merchant_id) AS last_cut,
    (SELECT l.accepted_at FROM ledger_entry l
     WHERE l.merchant_id = m.merchant_id AND l.account = 'unbilled' ORDER BY l.at LIMIT 1) AS first_charge
FROM merchant m WHERE m.merchant_id = $1

-- name: lock_against_cuts
-- scope: control
-- Shared, as flushes hold it: a cut waits for the version, or the version (in a later statement) sees the cut.
SELECT pg_advisory_xact_lock_shared(7203001)

-- name: last_cut
-- scope: merchant
SELECT max(month) FROM billing_period WHERE merchant_id = $1

-- name: add_commitment
-- scope: merchant
INSERT INTO billing_commitment (merchant_id, version, currency, first_month, last_month, minimum_minor, set_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
