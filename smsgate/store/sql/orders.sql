-- name: order
-- scope: merchant
SELECT o.*, v.item, v.shop_name, v.shop_answer_s, v.confirm_by_sms, v.language AS offer_language, s.language AS person_language, m.timezone,
    coalesce((
        SELECT max(e.seq) FROM order_event e WHERE e.merchant_id = o.merchant_id AND e.order_id = o.order_id
    ), 0) AS seq
FROM orders o
JOIN offer_version v
    ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id AND v.version = o.offer_version
JOIN merchant m ON m.merchant_id = o.merchant_id
LEFT JOIN subscriber s ON s.merchant_id = o.merchant_id AND s.subscriber_id = o.subscriber_id
WHERE o.merchant_id = $1 AND o.order_id = $2;

-- name: orders_page
-- scope: merchant
SELECT o.*, v.item, v.shop_name, v.shop_answer_s, v.confirm_by_sms, v.language AS offer_language, s.language AS person_language, o.order_id AS page_id,
    (SELECT timezone FROM merchant WHERE merchant_id = $1) AS timezone,
    coalesce((
        SELECT max(e.seq) FROM order_event e WHERE e.merchant_id = o.merchant_id AND e.order_id = o.order_id
    ), 0) AS seq
FROM orders o
JOIN offer_version v
    ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id AND v.version = o.offer_version
LEFT JOIN subscriber s ON s.merchant_id = o.merchant_id AND s.subscriber_id = o.subscriber_id
WHERE o.merchant_id = $1 AND o.order_id < $2
    AND ($4::text IS NULL OR o.state = $4)
    AND ($5::bigint IS NULL OR o.campaign_id = $5)
    AND ($6::text IS NULL OR o.number = $6)
ORDER BY o.order_id DESC
LIMIT $3;

-- name: order_steps
-- scope: merchant
SELECT seq, event, state, actor, detail::text AS detail, at
FROM order_event
WHERE merchant_id = $1 AND order_id = $2
ORDER BY seq;

-- name: lock_offer
-- scope: merchant
-- Where pieces are counted: nothing else of an offer changes with an order.
SELECT offer_id FROM offer WHERE merchant_id = $1 AND offer_id = $2 AND stock_remaining IS NOT NULL FOR NO KEY UPDATE;

-- name: lock_order
-- scope: merchant
SELECT order_id FROM orders WHERE merchant_id = $1 AND order_id = $2 FOR UPDATE;

-- name: order_seq
-- scope: merchant
-- A statement of its own, after the lock: one that waited for it still sees what was before the wait.
SELECT coalesce(max(seq), 0) FROM order_event WHERE merchant_id = $1 AND order_id = $2;

-- name: change_order
-- scope: merchant
UPDATE orders
SET state = $3, shop_ref = $4, changed_at = $5, stock_held = $6, due_event = $7, due_at = $8, delivered_at = $9
WHERE merchant_id = $1 AND order_id = $2;

-- name: due_orders
-- scope: report
SELECT merchant_id, order_id FROM orders WHERE due_at <= $1 ORDER BY due_at LIMIT $2;

-- name: end_wait
-- scope: merchant
-- The shop has the order: nothing happens to it by time any more.
UPDATE orders SET due_event = NULL, due_at = NULL
WHERE merchant_id = $1 AND order_id = $2 AND due_event = $3 AND due_at = $4;

-- name: shop_has_order
-- scope: merchant
-- Handed over by a webhook; or the shop has no endpoint for orders, so it reads them by the API.
SELECT EXISTS (
    SELECT FROM event e
    JOIN webhook_delivery d ON d.merchant_id = e.merchant_id AND d.event_id = e.event_id AND d.state = 'delivered'
    WHERE e.merchant_id = $1 AND e.subject = $2 AND e.type = 'order.created' AND e.event_id >= $3
) OR NOT EXISTS (
    SELECT FROM webhook_endpoint
    WHERE merchant_id = $1 AND (cardinality(event_types) = 0 OR 'order.created' = ANY (event_types))
);

-- name: insert_order_event
-- scope: merchant
INSERT INTO order_event (merchant_id, order_id, seq, event, state, actor, detail, at)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8);

-- name: give_stock_back
-- scope: merchant
-- An offer without counted stock stays so, and nobody waits for its row.
UPDATE offer SET stock_remaining = stock_remaining + $3 WHERE merchant_id = $1 AND offer_id = $2 AND stock_remaining IS NOT NULL;

-- name: take_stock
-- scope: merchant
-- Of an offer that is locked; no row where fewer are left.
UPDATE offer SET stock_remaining = stock_remaining - $3
 WHERE merchant_id = $1 AND offer_id = $2 AND stock_remaining >= $3
RETURNING stock_remaining = 0 AND state <> 'withdrawn' AS sold_out;

-- name: message_costs
-- scope: merchant
-- What outlived its partition, here and below, is in the tables of the names with kept_.
SELECT s.sell_item_id AS item_id, i.network, i.unit_micros, sum(s.segments)::int AS segments,
    sum(s.sell_micros)::bigint AS sell_micros, l.currency
FROM (
    SELECT sell_item_id, segments, sell_micros FROM sent WHERE merchant_id = $1 AND message_id = $2
    UNION ALL
    SELECT sell_item_id, segments, sell_micros FROM kept_sent WHERE merchant_id = $1 AND message_id = $2
) AS s
JOIN price_item i ON i.item_id = s.sell_item_id
JOIN price_list l ON l.price_list_id = i.price_list_id
GROUP BY 1, 2, 3, 6
ORDER BY 1;

-- name: system_message_costs
-- scope: merchant
-- System messages about an order are made after it, so only later partitions are looked at.
SELECT coalesce(sum(s.sell_micros), 0)::bigint AS sell_micros, count(DISTINCT m.message_id)::int AS messages
FROM (
    SELECT message_id FROM message
    WHERE merchant_id = $1 AND order_id = $2 AND campaign_id IS NULL AND message_id >= $3 AND message_id < $4
    UNION ALL
    SELECT message_id FROM kept_message
    WHERE merchant_id = $1 AND order_id = $2 AND campaign_id IS NULL AND message_id >= $3 AND message_id < $4
) AS m
CROSS JOIN LATERAL (
    SELECT sell_micros FROM sent
    WHERE merchant_id = $1 AND message_id = m.message_id AND message_id >= $3 AND message_id < $4
    UNION ALL
    SELECT sell_micros FROM kept_sent WHERE merchant_id = $1 AND message_id = m.message_id
) AS s;
