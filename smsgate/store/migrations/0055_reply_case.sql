-- A reply, what a person of the merchant decided about it, and whether the customer settled it: who wrote has said something since
-- that could be read. A dispute, a block, and a wish to end an order when its time is over, are settled by nobody but a human.
CREATE VIEW reply_case WITH (security_invoker = true) AS
SELECT i.merchant_id, i.inbound_id, i.msisdn, i.destination, i.text, i.subscriber_id, i.campaign_id, i.message_id, i.order_id, i.label,
    i.quantity, i.outcome, i.reason, i.rules_version, i.received_at, d.verdict, d.quantity AS decided_quantity,
    d.outcome AS decided_outcome, d.order_id AS decided_order_id, d.decided_by, d.key_id, d.reason AS decided_reason, d.decided_at,
    i.outcome NOT IN ('disputed', 'cancel_requested', 'blocked', 'reassigned', 'start_refused', 'erasure_requested') AND EXISTS (
        SELECT FROM inbound_message y
        WHERE y.merchant_id = i.merchant_id AND y.msisdn = i.msisdn AND y.inbound_id > i.inbound_id
            AND y.destination = i.destination
            AND y.outcome NOT IN ('asked', 'incomplete', 'repetition', 'ignored', 'handed_over')
    ) AS settled
FROM inbound_message i
LEFT JOIN inbound_decision d ON d.merchant_id = i.merchant_id AND d.inbound_id = i.inbound_id;
