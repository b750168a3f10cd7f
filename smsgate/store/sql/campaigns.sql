-- name: insert_campaigns
-- scope: merchant
INSERT INTO campaign (
    merchant_id, campaign_id, external_id, offer_id, offer_version, state, audience_tags, audience_ids,
    recipients, trigger_id, created_at, started_at, messages_per_minute, guard_first_sends, guard_stop_share,
    guard_failure_share, audience_fields, audience_bought, audience_not_bought
)
SELECT $1, c.campaign_id, c.external_id, c.offer_id, c.offer_version, c.state, c.tags::text[], c.ids::bigint[],
    c.recipients, c.trigger_id, c.created_at, c.started_at, c.messages_per_minute, c.first_sends, c.stop_share,
    c.failure_share, c.fields::jsonb, c.bought::bigint[], c.not_bought::bigint[]
FROM unnest(
    $2::text::bigint[], $3::text::text[], $4::text::bigint[], $5::text::int[], $6::text::text[], $7::text::text[],
    $8::text::text[], $9::text::bigint[], $10::text::bigint[], $11::timestamptz[], $12::timestamptz[], $13::text::int[],
    $14::text::int[], $15::text::int[], $16::text::int[], $17::text::text[], $18::text::text[], $19::text::text[]
) AS c (
    campaign_id, external_id, offer_id, offer_version, state, tags, ids, recipients, trigger_id, created_at,
    started_at, messages_per_minute, first_sends, stop_share, failure_share, fields, bought, not_bought
);

-- name: campaign
-- scope: merchant
SELECT c.*, m.shop_lost_at, CASE WHEN c.state <> 'sending' THEN NULL WHEN budget_is_short(b) THEN 'budget'
        WHEN o.stock_remaining = 0 THEN 'sold_out' END AS held
FROM campaign c
JOIN merchant m ON m.merchant_id = c.merchant_id
JOIN offer o ON o.merchant_id = c.merchant_id AND o.offer_id = c.offer_id
LEFT JOIN budget b ON b.merchant_id = c.merchant_id
WHERE c.merchant_id = $1 AND c.campaign_id = $2;

-- name: campaigns_page
-- scope: merchant
SELECT c.*, m.shop_lost_at, c.campaign_id AS page_id,
    CASE WHEN c.state <> 'sending' THEN NULL WHEN budget_is_short(b) THEN 'budget'
        WHEN o.stock_remaining = 0 THEN 'sold_out' END AS held
FROM campaign c
JOIN merchant m ON m.merchant_id = c.merchant_id
JOIN offer o ON o.merchant_id = c.merchant_id AND o.offer_id = c.offer_id
LEFT JOIN budget b ON b.merchant_id = c.merchant_id
WHERE c.merchant_id = $1 AND c.campaign_id < $2
    AND ($4::text IS NULL OR c.state = $4)
    AND ($5::text IS NULL OR c.external_id = $5)
ORDER BY c.campaign_id DESC
LIMIT $3;

-- name: change_campaign_state
-- scope: merchant
-- The state read before is met again, or nothing changes: two requests that cross cannot both act on one state.
UPDATE campaign
SET state = $4,
    started_at = CASE WHEN $4 = 'sending' THEN coalesce(started_at, $5) ELSE started_at END,
    finished_at = CASE WHEN $4 = 'cancelled' THEN $5 ELSE finished_at END,
    paused_reason = NULL
WHERE merchant_id = $1 AND campaign_id = $2 AND state = $3
RETURNING campaign_id;

-- name: offer_to_start
-- scope: merchant
-- Acceptances go on beside it; a withdrawal or a new version waits, or was first.
SELECT o.state = 'live' AND o.version = c.offer_version AS as_it_was, c.offer_version
FROM campaign c
JOIN offer o ON o.merchant_id = c.merchant_id AND o.offer_id = c.offer_id
WHERE c.merchant_id = $1 AND c.campaign_id = $2
FOR KEY SHARE OF o;

-- name: set_guard
-- scope: merchant
-- New limits are a new guard, also where the merchant had gone on without one.
UPDATE campaign
SET guard_first_sends = $3, guard_stop_share = $4, guard_failure_share = $5, guard_off = false
WHERE merchant_id = $1 AND campaign_id = $2 AND state IN ('draft', 'sending', 'paused')
RETURNING campaign_id;

-- name: guard_off
-- scope: merchant
UPDATE campaign SET guard_off = true WHERE merchant_id = $1 AND campaign_id = $2;

-- name: set_pace
-- scope: merchant
UPDATE campaign SET messages_per_minute = $3
WHERE merchant_id = $1 AND campaign_id = $2 AND state IN ('draft', 'sending', 'paused')
RETURNING campaign_id;

-- name: write_chunks
-- scope: merchant
-- A chunk is a range of numbers; who of the range may get the offer is decided again by its claim. It names its people
-- where one of more than $10 is meant: the claim would read all others of the range, too. Whether there are so many is
-- looked at no further than that: a campaign for one person does not count ten million. MATERIALIZED: who is meant is
-- found in the order of the table and sorted then; in the order of numbers each person is a page of its own.
WITH meant AS MATERIALIZED (
    SELECT subscriber_id, msisdn
    FROM subscriber
    WHERE
-- part: audience
), numbered AS (
    SELECT subscriber_id, msisdn, (row_number() OVER (ORDER BY msisdn) - 1) / $9::int AS no
    FROM meant
), written AS (
    INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, subscriber_ids)
    SELECT $1, $8, no, min(msisdn), max(msisdn), count(*),
        array_agg(subscriber_id) FILTER (WHERE EXISTS (
            SELECT FROM subscriber WHERE merchant_id = $1 OFFSET (SELECT count(*) FROM meant) * $10::bigint))
    FROM numbered
    GROUP BY no
    RETURNING size
)
SELECT coalesce(sum(size), 0)::bigint AS recipients FROM written;

-- name: write_listed_chunks
-- scope: merchant
-- Of audiences that name up to a chunk's size of people: pairs of campaign and subscriber. LATERAL with a limit:
-- by the key for each, however few rows the planner takes the table to have.
INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size)
SELECT $1, t.campaign_id, 0, min(s.msisdn), max(s.msisdn), count(*)
FROM unnest($2::text::bigint[], $3::text::bigint[]) AS t (campaign_id, subscriber_id)
CROSS JOIN LATERAL (
    SELECT * FROM subscriber WHERE merchant_id = $1 AND subscriber_id = t.subscriber_id LIMIT 1
) AS s
WHERE s.offers_state = 'subscribed'
GROUP BY t.campaign_id
RETURNING campaign_id, size;

-- name: set_recipients
-- scope: merchant
UPDATE campaign SET recipients = $3 WHERE merchant_id = $1 AND campaign_id = $2;

-- name: audience_groups
-- scope: merchant
SELECT country, left(msisdn::text, $8::int) AS prefix, count(*) AS members
FROM subscriber
WHERE
-- part: audience
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: audience_sample
-- scope: merchant
SELECT fields::text AS fields
FROM subscriber
WHERE
-- part: audience
ORDER BY subscriber_id
LIMIT 1;

-- name: subscribers_by_id
-- scope: merchant
SELECT subscriber_id FROM subscriber WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]);

-- name: subscribers_by_msisdn
-- scope: merchant
SELECT subscriber_id, msisdn FROM subscriber WHERE merchant_id = $1 AND msisdn = ANY ($2::bigint[]);

-- name: campaign_counters
-- scope: merchant
SELECT kind, n FROM campaign_counter WHERE merchant_id = $1 AND campaign_id = $2;
