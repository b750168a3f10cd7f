-- One message's money: rows of one merchant, each looked up by its key.

-- name: owner_of_message
-- scope: report
SELECT m.merchant_id FROM merchant m
WHERE EXISTS (SELECT FROM message x WHERE x.merchant_id = m.merchant_id AND x.message_id = $1)

-- name: owner_of_reply
-- scope: report
-- A reply may concern several merchants, each by a row and an id of its own.
SELECT m.merchant_id FROM merchant m
WHERE EXISTS (SELECT FROM inbound_message x WHERE x.merchant_id = m.merchant_id AND x.inbound_id = $1)

-- name: message
-- scope: merchant
SELECT campaign_id, msisdn FROM message WHERE merchant_id = $1 AND message_id = $2

-- name: parts
-- scope: merchant
-- `wrote`: the transactions that wrote the outcome and the receipt; a posting of one of them holds the charge.
SELECT s.segment, s.status, s.reason, s.segments, s.sent_at, s.carrier_id, coalesce(c.name, '') AS carrier, s.sell_item_id,
    s.sell_micros, s.cost_item_id, s.cost_micros, r.state, r.received_at, v.posting_id AS back_id, v.at AS back_at,
    v.reason AS back_reason, ARRAY[s.xmin::text, r.wrote] AS wrote
FROM sent s
LEFT JOIN carrier c ON c.carrier_id = s.carrier_id
LEFT JOIN charge_reversal v ON v.merchant_id = s.merchant_id AND v.message_id = s.message_id AND v.segment = s.segment
LEFT JOIN LATERAL (
    SELECT y.state, y.received_at, y.xmin::text AS wrote FROM receipt y
    WHERE y.merchant_id = s.merchant_id AND y.message_id = s.message_id AND y.segment = s.segment AND y.state = ANY ($3::smallint[])
    ORDER BY y.received_at, y.state
    LIMIT 1
) r ON true
WHERE s.merchant_id = $1 AND s.message_id = $2
ORDER BY s.segment

-- name: reply
-- scope: merchant
SELECT i.campaign_id, i.msisdn, i.received_at, i.outcome, i.carrier_id, coalesce(c.name, '') AS carrier, i.segments,
    i.sell_item_id, i.sell_micros, v.posting_id AS back_id, v.at AS back_at, v.reason AS back_reason, i.xmin::text AS wrote
FROM inbound_message i
LEFT JOIN charge_reversal v ON v.merchant_id = i.merchant_id AND v.message_id = i.inbound_id
LEFT JOIN carrier c ON c.carrier_id = i.carrier_id
WHERE i.merchant_id = $1 AND i.inbound_id = $2

-- name: postings
-- scope: merchant
-- What may hold a charge: the same price, campaign, carrier and quarter of an hour of acceptance. $7 and $8 bound the index.
SELECT e.posting_id, e.at, e.messages, e.segments, -e.amount_micros AS amount_micros, e.xmin::text AS wrote
FROM ledger_entry e
WHERE e.merchant_id = $1 AND e.account = 'revenue' AND e.direction = $2 AND e.item_id = $3 AND e.accepted_at = $4
    AND e.campaign_id IS NOT DISTINCT FROM $5 AND e.carrier_id = $6 AND e.at >= $7 AND e.at < $8 AND e.messages > 0
ORDER BY e.at, e.posting_id

-- name: prices
-- scope: control
SELECT i.item_id, i.direction, i.network, i.unit_micros, i.basis, i.ladder::text AS ladder, i.version, l.name, l.currency,
    v.effective_from, (SELECT min(n.effective_from) FROM price_version n
                       WHERE n.price_list_id = i.price_list_id AND n.effective_from > v.effective_from) AS effective_until,
    NOT EXISTS (SELECT FROM price_version n
                WHERE n.price_list_id = i.price_list_id AND n.effective_from < v.effective_from) AS is_first
FROM price_item i
JOIN price_list l ON l.price_list_id = i.price_list_id
JOIN price_version v ON v.price_list_id = i.price_list_id AND v.version = i.version
WHERE i.item_id = ANY ($1::bigint[])

-- name: cuts
-- scope: merchant
SELECT month, cut_at, closed_at IS NOT NULL AS closed FROM billing_period
WHERE merchant_id = $1 AND month >= $2
ORDER BY month

-- name: first_month
-- scope: merchant
-- What `close_states` has of one merchant.
SELECT (SELECT min(b.month) FROM billing_period b WHERE b.merchant_id = $1) AS first_cut,
    (SELECT min(c.first_month) FROM billing_commitment c WHERE c.merchant_id = $1) AS first_minimum,
    (SELECT l.accepted_at FROM ledger_entry l
     WHERE l.merchant_id = $1 AND l.account = 'unbilled' ORDER BY l.at LIMIT 1) AS first_charge

-- name: lines
-- scope: merchant
SELECT d.document_id, d.series, d.number, d.doc_type, d.month, d.issued_on, d.currency, l.line, l.item_id, l.quantity,
    l.unit_micros, l.net_minor, l.vat_category, l.vat_rate_micros
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.credits_id IS NULL AND d.month >= $3 AND l.kind = 'usage' AND l.item_id = ANY ($2::bigint[])
    AND l.origin = $3
ORDER BY d.document_id, l.line

-- name: credits
-- scope: merchant
SELECT d.series, d.number, d.credits_id, l.credits_line, l.quantity
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.credits_id = ANY ($2::bigint[])
ORDER BY d.document_id, l.line
