-- name: charged_messages
-- scope: merchant
-- In the order of acceptance, so that it streams: partitions are ranges of ids, and each has its index. What is charged
-- on delivery counts when its first final receipt says so; what was given back does not. $4 is the currency, $5 the final states of receipts.
SELECT s.message_id, s.segment, m.campaign_id, coalesce(c.external_id, '') AS external_id, s.sent_at, m.msisdn, m.sender,
    i.network, s.segments, i.unit_micros, s.sell_micros, s.sell_item_id, r.state, r.received_at
FROM sent s
JOIN message m ON m.merchant_id = s.merchant_id AND m.message_id = s.message_id
JOIN price_item i ON i.item_id = s.sell_item_id
JOIN price_list l ON l.price_list_id = i.price_list_id AND l.currency = $4
LEFT JOIN campaign c ON c.merchant_id = m.merchant_id AND c.campaign_id = m.campaign_id
LEFT JOIN LATERAL (
    SELECT y.state, y.received_at FROM receipt y
    WHERE y.merchant_id = s.merchant_id AND y.message_id = s.message_id AND y.segment = s.segment AND y.state = ANY ($5::smallint[])
    ORDER BY y.received_at, y.state
    LIMIT 1
) r ON true
WHERE s.merchant_id = $1 AND s.message_id >= $2 AND s.message_id < $3 AND s.status = 0
    AND m.message_id >= $2 AND m.message_id < $3 AND (i.basis = 'submit' OR r.state = 2)
    AND NOT EXISTS (SELECT FROM charge_reversal v
                    WHERE v.merchant_id = s.merchant_id AND v.message_id = s.message_id AND v.segment = s.segment)
ORDER BY s.message_id, s.segment;

-- name: received_messages
-- scope: merchant
SELECT i.inbound_id, i.campaign_id, coalesce(c.external_id, '') AS external_id, i.received_at, i.msisdn, i.destination,
    p.network, i.segments, p.unit_micros, i.sell_micros, i.sell_item_id
FROM inbound_message i
JOIN price_item p ON p.item_id = i.sell_item_id
JOIN price_list l ON l.price_list_id = p.price_list_id AND l.currency = $4
LEFT JOIN campaign c ON c.merchant_id = i.merchant_id AND c.campaign_id = i.campaign_id
WHERE i.merchant_id = $1 AND i.received_at >= $2 AND i.received_at < $3
    AND NOT EXISTS (SELECT FROM charge_reversal v WHERE v.merchant_id = i.merchant_id AND v.message_id = i.inbound_id)
ORDER BY i.inbound_id;

-- name: ledger_sums
-- scope: merchant
SELECT e.direction, sum(e.messages)::bigint AS messages, sum(e.segments)::bigint AS segments,
    -sum(e.amount_micros)::bigint AS amount_micros
FROM ledger_entry e
WHERE e.merchant_id = $1 AND e.account = 'revenue' AND e.accepted_at >= $2 AND e.accepted_at < $3 AND e.currency = $4
    AND e.direction IN ('mt', 'mo') AND ($5::timestamptz IS NULL OR e.at < $5)
GROUP BY e.direction
ORDER BY e.direction;
