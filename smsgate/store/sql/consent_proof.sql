-- What the database holds of one consent, for its proof; what carriers said of the texts is asked as for orders (order_proof.sql).

-- name: consent_of
-- scope: merchant
SELECT subscriber_id, purpose FROM consent_event WHERE merchant_id = $1 AND consent_id = $2;

-- name: consents
-- scope: merchant
-- All that one person said, and that happened, of one purpose. The number is gone when the person is.
SELECT consent_id, nullif(msisdn, 0) AS msisdn, purpose, event, state_after, wording_version, source,
    evidence::text AS evidence, inbound_id, occurred_at, recorded_at
FROM consent_event
WHERE merchant_id = $1 AND subscriber_id = $2 AND purpose = $3
ORDER BY consent_id;

-- name: replies
-- scope: merchant
SELECT inbound_id, carrier_id, destination, text, raw, data_coding, esm_class, source_ton, source_npi, destination_ton,
    destination_npi, tlvs, label, quantity, outcome, reason, rules_version, received_at
FROM inbound_message
WHERE merchant_id = $1 AND inbound_id = ANY ($2::bigint[])
ORDER BY inbound_id;

-- name: texts
-- scope: merchant
-- What the person was told with them: the gateway's own texts, made while or just after something happened.
-- Those whose partition is gone were taken along, of the person ($5): the number may be gone, too.
SELECT m.message_id, m.kind, m.sender, m.body, m.inbound_id
FROM unnest($2::bigint[], $3::bigint[]) AS r (lo, hi)
JOIN message m ON m.merchant_id = $1 AND m.campaign_id IS NULL AND m.message_id >= r.lo AND m.message_id < r.hi
WHERE m.msisdn = $4 AND m.order_id IS NULL AND m.kind <> 'transaction'
UNION
SELECT m.message_id, m.kind, m.sender, m.body, m.inbound_id
FROM unnest($2::bigint[], $3::bigint[]) AS r (lo, hi)
JOIN kept_message m ON m.merchant_id = $1 AND m.message_id >= r.lo AND m.message_id < r.hi
WHERE m.subscriber_id = $5 AND m.order_id IS NULL AND m.campaign_id IS NULL
ORDER BY message_id;
