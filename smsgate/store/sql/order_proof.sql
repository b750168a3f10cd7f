-- What an order's proof file holds besides the order.

-- name: consents
-- scope: merchant
-- Until the order: what came later is no ground of it.
SELECT purpose, event, state_after, wording_version, source, evidence::text AS evidence, inbound_id, occurred_at, recorded_at
FROM consent_event
WHERE merchant_id = $1 AND subscriber_id = $2 AND consent_id < $3
ORDER BY consent_id;

-- name: texts
-- scope: merchant
SELECT message_id, kind, sender, body, inbound_id
FROM message
WHERE merchant_id = $1 AND order_id = $2 AND message_id >= $3 AND message_id < $4
ORDER BY message_id;

-- name: submitted
-- scope: merchant
SELECT message_id, segment, carrier_id, status, segments, smsc_id, reason, sent_at
FROM sent
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[])
ORDER BY message_id, segment;

-- name: receipts
-- scope: merchant
SELECT message_id, segment, state, error, received_at
FROM receipt
WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[])
ORDER BY message_id, segment, received_at;

-- name: replies
-- scope: merchant
SELECT inbound_id, carrier_id, destination, text, raw, data_coding, label, quantity, outcome, reason, rules_version,
    received_at
FROM inbound_message
WHERE merchant_id = $1
    AND (inbound_id = $2 OR (msisdn = $3 AND inbound_id > $2 AND order_id = $4))
ORDER BY inbound_id;

-- name: events
-- scope: merchant
SELECT event_id, type, data::text AS data, created_at
FROM event
WHERE merchant_id = $1 AND subject = $2 AND event_id >= $3
ORDER BY event_id;

-- name: deliveries
-- scope: merchant
SELECT event_id, endpoint_id, state, attempts, last_status, last_error, coalesce(delivered_at, next_attempt_at) AS at
FROM webhook_delivery
WHERE merchant_id = $1 AND event_id = ANY ($2::bigint[])
ORDER BY event_id, endpoint_id;

-- name: order_owner
-- scope: report
SELECT merchant_id FROM orders WHERE order_id = $1;
