-- Proofs over the whole database, set-wise; each returns the rows that are wrong: how many, and the first in words. All
-- statements of one run see one snapshot. Ids carry milliseconds since 2025-01-01 above 22 bits (smsgate.ids).

-- name: delivered_items
-- scope: report
SELECT coalesce(array_agg(item_id ORDER BY item_id), '{}') FROM price_item WHERE basis = 'delivered';

-- name: unbalanced
-- scope: report
SELECT 'I1' AS invariant, count(*) AS wrong,
    (array_agg(format('posting %1$s of merchant %2$s is off by %3$s micros %4$s', posting_id, merchant_id, off, currency)
               ORDER BY merchant_id, posting_id))[1] AS first
FROM (
    SELECT merchant_id, posting_id, currency, sum(amount_micros) AS off FROM ledger_entry
    GROUP BY merchant_id, posting_id, currency HAVING sum(amount_micros) <> 0
) x;

-- name: messages
-- scope: report
-- One pass over the message rows, one over the receipts where a receipt charges; everything else is done with groups. $1: first id,
-- $2: its quarter of an hour, $3: items that charge on delivery, $4: final states of receipts. A message is charged when the carrier took
-- it, or on delivery: when its first final receipt is DELIVRD (2).
-- Leases: each row of who has a budget finds its own by binary search in the ranges of all of them, which `twice` proves apart. Open
-- leases are number 0 here, NULL is none. Whatever is charged, a lease has or had it; but for what was claimed before the budget came, a
-- minute at most with two clocks, and what a receipt charges so late that nobody waits for it (14 days, decision 0035).
WITH payer AS MATERIALIZED (
    SELECT merchant_id, b.began_at + interval '1 minute' AS since, r.firsts, r.ends, r.leases
    FROM (
        SELECT merchant_id, array_agg(first_id ORDER BY first_id, lease_id) AS firsts, array_agg(end_id ORDER BY first_id, lease_id) AS ends,
            array_agg(lease_id ORDER BY first_id, lease_id) AS leases
        FROM (
            SELECT merchant_id, lease_id, lower(ids) AS first_id, upper(ids) AS end_id
            FROM (SELECT merchant_id, lease_id, unnest(message_ids) AS ids FROM budget_charge) c
            UNION ALL
            SELECT l.merchant_id, 0, m, m + 1 FROM budget_lease l CROSS JOIN LATERAL unnest(l.message_ids) AS m
        ) n
        GROUP BY merchant_id
    ) r
    FULL JOIN budget b USING (merchant_id)
), taken AS (
    SELECT merchant_id, message_id, carrier_id, status, sell_item_id, sell_micros, cost_item_id, cost_micros, segments,
        false AS delivered
    FROM sent
    WHERE message_id >= $1 AND sell_item_id <> ALL ($3::bigint[]) AND cost_item_id <> ALL ($3::bigint[])
    UNION ALL
    (   -- in the order of both indexes: merged and grouped as they come
        SELECT s.merchant_id, s.message_id, s.carrier_id, s.status, s.sell_item_id, s.sell_micros, s.cost_item_id, s.cost_micros, s.segments,
            coalesce(min(r.received_at) FILTER (WHERE r.state = 2) = min(r.received_at), false)
        FROM sent s
        LEFT JOIN receipt r ON r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
            AND r.message_id >= $1 AND r.state = ANY ($4::smallint[])
        WHERE cardinality($3::bigint[]) > 0 AND s.message_id >= $1
            AND (s.sell_item_id = ANY ($3::bigint[]) OR s.cost_item_id = ANY ($3::bigint[]))
        GROUP BY s.merchant_id, s.message_id, s.segment
        ORDER BY s.merchant_id, s.message_id, s.segment
    )
), leased AS (
    SELECT t.*, p.since, p.ends, p.leases, width_bucket(t.message_id, p.firsts) AS place
    FROM taken t
    LEFT JOIN payer p ON p.merchant_id = t.merchant_id
    OFFSET 0
), outcome AS MATERIALIZED (
    SELECT merchant_id, carrier_id, sell_item_id, sell_micros, cost_item_id, cost_micros, segments, status = 0 AS accepted, delivered,
        ((message_id >> 22) + 1735689600000) / 900000 AS quarter, CASE WHEN message_id < ends[place] THEN leases[place] END AS lease_id,
        count(*) AS messages, min(message_id) AS first_id, max(message_id) AS last_id
    FROM leased
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
), reversed AS MATERIALIZED (
    SELECT s.merchant_id, s.carrier_id, s.sell_item_id, ((s.message_id >> 22) + 1735689600000) / 900000 AS quarter,
        count(*) AS messages, sum(s.segments) AS segments, sum(s.sell_micros) AS micros
    FROM charge_reversal v
    JOIN sent s ON s.merchant_id = v.merchant_id AND s.message_id = v.message_id AND s.segment = v.segment
    WHERE s.message_id >= $1
    GROUP BY 1, 2, 3, 4
), charged AS (
    SELECT merchant_id, carrier_id, 'revenue' AS account, sell_item_id AS item_id, quarter, messages,
        messages * segments AS segments, messages * sell_micros AS micros
    FROM outcome WHERE accepted AND sell_item_id <> 0 AND (delivered OR sell_item_id <> ALL ($3::bigint[]))
    UNION ALL
    SELECT merchant_id, carrier_id, 'revenue', sell_item_id, quarter, -messages, -segments, -micros FROM reversed
    UNION ALL
    SELECT merchant_id, carrier_id, 'cost', cost_item_id, quarter, messages, messages * segments, messages * cost_micros
    FROM outcome WHERE accepted AND cost_item_id <> 0 AND (delivered OR cost_item_id <> ALL ($3::bigint[]))
), rows AS (
    SELECT merchant_id, carrier_id, account, item_id, quarter, sum(messages) AS messages, sum(segments) AS segments,
        sum(micros) AS micros
    FROM charged GROUP BY 1, 2, 3, 4, 5
), books AS (
    SELECT merchant_id, carrier_id, account, item_id, floor(extract(epoch FROM accepted_at))::bigint / 900 AS quarter,
        sum(messages) AS messages, sum(segments) AS segments,
        sum(CASE WHEN account = 'revenue' THEN -amount_micros ELSE amount_micros END) AS micros
    FROM ledger_entry
    WHERE direction = 'mt' AND account IN ('revenue', 'cost') AND item_id <> 0 AND accepted_at >= $2
    GROUP BY 1, 2, 3, 4, 5
), apart AS (
    SELECT merchant_id, carrier_id, account, item_id, quarter, coalesce(r.messages, 0) AS rows_messages,
        coalesce(r.segments, 0) AS rows_segments, coalesce(r.micros, 0) AS rows_micros,
        coalesce(b.messages, 0) AS books_messages, coalesce(b.segments, 0) AS books_segments,
        coalesce(b.micros, 0) AS books_micros
    FROM rows r FULL JOIN books b USING (merchant_id, carrier_id, account, item_id, quarter)
    WHERE (coalesce(r.messages, 0), coalesce(r.segments, 0), coalesce(r.micros, 0))
        <> (coalesce(b.messages, 0), coalesce(b.segments, 0), coalesce(b.micros, 0))
), version AS (
    -- What was accepted before a list began, and got it afterwards, has the prices of its first version.
    SELECT price_list_id, version,
        CASE WHEN row_number() OVER (PARTITION BY price_list_id ORDER BY effective_from) = 1 THEN '-infinity' ELSE effective_from END
            AS effective_from,
        coalesce(lead(effective_from) OVER (PARTITION BY price_list_id ORDER BY effective_from), 'infinity') AS until
    FROM price_version
), item AS (
    SELECT i.item_id, i.direction, i.unit_micros, l.side, v.version, v.effective_from, v.until
    FROM price_item i
    JOIN price_list l ON l.price_list_id = i.price_list_id
    JOIN version v ON v.price_list_id = i.price_list_id AND v.version = i.version
), priced AS (
    SELECT merchant_id, quarter, sell_item_id AS item_id, sell_micros AS micros, segments, 'sell' AS side, min(first_id) AS first_id,
        max(last_id) AS last_id
    FROM outcome WHERE accepted AND (sell_item_id <> 0 OR sell_micros <> 0)
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT merchant_id, quarter, cost_item_id, cost_micros, segments, 'cost', min(first_id), max(last_id)
    FROM outcome WHERE accepted AND (cost_item_id <> 0 OR cost_micros <> 0)
    GROUP BY 1, 2, 3, 4, 5
), mispriced AS (
    SELECT p.merchant_id, p.side, n.messages, n.message_id, CASE
        WHEN i.item_id IS NULL THEN format('%1$s item %2$s is no published price', p.side, p.item_id)
        WHEN i.side <> p.side OR i.direction <> 'mt' THEN format('item %1$s is a %2$s price of side %3$s', p.item_id, i.direction, i.side)
        WHEN p.micros <> i.unit_micros * p.segments
            THEN format('%1$s %2$s micros, and %3$s x %4$s are %5$s', p.side, p.micros, i.unit_micros, p.segments, i.unit_micros * p.segments)
        ELSE format('%1$s item %2$s of version %3$s, which was not in force', p.side, p.item_id, i.version)
        END AS what
    FROM priced p
    LEFT JOIN item i ON i.item_id = p.item_id
    CROSS JOIN LATERAL (  -- of a group that a change of versions cuts, the rows beyond it
        SELECT count(*) AS messages, min(s.message_id) AS message_id FROM sent s
        WHERE s.merchant_id = p.merchant_id AND s.message_id BETWEEN p.first_id AND p.last_id AND s.status = 0
            AND CASE p.side WHEN 'sell' THEN (s.sell_item_id, s.sell_micros) ELSE (s.cost_item_id, s.cost_micros) END
                = (p.item_id, p.micros)
            AND s.segments = p.segments
            AND (i.item_id IS NULL OR i.side <> p.side OR i.direction <> 'mt' OR p.micros <> i.unit_micros * p.segments
                 OR to_timestamp(((s.message_id >> 22) + 1735689600000) / 1000.0) < i.effective_from
                 OR to_timestamp(((s.message_id >> 22) + 1735689600000) / 1000.0) >= i.until)
    ) n
    WHERE i.item_id IS NULL OR i.side <> p.side OR i.direction <> 'mt' OR p.micros <> i.unit_micros * p.segments
        OR to_timestamp(((p.first_id >> 22) + 1735689600000) / 1000.0) < i.effective_from
        OR to_timestamp(((p.last_id >> 22) + 1735689600000) / 1000.0) >= i.until
), spent AS (
    SELECT merchant_id, lease_id, sum(messages * sell_micros) AS charged
    FROM outcome WHERE accepted AND lease_id <> 0 AND (delivered OR sell_item_id <> ALL ($3::bigint[]))
    GROUP BY merchant_id, lease_id
), unleased AS (
    SELECT o.merchant_id, n.messages, n.message_id
    FROM outcome o
    JOIN payer p ON p.merchant_id = o.merchant_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS messages, min(s.message_id) AS message_id
        FROM (
            SELECT *, to_timestamp(((message_id >> 22) + 1735689600000) / 1000.0) AS accepted_at FROM sent
            WHERE merchant_id = o.merchant_id AND message_id BETWEEN o.first_id AND o.last_id AND status = 0
        ) s
        LEFT JOIN LATERAL (
            SELECT r.state, r.received_at FROM receipt r
            WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment AND r.state = ANY ($4::smallint[])
            ORDER BY r.received_at, r.state LIMIT 1
        ) f ON true
        WHERE (s.carrier_id, s.sell_item_id, s.sell_micros, s.cost_item_id, s.cost_micros, s.segments)
                = (o.carrier_id, o.sell_item_id, o.sell_micros, o.cost_item_id, o.cost_micros, o.segments)
            AND (s.message_id < p.ends[width_bucket(s.message_id, p.firsts)]) IS NOT TRUE AND s.accepted_at >= p.since
            AND (o.sell_item_id <> ALL ($3::bigint[]) OR f.received_at < s.accepted_at + interval '14 days')
            AND (o.sell_item_id <> ALL ($3::bigint[]) AND o.cost_item_id <> ALL ($3::bigint[]) OR (f.state = 2) IS TRUE = o.delivered)
    ) n
    WHERE o.accepted AND o.lease_id IS NULL AND o.sell_micros > 0 AND (o.delivered OR o.sell_item_id <> ALL ($3::bigint[]))
        AND to_timestamp(((o.last_id >> 22) + 1735689600000) / 1000.0) >= p.since
)
SELECT 'I2' AS invariant, count(*) AS wrong,
    (array_agg(format('merchant %1$s, carrier %2$s, %3$s, item %4$s, accepted from %5$s: rows have %6$s messages, %7$s segments, %8$s micros, '
                      'the ledger %9$s, %10$s, %11$s', merchant_id, carrier_id, account, item_id,
                      to_char(to_timestamp(quarter * 900), 'YYYY-MM-DD"T"HH24:MI"Z"'), rows_messages, rows_segments, rows_micros,
                      books_messages, books_segments, books_micros)
               ORDER BY quarter, merchant_id, account DESC, item_id, carrier_id))[1] AS first
FROM apart
UNION ALL
SELECT 'I3', coalesce(sum(messages), 0)::bigint,
    (array_agg(format('message %1$s of merchant %2$s: %3$s', message_id, merchant_id, what) ORDER BY message_id, side DESC))[1]
FROM mispriced
UNION ALL
SELECT 'I6', coalesce(sum(messages), 0)::bigint,
    (array_agg(format('message %1$s of merchant %2$s was not accepted and has a price', first_id, merchant_id) ORDER BY first_id))[1]
FROM outcome WHERE NOT accepted AND (sell_micros <> 0 OR cost_micros <> 0 OR sell_item_id <> 0 OR cost_item_id <> 0)
UNION ALL
SELECT 'I14', count(*),
    (array_agg(format('lease %1$s of merchant %2$s: %3$s micros are spent, the rows of its messages have %4$s', lease_id, merchant_id,
                      told, coalesce(charged, 0)) ORDER BY merchant_id, lease_id))[1]
FROM (
    SELECT merchant_id, lease_id, sum(spent_micros) AS told
    FROM budget_charge
    WHERE lease_id <> 0 AND lower(message_ids) >= $1
    GROUP BY merchant_id, lease_id
) c
LEFT JOIN spent USING (merchant_id, lease_id)
WHERE told <> coalesce(charged, 0)
UNION ALL
SELECT 'I14', coalesce(sum(messages), 0)::bigint,
    (array_agg(format('message %1$s of merchant %2$s is charged %3$s micros, and no lease has it', message_id, merchant_id,
                      (SELECT s.sell_micros FROM sent s WHERE s.merchant_id = unleased.merchant_id AND s.message_id = unleased.message_id
                           AND s.status = 0 AND s.sell_micros > 0 ORDER BY s.segment LIMIT 1)) ORDER BY message_id))[1]
FROM unleased WHERE messages > 0
UNION ALL
SELECT 'rows', coalesce(sum(messages), 0)::bigint, NULL FROM outcome
UNION ALL
SELECT 'charged', coalesce(sum(messages), 0)::bigint, NULL FROM rows WHERE account = 'revenue';

-- name: replies
-- scope: report
-- By price item and quarter of an hour of receipt, from the first quarter on in which all replies have their charges with them.
WITH since AS MATERIALIZED (
    SELECT m.merchant_id, coalesce(max(i.received_at) + interval '30 minutes', '-infinity') AS at
    FROM merchant m
    LEFT JOIN inbound_message i ON i.merchant_id = m.merchant_id AND i.sell_item_id IS NULL AND i.outcome <> 'repetition'
    GROUP BY m.merchant_id
), came AS (
    SELECT i.merchant_id, i.carrier_id, i.sell_item_id AS item_id, date_bin('15 minutes', i.received_at, '2025-01-01Z') AS quarter,
        count(*) AS messages, sum(i.segments) AS segments, sum(i.sell_micros) AS micros
    FROM inbound_message i
    WHERE i.sell_item_id <> 0
        AND NOT EXISTS (SELECT FROM charge_reversal v WHERE v.merchant_id = i.merchant_id AND v.message_id = i.inbound_id)
    GROUP BY 1, 2, 3, 4
), charged AS (
    SELECT e.merchant_id, e.carrier_id, e.item_id, e.accepted_at AS quarter, sum(e.messages) AS messages,
        sum(e.segments) AS segments, -sum(e.amount_micros) AS micros
    FROM ledger_entry e WHERE e.direction = 'mo' AND e.account = 'revenue'
    GROUP BY 1, 2, 3, 4
    HAVING sum(e.messages) <> 0 OR sum(e.segments) <> 0 OR sum(e.amount_micros) <> 0
)
SELECT 'I2' AS invariant, count(*) AS wrong,
    (array_agg(format('merchant %1$s, carrier %2$s, item %3$s, received from %4$s: replies have %5$s messages, %6$s segments, %7$s micros, '
                      'the ledger %8$s, %9$s, %10$s', merchant_id, carrier_id, item_id,
                      to_char(quarter AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"'), coalesce(c.messages, 0), coalesce(c.segments, 0),
                      coalesce(c.micros, 0), coalesce(e.messages, 0), coalesce(e.segments, 0), coalesce(e.micros, 0))
               ORDER BY quarter, merchant_id, item_id))[1] AS first
FROM came c
FULL JOIN charged e USING (merchant_id, carrier_id, item_id, quarter)
JOIN since USING (merchant_id)
WHERE quarter >= since.at AND (c.messages, c.segments, c.micros) IS DISTINCT FROM (e.messages, e.segments, e.micros)
UNION ALL
SELECT 'replies', coalesce(sum(messages), 0)::bigint, NULL FROM came;

-- name: reply_prices
-- scope: report
SELECT 'I3' AS invariant, count(*) AS wrong,
    (array_agg(format('reply %1$s of merchant %2$s: %3$s micros for %4$s segments at item %5$s', inbound_id, merchant_id, sell_micros,
                      segments, sell_item_id) ORDER BY merchant_id, inbound_id))[1] AS first
FROM (
    SELECT r.* FROM inbound_message r
    LEFT JOIN price_item i ON i.item_id = r.sell_item_id AND i.direction = 'mo'
    LEFT JOIN price_version v ON v.price_list_id = i.price_list_id AND v.version = i.version AND v.effective_from <= r.received_at
    WHERE r.sell_item_id <> 0 AND (v.version IS NULL OR r.sell_micros IS DISTINCT FROM i.unit_micros * r.segments
        OR EXISTS (SELECT FROM price_version n WHERE n.price_list_id = v.price_list_id AND n.effective_from > v.effective_from
                   AND n.effective_from <= r.received_at))
) x;

-- name: entry_prices
-- scope: report
-- Each entry of messages and replies is the price of its item x segments, in the currency and on the side of its list, and the
-- version was in force in its quarter of an hour; what was there before a list began has the prices of its first version.
WITH version AS (
    SELECT price_list_id, version,
        CASE WHEN row_number() OVER (PARTITION BY price_list_id ORDER BY effective_from) = 1 THEN '-infinity' ELSE effective_from END
            AS effective_from,
        coalesce(lead(effective_from) OVER (PARTITION BY price_list_id ORDER BY effective_from), 'infinity') AS until
    FROM price_version
)
SELECT 'I3' AS invariant, count(*) AS wrong,
    (array_agg(format('posting %1$s of merchant %2$s: %3$s micros of %4$s for %5$s segments at item %6$s, %7$s', posting_id, merchant_id,
                      amount_micros, account, segments, item_id, what) ORDER BY merchant_id, posting_id, line))[1] AS first
FROM (
    SELECT e.*, CASE
        WHEN i.item_id IS NULL THEN 'which nobody published'
        WHEN i.direction <> e.direction OR l.side <> CASE WHEN e.account IN ('unbilled', 'revenue') THEN 'sell' ELSE 'cost' END
            THEN format('which is a %1$s price of side %2$s', i.direction, l.side)
        WHEN l.currency <> e.currency THEN format('which is in %1$s', l.currency)
        WHEN e.amount_micros <> CASE WHEN e.account IN ('unbilled', 'cost') THEN 1 ELSE -1 END * i.unit_micros * e.segments
            THEN format('which is %1$s', i.unit_micros)
        WHEN e.accepted_at + interval '15 minutes' <= v.effective_from OR e.accepted_at >= v.until
            THEN format('of version %1$s, which was not in force', i.version)
        END AS what
    FROM ledger_entry e
    LEFT JOIN price_item i ON i.item_id = e.item_id
    LEFT JOIN price_list l ON l.price_list_id = i.price_list_id
    LEFT JOIN version v ON v.price_list_id = i.price_list_id AND v.version = i.version
    WHERE e.direction IN ('mt', 'mo')
) x WHERE what IS NOT NULL;

-- name: entry_pairs
-- scope: report
-- The two sides of a charge say the same of the same messages.
SELECT 'I2' AS invariant, count(*) AS wrong,
    (array_agg(format('posting %1$s of merchant %2$s: its lines name different messages', posting_id, merchant_id)
               ORDER BY merchant_id, posting_id))[1] AS first
FROM (
    SELECT merchant_id, posting_id FROM ledger_entry WHERE direction <> 'document'
    GROUP BY merchant_id, posting_id
    HAVING min(messages) <> max(messages) OR min(segments) <> max(segments) OR min(accepted_at) <> max(accepted_at)
        OR min(coalesce(campaign_id, 0)) <> max(coalesce(campaign_id, 0)) OR min(at) <> max(at)
) x;

-- name: prices
-- scope: report
-- What was sealed when it was published. The text is smsgate.billing.price_seals.sealed_text.
SELECT 'I4' AS invariant, count(*) AS wrong,
    (array_agg(format('version %1$s of list %2$s (%3$s) is not what was published', version, price_list_id, name)
               ORDER BY price_list_id, version))[1] AS first
FROM (
    SELECT v.price_list_id, v.version, l.name
    FROM price_version v
    JOIN price_list l ON l.price_list_id = v.price_list_id
    LEFT JOIN price_item i ON i.price_list_id = v.price_list_id AND i.version = v.version
    WHERE v.items_sha256 <> ''
    GROUP BY v.price_list_id, v.version, l.name, v.effective_from, v.items_sha256, l.side, l.currency
    HAVING v.items_sha256 <> sha256(convert_to(
        format(E'%1$s %2$s %3$s\n', l.side, l.currency, (extract(epoch FROM v.effective_from) * 1000000)::bigint)
        || coalesce(string_agg(format(E'%1$s %2$s %3$s %4$s %5$s %6$s\n', i.item_id, i.direction, i.network, i.unit_micros, i.basis,
                                      coalesce(i.ladder::text, '-')), '' ORDER BY i.item_id), ''), 'UTF8'))
) x;

-- name: reversals
-- scope: report
SELECT 'I5' AS invariant, count(*) AS wrong,
    (array_agg(format('message %1$s of merchant %2$s was given back and never charged', message_id, merchant_id)
               ORDER BY message_id))[1] AS first
FROM charge_reversal v
WHERE v.message_id >= $1 AND NOT EXISTS (
    SELECT FROM sent s WHERE s.merchant_id = v.merchant_id AND s.message_id = v.message_id AND s.segment = v.segment
        AND s.status = 0 AND s.sell_item_id <> 0)
    AND NOT EXISTS (
    SELECT FROM inbound_message i WHERE i.merchant_id = v.merchant_id AND i.inbound_id = v.message_id AND i.sell_item_id <> 0);

-- name: campaigns
-- scope: report
-- Counters are kept beside the ledger; a message of a campaign is counted when it is accepted, and booked then unless a receipt will
-- charge it ($1: such items) or nobody pays for it. Where both differ the rows tell; $2: the first id that is kept.
WITH apart AS MATERIALIZED (
    SELECT merchant_id, campaign_id, coalesce(c.n, 0) AS counted, coalesce(e.messages, 0) AS booked
    FROM (SELECT merchant_id, campaign_id, n FROM campaign_counter WHERE kind = 'accepted') c
    FULL JOIN (
        SELECT merchant_id, campaign_id, sum(messages) AS messages FROM ledger_entry
        WHERE direction = 'mt' AND account = 'revenue' AND campaign_id IS NOT NULL AND item_id <> ALL ($1::bigint[]) AND messages > 0
        GROUP BY merchant_id, campaign_id
    ) e USING (merchant_id, campaign_id)
    WHERE coalesce(c.n, 0) <> coalesce(e.messages, 0)
), taken AS (
    SELECT a.merchant_id, a.campaign_id, count(*) AS accepted,
        count(*) FILTER (WHERE s.sell_item_id <> 0 AND s.sell_item_id <> ALL ($1::bigint[])) AS at_once
    FROM apart a
    JOIN message m ON m.merchant_id = a.merchant_id AND m.campaign_id = a.campaign_id AND m.message_id >= $2
    JOIN sent s ON s.merchant_id = m.merchant_id AND s.message_id = m.message_id AND s.message_id >= $2 AND s.status = 0
    GROUP BY a.merchant_id, a.campaign_id
)
SELECT 'I16' AS invariant, count(*) AS wrong,
    (array_agg(format('campaign %1$s of merchant %2$s: the counter has %3$s accepted, the ledger %4$s', campaign_id, merchant_id,
                      counted, booked) ORDER BY campaign_id))[1] AS first
FROM apart a
LEFT JOIN taken t USING (merchant_id, campaign_id)
WHERE (counted, booked) IS DISTINCT FROM (t.accepted, t.at_once)
    AND (campaign_id >= $2 OR NOT EXISTS (
        SELECT FROM ledger_entry d WHERE d.merchant_id = a.merchant_id AND d.campaign_id = a.campaign_id AND d.item_id = ANY ($1::bigint[])));
