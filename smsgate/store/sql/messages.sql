-- name: message
-- scope: merchant
SELECT m.message_id, m.campaign_id, m.subscriber_id, m.msisdn, m.kind, m.sender, m.fields, m.body, m.order_id,
    m.inbound_id, v.text, e.body AS submitted, s.*, r.*, h.hold, h.hold_rule, h.not_before, l.currency
FROM message m
LEFT JOIN esme_message e ON e.merchant_id = m.merchant_id AND e.message_id = m.message_id
LEFT JOIN campaign c ON c.merchant_id = m.merchant_id AND c.campaign_id = m.campaign_id
LEFT JOIN offer_version v
    ON v.merchant_id = c.merchant_id AND v.offer_id = c.offer_id AND v.version = c.offer_version
CROSS JOIN LATERAL (
    SELECT count(*)::int AS known, coalesce(max(x.parts), 1)::int AS parts, sum(x.segments)::int AS segments, min(x.status) AS status_min,
        max(x.status) AS status_max, max(x.sell_item_id) AS sell_item_id,
        coalesce(sum(x.sell_micros), 0)::bigint AS sell_micros, max(x.sent_at) AS sent_at,
        max(x.reason) AS sent_reason
    FROM sent x
    WHERE x.merchant_id = m.merchant_id AND x.message_id = m.message_id
) s
-- The first final receipt of a segment counts: later ones do not change what happened.
CROSS JOIN LATERAL (
    SELECT count(*)::int AS finals, count(*) FILTER (WHERE f.state = 2)::int AS delivered,
        max(f.received_at) AS final_at
    FROM (
        SELECT DISTINCT ON (y.segment) y.segment, y.state, y.received_at
        FROM receipt y
        WHERE y.merchant_id = m.merchant_id AND y.message_id = m.message_id AND y.state = ANY ($3::smallint[])
        ORDER BY y.segment, y.received_at
    ) f
) r
-- What waits is in a chunk that names why, or waits for money; only messages without an outcome are looked for.
LEFT JOIN LATERAL (
    SELECT k.hold, k.hold_rule, k.not_before, 1 AS place FROM campaign_chunk k
    WHERE k.merchant_id = m.merchant_id AND k.campaign_id = m.campaign_id AND k.state = 'ready' AND k.hold IS NOT NULL
        AND k.message_id_base <= m.message_id AND m.message_id < k.message_id_base + k.message_count
        AND (k.members IS NULL OR m.message_id = ANY (k.members))
    UNION ALL
    SELECT 'budget', 'budget', b.short_until, 2 FROM budget b WHERE b.merchant_id = m.merchant_id AND budget_is_short(b)
    ORDER BY place LIMIT 1
) h ON s.known = 0
LEFT JOIN price_item i ON i.item_id = s.sell_item_id
LEFT JOIN price_list l ON l.price_list_id = i.price_list_id
WHERE m.merchant_id = $1 AND m.message_id = $2;

-- name: messages_page
-- scope: merchant
-- The page is cut first; its outcomes are looked up for its rows alone. A campaign's messages are found by
-- the ranges of ids that its chunks have.
SELECT p.*, v.text, e.body AS submitted, s.*, r.*, h.hold, h.hold_rule, h.not_before, l.currency
FROM (
    SELECT m.merchant_id, m.message_id, m.message_id AS page_id, m.campaign_id, m.subscriber_id, m.msisdn, m.kind,
        m.sender, m.fields, m.body, m.order_id, m.inbound_id
    FROM message m
    WHERE m.merchant_id = $1 AND m.message_id < $2
        AND ($5::bigint IS NULL OR (m.campaign_id = $5 AND m.message_id BETWEEN $6 AND $7))
        AND ($8::bigint IS NULL OR m.subscriber_id = $8)
        AND ($9::bigint IS NULL OR m.message_id >= $9)
        AND ($10::bigint IS NULL OR m.message_id <= $10)
        AND ($11::bigint[] IS NULL OR m.message_id = ANY ($11))
    ORDER BY m.message_id /* page */ DESC
    LIMIT $3
) p
LEFT JOIN esme_message e ON e.merchant_id = p.merchant_id AND e.message_id = p.message_id
LEFT JOIN campaign c ON c.merchant_id = p.merchant_id AND c.campaign_id = p.campaign_id
LEFT JOIN offer_version v
    ON v.merchant_id = c.merchant_id AND v.offer_id = c.offer_id AND v.version = c.offer_version
CROSS JOIN LATERAL (
    SELECT count(*)::int AS known, coalesce(max(x.parts), 1)::int AS parts, sum(x.segments)::int AS segments, min(x.status) AS status_min,
        max(x.status) AS status_max, max(x.sell_item_id) AS sell_item_id,
        coalesce(sum(x.sell_micros), 0)::bigint AS sell_micros, max(x.sent_at) AS sent_at,
        max(x.reason) AS sent_reason
    FROM sent x
    WHERE x.merchant_id = p.merchant_id AND x.message_id = p.message_id
) s
CROSS JOIN LATERAL (
    SELECT count(*)::int AS finals, count(*) FILTER (WHERE f.state = 2)::int AS delivered,
        max(f.received_at) AS final_at
    FROM (
        SELECT DISTINCT ON (y.segment) y.segment, y.state, y.received_at
        FROM receipt y
        WHERE y.merchant_id = p.merchant_id AND y.message_id = p.message_id AND y.state = ANY ($4::smallint[])
        ORDER BY y.segment, y.received_at
    ) f
) r
-- What waits is in a chunk that names why, or waits for money; only messages without an outcome are looked for.
LEFT JOIN LATERAL (
    SELECT k.hold, k.hold_rule, k.not_before, 1 AS place FROM campaign_chunk k
    WHERE k.merchant_id = p.merchant_id AND k.campaign_id = p.campaign_id AND k.state = 'ready' AND k.hold IS NOT NULL
        AND k.message_id_base <= p.message_id AND p.message_id < k.message_id_base + k.message_count
        AND (k.members IS NULL OR p.message_id = ANY (k.members))
    UNION ALL
    SELECT 'budget', 'budget', b.short_until, 2 FROM budget b WHERE b.merchant_id = p.merchant_id AND budget_is_short(b)
    ORDER BY place LIMIT 1
) h ON s.known = 0
LEFT JOIN price_item i ON i.item_id = s.sell_item_id
LEFT JOIN price_list l ON l.price_list_id = i.price_list_id;

-- name: campaign_message_range
-- scope: merchant
SELECT min(message_id_base) AS lo, max(message_id_base + message_count) AS hi
FROM campaign_chunk
WHERE merchant_id = $1 AND campaign_id = $2;

-- name: campaign_messages_in_state_page
-- scope: merchant
-- One pass over the outcomes of a campaign's range of ids, in the order of the primary key; the states are
-- those of smsgate.store.messages.state_of. Without a receipt: one may have come though the answer did not.
SELECT x.message_id AS page_id
FROM sent x
WHERE x.merchant_id = $1 AND x.message_id < $2 AND x.message_id BETWEEN $5 AND $6
    AND ($9::bigint IS NULL OR x.message_id >= $9)
    AND ($10::bigint IS NULL OR x.message_id <= $10)
    AND EXISTS (
        SELECT FROM message m
        WHERE m.merchant_id = $1 AND m.message_id = x.message_id AND m.campaign_id = $4
            AND ($11::bigint IS NULL OR m.subscriber_id = $11)
    )
GROUP BY x.message_id
HAVING $7::text IS NULL OR CASE
        WHEN max(x.status) > 0 THEN 'refused'
        WHEN max(x.status) = -2 THEN 'not_sent'
        WHEN min(x.status) = -1 AND NOT EXISTS (
            SELECT FROM receipt y
            WHERE y.merchant_id = $1 AND y.message_id = x.message_id AND y.state = ANY ($8::smallint[])
        ) THEN 'unknown'
    END = $7::text
ORDER BY x.message_id /* page */ DESC
LIMIT $3;

-- name: inbound_message
-- scope: merchant
SELECT inbound_id, msisdn, destination, text, subscriber_id, campaign_id, message_id, order_id, label, quantity,
    outcome, reason, rules_version, received_at
FROM inbound_message
WHERE merchant_id = $1 AND inbound_id = $2;

-- name: inbound_messages_page
-- scope: merchant
SELECT inbound_id, msisdn, destination, text, subscriber_id, campaign_id, message_id, order_id, label, quantity,
    outcome, reason, rules_version, received_at, inbound_id AS page_id
FROM inbound_message
WHERE merchant_id = $1 AND inbound_id < $2
    AND ($4::bigint IS NULL OR campaign_id = $4)
    AND ($5::text IS NULL OR label = $5)
    AND ($6::text IS NULL OR outcome = $6)
ORDER BY inbound_id DESC
LIMIT $3;
