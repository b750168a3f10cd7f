-- Reconciliation with carriers, and margins.

-- name: pairs
-- scope: report
-- Both sides by the carrier's id, folded as receipts' are. Of ours: what the carrier took, a while beyond its month on
-- both sides. Of an id that stands for several rows they meet one by one in the order of time, never each with each. $2 and $3
-- bound the partitions, $4 and $5 the time, $6 the currency, $7 the final states, $8 the file's rows.
SELECT coalesce(o.id, c.message_id) AS id, o.merchant_id, o.message_id, o.segment, o.smsc_id, o.sent_at, o.segments, o.cost_micros,
    o.owed, o.msisdn, o.states, o.received_at, c.place, c.at, c.segments AS their_segments, c.cost_micros AS their_micros, c.network
FROM (
    SELECT f.id, row_number() OVER (PARTITION BY f.id ORDER BY s.sent_at, s.message_id, s.segment) AS n, s.merchant_id, s.message_id, s.segment, s.smsc_id, s.sent_at,
        s.segments, CASE WHEN s.cost_item_id <> 0 THEN s.cost_micros END AS cost_micros,
        i.basis IS DISTINCT FROM 'delivered' OR r.states[1] = 2 AS owed, m.msisdn, r.states, r.received_at
    FROM sent s
    CROSS JOIN LATERAL (SELECT lower(encode(s.smsc_id, 'escape')) AS text) e
    CROSS JOIN LATERAL (SELECT coalesce(nullif(ltrim(e.text, '0'), ''), left(e.text, 1)) AS id) f
    LEFT JOIN message m ON m.merchant_id = s.merchant_id AND m.message_id = s.message_id AND m.message_id >= $2 AND m.message_id < $3
    LEFT JOIN price_item i ON i.item_id = s.cost_item_id
    LEFT JOIN price_list l ON l.price_list_id = i.price_list_id
    LEFT JOIN LATERAL (
        SELECT array_agg(y.state ORDER BY y.received_at, y.state) AS states, min(y.received_at) AS received_at FROM receipt y
        WHERE y.merchant_id = s.merchant_id AND y.message_id = s.message_id AND y.segment = s.segment
            AND y.message_id >= $2 AND y.message_id < $3 AND y.state = ANY ($7::smallint[])
    ) r ON true
    WHERE s.carrier_id = $1 AND s.status = 0 AND s.message_id >= $2 AND s.message_id < $3 AND s.sent_at >= $4 AND s.sent_at < $5
        AND (s.cost_item_id = 0 OR l.currency = $6)
) o
FULL JOIN (
    SELECT *, row_number() OVER (PARTITION BY message_id ORDER BY at, place) AS n FROM carrier_record WHERE reconciliation_id = $8
) c ON c.message_id = o.id AND c.n = o.n
ORDER BY 1, coalesce(o.n, c.n)

-- name: forget_records
-- scope: control
DELETE FROM carrier_record WHERE reconciliation_id = $1

-- name: carrier
-- scope: control
SELECT carrier_id FROM carrier WHERE name = $1

-- name: find
-- scope: control
SELECT reconciliation_id FROM reconciliation WHERE carrier_id = $1 AND month = $2 AND file_sha256 = $3

-- name: insert
-- scope: control
INSERT INTO reconciliation (reconciliation_id, carrier_id, month, zone, currency, by_message, file_name, file_sha256, file_rows,
                            our_micros, invoiced_micros, allowed_micros, verdict, counts, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::jsonb, $15)
ON CONFLICT (carrier_id, month, file_sha256) DO NOTHING
RETURNING reconciliation_id

-- name: insert_lines
-- scope: control
INSERT INTO reconciliation_line (reconciliation_id, line, network, our_unit_micros, their_unit_micros, our_segments,
                                 their_segments, our_micros, their_micros)
SELECT $1, t.line, t.network, t.our_unit, t.their_unit, t.our_segments, t.their_segments, t.our_micros, t.their_micros
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    WITH ORDINALITY AS t (network, our_unit, their_unit, our_segments, their_segments, our_micros, their_micros, line)

-- name: page
-- scope: control
-- The operator's list: $1 is 0, its own number.
SELECT r.reconciliation_id AS page_id, r.reconciliation_id, c.name AS carrier, r.month, r.zone, r.currency, r.by_message, r.file_name,
    r.file_sha256, r.file_rows, r.our_micros, r.invoiced_micros, r.allowed_micros, r.verdict, r.counts::text AS counts, r.created_at
FROM reconciliation r
JOIN carrier c ON c.carrier_id = r.carrier_id
WHERE $1::bigint = 0 AND r.reconciliation_id < $2
ORDER BY r.reconciliation_id DESC
LIMIT $3

-- name: reconciliation
-- scope: control
SELECT r.reconciliation_id, c.name AS carrier, r.month, r.zone, r.currency, r.by_message, r.file_name, r.file_sha256, r.file_rows,
    r.our_micros, r.invoiced_micros, r.allowed_micros, r.verdict, r.counts::text AS counts, r.created_at
FROM reconciliation r
JOIN carrier c ON c.carrier_id = r.carrier_id
WHERE r.reconciliation_id = $1

-- name: lines
-- scope: control
SELECT network, our_unit_micros, their_unit_micros, our_segments, their_segments, our_micros, their_micros
FROM reconciliation_line WHERE reconciliation_id = $1 ORDER BY line

-- name: margins
-- scope: report
-- A month of each merchant's own zone, by the acceptance of its messages; what documents moved is not in it. $2: the merchant.
SELECT m.merchant_id, m.slug AS merchant, e.campaign_id, coalesce(k.external_id, '') AS external_id, e.carrier_id, coalesce(c.name, '') AS carrier,
    e.currency, coalesce(sum(e.messages) FILTER (WHERE e.account = 'revenue'), 0)::bigint AS messages,
    coalesce(sum(e.segments) FILTER (WHERE e.account = 'revenue'), 0)::bigint AS segments,
    coalesce(-sum(e.amount_micros) FILTER (WHERE e.account = 'revenue'), 0)::bigint AS revenue_micros,
    coalesce(sum(e.amount_micros) FILTER (WHERE e.account = 'cost'), 0)::bigint AS cost_micros,
    greatest(0, coalesce(sum(e.segments) FILTER (WHERE e.account = 'revenue' AND e.direction = 'mt'), 0)
        - coalesce(sum(e.segments) FILTER (WHERE e.account = 'cost'), 0))::bigint AS uncosted_segments
FROM merchant m
JOIN ledger_entry e ON e.merchant_id = m.merchant_id AND e.account IN ('revenue', 'cost') AND e.direction IN ('mt', 'mo')
    AND e.accepted_at >= $1::date::timestamp AT TIME ZONE m.timezone
    AND e.accepted_at < ($1::date + interval '1 month') AT TIME ZONE m.timezone
    AND e.at >= $1::date::timestamp AT TIME ZONE m.timezone - interval '1 day'
LEFT JOIN campaign k ON k.merchant_id = e.merchant_id AND k.campaign_id = e.campaign_id
LEFT JOIN carrier c ON c.carrier_id = e.carrier_id
WHERE $2::bigint IS NULL OR m.merchant_id = $2
GROUP BY m.merchant_id, m.slug, e.campaign_id, k.external_id, e.carrier_id, c.name, e.currency
ORDER BY m.slug, e.campaign_id, e.carrier_id, e.currency
LIMIT $3
