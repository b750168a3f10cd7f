-- name: insert_system_messages
-- scope: merchant
-- An erased person's number is 0: nothing is said to nobody.
WITH new_texts AS (
    SELECT *
    FROM unnest(
        $1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[], $5::text::text[],
        $6::text::text[], $7::text::text[], $8::text::bigint[], $9::text::bigint[], $10::timestamptz[], $11::bytea[],
        $12::bytea[]
    ) AS n (
        merchant_id, message_id, subscriber_id, msisdn, kind, sender, body, order_id, inbound_id, expires_at, push, tlvs
    )
    WHERE n.msisdn <> 0
), written_texts AS (
    INSERT INTO message (merchant_id, message_id, subscriber_id, msisdn, kind, sender, body, order_id, inbound_id, push, tlvs)
    SELECT merchant_id, message_id, subscriber_id, msisdn, kind, sender, body, order_id, inbound_id, push, tlvs
    FROM new_texts
)
INSERT INTO interactive_queue (merchant_id, message_id, expires_at)
SELECT merchant_id, message_id, expires_at
FROM new_texts;
