-- What the database holds of orders, for their proof; and the stamps that say what it held.

-- name: orders
-- scope: merchant
SELECT order_id, number, state, quantity, unit_price_minor, total_minor, currency, msisdn, sender, subscriber_id,
    shop_ref AS order_ref, created_at, placed_at, delivered_at, offer_id, offer_version, message_id, inbound_id, unstamped
FROM orders
WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[])
ORDER BY order_id;

-- name: offers
-- scope: merchant
SELECT v.offer_id, v.version, v.text, v.shop_name AS shop, v.item, v.unit_price_minor AS price_minor, v.currency, v.quantity_max,
    v.ask_above_minor, v.withdrawal, v.language, v.country, v.sender, v.expires_at, v.created_at,
    v.cancel_window_s, v.shop_answer_s, v.confirm_by_sms
FROM offer_version v
WHERE v.merchant_id = $1 AND (v.offer_id, v.version) IN (SELECT * FROM unnest($2::bigint[], $3::int[]));

-- name: offer_messages
-- scope: merchant
-- What outlived its partition, here and below, is in the tables of the names with kept_.
SELECT message_id, msisdn, sender, array_to_json(fields)::text AS fields
FROM message
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[]) AND message_id BETWEEN $3 AND $4
UNION ALL
SELECT message_id, msisdn, sender, array_to_json(fields)::text
FROM kept_message
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[]);

-- name: consents
-- scope: merchant
-- Until the order: what came later is no ground of it. LATERAL (OFFSET 0 keeps it so): by the key for each person. As a join, a
-- plan made while the log was empty went on to read all of the merchant's, for each group of answers, until it was analyzed.
SELECT o.order_id AS of_order, c.consent_id, c.purpose, c.event, c.state_after, c.wording_version, c.source,
    c.evidence::text AS evidence, c.inbound_id, c.occurred_at, c.recorded_at
FROM unnest($2::bigint[], $3::bigint[]) AS o (order_id, subscriber_id)
CROSS JOIN LATERAL (
    SELECT * FROM consent_event
    WHERE merchant_id = $1 AND subscriber_id = o.subscriber_id AND consent_id < o.order_id
    OFFSET 0) AS c
ORDER BY c.consent_id;

-- name: steps
-- scope: merchant
SELECT order_id AS of_order, seq AS sequence, event, state, actor, detail::text AS detail, at
FROM order_event
WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[])
ORDER BY order_id, seq;

-- name: texts
-- scope: merchant
SELECT order_id AS of_order, message_id, kind, sender, body, inbound_id
FROM message
WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[]) AND message_id >= $3 AND message_id < $4
UNION ALL
SELECT order_id, message_id, kind, sender, body, inbound_id
FROM kept_message
WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[])
ORDER BY message_id;

-- name: submitted
-- scope: merchant
SELECT message_id, segment, carrier_id, status, segments, smsc_id, reason, sent_at
FROM sent
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[]) AND message_id BETWEEN $3 AND $4
UNION ALL
SELECT message_id, segment, carrier_id, status, segments, smsc_id, reason, sent_at
FROM kept_sent
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[])
ORDER BY message_id, segment;

-- name: receipts
-- scope: merchant
SELECT message_id, segment, state AS receipt_state, error, received_at
FROM receipt
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[]) AND message_id BETWEEN $3 AND $4
UNION ALL
SELECT message_id, segment, state, error, received_at
FROM kept_receipt
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[])
ORDER BY message_id, segment, received_at;

-- name: replies
-- scope: merchant
-- The reply that made the order, and what the person said of it later.
SELECT o.order_id AS of_order, i.inbound_id, i.carrier_id, i.destination, i.text, i.raw, i.data_coding, i.esm_class,
    i.source_ton, i.source_npi, i.destination_ton, i.destination_npi, i.tlvs, i.label, i.quantity, i.outcome, i.reason,
    i.rules_version, i.received_at
FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS o (order_id, inbound_id, msisdn)
CROSS JOIN LATERAL (
    SELECT * FROM inbound_message x WHERE x.merchant_id = $1 AND x.inbound_id = o.inbound_id
    UNION ALL
    SELECT * FROM inbound_message x
    WHERE x.merchant_id = $1 AND x.msisdn = o.msisdn AND x.inbound_id > o.inbound_id AND x.order_id = o.order_id
) AS i
ORDER BY i.inbound_id;

-- name: events
-- scope: merchant
SELECT subject, event_id, type, data::text AS data, created_at
FROM event
WHERE merchant_id = $1 AND subject = ANY ($2::text[]) AND event_id >= $3
UNION ALL
SELECT subject, event_id, type, data::text, created_at
FROM kept_event
WHERE merchant_id = $1 AND subject = ANY ($2::text[])
ORDER BY event_id;

-- name: deliveries
-- scope: merchant
SELECT event_id, endpoint_id, state, attempts, last_status, last_error, coalesce(delivered_at, next_attempt_at) AS at
FROM webhook_delivery
WHERE merchant_id = $1 AND event_id = ANY ($2::bigint[])
ORDER BY event_id, endpoint_id;

-- name: stamps
-- scope: merchant
SELECT order_id, no, at, erases, facts, previous, sha256, signature, salt
FROM order_stamp
WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[])
ORDER BY order_id, no;

-- name: insert_stamps
-- scope: merchant
INSERT INTO order_stamp (merchant_id, order_id, no, at, erases, facts, previous, sha256, signature, salt)
SELECT t.merchant_id, t.order_id, t.no, t.at, $5, t.facts, decode(t.previous, 'hex'), decode(t.sha256, 'hex'), decode(t.signature, 'hex'),
    decode(t.salt, 'hex')
FROM unnest($1::text::bigint[], $2::text::bigint[], $3::text::int[], $4::text::timestamptz[], $6::text::text[], $7::text::text[], $8::text::text[],
    $9::text::text[], $10::text::text[]) AS t (merchant_id, order_id, no, at, facts, previous, sha256, signature, salt);

-- name: stamped
-- scope: merchant
UPDATE orders SET unstamped = false WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[]) AND unstamped;

-- name: unstamped
-- scope: report
SELECT merchant_id, order_id FROM orders WHERE unstamped ORDER BY merchant_id, order_id LIMIT $1;

-- name: lock_orders
-- scope: merchant
SELECT order_id, unstamped FROM orders WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[]) ORDER BY order_id FOR UPDATE;

-- name: order_owner
-- scope: report
SELECT merchant_id FROM orders WHERE order_id = $1;
