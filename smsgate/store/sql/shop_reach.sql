-- Whether shops take the orders that they are sent.

-- name: endpoints_failed
-- scope: merchant
UPDATE webhook_endpoint e
   SET failing_since = coalesce(e.failing_since, $4), failures = e.failures + t.n
  FROM unnest($2::bigint[], $3::int[]) AS t (endpoint_id, n)
 WHERE e.merchant_id = $1 AND e.endpoint_id = t.endpoint_id;

-- name: endpoints_answered
-- scope: merchant
-- A shop may take receipts and refuse orders: while an order waits that was tried, only an order that is taken counts.
-- Return who was well again after so long that orders were held to be lost there ($4 failures, since $5).
UPDATE webhook_endpoint e
   SET failing_since = NULL, failures = 0
  FROM webhook_endpoint b
  JOIN unnest($2::bigint[], $3::boolean[]) AS t (endpoint_id, took_order) ON t.endpoint_id = b.endpoint_id
 WHERE b.merchant_id = $1 AND b.failing_since IS NOT NULL
   AND e.merchant_id = $1 AND e.endpoint_id = b.endpoint_id
   AND (t.took_order OR NOT EXISTS (
        SELECT FROM webhook_delivery d
          JOIN event v ON v.merchant_id = $1 AND v.event_id = d.event_id AND v.type = 'order.created'
         WHERE d.merchant_id = $1 AND d.endpoint_id = b.endpoint_id AND d.state = 'pending' AND d.attempts > 0))
RETURNING e.endpoint_id, b.failures >= $4 AND b.failing_since <= $5 AS was_lost;

-- name: hasten
-- scope: merchant
-- What waits for hours is tried at once: the shop is back.
UPDATE webhook_delivery
   SET next_attempt_at = $3
 WHERE merchant_id = $1 AND endpoint_id = ANY ($2::bigint[]) AND state = 'pending' AND owner IS NULL
   AND next_attempt_at > $3;

-- name: lost_shops
-- scope: report
-- Who has endpoints for orders, none of which takes any: it is disabled, or has failed $1 times, at first before $2.
-- Who has none for orders reads them by the API.
SELECT e.merchant_id, max(e.failing_since) AS since, bool_or(m.test_of IS NOT NULL) AS test
  FROM webhook_endpoint e
  JOIN merchant m ON m.merchant_id = e.merchant_id
 WHERE cardinality(e.event_types) = 0 OR 'order.created' = ANY (e.event_types)
 GROUP BY e.merchant_id
HAVING bool_and(e.state <> 'active' OR e.failures >= $1 AND e.failing_since <= $2);

-- name: lose
-- scope: report
UPDATE merchant SET shop_lost_at = $2 WHERE merchant_id = ANY ($1::bigint[]) AND shop_lost_at IS NULL
RETURNING merchant_id;

-- name: find
-- scope: report
UPDATE merchant SET shop_lost_at = NULL WHERE shop_lost_at IS NOT NULL AND NOT merchant_id = ANY ($1::bigint[])
RETURNING merchant_id;

-- name: probe
-- scope: report
-- Of several processes one asks.
UPDATE merchant SET shop_probed_at = $2
 WHERE merchant_id = ANY ($1::bigint[]) AND (shop_probed_at IS NULL OR shop_probed_at <= $3)
RETURNING merchant_id;

-- name: anything_waits
-- scope: merchant
SELECT EXISTS (
    SELECT FROM webhook_delivery d
      JOIN webhook_endpoint e ON e.merchant_id = $1 AND e.endpoint_id = d.endpoint_id AND e.state = 'active'
     WHERE d.merchant_id = $1 AND d.state = 'pending'
       AND (cardinality(e.event_types) = 0 OR 'order.created' = ANY (e.event_types)));

-- name: try_oldest
-- scope: merchant
-- The oldest event that waits at each endpoint, out of turn: an attempt that its schedule does not count, so that
-- there is always one left.
UPDATE webhook_delivery d
   SET next_attempt_at = $2, attempts = greatest(d.attempts - 1, 0)
 WHERE d.merchant_id = $1 AND d.state = 'pending' AND d.owner IS NULL AND d.next_attempt_at > $2
   AND d.event_id = (
        SELECT min(o.event_id) FROM webhook_delivery o
         WHERE o.merchant_id = $1 AND o.endpoint_id = d.endpoint_id AND o.state = 'pending');
