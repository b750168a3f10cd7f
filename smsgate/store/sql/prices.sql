-- name: insert_list
-- scope: control
INSERT INTO price_list (price_list_id, name, side, currency, created_at)
VALUES ($1, $2, $3, $4, $5);

-- name: price_list
-- scope: control
SELECT price_list_id, name, side, currency, created_at FROM price_list WHERE price_list_id = $1;

-- name: lists_page
-- scope: control
-- The operator's list: $1 is 0, its own number.
SELECT price_list_id, name, side, currency, created_at, price_list_id AS page_id
FROM price_list
WHERE $1::bigint = 0 AND price_list_id < $2
ORDER BY price_list_id DESC
LIMIT $3;

-- name: lock_list
-- scope: control
-- Versions are numbered without gaps, one publisher at a time.
SELECT pg_advisory_xact_lock($1::bigint);

-- name: published
-- scope: control
SELECT coalesce(max(version), 0) AS last_version, min(effective_from) AS begins_at FROM price_version WHERE price_list_id = $1;

-- name: insert_version
-- scope: control
INSERT INTO price_version (price_list_id, version, effective_from, source_sha256, published_at, items_sha256)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: insert_items
-- scope: control
INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, basis, ladder)
SELECT $3 + n.place - 1, $1, $2, n.direction, n.network, n.unit_micros, n.basis, n.ladder::jsonb
FROM unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
    WITH ORDINALITY AS n (direction, network, unit_micros, basis, ladder, place);

-- name: versions
-- scope: control
SELECT version, effective_from, published_at FROM price_version
WHERE price_list_id = $1
ORDER BY version DESC
LIMIT $2;

-- name: items_of
-- scope: control
SELECT version, direction, network, unit_micros, basis, ladder::text FROM price_item
WHERE price_list_id = $1 AND version = ANY ($2::int[])
ORDER BY version, direction, network;
