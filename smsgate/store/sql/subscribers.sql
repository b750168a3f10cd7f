-- name: insert_subscriber
-- scope: merchant
INSERT INTO subscriber (
    merchant_id, subscriber_id, msisdn, external_id, language, country, tags, fields, created_at, updated_at, region,
    timezone, place
)
SELECT $1, $2, $3, $4, coalesce($5, m.language), $6, $7, $8::jsonb, $9, $9, $10, $11, $12
FROM merchant m
WHERE m.merchant_id = $1
RETURNING subscriber_id, msisdn, external_id, language, country, tags, fields::text AS fields, offers_state,
    offers_state_at, paused_until, less_at IS NOT NULL AS fewer, created_at, updated_at, region, timezone, NULL AS others;

-- name: subscriber_of_msisdn
-- scope: merchant
SELECT subscriber_id FROM subscriber WHERE merchant_id = $1 AND msisdn = $2;

-- name: subscriber
-- scope: merchant
SELECT subscriber_id, msisdn, external_id, language, country, tags, fields::text AS fields, offers_state,
    offers_state_at, paused_until, less_at IS NOT NULL AS fewer, created_at, updated_at, region, timezone,
    (SELECT jsonb_object_agg(o.purpose, o.state)::text FROM consent_state o
     WHERE o.merchant_id = $1 AND o.subscriber_id = $2) AS others
FROM subscriber
WHERE merchant_id = $1 AND subscriber_id = $2;

-- name: subscribers_page
-- scope: merchant
SELECT subscriber_id, msisdn, external_id, language, country, tags, fields::text AS fields, offers_state,
    offers_state_at, paused_until, less_at IS NOT NULL AS fewer, created_at, updated_at, region, timezone, subscriber_id AS page_id,
    (SELECT jsonb_object_agg(o.purpose, o.state)::text FROM consent_state o
     WHERE o.merchant_id = $1 AND o.subscriber_id = subscriber.subscriber_id) AS others
FROM subscriber
WHERE merchant_id = $1 AND subscriber_id < $2
    AND ($4::bigint IS NULL OR msisdn = $4)
    AND ($5::text IS NULL OR tags @> ARRAY[$5])
    AND ($6::text IS NULL OR offers_state = $6)
ORDER BY subscriber_id DESC
LIMIT $3;

-- name: lock_place
-- scope: merchant
SELECT msisdn, country, region, timezone FROM subscriber WHERE merchant_id = $1 AND subscriber_id = $2 FOR UPDATE;

-- name: change_subscriber
-- scope: merchant
UPDATE subscriber
SET external_id = coalesce($3, external_id), language = coalesce($4, language), tags = coalesce($5, tags),
    fields = coalesce($6::jsonb, fields), updated_at = $7, region = coalesce($8, region),
    timezone = coalesce($9, timezone), place = coalesce($10, place)
WHERE merchant_id = $1 AND subscriber_id = $2
RETURNING subscriber_id, msisdn, external_id, language, country, tags, fields::text AS fields, offers_state,
    offers_state_at, paused_until, less_at IS NOT NULL AS fewer, created_at, updated_at, region, timezone,
    (SELECT jsonb_object_agg(o.purpose, o.state)::text FROM consent_state o
     WHERE o.merchant_id = $1 AND o.subscriber_id = $2) AS others;

-- name: lock_consent
-- scope: merchant
SELECT msisdn, language, country FROM subscriber WHERE merchant_id = $1 AND subscriber_id = $2 FOR UPDATE;

-- name: stopped_sender
-- scope: merchant
SELECT EXISTS (SELECT FROM sender_stop WHERE merchant_id = $1 AND sender = $2 AND msisdn = $3);

-- name: order_of
-- scope: merchant
SELECT state, created_at FROM orders WHERE merchant_id = $1 AND order_id = $2 AND subscriber_id = $3;

-- name: consent_of
-- scope: merchant
-- A statement of its own after the lock: the locking one would not see the STOP that it waited for.
SELECT CASE WHEN $3 = 'offers' THEN s.offers_state ELSE coalesce((
    SELECT o.state FROM consent_state o WHERE o.merchant_id = $1 AND o.subscriber_id = $2 AND o.purpose = $3
), 'none') END AS state, (
    SELECT max(c.occurred_at)
    FROM consent_event c
    WHERE c.merchant_id = $1 AND c.subscriber_id = $2 AND c.purpose = $3 AND c.event = ANY ($4::text[])
) AS stopped_at
FROM subscriber s
WHERE s.merchant_id = $1 AND s.subscriber_id = $2;

-- name: insert_consent
-- scope: merchant
INSERT INTO consent_event (
    merchant_id, consent_id, subscriber_id, msisdn, purpose, event, state_after, wording_version, source, evidence,
    occurred_at, recorded_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, $12)
RETURNING consent_id, subscriber_id, purpose, event, state_after, wording_version, source,
    evidence::text AS evidence, occurred_at, recorded_at;

-- name: ask
-- scope: msisdn
-- One question of a merchant at a time on a number: a yes is the answer to it. One that waits longer than $8 is over.
INSERT INTO consent_question AS old (msisdn, sender, merchant_id, subscriber_id, purpose, wording_version, asked_at)
SELECT DISTINCT ON (t.msisdn, t.sender, t.merchant_id)
       t.msisdn, t.sender, t.merchant_id, t.subscriber_id, t.purpose, t.wording_version, t.asked_at
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
    AS t (msisdn, sender, merchant_id, subscriber_id, purpose, wording_version, asked_at)
 ORDER BY t.msisdn, t.sender, t.merchant_id, t.asked_at
    ON CONFLICT (msisdn, sender, merchant_id) DO UPDATE SET
       subscriber_id = excluded.subscriber_id, purpose = excluded.purpose, wording_version = excluded.wording_version,
       asked_at = excluded.asked_at
 WHERE old.asked_at < excluded.asked_at - $8::interval
RETURNING msisdn;

-- name: consents_page
-- scope: merchant
SELECT consent_id, subscriber_id, purpose, event, state_after, wording_version, source,
    evidence::text AS evidence, occurred_at, recorded_at, consent_id AS page_id
FROM consent_event
WHERE merchant_id = $1 AND consent_id < $2 AND ($4::bigint IS NULL OR subscriber_id = $4)
ORDER BY consent_id DESC
LIMIT $3;
