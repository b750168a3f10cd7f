-- Charges by receipt, and charges that are given back: both judge a message with its row locked.
-- LATERAL with OFFSET: each message by its key. A join read all that the merchant sent on the day for the few that are asked about.

-- name: lock_messages
-- scope: merchant
-- In the order in which they are given, as everybody locks them.
SELECT s.message_id
FROM unnest($2::bigint[], $3::smallint[]) AS t (message_id, segment)
CROSS JOIN LATERAL (
    SELECT message_id FROM sent WHERE merchant_id = $1 AND message_id = t.message_id AND segment = t.segment
    OFFSET 0 FOR NO KEY UPDATE) AS s

-- name: charges
-- scope: merchant
-- In a later statement than the lock, so that it sees what the one before committed. What was given back stays so, and the carrier
-- is paid all the same.
SELECT s.merchant_id, s.message_id, s.segment, m.campaign_id, s.carrier_id, s.segments, s.sell_item_id, s.sell_micros,
    s.cost_item_id, s.cost_micros, coalesce(i.basis = 'delivered', false) AND v.posting_id IS NULL AS sell_by_receipt,
    coalesce(k.basis = 'delivered', false) AS cost_by_receipt, l.currency, n.currency AS cost_currency,
    s.status = 0 AND coalesce(r.state = $5::smallint, false) AS charged
FROM unnest($1::bigint[], $2::bigint[], $3::smallint[]) AS t (merchant_id, message_id, segment)
CROSS JOIN LATERAL (
    SELECT * FROM sent WHERE merchant_id = t.merchant_id AND message_id = t.message_id AND segment = t.segment OFFSET 0) AS s
LEFT JOIN LATERAL (
    SELECT campaign_id FROM message WHERE merchant_id = t.merchant_id AND message_id = t.message_id OFFSET 0) AS m ON true
LEFT JOIN price_item i ON i.item_id = s.sell_item_id
LEFT JOIN price_list l ON l.price_list_id = i.price_list_id
LEFT JOIN price_item k ON k.item_id = s.cost_item_id
LEFT JOIN price_list n ON n.price_list_id = k.price_list_id
LEFT JOIN LATERAL (
    SELECT f.state FROM receipt f
    WHERE f.merchant_id = t.merchant_id AND f.message_id = t.message_id AND f.segment = t.segment
        AND f.state = ANY($4::smallint[])
    ORDER BY f.received_at, f.state LIMIT 1) r ON true
LEFT JOIN charge_reversal v ON v.merchant_id = t.merchant_id AND v.message_id = t.message_id AND v.segment = t.segment
WHERE (i.basis = 'delivered' AND v.posting_id IS NULL) OR k.basis = 'delivered'

-- name: of_delivered_basis
-- scope: merchant
SELECT s.merchant_id, s.message_id, s.segment
FROM unnest($1::bigint[], $2::bigint[], $3::smallint[]) AS t (merchant_id, message_id, segment)
CROSS JOIN LATERAL (
    SELECT * FROM sent WHERE merchant_id = t.merchant_id AND message_id = t.message_id AND segment = t.segment OFFSET 0) AS s
WHERE EXISTS (SELECT FROM price_item i WHERE i.item_id IN (s.sell_item_id, s.cost_item_id) AND i.basis = 'delivered')

-- name: reversible
-- scope: merchant
-- Charged, and not given back yet; of delivered basis those whose first final receipt says DELIVRD.
SELECT s.merchant_id, s.message_id, s.segment, m.campaign_id, s.carrier_id, s.segments, s.sell_item_id, s.sell_micros,
    l.currency
FROM unnest($1::bigint[], $2::bigint[], $3::smallint[]) AS t (merchant_id, message_id, segment)
CROSS JOIN LATERAL (
    SELECT * FROM sent WHERE merchant_id = t.merchant_id AND message_id = t.message_id AND segment = t.segment OFFSET 0) AS s
JOIN price_item i ON i.item_id = s.sell_item_id
JOIN price_list l ON l.price_list_id = i.price_list_id
LEFT JOIN LATERAL (
    SELECT campaign_id FROM message WHERE merchant_id = t.merchant_id AND message_id = t.message_id OFFSET 0) AS m ON true
LEFT JOIN LATERAL (
    SELECT f.state FROM receipt f
    WHERE f.merchant_id = t.merchant_id AND f.message_id = t.message_id AND f.segment = t.segment
        AND f.state = ANY($4::smallint[])
    ORDER BY f.received_at, f.state LIMIT 1) r ON true
WHERE s.status = 0 AND (i.basis = 'submit' OR r.state = $5::smallint)
    AND NOT EXISTS (SELECT FROM charge_reversal v
                    WHERE v.merchant_id = t.merchant_id AND v.message_id = t.message_id AND v.segment = t.segment)

-- name: reversible_replies
-- scope: merchant
-- Charged, and not given back yet.
SELECT i.inbound_id, i.campaign_id, i.carrier_id, i.segments, i.sell_item_id, i.sell_micros, i.received_at, l.currency
FROM inbound_message i
JOIN price_item p ON p.item_id = i.sell_item_id
JOIN price_list l ON l.price_list_id = p.price_list_id
WHERE i.merchant_id = $1 AND i.inbound_id = ANY($2::bigint[])
    AND NOT EXISTS (SELECT FROM charge_reversal v WHERE v.merchant_id = i.merchant_id AND v.message_id = i.inbound_id)
ORDER BY i.inbound_id

-- name: segments_of
-- scope: merchant
SELECT merchant_id, message_id, segment FROM sent WHERE merchant_id = $1 AND message_id = ANY($2::bigint[])

-- name: insert_reversals
-- scope: merchant
INSERT INTO charge_reversal (merchant_id, message_id, segment, posting_id, reason, at)
SELECT $1, t.message_id, t.segment, t.posting_id, $5, $6
FROM unnest($2::bigint[], $3::smallint[], $4::bigint[]) AS t (message_id, segment, posting_id)
