-- What is kept how long: what merchants chose, and the oldest row of each rule (`oldest_<rule>`), for the operator's command.

-- name: choose
-- scope: merchant
INSERT INTO retention_choice AS c (merchant_id, rule, days, chosen_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (merchant_id, rule) DO UPDATE SET days = excluded.days, chosen_at = excluded.chosen_at;

-- name: unchoose
-- scope: merchant
DELETE FROM retention_choice WHERE merchant_id = $1 AND rule = $2 RETURNING 1;

-- name: chosen
-- scope: report
SELECT m.slug, c.rule, c.days FROM retention_choice c JOIN merchant m USING (merchant_id) ORDER BY c.rule, m.slug;

-- name: oldest_reply
-- scope: report
-- That a rule about replies ($1) has not come to.
SELECT min(i.received_at) FROM (SELECT merchant_id FROM merchant UNION ALL SELECT 0) m
 CROSS JOIN LATERAL (
    SELECT received_at FROM inbound_message i
     WHERE i.merchant_id = m.merchant_id AND i.inbound_id > coalesce(
           (SELECT done_id FROM retention_mark k WHERE k.merchant_id = m.merchant_id AND k.rule = $1), 0)
     ORDER BY i.inbound_id LIMIT 1) AS i;

-- name: oldest_person
-- scope: report
-- Since the end of the consent; a word since then, or an order, lets the person stay.
SELECT min(offers_state_at) FROM subscriber WHERE offers_state IN ('unsubscribed', 'blocked', 'expired');

-- name: oldest_consent_evidence
-- scope: report
SELECT min(last_at) FROM person_gone;

-- name: oldest_number_stop
-- scope: report
SELECT min(stopped_at) FROM number_stop;

-- name: oldest_suppression
-- scope: report
SELECT min(created_at) FROM suppression;

-- name: oldest_sender_stop
-- scope: report
SELECT min(stopped_at) FROM sender_stop;

-- name: oldest_data_request
-- scope: report
SELECT min(created_at) FROM data_request;

-- name: oldest_erasure_owed
-- scope: report
SELECT to_timestamp(((min(request_id) >> 22) + 1735689600000) / 1000.0) FROM erasure_owed;

-- name: oldest_order
-- scope: report
SELECT min(created_at) FROM orders;

-- name: oldest_order_record
-- scope: report
SELECT to_timestamp(((least((SELECT min(message_id) FROM kept_message WHERE order_id IS NOT NULL OR campaign_id IS NOT NULL),
                            (SELECT min(event_id) FROM kept_event WHERE type NOT LIKE 'consent.%')) >> 22)
                     + 1735689600000) / 1000.0);

-- name: oldest_ledger
-- scope: report
SELECT min(at) FROM ledger_entry;

-- name: oldest_campaign_chunk
-- scope: report
SELECT to_timestamp(((min(campaign_id) >> 22) + 1735689600000) / 1000.0) FROM campaign_chunk WHERE state = 'done';

-- name: oldest_budget_charge
-- scope: report
SELECT to_timestamp(((min(lower(message_ids)) >> 22) + 1735689600000) / 1000.0) FROM budget_charge WHERE lease_id <> 0;

-- name: oldest_open_offer
-- scope: report
SELECT min(expires_at) FROM open_offer WHERE expires_at < now();

-- name: oldest_marketing_contact
-- scope: report
SELECT min(last_at) FROM marketing_contact;

-- name: oldest_answer_count
-- scope: report
SELECT min(day_at) FROM answer_count;

-- name: oldest_consent_question
-- scope: report
SELECT min(asked_at) FROM consent_question;

-- name: oldest_interactive_queue
-- scope: report
SELECT to_timestamp(((min(message_id) >> 22) + 1735689600000) / 1000.0) FROM interactive_queue;

-- name: oldest_mo_seen
-- scope: report
SELECT min(seen_at) FROM mo_seen;

-- name: oldest_mo_part
-- scope: report
SELECT min(received_at) FROM mo_part;

-- name: oldest_receipt_unmatched
-- scope: report
SELECT min(received_at) FROM receipt_unmatched;

-- name: oldest_esme_delivery
-- scope: report
SELECT min(expires_at) FROM esme_delivery WHERE expires_at < now();

-- name: oldest_esme_day
-- scope: report
SELECT min(day) FROM esme_day;

-- name: oldest_webhook_delivery
-- scope: report
SELECT to_timestamp(((min(event_id) >> 22) + 1735689600000) / 1000.0) FROM webhook_delivery;

-- name: oldest_trigger_event
-- scope: report
SELECT min(received_at) FROM trigger_event;

-- name: oldest_idempotency_key
-- scope: report
SELECT min(created_at) FROM idempotency_key;

-- name: oldest_import_error
-- scope: report
SELECT to_timestamp(((min(import_id) >> 22) + 1735689600000) / 1000.0) FROM import_error;

-- name: has_message
-- scope: report
SELECT EXISTS (SELECT FROM message WHERE message_id >= $1 AND message_id < $2);

-- name: has_sent
-- scope: report
SELECT EXISTS (SELECT FROM sent WHERE message_id >= $1 AND message_id < $2);

-- name: has_receipt
-- scope: report
SELECT EXISTS (SELECT FROM receipt WHERE message_id >= $1 AND message_id < $2);

-- name: has_esme_message
-- scope: report
SELECT EXISTS (SELECT FROM esme_message WHERE message_id >= $1 AND message_id < $2);

-- name: has_event
-- scope: report
SELECT EXISTS (SELECT FROM event WHERE event_id >= $1 AND event_id < $2);
