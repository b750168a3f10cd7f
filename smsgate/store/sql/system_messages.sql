-- name: insert_system_messages
-- scope: merchant
-- An erased person's number is 0: nothing is said to nobody. An owner claims the text with it ($13), as
-- `take_interactive` would, but where money has to be set aside for it first. Not EXISTS, which may read all budgets.
WITH new_texts AS (
    SELECT *
    FROM unnest(
        $1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[], $5::text::text[],
        $6::text::text[], $7::text::text[], $8::text::bigint[], $9::text::bigint[], $10::timestamptz[], $11::bytea[],
        $12::bytea[], $13::text::bigint[]
    ) AS n (
        merchant_id, message_id, subscriber_id, msisdn, kind, sender, body, order_id, inbound_id, expires_at, push, tlvs, owner
    )
    WHERE n.msisdn <> 0
), written_texts AS (
    INSERT INTO message (merchant_id, message_id, subscriber_id, msisdn, kind, sender, body, order_id, inbound_id, push, tlvs)
    SELECT merchant_id, message_id, subscriber_id, msisdn, kind, sender, body, order_id, inbound_id, push, tlvs
    FROM new_texts
)
INSERT INTO interactive_queue (merchant_id, message_id, expires_at, owner)
SELECT merchant_id, message_id, expires_at,
    CASE WHEN n.owner IS NOT NULL AND (SELECT b.merchant_id FROM budget b WHERE b.merchant_id = n.merchant_id) IS NULL
         THEN n.owner END
FROM new_texts n
RETURNING message_id, owner;
