-- name: reserve
-- scope: merchant
-- A row comes back when the key is ours now: it was free, or its request died without an answer.
INSERT INTO idempotency_key AS held (merchant_id, key, fingerprint, status, answer, created_at, reserved_at, abandoned_at)
VALUES ($1, $2, $3, NULL, NULL, $4, $4, $5)
ON CONFLICT (merchant_id, key) DO UPDATE
   SET fingerprint = excluded.fingerprint, created_at = excluded.created_at, reserved_at = excluded.reserved_at,
       abandoned_at = excluded.abandoned_at
WHERE held.status IS NULL AND held.abandoned_at < $4
RETURNING key;

-- name: stored
-- scope: merchant
SELECT fingerprint, status, answer FROM idempotency_key WHERE merchant_id = $1 AND key = $2;

-- name: renew
-- scope: merchant
UPDATE idempotency_key SET created_at = $4, abandoned_at = $5
WHERE merchant_id = $1 AND key = $2 AND reserved_at = $3 AND status IS NULL;

-- name: complete
-- scope: merchant
UPDATE idempotency_key SET fingerprint = $4, status = $5, answer = $6
WHERE merchant_id = $1 AND key = $2 AND reserved_at = $3 AND status IS NULL;

-- name: release
-- scope: merchant
DELETE FROM idempotency_key WHERE merchant_id = $1 AND key = $2 AND reserved_at = $3 AND status IS NULL;
