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

-- name: triggers_anywhere
-- scope: control
-- A shop's webhook names its trigger and not its merchant; the signature is what it is let in by.
SELECT t.merchant_id, t.trigger_id, t.name, t.mapping::text AS mapping, t.secret, t.previous_secret, t.previous_until,
    t.state, t.created_at, m.merchant_id, m.name, m.slug, m.country, m.language, m.timezone, m.currency,
    m.price_list_id, m.state, ARRAY(SELECT number FROM esme_number WHERE merchant_id = m.merchant_id)
FROM trigger_definition t
JOIN merchant m ON m.merchant_id = t.merchant_id
WHERE t.trigger_id = ANY ($1::bigint[]);

-- name: webhook_triggers
-- scope: merchant
-- The columns of triggers_anywhere: as they are in the transaction that writes what their webhooks start.
SELECT t.merchant_id, t.trigger_id, t.name, t.mapping::text AS mapping, t.secret, t.previous_secret, t.previous_until,
    t.state, t.created_at, m.merchant_id, m.name, m.slug, m.country, m.language, m.timezone, m.currency,
    m.price_list_id, m.state, ARRAY(SELECT number FROM esme_number WHERE merchant_id = $1)
FROM trigger_definition t
JOIN merchant m ON m.merchant_id = t.merchant_id
WHERE t.merchant_id = $1 AND t.trigger_id = ANY ($2::bigint[]);

-- name: webhook_people
-- scope: merchant
-- LATERAL with a limit: by the key for each, however few rows the planner takes the table to have.
SELECT s.msisdn, s.subscriber_id, s.offers_state, s.country
FROM unnest($2::text::bigint[]) AS t (msisdn)
CROSS JOIN LATERAL (
    SELECT * FROM subscriber WHERE merchant_id = $1 AND msisdn = t.msisdn LIMIT 1
) AS s;

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

-- name: trigger_answers
-- scope: merchant
-- LATERAL with a limit: by the key for each, however few rows the planner takes the table to have.
SELECT e.trigger_id, e.webhook_id, e.body_sha256, e.status, e.answer
FROM unnest($2::text::bigint[], $3::text::text[]) AS t (trigger_id, webhook_id)
CROSS JOIN LATERAL (
    SELECT * FROM trigger_event WHERE merchant_id = $1 AND trigger_id = t.trigger_id AND webhook_id = t.webhook_id
    LIMIT 1
) AS e;

-- name: insert_trigger_events
-- scope: merchant
-- Waits for a twin of the same webhook-id to commit, and then writes nothing; in one order, so that two
-- processes never wait for each other in a circle.
INSERT INTO trigger_event (
    merchant_id, trigger_id, webhook_id, body_sha256, status, answer, campaign_id, received_at
)
SELECT $1, * FROM unnest(
    $2::text::bigint[], $3::text::text[], $4::bytea[], $5::text::smallint[], $6::bytea[], $7::text::bigint[],
    $8::timestamptz[]
)
ON CONFLICT (merchant_id, trigger_id, webhook_id) DO NOTHING
RETURNING campaign_id;
