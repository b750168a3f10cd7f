-- name: lock_endpoints
-- scope: merchant
-- Two creations at once must not both see room for the last one: whoever waits here counts afterwards.
SELECT endpoint_id FROM webhook_endpoint WHERE merchant_id = $1 ORDER BY endpoint_id FOR UPDATE;

-- name: count_endpoints
-- scope: merchant
SELECT count(*) FROM webhook_endpoint WHERE merchant_id = $1;

-- name: insert_endpoint
-- scope: merchant
INSERT INTO webhook_endpoint (merchant_id, endpoint_id, url, event_types, secret, state, created_at)
VALUES ($1, $2, $3, $4, $5, 'active', $6);

-- name: endpoint
-- scope: merchant
SELECT * FROM webhook_endpoint WHERE merchant_id = $1 AND endpoint_id = $2;

-- name: endpoints_page
-- scope: merchant
SELECT e.*, e.endpoint_id AS page_id
FROM webhook_endpoint e
WHERE e.merchant_id = $1 AND e.endpoint_id < $2
ORDER BY e.endpoint_id DESC
LIMIT $3;

-- name: change_endpoint
-- scope: merchant
-- Whoever is enabled begins anew: nothing is known against it.
UPDATE webhook_endpoint
SET event_types = $3, state = $4, disabled_reason = $5,
    failing_since = CASE WHEN state = $4 THEN failing_since END,
    failures = CASE WHEN state = $4 THEN failures ELSE 0 END
WHERE merchant_id = $1 AND endpoint_id = $2
RETURNING endpoint_id;

-- name: delete_endpoint
-- scope: merchant
DELETE FROM webhook_endpoint WHERE merchant_id = $1 AND endpoint_id = $2 RETURNING endpoint_id;

-- name: delete_deliveries
-- scope: merchant
DELETE FROM webhook_delivery WHERE merchant_id = $1 AND endpoint_id = $2;

-- name: rotate_endpoint_secret
-- scope: merchant
UPDATE webhook_endpoint SET secret = $3, previous_secret = $4, previous_until = $5
WHERE merchant_id = $1 AND endpoint_id = $2 AND secret = $6
RETURNING endpoint_id;

-- name: deliveries_page
-- scope: merchant
SELECT d.event_id, d.endpoint_id, e.type AS event_type, d.state, d.attempts, d.next_attempt_at, d.last_status,
    d.last_error, d.delivered_at, d.event_id AS page_id
FROM webhook_delivery d
JOIN event e ON e.merchant_id = d.merchant_id AND e.event_id = d.event_id
WHERE d.merchant_id = $1 AND d.event_id < $2
    AND d.endpoint_id = $4
    AND ($5::text IS NULL OR d.state = $5)
ORDER BY d.event_id DESC
LIMIT $3;

-- name: redeliver
-- scope: merchant
-- Of a range what the endpoint asked for; one that is named is sent. What waits for an attempt already is left alone: its owner may
-- be writing it to a socket now.
INSERT INTO webhook_delivery (merchant_id, event_id, endpoint_id, subject, state, next_attempt_at)
SELECT e.merchant_id, e.event_id, $2, e.subject, 'pending', $3
FROM event e
JOIN webhook_endpoint w ON w.merchant_id = $1 AND w.endpoint_id = $2
WHERE e.merchant_id = $1 AND e.event_id >= $4 AND e.event_id <= $5
    AND ($4 = $5 OR cardinality(w.event_types) = 0 OR e.type = ANY (w.event_types)
        OR e.type LIKE 'merchant.%' AND 'order.created' = ANY (w.event_types))
ORDER BY e.event_id
LIMIT $6
ON CONFLICT (merchant_id, event_id, endpoint_id) DO UPDATE
SET state = 'pending', attempts = 0, next_attempt_at = excluded.next_attempt_at, owner = NULL, last_error = ''
WHERE webhook_delivery.state <> 'pending'
RETURNING event_id;
