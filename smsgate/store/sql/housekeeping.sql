-- Rows that have served their time. `<job>_owners` finds whose, `<job>_delete` deletes a bounded number of one owner's.

-- name: mo_seen_owners
-- scope: report
SELECT DISTINCT carrier_id::bigint AS owner FROM mo_seen WHERE seen_at < $1;

-- name: mo_seen_delete
-- scope: account
DELETE FROM mo_seen
 WHERE carrier_id = $1
   AND fingerprint IN (SELECT fingerprint FROM mo_seen WHERE carrier_id = $1 AND seen_at < $2 LIMIT $3)
RETURNING 1;

-- name: receipt_unmatched_owners
-- scope: report
SELECT DISTINCT carrier_id::bigint AS owner FROM receipt_unmatched WHERE received_at < $1;

-- name: receipt_unmatched_delete
-- scope: account
DELETE FROM receipt_unmatched
 WHERE carrier_id = $1
   AND unmatched_id IN (SELECT unmatched_id FROM receipt_unmatched
                         WHERE carrier_id = $1 AND received_at < $2 LIMIT $3)
RETURNING 1;

-- name: receipts_beyond
-- scope: report
SELECT c.carrier_id, u.unmatched_id FROM carrier c
 CROSS JOIN LATERAL (SELECT unmatched_id FROM receipt_unmatched r WHERE r.carrier_id = c.carrier_id
                      ORDER BY unmatched_id DESC OFFSET $1 LIMIT 1) AS u;

-- name: trim_receipts
-- scope: account
DELETE FROM receipt_unmatched
 WHERE carrier_id = $1
   AND unmatched_id IN (SELECT unmatched_id FROM receipt_unmatched
                         WHERE carrier_id = $1 AND unmatched_id <= $2 ORDER BY unmatched_id LIMIT $3)
RETURNING 1;

-- name: mo_part_owners
-- scope: report
SELECT DISTINCT carrier_id::bigint AS owner FROM mo_part WHERE received_at < $1;

-- name: mo_part_delete
-- scope: account
DELETE FROM mo_part
 WHERE carrier_id = $1
   AND (sender, destination, ref, total, part) IN (
        SELECT sender, destination, ref, total, part FROM mo_part
         WHERE carrier_id = $1 AND received_at < $2 LIMIT $3)
RETURNING 1;

-- name: number_stop_owners
-- scope: report
SELECT array_agg(hash) AS owner FROM (SELECT hash FROM number_stop WHERE stopped_at < $1 LIMIT 5000) AS old HAVING count(*) > 0;

-- name: number_stop_delete
-- scope: report
DELETE FROM number_stop WHERE hash = ANY ($1::bytea[]) AND stopped_at < $2 AND $3::int > 0 RETURNING 1;

-- name: marketing_contact_owners
-- scope: report
SELECT array_agg(msisdn) AS owner FROM (SELECT msisdn FROM marketing_contact WHERE last_at < $1 LIMIT 5000) AS old
HAVING count(*) > 0;

-- name: marketing_contact_delete
-- scope: msisdn
DELETE FROM marketing_contact WHERE msisdn = ANY ($1::bigint[]) AND last_at < $2 AND $3::int > 0 RETURNING 1;

-- name: answer_count_owners
-- scope: report
SELECT array_agg(msisdn) AS owner FROM (SELECT msisdn FROM answer_count WHERE day_at < $1 LIMIT 5000) AS old
HAVING count(*) > 0;

-- name: answer_count_delete
-- scope: msisdn
DELETE FROM answer_count WHERE msisdn = ANY ($1::bigint[]) AND day_at < $2 AND $3::int > 0 RETURNING 1;

-- name: open_offer_owners
-- scope: report
-- What it still says for caps is over too: it was opened before it ended.
SELECT array_agg(msisdn) AS owner FROM (SELECT msisdn FROM open_offer WHERE expires_at < $1 LIMIT 5000) AS old
HAVING count(*) > 0;

-- name: open_offer_delete
-- scope: msisdn
-- Locked in the order of the number first, as claims do.
WITH gone AS (
    SELECT msisdn, sender FROM open_offer
     WHERE msisdn = ANY ($1::bigint[]) AND expires_at < $2 AND $3::int > 0
     ORDER BY msisdn, sender
       FOR UPDATE SKIP LOCKED)
DELETE FROM open_offer AS o USING gone g WHERE o.msisdn = g.msisdn AND o.sender = g.sender RETURNING 1;

-- name: idempotency_key_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM idempotency_key WHERE created_at < $1;

-- name: idempotency_key_delete
-- scope: merchant
DELETE FROM idempotency_key
 WHERE merchant_id = $1
   AND key IN (SELECT key FROM idempotency_key WHERE merchant_id = $1 AND created_at < $2 LIMIT $3)
RETURNING 1;

-- name: trigger_event_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM trigger_event WHERE received_at < $1;

-- name: trigger_event_delete
-- scope: merchant
DELETE FROM trigger_event
 WHERE merchant_id = $1
   AND (trigger_id, webhook_id) IN (SELECT trigger_id, webhook_id FROM trigger_event
                                     WHERE merchant_id = $1 AND received_at < $2 LIMIT $3)
RETURNING 1;

-- name: webhook_delivery_owners
-- scope: report
-- The border is an id: deliveries go with their events, also those that still wait at a disabled endpoint.
SELECT DISTINCT merchant_id AS owner FROM webhook_delivery WHERE event_id < $1;

-- name: webhook_delivery_delete
-- scope: merchant
DELETE FROM webhook_delivery
 WHERE merchant_id = $1
   AND (event_id, endpoint_id) IN (SELECT event_id, endpoint_id FROM webhook_delivery
                                    WHERE merchant_id = $1 AND event_id < $2 LIMIT $3)
RETURNING 1;

-- name: esme_delivery_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM esme_delivery WHERE expires_at < $1;

-- name: esme_delivery_delete
-- scope: merchant
DELETE FROM esme_delivery
 WHERE merchant_id = $1
   AND delivery_id IN (SELECT delivery_id FROM esme_delivery WHERE merchant_id = $1 AND expires_at < $2 LIMIT $3)
RETURNING 1;

-- name: esme_day_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM esme_day WHERE day < $1;

-- name: esme_day_delete
-- scope: merchant
DELETE FROM esme_day
 WHERE merchant_id = $1
   AND (account_id, day) IN (SELECT account_id, day FROM esme_day
                              WHERE merchant_id = $1 AND day < $2 LIMIT $3)
RETURNING 1;

-- name: budget_charge_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM budget_charge WHERE lease_id <> 0 AND upper(message_ids) <= $1;

-- name: budget_charge_delete
-- scope: merchant
-- What leases spent whose messages are out of retention stays as one sum.
WITH gone AS (
    DELETE FROM budget_charge
     WHERE merchant_id = $1
       AND lease_id IN (SELECT lease_id FROM budget_charge
                         WHERE merchant_id = $1 AND lease_id <> 0 AND upper(message_ids) <= $2 LIMIT $3)
    RETURNING month, prepaid, spent_micros
), kept AS (
    INSERT INTO budget_charge AS c (merchant_id, lease_id, month, prepaid, message_ids, spent_micros)
    SELECT $1, 0, month, prepaid, '{}', sum(spent_micros) FROM gone GROUP BY month, prepaid
        ON CONFLICT (merchant_id, lease_id, month, prepaid) DO UPDATE SET spent_micros = c.spent_micros + excluded.spent_micros
)
SELECT 1 FROM gone;
