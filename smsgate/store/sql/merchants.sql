-- name: key_by_public_id
-- scope: control
-- A test key acts for the test merchant beside its owner, and for nobody where there is none.
SELECT k.key_id, k.public_id, coalesce(t.merchant_id, k.owner_id) AS owner_id, k.mac, k.name, k.mode, k.scopes, k.created_at, k.expires_at, k.revoked_at,
    k.last_used_at, coalesce(m.state = 'suspended', false) AS suspended, t.test_block, t.country AS test_country
FROM api_key k
LEFT JOIN merchant m ON m.merchant_id = k.owner_id
LEFT JOIN merchant t ON t.test_of = k.owner_id AND k.mode = 'test'
WHERE k.public_id = $1 AND (k.mode = 'live' OR t.merchant_id IS NOT NULL);

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

-- name: lock_test_blocks
-- scope: control
SELECT pg_advisory_xact_lock($1);

-- name: insert_test_merchant
-- scope: control
INSERT INTO merchant (
    merchant_id, name, slug, country, language, timezone, currency, contact, test_of, test_block
)
SELECT $2, name, slug || $3, country, language, timezone, currency, contact, merchant_id,
    (SELECT coalesce(max(test_block) + 1, 0) FROM merchant)
FROM merchant
WHERE merchant_id = $1 AND test_of IS NULL
ON CONFLICT (test_of) DO NOTHING;

-- name: change_test_merchant
-- scope: control
UPDATE merchant t SET name = m.name, contact = m.contact, state = m.state
FROM merchant m
WHERE m.merchant_id = $1 AND t.test_of = $1;

-- name: merchant
-- scope: control
SELECT * FROM merchant WHERE merchant_id = $1;

-- name: operated_merchant
-- scope: control
-- An operator gives test merchants neither keys, prices nor ESMEs: what they have stands with those that they are beside.
SELECT * FROM merchant WHERE merchant_id = $1 AND test_of IS NULL;

-- name: merchant_by_slug
-- scope: control
SELECT * FROM merchant WHERE slug = $1 AND test_of IS NULL;

-- name: merchants_page
-- scope: control
-- The operator's list: $1 is 0, its own number. Test merchants stand behind those that they are beside.
SELECT *, merchant_id AS page_id
FROM merchant
WHERE $1::bigint = 0 AND merchant_id < $2 AND test_of IS NULL
ORDER BY merchant_id DESC
LIMIT $3;

-- name: change_merchant
-- scope: control
UPDATE merchant SET name = coalesce($2, name), contact = coalesce($3, contact), state = coalesce($4, state),
    sending_weight = coalesce($5, sending_weight)
WHERE merchant_id = $1 AND test_of IS NULL
RETURNING *;

-- name: public_ids_in_force
-- scope: control
SELECT public_id FROM api_key WHERE owner_id = $1 AND revoked_at IS NULL;

-- name: set_price_list
-- scope: control
UPDATE merchant SET price_list_id = $2
WHERE merchant_id = $1 AND test_of IS NULL
RETURNING *;
