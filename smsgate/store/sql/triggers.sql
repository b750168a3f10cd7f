-- name: count_triggers
-- scope: merchant
SELECT count(*) FROM trigger_definition WHERE merchant_id = $1;

-- name: insert_trigger
-- scope: merchant
INSERT INTO trigger_definition (merchant_id, trigger_id, name, mapping, secret, created_at)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6);

-- name: trigger
-- scope: merchant
SELECT merchant_id, trigger_id, name, mapping::text AS mapping, secret, previous_secret, previous_until, state,
    created_at
FROM trigger_definition
WHERE merchant_id = $1 AND trigger_id = $2;

-- name: trigger_anywhere
-- scope: control
-- A shop's webhook names its trigger and not its merchant; the signature is what it is let in by.
SELECT merchant_id, trigger_id, name, mapping::text AS mapping, secret, previous_secret, previous_until, state,
    created_at
FROM trigger_definition
WHERE trigger_id = $1;

-- name: triggers_page
-- scope: merchant
SELECT t.merchant_id, t.trigger_id, t.name, t.mapping::text AS mapping, t.secret, t.previous_secret,
    t.previous_until, t.state, t.created_at, t.trigger_id AS page_id
FROM trigger_definition t
WHERE t.merchant_id = $1 AND t.trigger_id < $2
ORDER BY t.trigger_id DESC
LIMIT $3;

-- name: change_trigger
-- scope: merchant
UPDATE trigger_definition SET name = $3, mapping = $4::text::jsonb, state = $5
WHERE merchant_id = $1 AND trigger_id = $2
RETURNING trigger_id;

-- name: delete_trigger
-- scope: merchant
DELETE FROM trigger_definition WHERE merchant_id = $1 AND trigger_id = $2 RETURNING trigger_id;

-- name: rotate_trigger_secret
-- scope: merchant
UPDATE trigger_definition SET secret = $3, previous_secret = $4, previous_until = $5
WHERE merchant_id = $1 AND trigger_id = $2 AND secret = $6
RETURNING trigger_id;

-- name: trigger_answer
-- scope: merchant
SELECT body_sha256, status, answer
FROM trigger_event
WHERE merchant_id = $1 AND trigger_id = $2 AND webhook_id = $3;

-- name: insert_trigger_event
-- scope: merchant
-- Waits for a twin of the same webhook-id to commit, and then writes nothing.
INSERT INTO trigger_event (
    merchant_id, trigger_id, webhook_id, body_sha256, status, answer, campaign_id, received_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (merchant_id, trigger_id, webhook_id) DO NOTHING
RETURNING trigger_id;
