-- What `smsgate bench` writes in its throw-away database before it measures, and reads after it.

-- name: price_lists
-- scope: control
INSERT INTO price_list (price_list_id, name, side, currency)
VALUES (1, 'sell', 'sell', 'EUR'), (2, 'sim-cost', 'cost', 'EUR')

-- name: price_versions
-- scope: control
INSERT INTO price_version (price_list_id, version, effective_from, source_sha256)
VALUES (1, 1, now() - interval '1 day', ''), (2, 1, now() - interval '1 day', '')

-- name: price_items
-- scope: control
INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros)
VALUES (11, 1, 1, 'mt', '20801', 45000), (12, 1, 1, 'mt', '20810', 46000), (13, 1, 1, 'mt', '20820', 47000),
       (14, 1, 1, 'mt', '208', 48000), (15, 1, 1, 'mt', '*', 90000), (16, 1, 1, 'mo', '*', 10000),
       (21, 2, 1, 'mt', '20801', 30000), (22, 2, 1, 'mt', '20810', 31000), (23, 2, 1, 'mt', '*', 32000)

-- name: merchants
-- scope: control
INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, contact, price_list_id)
SELECT merchant_id, 'Boxman', 'boxman-' || merchant_id, 'FR', 'fr', 'Europe/Paris', 'EUR', 'bxm.fr', 1
  FROM unnest($1::bigint[]) AS t (merchant_id)

-- name: subscribers
-- scope: control
-- Person n, from $2 up to $3: number $4 + n * $5 modulo $6; the last one of each $7 has not agreed to offers.
-- Each $7 people are the next merchant's of $1, and when it is its turn again the next list's of $10. From person $11 on they are
-- the first merchant's, and of list $12.
INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, tags, fields, offers_state,
                        place, offers_state_at, created_at, updated_at)
SELECT ($1::bigint[])[CASE WHEN n < $11::bigint THEN 1 + n / $7::bigint % cardinality($1::bigint[]) ELSE 1 END], 10000 + n,
       $4::bigint + n * $5::bigint % $6::bigint, 'fr', 'FR',
       ARRAY[CASE WHEN n < $11
                  THEN ($10::text[])[1 + n / $7 / cardinality($1::bigint[]) % cardinality($10::text[])] ELSE $12::text END],
       jsonb_build_object('first_name', ($8::text[])[1 + n % cardinality($8::text[])]),
       CASE WHEN n % $7 = $7 - 1 THEN 'unsubscribed' ELSE 'subscribed' END, $9, $13, $13, $13
  FROM generate_series($2::bigint, $3::bigint - 1) AS s (n)

-- name: offer
-- scope: merchant
INSERT INTO offer (merchant_id, offer_id, version) VALUES ($1, $2, 1)

-- name: offer_version
-- scope: merchant
INSERT INTO offer_version (merchant_id, offer_id, version, text, shop_name, item, unit_price_minor, currency,
                           quantity_max, language, country, sender, expires_at)
VALUES ($1, $2, 1, $3, 'Boxman', 'CD Madonna', 1990, 'EUR', 5, 'fr', 'FR', $4, $5)

-- name: let_go
-- scope: control
UPDATE campaign SET state = 'sending'
 WHERE campaign_id >= $1::bigint AND campaign_id < $1::bigint + $2::bigint AND state = 'paused'

-- name: progress
-- scope: report
SELECT coalesce(sum(n) FILTER (WHERE kind IN ('delivered', 'failed')), 0)::bigint AS receipts,
       coalesce(sum(n) FILTER (WHERE kind = 'accepted'), 0)::bigint AS accepted,
       coalesce(sum(n) FILTER (WHERE kind IN ('refused', 'unknown', 'not_sent')), 0)::bigint AS failures
  FROM campaign_counter WHERE campaign_id >= $1::bigint AND campaign_id < $1::bigint + $2::bigint

-- name: books
-- scope: report
-- Rows and not counters. System messages, which are few, are counted and taken off.
WITH system AS (SELECT merchant_id, message_id FROM message WHERE campaign_id IS NULL)
SELECT (SELECT count(*) FROM sent WHERE status = 0)
         - (SELECT count(*) FROM system JOIN sent s USING (merchant_id, message_id) WHERE s.status = 0) AS accepted,
       (SELECT count(*) FROM receipt)
         - (SELECT count(*) FROM system JOIN receipt USING (merchant_id, message_id)) AS receipts,
       (SELECT coalesce(sum(messages), 0)::bigint FROM ledger_entry
         WHERE account = 'revenue' AND direction = 'mt'
           AND campaign_id >= $1::bigint AND campaign_id < $1::bigint + $2::bigint) AS ledger_messages,
       (SELECT count(*) FROM sent WHERE status = -1) AS unknown,
       (SELECT count(*) FROM orders
         WHERE campaign_id >= $1::bigint AND campaign_id < $1::bigint + $2::bigint) AS orders

-- name: confirmations
-- scope: report
SELECT m.message_id, i.received_at
  FROM message m
  JOIN inbound_message i ON i.merchant_id = m.merchant_id AND i.inbound_id = m.inbound_id
 WHERE m.campaign_id IS NULL

-- name: waiting
-- scope: report
SELECT count(*) FROM interactive_queue

-- name: wal_octets
-- scope: report
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
