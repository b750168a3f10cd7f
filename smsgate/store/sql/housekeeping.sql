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

-- name: choices
-- scope: report
SELECT merchant_id, days FROM retention_choice WHERE rule = $1;

-- name: import_error_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM import_error WHERE import_id < $1;

-- name: import_error_delete
-- scope: merchant
DELETE FROM import_error
 WHERE merchant_id = $1
   AND (import_id, row_no) IN (SELECT import_id, row_no FROM import_error
                                WHERE merchant_id = $1 AND import_id < $2 ORDER BY import_id, row_no LIMIT $3)
RETURNING 1;

-- name: data_request_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM data_request WHERE request_id < $1;

-- name: data_request_delete
-- scope: merchant
DELETE FROM data_request
 WHERE merchant_id = $1
   AND request_id IN (SELECT request_id FROM data_request WHERE merchant_id = $1 AND request_id < $2 LIMIT $3)
RETURNING 1;

-- name: campaign_chunk_owners
-- scope: report
SELECT m.merchant_id AS owner FROM merchant m
 WHERE EXISTS (SELECT FROM campaign_chunk k WHERE k.merchant_id = m.merchant_id AND k.campaign_id < $1 AND k.state = 'done');

-- name: campaign_chunk_delete
-- scope: merchant
DELETE FROM campaign_chunk
 WHERE merchant_id = $1
   AND (campaign_id, no) IN (SELECT campaign_id, no FROM campaign_chunk
                              WHERE merchant_id = $1 AND campaign_id < $2 AND state = 'done' LIMIT $3)
RETURNING 1;

-- name: reply_owners
-- scope: report
-- Of a rule about replies ($2), which stay as rows, of nobody: they were charged. A mark says how far each rule has come.
SELECT m.merchant_id AS owner FROM (SELECT merchant_id FROM merchant UNION ALL SELECT 0) m
 WHERE EXISTS (SELECT FROM inbound_message i
                WHERE i.merchant_id = m.merchant_id AND i.inbound_id < $1 AND i.inbound_id > coalesce(
                      (SELECT done_id FROM retention_mark k WHERE k.merchant_id = m.merchant_id AND k.rule = $2), 0));

-- name: reply_delete
-- scope: merchant
-- By the rule $4. What made an order, or a consent, stays with it.
WITH old AS MATERIALIZED (
    SELECT i.inbound_id, i.order_id IS NOT NULL OR EXISTS (
               SELECT FROM consent_event c WHERE c.merchant_id = $1 AND c.subscriber_id = i.subscriber_id
                  AND c.inbound_id = i.inbound_id) AS stays
      FROM inbound_message i
     WHERE i.merchant_id = $1 AND i.inbound_id < $2 AND i.inbound_id > coalesce(
           (SELECT done_id FROM retention_mark WHERE merchant_id = $1 AND rule = $4), 0)
     ORDER BY i.inbound_id LIMIT $3
), texts AS (
    UPDATE inbound_message i SET text = '', raw = '', tlvs = NULL, reason = ''
      FROM old o WHERE $4 = 'reply_text' AND i.merchant_id = $1 AND i.inbound_id = o.inbound_id AND NOT o.stays
), decisions AS (
    UPDATE inbound_decision d SET reason = ''
      FROM old o WHERE $4 = 'reply_text' AND d.merchant_id = $1 AND d.inbound_id = o.inbound_id AND NOT o.stays
), numbers AS (
    UPDATE inbound_message i SET msisdn = 0
      FROM old o WHERE $4 = 'reply_number' AND i.merchant_id = $1 AND i.inbound_id = o.inbound_id AND NOT o.stays
), mark AS (
    INSERT INTO retention_mark AS k (merchant_id, rule, done_id)
    SELECT $1, $4, max(inbound_id) FROM old HAVING count(*) > 0
        ON CONFLICT (merchant_id, rule) DO UPDATE SET done_id = greatest(k.done_id, excluded.done_id)
)
SELECT 1 FROM old;

-- name: person_owners
-- scope: report
SELECT merchant_id AS owner FROM subscriber
 WHERE offers_state IN ('expired', 'unsubscribed', 'blocked') AND (offers_state = 'expired' OR offers_state_at < $1)
 UNION
SELECT c.merchant_id FROM consent_state c JOIN subscriber s ON s.merchant_id = c.merchant_id AND s.subscriber_id = c.subscriber_id
 WHERE c.state = 'expired' AND s.offers_state = 'none' AND s.created_at < $1;

-- name: person_last
-- scope: merchant
-- Whose every consent is over, and who was not heard of since $2: no word, no agreement or objection, no order that changed.
-- What time alone does to a consent ('idle') is no contact. Who never agreed to offers goes by another agreement that expired.
SELECT s.subscriber_id, s.msisdn, s.offers_state, coalesce(c.last_at, s.created_at) AS last_at,
       CASE WHEN s.offers_state <> 'none' THEN s.offers_state_at
            ELSE (SELECT max(o.state_at) FROM consent_state o
                   WHERE o.merchant_id = $1 AND o.subscriber_id = s.subscriber_id AND o.state = 'expired') END AS ended_at
  FROM (SELECT subscriber_id FROM subscriber
         WHERE merchant_id = $1 AND offers_state IN ('expired', 'unsubscribed', 'blocked')
           AND (offers_state = 'expired' OR offers_state_at < $2)
         UNION
        SELECT subscriber_id FROM consent_state WHERE merchant_id = $1 AND state = 'expired') AS d
  JOIN subscriber s ON s.merchant_id = $1 AND s.subscriber_id = d.subscriber_id
 CROSS JOIN LATERAL (
    SELECT max(e.occurred_at) FILTER (WHERE e.event NOT IN ('idle', 'resume', 'question_expired')) AS last_at
      FROM consent_event e WHERE e.merchant_id = $1 AND e.subscriber_id = s.subscriber_id) AS c
 WHERE s.offers_state IN ('expired', 'none', 'unsubscribed', 'blocked')
   AND (s.offers_state IN ('expired', 'none') OR s.offers_state_at < $2) AND s.created_at < $2
   AND (c.last_at IS NULL OR c.last_at < $2)
   AND NOT EXISTS (SELECT FROM consent_state o WHERE o.merchant_id = $1 AND o.subscriber_id = s.subscriber_id
                      AND o.state IN ('pending', 'subscribed', 'paused'))
   AND NOT EXISTS (SELECT FROM inbound_message i WHERE i.merchant_id = $1 AND i.msisdn = s.msisdn AND i.received_at >= $2)
   AND NOT EXISTS (SELECT FROM orders r WHERE r.merchant_id = $1 AND r.subscriber_id = s.subscriber_id AND r.changed_at >= $2)
 ORDER BY s.subscriber_id LIMIT $3
   FOR UPDATE OF s SKIP LOCKED;

-- name: person_delete
-- scope: merchant
-- The evidence stays for its own time, of a hash.
WITH gone AS MATERIALIZED (
    SELECT * FROM unnest($2::bigint[], $3::bytea[], $4::timestamptz[]) AS t (subscriber_id, hash, last_at)
), kept AS (
    INSERT INTO person_gone (merchant_id, subscriber_id, hash, last_at)
    SELECT $1, subscriber_id, hash, last_at FROM gone ON CONFLICT DO NOTHING
), events AS (
    UPDATE consent_event c SET msisdn = 0 FROM gone g WHERE c.merchant_id = $1 AND c.subscriber_id = g.subscriber_id
), texts AS (
    UPDATE kept_message k SET msisdn = 0 FROM gone g
     WHERE k.merchant_id = $1 AND k.subscriber_id = g.subscriber_id AND k.order_id IS NULL AND k.campaign_id IS NULL
), states AS (
    DELETE FROM consent_state o USING gone g WHERE o.merchant_id = $1 AND o.subscriber_id = g.subscriber_id
)
DELETE FROM subscriber s USING gone g WHERE s.merchant_id = $1 AND s.subscriber_id = g.subscriber_id RETURNING 1;

-- name: consent_evidence_owners
-- scope: report
SELECT DISTINCT merchant_id AS owner FROM person_gone WHERE last_at < $1;

-- name: consent_evidence_delete
-- scope: merchant
-- An order's proof needs the consent that it stands on.
WITH gone AS MATERIALIZED (
    SELECT p.subscriber_id FROM person_gone p
     WHERE p.merchant_id = $1 AND p.last_at < $2
       AND NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = $1 AND o.subscriber_id = p.subscriber_id)
     ORDER BY p.last_at LIMIT $3
), replies AS (
    UPDATE inbound_message i SET msisdn = 0, text = '', raw = '', tlvs = NULL, reason = ''
      FROM gone g JOIN consent_event c ON c.merchant_id = $1 AND c.subscriber_id = g.subscriber_id AND c.inbound_id IS NOT NULL
     WHERE i.merchant_id = $1 AND i.inbound_id = c.inbound_id
), evidence AS (
    UPDATE consent_event c SET evidence = '{}' FROM gone g WHERE c.merchant_id = $1 AND c.subscriber_id = g.subscriber_id
)
DELETE FROM person_gone p USING gone g WHERE p.merchant_id = $1 AND p.subscriber_id = g.subscriber_id RETURNING p.subscriber_id;

-- name: consent_evidence_records
-- scope: merchant
-- Texts about consents whose evidence went, and ($3) their events.
WITH texts AS (
    DELETE FROM kept_message WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) AND order_id IS NULL AND campaign_id IS NULL
    RETURNING message_id
), outcomes AS (
    DELETE FROM kept_sent s USING texts t WHERE s.merchant_id = $1 AND s.message_id = t.message_id
), receipts AS (
    DELETE FROM kept_receipt r USING texts t WHERE r.merchant_id = $1 AND r.message_id = t.message_id
), events AS (
    DELETE FROM kept_event WHERE merchant_id = $1 AND subject = ANY ($3::text[]) AND type LIKE 'consent.%' RETURNING 1
)
SELECT 1 FROM texts UNION ALL SELECT 1 FROM events;

-- name: person_records
-- scope: merchant
UPDATE kept_event SET data = data - 'msisdn' WHERE merchant_id = $1 AND subject = ANY ($2::text[]) AND type LIKE 'consent.%';

-- name: order_owners
-- scope: report
SELECT m.merchant_id AS owner FROM merchant m
 WHERE EXISTS (SELECT FROM orders o WHERE o.merchant_id = m.merchant_id AND o.order_id < $1);

-- name: order_delete
-- scope: merchant
WITH old AS MATERIALIZED (
    SELECT order_id, inbound_id, msisdn FROM orders WHERE merchant_id = $1 AND order_id < $2 ORDER BY order_id LIMIT $3
), replies AS MATERIALIZED (
    SELECT inbound_id FROM old
     UNION
    SELECT i.inbound_id FROM old o
      JOIN inbound_message i ON i.merchant_id = $1 AND i.msisdn = o.msisdn AND i.inbound_id > o.inbound_id AND i.order_id = o.order_id
), texts AS (
    UPDATE inbound_message i SET msisdn = 0, text = '', raw = '', tlvs = NULL, reason = ''
      FROM replies r WHERE i.merchant_id = $1 AND i.inbound_id = r.inbound_id
), decisions AS (
    UPDATE inbound_decision d SET reason = '' FROM replies r WHERE d.merchant_id = $1 AND d.inbound_id = r.inbound_id
), steps AS (
    DELETE FROM order_event e USING old o WHERE e.merchant_id = $1 AND e.order_id = o.order_id
), stamps AS (
    DELETE FROM order_stamp t USING old o WHERE t.merchant_id = $1 AND t.order_id = o.order_id
)
DELETE FROM orders x USING old o WHERE x.merchant_id = $1 AND x.order_id = o.order_id RETURNING 1;

-- name: order_record_owners
-- scope: report
SELECT m.merchant_id AS owner FROM merchant m
 WHERE EXISTS (SELECT FROM kept_message k WHERE k.merchant_id = m.merchant_id AND k.message_id < $1
                  AND (k.order_id IS NOT NULL OR k.campaign_id IS NOT NULL))
    OR EXISTS (SELECT FROM kept_event k WHERE k.merchant_id = m.merchant_id AND k.event_id < $1 AND k.type NOT LIKE 'consent.%');

-- name: order_record_delete
-- scope: merchant
-- What was kept of consents has no age: it stays with the person, and with the evidence.
WITH old AS MATERIALIZED (
    SELECT message_id FROM kept_message
     WHERE merchant_id = $1 AND message_id < $2 AND (order_id IS NOT NULL OR campaign_id IS NOT NULL)
     ORDER BY message_id LIMIT $3
), outcomes AS (
    DELETE FROM kept_sent s USING old o WHERE s.merchant_id = $1 AND s.message_id = o.message_id
), receipts AS (
    DELETE FROM kept_receipt r USING old o WHERE r.merchant_id = $1 AND r.message_id = o.message_id
), messages AS (
    DELETE FROM kept_message m USING old o WHERE m.merchant_id = $1 AND m.message_id = o.message_id RETURNING 1
), events AS (
    DELETE FROM kept_event
     WHERE merchant_id = $1
       AND event_id IN (SELECT event_id FROM kept_event
                         WHERE merchant_id = $1 AND event_id < $2 AND type NOT LIKE 'consent.%' ORDER BY event_id LIMIT $3)
    RETURNING 1
)
SELECT 1 FROM messages UNION ALL SELECT 1 FROM events LIMIT $3;

-- name: keep_message
-- scope: control
-- $1 to $2: the ids of a day. Each order's offer, and the texts about it; what people were told with what they agreed to or ended, as
-- their proof finds it (smsgate.store.consent_proof: made up to 1 s before the event, or 10 s after). Who is gone before the day is (a
-- merchant may choose so) is taken along without the number, and who was erased not at all.
INSERT INTO kept_message
SELECT m.* FROM message m WHERE m.message_id >= $1 AND m.message_id < $2 AND m.order_id IS NOT NULL
UNION ALL
SELECT m.* FROM merchant c
CROSS JOIN LATERAL (SELECT DISTINCT o.message_id FROM orders o
                     WHERE o.merchant_id = c.merchant_id AND o.message_id >= $1 AND o.message_id < $2) AS o
JOIN message m ON m.merchant_id = c.merchant_id AND m.message_id = o.message_id AND m.order_id IS NULL
UNION ALL
SELECT (told.text).*
FROM (
SELECT CASE WHEN EXISTS (SELECT FROM person_gone p WHERE p.merchant_id = m.merchant_id AND p.subscriber_id = m.subscriber_id)
            THEN jsonb_populate_record(m, '{"msisdn": 0}') ELSE m END AS text
FROM message m
WHERE m.message_id >= $1 AND m.message_id < $2 AND m.campaign_id IS NULL AND m.order_id IS NULL AND m.kind <> 'transaction' AND m.msisdn <> 0
  AND EXISTS (SELECT FROM consent_event c
              WHERE c.merchant_id = m.merchant_id AND c.subscriber_id = m.subscriber_id
                AND c.recorded_at BETWEEN to_timestamp(((m.message_id >> 22) + 1735689600000) / 1000.0) - interval '10 s'
                                      AND to_timestamp(((m.message_id >> 22) + 1735689600001) / 1000.0) + interval '1 s')
OFFSET 0) AS told
ON CONFLICT DO NOTHING;

-- name: keep_sent
-- scope: control
INSERT INTO kept_sent
SELECT s.* FROM merchant c
JOIN kept_message k ON k.merchant_id = c.merchant_id AND k.message_id >= $1 AND k.message_id < $2
JOIN sent s ON s.merchant_id = k.merchant_id AND s.message_id = k.message_id AND s.message_id >= $1 AND s.message_id < $2
ON CONFLICT DO NOTHING;

-- name: keep_receipt
-- scope: control
INSERT INTO kept_receipt
SELECT r.* FROM merchant c
JOIN kept_message k ON k.merchant_id = c.merchant_id AND k.message_id >= $1 AND k.message_id < $2
JOIN receipt r ON r.merchant_id = k.merchant_id AND r.message_id = k.message_id AND r.message_id >= $1 AND r.message_id < $2;

-- name: keep_event
-- scope: control
-- Of consents, no number that the merchant does not know any more.
INSERT INTO kept_event
SELECT e.* FROM event e
WHERE e.event_id >= $1 AND e.event_id < $2 AND e.subject LIKE 'ord\_%'
UNION ALL
SELECT (told.event).*
FROM (
SELECT CASE WHEN EXISTS (SELECT FROM subscriber s WHERE s.merchant_id = e.merchant_id
                            AND s.msisdn = (CASE WHEN e.data ->> 'msisdn' ~ '^\+[0-9]{1,15}$' THEN e.data ->> 'msisdn' END)::bigint)
            THEN e ELSE jsonb_populate_record(e, jsonb_build_object('data', e.data - 'msisdn')) END AS event
FROM event e
WHERE e.event_id >= $1 AND e.event_id < $2 AND e.type LIKE 'consent.%' AND e.subject NOT LIKE 'ord\_%'
OFFSET 0) AS told
ON CONFLICT DO NOTHING;
