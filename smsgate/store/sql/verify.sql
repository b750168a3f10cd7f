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
