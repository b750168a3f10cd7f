-- Replies that a person of the merchant decides about.

-- name: inbox_page
-- scope: merchant
SELECT i.inbound_id, i.msisdn, i.destination, i.text, i.subscriber_id, i.campaign_id, i.message_id, i.order_id, i.label,
    i.quantity, i.outcome, i.reason, i.rules_version, i.received_at, i.inbound_id AS page_id, i.verdict, i.decided_quantity,
    i.decided_outcome, i.decided_order_id, i.decided_by, i.key_id, i.decided_reason, i.decided_at, i.settled
FROM reply_case i
WHERE i.merchant_id = $1 AND i.inbound_id < $2 AND i.outcome IN (
        'asked', 'incomplete', 'repetition', 'disputed', 'cancel_requested', 'blocked', 'reassigned', 'start_refused', 'erasure_requested')
    AND (i.label NOT IN ('help', 'start') OR i.outcome = 'start_refused') AND i.msisdn <> 0
    AND i.reason <> ''  -- its text is out of retention: there is nothing left to decide about
    AND ($4::text IS NULL OR $4 = CASE WHEN i.verdict IS NOT NULL THEN 'decided' WHEN i.settled THEN 'settled'
        ELSE 'open' END)
ORDER BY i.inbound_id DESC
LIMIT $3;

-- name: decision
-- scope: merchant
SELECT verdict FROM inbound_decision WHERE merchant_id = $1 AND inbound_id = $2;

-- name: doubted
-- scope: msisdn
-- Of whatever merchant: the end of the doubt ($2, which is $3 after its reply) tells which reply it is of, and one that came
-- later stays. So does that of a merchant who has an older one to decide about, which holds for as long.
SELECT merchant_id, subscriber_id FROM subscriber s
 WHERE msisdn = $1 AND doubt_until = $2
   AND NOT EXISTS (
    SELECT FROM reply_case i
     WHERE i.merchant_id = s.merchant_id AND i.msisdn = $1 AND i.label = 'unclear' AND i.verdict IS NULL AND NOT i.settled
       AND i.received_at > $2::timestamptz - 2 * $3::interval AND i.received_at < $2::timestamptz - $3::interval)
 ORDER BY merchant_id;

-- name: end_doubt
-- scope: merchant
UPDATE subscriber SET doubt_until = NULL WHERE merchant_id = $1 AND subscriber_id = $2 AND doubt_until = $3;

-- name: decide
-- scope: merchant
INSERT INTO inbound_decision (
    merchant_id, inbound_id, verdict, quantity, outcome, order_id, decided_by, key_id, reason, decided_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
