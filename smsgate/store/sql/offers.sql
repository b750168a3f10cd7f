-- name: merchant_profile
-- scope: merchant
SELECT merchant_id, name, slug, country, language, timezone, currency, price_list_id, state,
    ARRAY(SELECT number FROM esme_number WHERE merchant_id = $1) AS esme_numbers
FROM merchant
WHERE merchant_id = $1;

-- name: insert_offers
-- scope: merchant
INSERT INTO offer (merchant_id, offer_id, external_id, version, stock, stock_remaining, created_at)
SELECT $1, offer_id, external_id, version, stock, stock, created_at
FROM unnest($2::text::bigint[], $3::text::text[], $4::text::int[], $5::text::bigint[], $6::timestamptz[])
    AS t (offer_id, external_id, version, stock, created_at);

-- name: insert_offer_versions
-- scope: merchant
-- And from which numbers the merchant writes.
WITH added AS (
INSERT INTO offer_version (
    merchant_id, offer_id, version, text, shop_name, item, unit_price_minor, currency, quantity_max,
    language, country, sender, expires_at, created_at, sender_pool, ask_above_minor, withdrawal, tlvs,
    cancel_window_s, shop_answer_s, confirm_by_sms
)
SELECT $1, o.offer_id, o.version, o.text, o.shop_name, o.item, o.unit_price_minor, o.currency, o.quantity_max, o.language,
    o.country, o.sender, o.expires_at, o.created_at, o.sender_pool::text[], o.ask_above_minor,
    o.withdrawal, o.tlvs, o.cancel_window_s, o.shop_answer_s, o.confirm_by_sms
FROM unnest(
    $2::text::bigint[], $3::text::int[], $4::text::text[], $5::text::text[], $6::text::text[], $7::text::bigint[],
    $8::text::text[], $9::text::int[], $10::text::text[], $11::text::text[], $12::text::text[], $13::timestamptz[],
    $14::timestamptz[], $15::text::text[], $16::text::bigint[], $17::boolean[], $18::bytea[],
    $19::text::int[], $20::text::int[], $21::boolean[]
) AS o (
    offer_id, version, text, shop_name, item, unit_price_minor, currency, quantity_max, language, country, sender,
    expires_at, created_at, sender_pool, ask_above_minor, withdrawal, tlvs, cancel_window_s, shop_answer_s, confirm_by_sms
)
RETURNING sender, sender_pool
)
INSERT INTO sender_merchant (sender, merchant_id)
SELECT DISTINCT s, $1 FROM added a, unnest(a.sender || a.sender_pool) AS s
 WHERE NOT EXISTS (SELECT FROM sender_merchant w WHERE w.sender = s AND w.merchant_id = $1)
    ON CONFLICT DO NOTHING;

-- name: offer
-- scope: merchant
SELECT v.*, o.external_id, o.state, o.stock, o.stock_remaining, o.created_at AS offer_created_at
FROM offer o
JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id AND v.version = o.version
WHERE o.merchant_id = $1 AND o.offer_id = $2;

-- name: offer_version
-- scope: merchant
SELECT v.*, o.external_id, o.state, o.stock, o.stock_remaining, o.created_at AS offer_created_at
FROM offer o
JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id
WHERE o.merchant_id = $1 AND o.offer_id = $2 AND v.version = $3;

-- name: offers_page
-- scope: merchant
SELECT v.*, o.external_id, o.state, o.stock, o.stock_remaining, o.created_at AS offer_created_at, o.offer_id AS page_id
FROM offer o
JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id AND v.version = o.version
WHERE o.merchant_id = $1 AND o.offer_id < $2 AND ($4::text IS NULL OR o.external_id = $4)
ORDER BY o.offer_id DESC
LIMIT $3;

-- name: lock_offer
-- scope: merchant
-- Whoever changes it waits for acceptances, and for campaigns that begin (`offer_to_start`).
SELECT version FROM offer WHERE merchant_id = $1 AND offer_id = $2 FOR UPDATE;

-- name: change_offer
-- scope: merchant
UPDATE offer SET version = $3, state = $4, stock = $5, stock_remaining = $6 WHERE merchant_id = $1 AND offer_id = $2;

-- name: versions
-- scope: merchant
SELECT v.*, o.external_id, o.state, o.stock, o.stock_remaining, o.created_at AS offer_created_at
FROM offer o
JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id
WHERE o.merchant_id = $1 AND o.offer_id = $2
ORDER BY v.version DESC
LIMIT $3;

-- name: move_drafts
-- scope: merchant
-- Nothing of them was sent: they are of the newest version.
UPDATE campaign SET offer_version = $3 WHERE merchant_id = $1 AND offer_id = $2 AND state = 'draft';

-- name: end_campaigns
-- scope: merchant
-- Locked in the order in which claims lock them.
WITH ended AS MATERIALIZED (
    SELECT campaign_id FROM campaign
    WHERE merchant_id = $1 AND offer_id = $2 AND offer_version < $3 AND state IN ('draft', 'sending', 'paused')
    ORDER BY campaign_id
    FOR UPDATE
)
UPDATE campaign AS c SET state = 'cancelled', cancelled_for = $4, finished_at = $5, paused_reason = NULL
FROM ended
WHERE c.merchant_id = $1 AND c.campaign_id = ended.campaign_id
RETURNING c.campaign_id;

-- name: offer_owner
-- scope: report
SELECT merchant_id FROM offer WHERE offer_id = $1;
