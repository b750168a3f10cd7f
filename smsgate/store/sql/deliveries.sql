-- Webhook delivery. Runs as sg_bulk, so every statement names its merchant itself.

-- name: due_endpoints
-- scope: report
-- One look into webhook_delivery_due for each active endpoint: what piles up for disabled ones is not read.
SELECT e.merchant_id, e.endpoint_id, e.url, e.secret, e.previous_secret, e.previous_until
  FROM webhook_endpoint e
 CROSS JOIN LATERAL (
        SELECT w.next_attempt_at AS since
          FROM webhook_delivery w
         WHERE w.merchant_id = e.merchant_id AND w.endpoint_id = e.endpoint_id AND w.state = 'pending'
           AND w.owner IS NULL AND w.next_attempt_at <= $1
         ORDER BY w.next_attempt_at
         LIMIT 1) AS d
 WHERE e.state = 'active'
 ORDER BY d.since
 LIMIT $2;

-- name: claim
-- scope: merchant
-- An event waits while an earlier one of its subject is pending at the same endpoint, claimed or not.
UPDATE webhook_delivery d
   SET owner = $3
 WHERE d.merchant_id = $1 AND d.endpoint_id = $2 AND d.state = 'pending'
   AND d.event_id = ANY (ARRAY(
        SELECT c.event_id
          FROM webhook_delivery c
         WHERE c.merchant_id = $1 AND c.endpoint_id = $2 AND c.state = 'pending' AND c.owner IS NULL
           AND c.next_attempt_at <= $4
           AND NOT EXISTS (
                SELECT FROM webhook_delivery p
                 WHERE p.merchant_id = $1 AND p.endpoint_id = $2 AND p.state = 'pending'
                   AND p.subject = c.subject AND p.event_id < c.event_id)
         ORDER BY c.next_attempt_at, c.event_id
         LIMIT $5
           FOR UPDATE SKIP LOCKED))
RETURNING d.event_id, d.attempts;

-- name: claimed_events
-- scope: merchant
SELECT event_id, type, subject, data::text AS data, created_at
  FROM event
 WHERE merchant_id = $1 AND event_id = ANY ($2::bigint[]);

-- name: fail_without_event
-- scope: merchant
UPDATE webhook_delivery
   SET state = 'failed', owner = NULL, last_error = 'the event is past its retention'
 WHERE merchant_id = $1 AND endpoint_id = $2 AND event_id = ANY ($3::bigint[]) AND owner = $4;

-- name: settle
-- scope: merchant
UPDATE webhook_delivery d
   SET state = r.state, attempts = r.attempts, next_attempt_at = r.next_attempt_at, owner = NULL,
       last_status = r.last_status, last_error = r.last_error, delivered_at = r.delivered_at
  FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::int[], $7::timestamptz[], $8::int[], $9::text[],
              $10::timestamptz[])
       AS r (event_id, endpoint_id, state, attempts, next_attempt_at, last_status, last_error, delivered_at)
 WHERE d.merchant_id = $1 AND d.event_id = r.event_id AND d.endpoint_id = r.endpoint_id
   AND d.owner = $2 AND d.state = 'pending';

-- name: disable_endpoint
-- scope: merchant
UPDATE webhook_endpoint SET state = 'disabled', disabled_reason = $3
 WHERE merchant_id = $1 AND endpoint_id = $2 AND state = 'active';

-- name: release
-- scope: merchant
UPDATE webhook_delivery d
   SET owner = NULL
  FROM unnest($3::bigint[], $4::bigint[]) AS r (event_id, endpoint_id)
 WHERE d.merchant_id = $1 AND d.event_id = r.event_id AND d.endpoint_id = r.endpoint_id
   AND d.owner = $2 AND d.state = 'pending';

-- name: claims_of_owner
-- scope: report
SELECT merchant_id, endpoint_id, event_id FROM webhook_delivery WHERE state = 'pending' AND owner = $1;

-- name: owners
-- scope: report
SELECT DISTINCT owner, merchant_id FROM webhook_delivery WHERE state = 'pending' AND owner IS NOT NULL;

-- name: release_orphans
-- scope: merchant
UPDATE webhook_delivery
   SET owner = NULL
 WHERE merchant_id = $1 AND state = 'pending' AND owner = ANY ($2::bigint[])
RETURNING event_id;

-- name: backlog
-- scope: report
SELECT count(*) AS waiting, coalesce(extract(epoch FROM $1 - min(next_attempt_at)), 0)::float8 AS oldest_s
  FROM webhook_delivery
 WHERE state = 'pending' AND next_attempt_at <= $1;
