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
    AND e.direction IN ('mt', 'mo') AND ($5::timestamptz IS NULL OR e.at < $5 OR e.at = ANY ($6::timestamptz[]))
GROUP BY e.direction
ORDER BY e.direction;

-- name: recorded_since
-- scope: merchant
SELECT DISTINCT e.at
FROM ledger_entry e
WHERE e.merchant_id = $1 AND e.account = 'revenue' AND e.accepted_at >= $2 AND e.accepted_at < $3 AND e.currency = $4
    AND e.direction IN ('mt', 'mo') AND e.at >= $5
ORDER BY e.at;

-- name: billed_sums
-- scope: merchant
-- What lines of closes bill of the month that begins on $5, at the price of the messages; what was recorded since the last close is
-- on no line yet; less what was recorded from $6 on, at other instants than $7.
SELECT direction, sum(segments)::bigint AS segments, sum(amount_micros)::bigint AS amount_micros
FROM (
    SELECT i.direction, n.quantity AS segments, n.quantity * i.unit_micros AS amount_micros
    FROM document d
    JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
    JOIN price_item i ON i.item_id = l.item_id
    CROSS JOIN LATERAL (SELECT CASE WHEN d.doc_type = '381' THEN -l.quantity ELSE l.quantity END AS quantity) n
    WHERE d.merchant_id = $1 AND d.currency = $4 AND d.credits_id IS NULL AND l.kind = 'usage' AND l.origin = $5
    UNION ALL
    SELECT e.direction, w.sign * e.segments, w.sign * e.amount_micros
    FROM ledger_entry e
    CROSS JOIN (SELECT coalesce(max(p.cut_at), '-infinity') AS cut_at FROM billing_period p
                WHERE p.merchant_id = $1 AND p.month >= $5 AND p.closed_at IS NOT NULL) c
    CROSS JOIN LATERAL (VALUES (1, e.at >= c.cut_at), (-1, e.at >= $6 AND e.at <> ALL ($7::timestamptz[]))) AS w (sign, counts)
    WHERE e.merchant_id = $1 AND e.account = 'unbilled' AND e.direction IN ('mt', 'mo') AND e.currency = $4 AND e.accepted_at >= $2
        AND e.accepted_at < $3 AND w.counts
) x
GROUP BY direction
HAVING sum(segments) <> 0 OR sum(amount_micros) <> 0
ORDER BY direction;
