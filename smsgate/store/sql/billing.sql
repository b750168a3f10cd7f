-- name: billing_merchant
-- scope: merchant
SELECT m.merchant_id, m.name, m.slug, m.timezone, m.language, m.currency, p.legal_name, p.street, p.postcode, p.city, p.country,
    p.legal_id, p.legal_scheme, p.vat_number, p.einvoicing_id, p.einvoicing_scheme, p.payment_days, p.business,
    ARRAY(SELECT v.valid_from FROM billing_vat v
          WHERE v.merchant_id = m.merchant_id AND v.category = 'AE' AND v.vat_number <> '' ORDER BY v.valid_from) AS reverse_from,
    ARRAY(SELECT v.vat_number FROM billing_vat v
          WHERE v.merchant_id = m.merchant_id AND v.category = 'AE' AND v.vat_number <> '' ORDER BY v.valid_from) AS reverse_numbers
FROM merchant m
LEFT JOIN billing_profile p ON p.merchant_id = m.merchant_id
WHERE m.merchant_id = $1

-- name: merchant_vat
-- scope: merchant
SELECT valid_from, category, rate_micros FROM billing_vat WHERE merchant_id = $1

-- name: merchant_commitments
-- scope: merchant
SELECT currency, minimum_minor, first_month, last_month FROM billing_commitment WHERE merchant_id = $1 ORDER BY version

-- name: close_states
-- scope: report
-- What each merchant's closes have come to, and when its first charge or minimum is.
SELECT m.merchant_id, m.timezone, b.last_cut, b.open_months, e.accepted_at AS first_charge,
    (SELECT min(c.first_month) FROM billing_commitment c WHERE c.merchant_id = m.merchant_id) AS first_minimum
FROM merchant m
LEFT JOIN LATERAL (
    SELECT max(p.month) AS last_cut, array_agg(p.month ORDER BY p.month) FILTER (WHERE p.closed_at IS NULL) AS open_months
    FROM billing_period p WHERE p.merchant_id = m.merchant_id) b ON true
LEFT JOIN LATERAL (
    SELECT l.accepted_at FROM ledger_entry l
    WHERE l.merchant_id = m.merchant_id AND l.account = 'unbilled' ORDER BY l.at LIMIT 1) e ON true
WHERE m.test_of IS NULL AND ($1::bigint IS NULL OR m.merchant_id = $1)
ORDER BY m.merchant_id

-- name: lock_cuts
-- scope: control
-- Every flush holds it shared while it posts, so a cut waits for those that run, and those that wait see the cut.
SELECT pg_advisory_xact_lock(7203001)

-- name: cut_periods
-- scope: merchant
-- Months are cut in their order, and at instants that do not fall.
INSERT INTO billing_period (merchant_id, month, starts_at, ends_at, cut_at)
SELECT t.merchant_id, t.month, t.starts_at, t.ends_at, t.cut_at
FROM unnest($1::bigint[], $2::date[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
    AS t (merchant_id, month, starts_at, ends_at, cut_at)
WHERE NOT EXISTS (
    SELECT FROM billing_period b
    WHERE b.merchant_id = t.merchant_id AND (b.month >= t.month OR b.cut_at > t.cut_at))
ON CONFLICT (merchant_id, month) DO NOTHING

-- name: period
-- scope: merchant
SELECT b.month, b.starts_at, b.ends_at, b.cut_at, b.closed_at,
    (SELECT max(p.cut_at) FROM billing_period p WHERE p.merchant_id = b.merchant_id AND p.month < b.month) AS previous_cut_at
FROM billing_period b
WHERE b.merchant_id = $1 AND b.month = $2

-- name: usage_of_period
-- scope: merchant
-- Recorded before the cut: the month's own, and of earlier months what the close before left over. $2 bounds the index.
SELECT item_id, currency, (accepted_at AT TIME ZONE $7)::date AS day, sum(segments)::bigint AS segments,
    sum(amount_micros)::bigint AS amount_micros
FROM ledger_entry
WHERE merchant_id = $1 AND account = 'unbilled' AND direction <> 'document' AND at >= $2 AND at < $3
    AND accepted_at < $5 AND (accepted_at >= $4 OR at >= $6)
GROUP BY 1, 2, 3

-- name: booked_of_period
-- scope: merchant
-- The same entries by quarter of an hour of acceptance, for whoever adds a document up; parameters as above, $8 is its currency.
SELECT e.item_id, e.campaign_id, coalesce(c.external_id, '') AS external_id, e.direction, e.accepted_at,
    (e.accepted_at AT TIME ZONE $7)::date AS day, i.network, i.unit_micros, i.ladder IS NOT NULL AS tiered,
    min(e.at) AS recorded_from, max(e.at) AS recorded_to, sum(e.messages)::bigint AS messages,
    sum(e.segments)::bigint AS segments, sum(e.amount_micros)::bigint AS amount_micros
FROM ledger_entry e
JOIN price_item i ON i.item_id = e.item_id
LEFT JOIN campaign c ON c.merchant_id = e.merchant_id AND c.campaign_id = e.campaign_id
WHERE e.merchant_id = $1 AND e.account = 'unbilled' AND e.direction <> 'document' AND e.at >= $2 AND e.at < $3
    AND e.accepted_at < $5 AND (e.accepted_at >= $4 OR e.at >= $6) AND e.currency = $8
GROUP BY e.item_id, e.campaign_id, c.external_id, e.direction, e.accepted_at, i.network, i.unit_micros, i.ladder
ORDER BY e.accepted_at, e.item_id, e.campaign_id, e.direction

-- name: ledger_of_month
-- scope: merchant
-- All that was accepted in a month, whenever it was recorded; $4: no entry is recorded long before its acceptance. Before
-- $5 the message rows are gone: from the first day on whose sums were kept these count; what is older stands in the ledger alone.
-- $6: with replies, whose rows stay.
SELECT item_id, sum(segments)::bigint AS segments, sum(amount_micros)::bigint AS micros
FROM ledger_entry
WHERE merchant_id = $1 AND account = 'unbilled' AND accepted_at >= $2 AND accepted_at < $3 AND at >= $4
    AND (direction = 'mt' AND accepted_at >= least($5, (SELECT min(day)::timestamp AT TIME ZONE 'UTC' FROM retired_day))
         OR direction = 'mo' AND $6::boolean)
GROUP BY item_id

-- name: messages_of_month
-- scope: merchant
SELECT sell_item_id AS item_id, sum(segments)::bigint AS segments, sum(sell_micros)::bigint AS micros
FROM sent
WHERE merchant_id = $1 AND message_id >= $2 AND message_id < $3 AND status = 0 AND sell_item_id <> 0
GROUP BY sell_item_id

-- name: delivered_of_month
-- scope: merchant
-- Charged are those whose first final receipt says DELIVRD (2); $4: items of that basis.
SELECT s.sell_item_id AS item_id, sum(s.segments)::bigint AS segments, sum(s.sell_micros)::bigint AS micros
FROM sent s
WHERE s.merchant_id = $1 AND s.message_id >= $2 AND s.message_id < $3 AND s.status = 0 AND s.sell_item_id = ANY($4::bigint[])
    AND (SELECT r.state FROM receipt r
         WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
             AND r.message_id >= $2 AND r.message_id < $3 AND r.state = ANY($5::smallint[])
         ORDER BY r.received_at, r.state LIMIT 1) = 2
GROUP BY s.sell_item_id

-- name: reversed_of_month
-- scope: merchant
-- Of what is charged on delivery ($4) only what its receipts charge: one that came after, with an earlier time, took the charge away.
SELECT s.sell_item_id AS item_id, sum(s.segments)::bigint AS segments, sum(s.sell_micros)::bigint AS micros
FROM charge_reversal v
JOIN sent s ON s.merchant_id = v.merchant_id AND s.message_id = v.message_id AND s.segment = v.segment
    AND s.message_id >= $2 AND s.message_id < $3
WHERE v.merchant_id = $1 AND v.message_id >= $2 AND v.message_id < $3
    AND (s.sell_item_id <> ALL ($4::bigint[]) OR 2 = (
        SELECT r.state FROM receipt r
        WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
            AND r.message_id >= $2 AND r.message_id < $3 AND r.state = ANY ($5::smallint[])
        ORDER BY r.received_at, r.state LIMIT 1))
GROUP BY s.sell_item_id

-- name: replies_of_month
-- scope: merchant
-- Received in a month and charged, less what was given back. Their ids are made after they came; $4 is of a day before, so that
-- the key bounds the rows. `unknown`: one came before charges were kept with replies.
SELECT i.sell_item_id AS item_id, sum(i.segments)::bigint AS segments, sum(i.sell_micros)::bigint AS micros,
    bool_or(i.sell_item_id IS NULL) AS unknown
FROM inbound_message i
WHERE i.merchant_id = $1 AND i.inbound_id >= $4 AND i.received_at >= $2 AND i.received_at < $3
    AND i.sell_item_id IS DISTINCT FROM 0 AND i.outcome <> 'repetition'
    AND NOT EXISTS (SELECT FROM charge_reversal v WHERE v.merchant_id = i.merchant_id AND v.message_id = i.inbound_id)
GROUP BY i.sell_item_id

-- name: billing_items
-- scope: control
SELECT i.item_id, i.price_list_id, l.name, i.version, l.currency, i.direction, i.network, i.unit_micros, i.basis,
    i.ladder::text AS ladder
FROM price_item i
JOIN price_list l ON l.price_list_id = i.price_list_id
WHERE i.item_id = ANY($1::bigint[])

-- name: billed
-- scope: merchant
-- What closes have billed of months that get late units, with the signs of the ledger; credits by hand change no tier.
SELECT d.currency, l.kind, l.item_id, l.origin, l.vat_category, l.vat_rate_micros,
    sum(CASE WHEN d.doc_type = '381' THEN -l.quantity ELSE l.quantity END)::bigint AS quantity,
    sum(CASE WHEN d.doc_type = '381' THEN -l.net_minor ELSE l.net_minor END)::bigint AS net_minor
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.credits_id IS NULL AND d.doc_type IN ('380', '381') AND l.origin = ANY($2::date[])
GROUP BY d.currency, l.kind, l.item_id, l.origin, l.vat_category, l.vat_rate_micros

-- name: credited_shortfalls
-- scope: merchant
-- What credits by hand took of the minimums of months.
SELECT d.currency, l.origin, sum(l.net_minor)::bigint AS net_minor
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.credits_id IS NOT NULL AND d.doc_type = '381' AND l.kind = 'commitment'
    AND l.origin = ANY($2::date[])
GROUP BY d.currency, l.origin

-- name: invoices_of_months
-- scope: merchant
-- What a credit note of the close may refer to: documents that billed units of these months, the latest invoice first.
SELECT DISTINCT d.currency, l.origin AS month, l.vat_category = 'O' AS outside, d.series, d.number, d.issued_on, d.doc_type,
    d.document_id
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.doc_type IN ('380', '381') AND d.credits_id IS NULL AND l.origin = ANY($2::date[])
ORDER BY d.doc_type, d.document_id DESC

-- name: campaign_results
-- scope: merchant
-- What the month's campaigns cost and brought, dearest first; orders in other currencies are not added.
SELECT e.campaign_id, coalesce(c.external_id, '') AS external_id, e.messages, e.micros,
    coalesce((SELECT k.n FROM campaign_counter k WHERE k.merchant_id = $1 AND k.campaign_id = e.campaign_id
              AND k.kind = 'delivered'), 0) AS delivered,
    coalesce(o.orders, 0) AS orders, coalesce(o.orders_minor, 0) AS orders_minor
FROM (SELECT campaign_id, sum(messages)::bigint AS messages, sum(amount_micros)::bigint AS micros
      FROM ledger_entry
      WHERE merchant_id = $1 AND account = 'unbilled' AND direction = 'mt' AND currency = $2 AND campaign_id IS NOT NULL
          AND accepted_at >= $3 AND accepted_at < $4 AND at >= $3 AND at < $5
      GROUP BY campaign_id ORDER BY 3 DESC, 1 LIMIT $6) e
LEFT JOIN campaign c ON c.merchant_id = $1 AND c.campaign_id = e.campaign_id
LEFT JOIN LATERAL (
    SELECT count(*) AS orders, sum(r.total_minor)::bigint AS orders_minor FROM orders r
    WHERE r.merchant_id = $1 AND r.campaign_id = e.campaign_id AND r.currency = $2
        AND r.state = ANY($7::text[])) o ON true
ORDER BY e.micros DESC, e.campaign_id

-- name: lock_period
-- scope: merchant
-- Whoever writes documents of a month does it alone.
SELECT closed_at, starts_at, ends_at, cut_at FROM billing_period WHERE merchant_id = $1 AND month = $2 FOR UPDATE

-- name: close_under_way
-- scope: merchant
-- A month that is cut: its documents may give back of a minimum what nobody has credited.
SELECT EXISTS (SELECT FROM billing_period WHERE merchant_id = $1 AND closed_at IS NULL)

-- name: begin_series
-- scope: control
INSERT INTO document_series (series) VALUES ($1) ON CONFLICT (series) DO NOTHING

-- name: next_number
-- scope: control
-- The row is locked to the end of the transaction: a number is given at the commit, and a rollback takes none.
UPDATE document_series SET last = last + 1, last_on = greatest(last_on, $2::date) WHERE series = $1
RETURNING last, last_on, last_sha256

-- name: chain_series
-- scope: control
UPDATE document_series SET last_sha256 = $2 WHERE series = $1

-- name: insert_document
-- scope: merchant
INSERT INTO document (merchant_id, document_id, series, number, doc_type, month, currency, issued_on, credits_id, net_minor,
                      vat_minor, gross_minor, exact_micros, rounding_micros, payload, previous_sha256, chain_sha256,
                      paid_minor, posting_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)

-- name: insert_document_advances
-- scope: merchant
INSERT INTO document_advance (merchant_id, document_id, advance_id, gross_minor, vat_minor)
SELECT $1, $2, t.advance_id, t.gross_minor, t.vat_minor
FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS t (advance_id, gross_minor, vat_minor)

-- name: insert_document_lines
-- scope: merchant
INSERT INTO document_line (merchant_id, document_id, line, kind, price_list_id, item_id, version, origin, unit_micros,
                           vat_category, vat_rate_micros, quantity, net_minor, credits_line)
SELECT $1, $2, t.line, t.kind, t.price_list_id, t.item_id, t.version, t.origin, t.unit_micros, t.vat_category,
    t.vat_rate_micros, t.quantity, t.net_minor, t.credits_line
FROM unnest($3::int[], $4::text[], $5::bigint[], $6::bigint[], $7::int[], $8::date[], $9::bigint[], $10::text[],
            $11::bigint[], $12::bigint[], $13::bigint[], $14::int[])
    AS t (line, kind, price_list_id, item_id, version, origin, unit_micros, vat_category, vat_rate_micros, quantity,
          net_minor, credits_line)

-- name: close_period
-- scope: merchant
-- The node that cut it may have a faster clock.
UPDATE billing_period SET closed_at = greatest($3, cut_at) WHERE merchant_id = $1 AND month = $2

-- name: documents_of_month
-- scope: merchant
SELECT merchant_id, document_id, series, number, doc_type, month, currency, issued_on, credits_id, net_minor, vat_minor,
    gross_minor, paid_minor, created_at
FROM document
WHERE merchant_id = $1 AND month = $2 AND credits_id IS NULL AND doc_type IN ('380', '381')
ORDER BY document_id

-- name: document_by_number
-- scope: report
SELECT merchant_id, document_id FROM document WHERE series = $1 AND number = $2

-- name: owner_of_document
-- scope: report
SELECT merchant_id FROM document WHERE document_id = $1

-- name: vat_entries
-- scope: merchant
SELECT valid_from, category, rate_micros, exemption, reason, vat_number FROM billing_vat WHERE merchant_id = $1 ORDER BY valid_from

-- name: document
-- scope: merchant
SELECT merchant_id, document_id, series, number, doc_type, month, currency, issued_on, credits_id, net_minor, vat_minor,
    gross_minor, paid_minor, created_at, payload
FROM document
WHERE merchant_id = $1 AND document_id = $2

-- name: payload
-- scope: merchant
SELECT payload FROM document WHERE merchant_id = $1 AND document_id = $2

-- name: documents_page
-- scope: merchant
SELECT document_id AS page_id, merchant_id, document_id, series, number, doc_type, month, currency, issued_on, credits_id,
    net_minor, vat_minor, gross_minor, paid_minor, created_at
FROM document
WHERE merchant_id = $1 AND document_id < $2 AND ($4::text[] IS NULL OR doc_type = ANY ($4))
ORDER BY document_id DESC
LIMIT $3

-- name: lines_of_document
-- scope: merchant
SELECT line, kind, price_list_id, item_id, version, origin, unit_micros, vat_category, vat_rate_micros, quantity, net_minor
FROM document_line
WHERE merchant_id = $1 AND document_id = $2
ORDER BY line

-- name: credited_lines
-- scope: merchant
-- What credit notes took of a document, in the order in which they were written: of their numbers, for ids are made before.
SELECT d.document_id, l.credits_line, l.quantity
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.credits_id = $2
ORDER BY d.issued_on, d.series, d.number, l.line

-- name: set_profile
-- scope: merchant
INSERT INTO billing_profile (merchant_id, legal_name, street, postcode, city, country, legal_id, legal_scheme, vat_number,
                             business, einvoicing_id, einvoicing_scheme, payment_days)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (merchant_id) DO UPDATE
SET legal_name = excluded.legal_name, street = excluded.street, postcode = excluded.postcode, city = excluded.city,
    country = excluded.country, legal_id = excluded.legal_id, legal_scheme = excluded.legal_scheme,
    vat_number = excluded.vat_number, business = excluded.business, einvoicing_id = excluded.einvoicing_id,
    einvoicing_scheme = excluded.einvoicing_scheme, payment_days = excluded.payment_days

-- name: set_vat
-- scope: merchant
-- What holds from a day on; said again for the same day, the last word counts.
INSERT INTO billing_vat (merchant_id, valid_from, category, rate_micros, exemption, reason, vat_number)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (merchant_id, valid_from) DO UPDATE
SET category = excluded.category, rate_micros = excluded.rate_micros, exemption = excluded.exemption,
    reason = excluded.reason, vat_number = excluded.vat_number

-- name: profile
-- scope: merchant
SELECT legal_name, street, postcode, city, country, legal_id, legal_scheme, vat_number, business, einvoicing_id,
    einvoicing_scheme, payment_days
FROM billing_profile WHERE merchant_id = $1

-- name: chained_document
-- scope: merchant
SELECT payload, previous_sha256, chain_sha256 FROM document WHERE merchant_id = $1 AND document_id = $2

-- name: billed_by_document
-- scope: merchant
-- What each document of a close bills of prices and months, with the signs of the ledger.
SELECT d.series, d.number, l.item_id, l.origin,
    sum(CASE WHEN d.doc_type = '381' THEN -l.quantity ELSE l.quantity END)::bigint AS quantity
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.credits_id IS NULL AND d.doc_type IN ('380', '381') AND l.kind = 'usage'
    AND l.origin = ANY ($2::date[]) AND l.item_id = ANY ($3::bigint[])
GROUP BY d.series, d.number, l.item_id, l.origin
ORDER BY d.series, d.number

-- name: units_of_items
-- scope: merchant
-- By the terms of their lines, with the signs of the ledger: what closes billed, and what credits by hand took.
SELECT l.origin, l.kind, l.price_list_id, l.item_id, l.version, l.unit_micros, l.vat_category, l.vat_rate_micros,
    coalesce(sum(CASE WHEN d.doc_type = '381' THEN -l.quantity ELSE l.quantity END) FILTER (WHERE d.credits_id IS NULL), 0)::bigint
        AS billed,
    coalesce(sum(l.quantity) FILTER (WHERE d.credits_id IS NOT NULL), 0)::bigint AS credited
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.doc_type IN ('380', '381') AND l.kind = 'usage' AND l.item_id = ANY ($2::bigint[])
GROUP BY l.origin, l.kind, l.price_list_id, l.item_id, l.version, l.unit_micros, l.vat_category, l.vat_rate_micros

-- name: minimums_left
-- scope: merchant
-- Of minimums of months ($3) in a currency: what closes billed less what they gave back, and less credits by hand.
SELECT l.origin, sum(CASE WHEN d.doc_type = '381' THEN -l.net_minor ELSE l.net_minor END)::bigint AS net_minor
FROM document d
JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
WHERE d.merchant_id = $1 AND d.currency = $2 AND d.doc_type IN ('380', '381') AND l.kind = 'commitment'
    AND l.origin = ANY ($3::date[])
GROUP BY l.origin

-- name: zone_of
-- scope: merchant
SELECT timezone FROM merchant WHERE merchant_id = $1

-- name: lock_given_back
-- scope: control
-- Of one merchant at a time, by message or by line. Nobody may change rows of replies, so none of these can be locked.
SELECT pg_advisory_xact_lock(hashtextextended('given back', $1))

-- name: charged_of_items
-- scope: merchant
SELECT item_id, sum(segments)::bigint AS segments
FROM ledger_entry
WHERE merchant_id = $1 AND account = 'unbilled' AND direction <> 'document' AND accepted_at >= $2 AND accepted_at < $3 AND at >= $4
    AND item_id = ANY ($5::bigint[])
GROUP BY item_id
