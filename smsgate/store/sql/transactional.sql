-- name: recipient
-- scope: merchant
SELECT s.subscriber_id, s.msisdn, s.offers_state, ARRAY(
    SELECT o.purpose || '=' || o.state FROM consent_state o
    WHERE o.merchant_id = $1 AND o.subscriber_id = s.subscriber_id
) AS others
FROM subscriber s
WHERE s.merchant_id = $1
    AND s.subscriber_id = coalesce($2, (SELECT n.subscriber_id FROM subscriber n WHERE n.merchant_id = $1 AND n.msisdn = $3));

-- name: writes_from
-- scope: merchant
INSERT INTO sender_merchant (sender, merchant_id)
SELECT $2, $1 WHERE NOT EXISTS (SELECT FROM sender_merchant WHERE sender = $2 AND merchant_id = $1)
    ON CONFLICT DO NOTHING;

-- name: lock_recipient
-- scope: merchant
SELECT s.offers_state, ARRAY(
    SELECT o.purpose || '=' || o.state FROM consent_state o
    WHERE o.merchant_id = $1 AND o.subscriber_id = s.subscriber_id
) AS others
FROM subscriber s
WHERE s.merchant_id = $1 AND s.subscriber_id = $2
FOR SHARE OF s;
