-- name: insert_events
-- scope: merchant
-- The outbox: an event and what is to be delivered of it stand or fall with the change that it tells of.
-- Whoever takes orders is told that they cannot be handed over, asked for or not. Orders that are taken while no
-- endpoint takes any wait for those that are disabled.
WITH new_events AS (
    SELECT *
    FROM unnest(
        $1::text::bigint[], $2::text::bigint[], $3::text::text[], $4::text::text[], $5::text::text[], $6::timestamptz[]
    ) AS n (merchant_id, event_id, type, subject, data, created_at)
), written_events AS (
    INSERT INTO event (merchant_id, event_id, type, subject, data, created_at)
    SELECT merchant_id, event_id, type, subject, data::jsonb, created_at
    FROM new_events
)
INSERT INTO webhook_delivery (merchant_id, event_id, endpoint_id, subject, state, next_attempt_at)
SELECT n.merchant_id, n.event_id, e.endpoint_id, n.subject, 'pending', n.created_at
FROM new_events n
JOIN webhook_endpoint e ON e.merchant_id = n.merchant_id
WHERE (cardinality(e.event_types) = 0 OR n.type = ANY (e.event_types)
    OR n.type LIKE 'merchant.%' AND 'order.created' = ANY (e.event_types))
    AND (e.state = 'active' OR n.type LIKE 'order.%' AND NOT EXISTS (
        SELECT FROM webhook_endpoint a
        WHERE a.merchant_id = n.merchant_id AND a.state = 'active'
            AND (cardinality(a.event_types) = 0 OR 'order.created' = ANY (a.event_types))));

-- name: event
-- scope: merchant
SELECT event_id, type, subject, data::text AS data, created_at
FROM event
WHERE merchant_id = $1 AND event_id = $2 AND event_id >= $3;

-- name: events_page
-- scope: merchant
SELECT e.event_id, e.type, e.subject, e.data::text AS data, e.created_at, e.event_id AS page_id
FROM event e
WHERE e.merchant_id = $1 AND e.event_id < $2
    AND e.event_id >= $4
    AND ($5::text IS NULL OR e.type = $5)
    AND ($6::text IS NULL OR e.subject = $6)
ORDER BY e.event_id DESC
LIMIT $3;
