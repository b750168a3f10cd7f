-- name: merchant_profile
-- scope: merchant
SELECT merchant_id, name, slug, country, language, timezone, currency, price_list_id, state,
    ARRAY(SELECT number FROM esme_number WHERE merchant_id = $1) AS esme_numbers
FROM merchant
WHERE merchant_id = $1;

-- name: insert_offer
-- scope: merchant
INSERT INTO offer (merchant_id, offer_id, external_id, version, state, stock_remaining, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: insert_offer_version
-- scope: merchant
INSERT INTO offer_version (
    merchant_id, offer_id, version, text, shop_name, item, unit_price_minor, currency, quantity_max,
    language, country, sender, expires_at, created_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: offer
-- scope: merchant
SELECT v.*, o.external_id, o.state, o.stock_remaining, o.created_at AS offer_created_at
FROM offer o
JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id AND v.version = o.version
WHERE o.merchant_id = $1 AND o.offer_id = $2;

-- name: offer_version
-- scope: merchant
SELECT v.*, o.external_id, o.state, o.stock_remaining, o.created_at AS offer_created_at
FROM offer o
JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id
WHERE o.merchant_id = $1 AND o.offer_id = $2 AND v.version = $3;

-- name: offers_page
-- scope: merchant
SELECT v.*, o.external_id, o.state, o.stock_remaining, o.created_at AS offer_created_at, o.offer_id AS page_id
FROM offer o
JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id AND v.version = o.version
WHERE o.merchant_id = $1 AND o.offer_id < $2 AND ($4::text IS NULL OR o.external_id = $4)
ORDER BY o.offer_id DESC
LIMIT $3;
