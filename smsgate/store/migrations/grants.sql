-- Who may do what. Run after the migrations at every start, so it must say the whole truth each time.
-- sg_api sees one merchant (row-level security); sg_bulk sees all; sg_report reads; sg_audit adds. DDL is sg_owner's.
-- Insert-only for everybody at run time: message, sent, receipt, ledger_entry, document, document_line, document_advance,
-- consent_event, order_event, order_stamp, event;
-- but for one thing: the flush may put the carrier's late answer in the place of "unknown" (sent.status = -1).
-- Partitions get no grants of their own: they are reached through their parent.

DO $$
DECLARE t regclass;
BEGIN
    FOR t IN SELECT oid FROM pg_class
              WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, sg_api, sg_bulk, sg_report, sg_audit', t);
    END LOOP;
END $$;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, sg_api, sg_bulk, sg_report, sg_audit;

-- ------------------------------------------------------------------ the API and the portal

GRANT SELECT ON
    instance_secret, data_key, merchant, api_key, carrier, price_list, price_version, price_item, subscriber,
    consent_event, import_job, import_error, offer, offer_version, campaign, campaign_chunk, open_offer,
    campaign_counter, message, sent, receipt, interactive_queue, inbound_message, orders, order_event, event,
    webhook_endpoint, webhook_delivery, trigger_definition, trigger_event, idempotency_key, ledger_entry, node,
    schema_migration, esme_account, esme_number, esme_day, esme_message, esme_delivery, sender_stop, consent_state,
    consent_question, join_keyword, sender_merchant, suppression, number_stop, data_request, reply_case, billing_profile, billing_vat, billing_commitment, charge_reversal,
    billing_period, document, document_line, document_advance, document_file, budget, budget_lease, budget_charge, budget_spent, budget_topup,
    budget_refund
    TO sg_api;

GRANT INSERT, UPDATE, DELETE ON
    merchant, api_key, subscriber, import_job, import_error, offer, campaign, campaign_chunk, open_offer,
    campaign_counter, interactive_queue, orders, webhook_endpoint, webhook_delivery, trigger_definition,
    trigger_event, idempotency_key, esme_account, esme_number, consent_state, consent_question, join_keyword
    TO sg_api;

-- An offer's versions and published prices are what was promised: added, never changed.
GRANT INSERT ON
    instance_secret, data_key, carrier, price_list, price_version, price_item, offer_version,
    consent_event, message, sent, order_event, event, data_request, sender_merchant
    TO sg_api;

-- Re-wrapping of keys.
GRANT UPDATE ON instance_secret, data_key TO sg_api;

-- ------------------------------------------------------------------ sending, flush, inbound, webhooks, housekeeping

GRANT SELECT ON
    portability_version, ported_number,
    instance_secret, data_key, node, merchant, api_key, carrier, price_list, price_version, price_item, subscriber,
    consent_event, import_job, import_error, offer, offer_version, campaign, campaign_chunk, open_offer,
    campaign_counter, message, sent, receipt, receipt_unmatched, interactive_queue, flush_log,
    mo_seen, mo_part, inbound_message, reply_case, orders, order_event, event, webhook_endpoint, webhook_delivery, trigger_definition,
    trigger_event, idempotency_key, ledger_entry, schema_migration, esme_account, esme_number, esme_day, esme_message,
    esme_delivery, sender_stop, consent_state, consent_question, marketing_contact, answer_count, join_keyword, sender_merchant, suppression, number_stop, billing_profile,
    billing_vat, billing_commitment, charge_reversal, billing_period, document, document_line, document_advance, document_file, document_series
    TO sg_bulk;

-- A cut is moved by nobody, a document and a minimum changed by nobody; closed_at is what a close still has to say.
GRANT INSERT ON billing_period, document, document_line, document_advance, document_file, charge_reversal, billing_commitment TO sg_bulk;
GRANT UPDATE (closed_at, ledger_sha256) ON billing_period TO sg_bulk;
GRANT INSERT, UPDATE ON document_series, billing_profile, billing_vat TO sg_bulk;

GRANT INSERT, UPDATE, DELETE ON
    portability_version, ported_number,
    subscriber, import_job, import_error, offer, campaign, campaign_chunk, open_offer, campaign_counter,
    receipt_unmatched, interactive_queue, flush_log, mo_seen, mo_part, orders, webhook_endpoint, webhook_delivery,
    trigger_definition, trigger_event, idempotency_key, api_key, esme_account, esme_number, esme_day, esme_message,
    esme_delivery, sender_stop, consent_state, consent_question, marketing_contact, answer_count
    TO sg_bulk;

GRANT INSERT ON
    instance_secret, data_key, merchant, carrier, price_list, price_version, price_item, offer_version,
    consent_event, message, sent, receipt, inbound_message, order_event, event, suppression, sender_merchant
    TO sg_bulk;

-- The one way into the ledger.
GRANT EXECUTE ON FUNCTION post_ledger TO sg_bulk;
GRANT EXECUTE ON FUNCTION keep_contacts TO sg_api, sg_bulk;
GRANT EXECUTE ON FUNCTION take_places TO sg_bulk;

GRANT UPDATE
    (carrier_id, status, segments, smsc_id, sell_item_id, sell_micros, cost_item_id, cost_micros, reason, sent_at, parts)
    ON sent TO sg_bulk;

GRANT INSERT, UPDATE, DELETE ON number_stop TO sg_bulk;
-- A block may be lifted; that it was stands.
GRANT UPDATE (reason, created_at), DELETE ON suppression TO sg_bulk;
GRANT SELECT ON suppression_lift TO sg_api, sg_bulk;
GRANT INSERT ON suppression_lift TO sg_bulk;
GRANT UPDATE ON merchant, instance_secret, data_key, price_list TO sg_bulk;

-- Leases end; what was paid in, paid back and spent stays.
GRANT SELECT, INSERT, UPDATE ON budget, budget_spent TO sg_bulk;
GRANT SELECT, INSERT, UPDATE, DELETE ON budget_lease, budget_charge TO sg_bulk;
GRANT SELECT, INSERT ON budget_topup, budget_refund TO sg_bulk;
GRANT UPDATE (document_id) ON budget_topup TO sg_bulk;

-- A payout stands, with what it was made of.
GRANT SELECT ON payout, payout_line TO sg_api, sg_report;
GRANT SELECT, INSERT ON payout, payout_line TO sg_bulk;

-- What a person of the merchant decided about a reply stands.
GRANT SELECT ON inbound_decision TO sg_api;

-- Which erasures are not over; the number is for the owner alone, who finishes them.
GRANT SELECT (merchant_id, request_id) ON erasure_owed TO sg_api;

-- What a close sealed of the ledger stands.
GRANT SELECT ON ledger_seal TO sg_api, sg_report;
GRANT SELECT, INSERT ON ledger_seal TO sg_bulk;

-- What merchants chose of how long things are kept; the owner alone does what housekeeping does to rows that else nobody changes.
GRANT SELECT ON retention_choice, retention_mark, person_gone TO sg_api, sg_report;
GRANT SELECT, INSERT, UPDATE, DELETE ON retention_choice TO sg_bulk;
GRANT SELECT ON retention_mark, person_gone TO sg_bulk;
-- Rows of orders that outlive their partition; the owner alone adds and deletes.
GRANT SELECT ON kept_message, kept_sent, kept_receipt, kept_event TO sg_api, sg_bulk, sg_report;

-- What dropped message rows made of the books stands; the owner alone adds to it.
GRANT SELECT ON retired_usage TO sg_api;
GRANT SELECT ON retired_day, retired_usage TO sg_bulk, sg_report;

-- What an order's rows held, when something happened to it: added, never changed.
GRANT SELECT, INSERT ON order_stamp TO sg_api, sg_bulk;
GRANT SELECT, INSERT ON inbound_decision TO sg_bulk;

-- What carriers billed: a result stands; their rows are there while they are matched.
GRANT SELECT ON reconciliation, reconciliation_line TO sg_api, sg_report;
GRANT SELECT, INSERT ON reconciliation, reconciliation_line TO sg_bulk;
GRANT SELECT, INSERT, DELETE ON carrier_record TO sg_bulk;

-- ------------------------------------------------------------------ reports

GRANT SELECT ON
    merchant, carrier, price_list, price_version, price_item, subscriber, consent_event, offer, offer_version,
    campaign, campaign_chunk, campaign_counter, message, sent, receipt, inbound_message, orders, order_event,
    event, webhook_delivery, ledger_entry, esme_account, esme_number, esme_day, esme_message, esme_delivery, sender_stop,
    consent_state, billing_profile, billing_vat, billing_commitment, charge_reversal, billing_period, document, document_line,
    document_advance, document_file, document_series, budget, budget_lease, budget_charge, budget_spent, budget_topup,
    budget_refund
    TO sg_report;
