-- name: key_by_public_id
-- scope: control
SELECT k.key_id, k.public_id, k.owner_id, k.mac, k.name, k.mode, k.scopes, k.created_at, k.expires_at, k.revoked_at,
    k.last_used_at, coalesce(m.state = 'suspended', false) AS suspended
FROM api_key k
LEFT JOIN merchant m ON m.merchant_id = k.owner_id
WHERE k.public_id = $1;

-- name: touch_key
-- scope: control
UPDATE api_key SET last_used_at = $2
WHERE key_id = $1 AND (last_used_at IS NULL OR last_used_at < $2);

-- name: lock_key_name
-- scope: control
-- Two requests at once must not both find room for one more key of the same name.
SELECT pg_advisory_xact_lock(hashtextextended($2, $1));

-- name: keys_of_name
-- scope: control
SELECT count(*) FROM api_key
WHERE owner_id = $1 AND name = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3);

-- name: insert_key
-- scope: control
INSERT INTO api_key (key_id, public_id, owner_id, mac, name, mode, scopes, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: keys_page
-- scope: control
SELECT key_id, public_id, owner_id, mac, name, mode, scopes, created_at, expires_at, revoked_at, last_used_at,
    false AS suspended, key_id AS page_id
FROM api_key
WHERE owner_id = $1 AND key_id < $2
ORDER BY key_id DESC
LIMIT $3;

-- name: revoke_key
-- scope: control
UPDATE api_key SET revoked_at = coalesce(revoked_at, $2)
WHERE key_id = $1
RETURNING key_id, public_id, owner_id, mac, name, mode, scopes, created_at, expires_at, revoked_at, last_used_at,
    false AS suspended;

-- name: insert_merchant
-- scope: control
INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, contact)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *;

-- name: merchant
-- scope: control
SELECT * FROM merchant WHERE merchant_id = $1;

-- name: merchant_by_slug
-- scope: control
SELECT * FROM merchant WHERE slug = $1;

-- name: merchants_page
-- scope: control
-- The operator's list: $1 is 0, its own number.
SELECT *, merchant_id AS page_id
FROM merchant
WHERE $1::bigint = 0 AND merchant_id < $2
ORDER BY merchant_id DESC
LIMIT $3;

-- name: change_merchant
-- scope: control
UPDATE merchant SET name = coalesce($2, name), contact = coalesce($3, contact), state = coalesce($4, state),
    sending_weight = coalesce($5, sending_weight)
WHERE merchant_id = $1
RETURNING *;

-- name: public_ids_in_force
-- scope: control
SELECT public_id FROM api_key WHERE owner_id = $1 AND revoked_at IS NULL;

-- name: set_price_list
-- scope: control
UPDATE merchant SET price_list_id = $2
WHERE merchant_id = $1
RETURNING *;
