-- The proof of the message rows, as sets of bits (decision 0058); read as those of verify.sql.
-- A block is 1,024 neighbouring ids, so of one millisecond; ids of a block are a bit(1024), the lowest id first.
-- Small columns (-32,768 to 32,767) are one number in the key of a group, 16 bits each with 32,768 added: a column of a key costs more
-- than to put it there.
-- OFFSET 0 below a GROUP BY costs nothing and hides from the planner that a block is made of an id: it took each row for a group of
-- its own, and made hash tables for so many.

-- name: messages
-- scope: report
-- One pass over the message rows and one over the receipts; all else is done with groups. $1: first id, $2: its quarter of an hour,
-- $3: items that charge on delivery, $4: final states of receipts, $5: their names, in the same order. A message is charged when the
-- carrier took it, or on delivery: when its first final receipt is DELIVRD (2).
-- Whatever is charged, a lease has or had it; but for what was claimed before the budget came, a minute at most with two clocks, and
-- what a receipt charges so late that nobody waits for it (14 days, decision 0035), or after a final one that says something else (R8).
WITH told AS MATERIALIZED (
    SELECT * FROM (
        SELECT merchant_id, block, (small + 2147516416 & 65535) - 32768 AS segment, (small + 2147516416 >> 16) - 32768 AS state,
            block_ids(n, 1) AS ids
        FROM (
            SELECT merchant_id, message_id >> 10 AS block, state * 65536::bigint + segment AS small, (message_id & 1023)::int AS n
            FROM receipt
            OFFSET 0
        ) r
        GROUP BY merchant_id, block, small
        OFFSET 0  -- so that states and days are looked at by groups and not by rows
    ) g
    WHERE state = ANY ($4::smallint[]) AND block >= $1::bigint >> 10
), contradicted AS MATERIALIZED (
    SELECT c.merchant_id, c.segment, r.message_id, r.states, r.told
    FROM (
        SELECT a.merchant_id, a.segment, a.block, bit_or(a.ids & b.ids) AS ids
        FROM told a
        JOIN told b ON b.merchant_id = a.merchant_id AND b.block = a.block AND b.segment = a.segment AND b.state > a.state
        WHERE a.ids & b.ids <> 0::bit(1024)
        GROUP BY 1, 2, 3
    ) c
    CROSS JOIN generate_series(0, 1023) AS n
    CROSS JOIN LATERAL (
        SELECT message_id, array_agg(state ORDER BY received_at, state) AS states,
            string_agg(format('%1$s at %2$s', ($5::text[])[array_position($4::smallint[], state)],
                              to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                       ', then ' ORDER BY received_at, state) AS told
        FROM receipt
        WHERE merchant_id = c.merchant_id AND message_id = (c.block << 10) + n AND segment = c.segment AND state = ANY ($4::smallint[])
        GROUP BY message_id
    ) r
    WHERE get_bit(c.ids, n) = 1
), delivered AS MATERIALIZED (
    SELECT t.merchant_id, t.segment, t.block, t.ids & ~coalesce(c.ids, 0::bit(1024)) AS ids
    FROM told t
    LEFT JOIN (
        SELECT merchant_id, segment, message_id >> 10 AS block, block_ids((message_id & 1023)::int, 1) AS ids
        FROM contradicted WHERE states[1] <> 2
        GROUP BY 1, 2, 3
    ) c ON c.merchant_id = t.merchant_id AND c.segment = t.segment AND c.block = t.block
    WHERE t.state = 2
), taken AS (
    SELECT merchant_id, small >> 50 = 0 AS accepted, (small >> 32 & 65535) - 32768 AS segment, (small >> 16 & 65535) - 32768 AS carrier_id,
        (small & 65535) - 32768 AS segments, sell_item_id, sell_micros, cost_item_id, cost_micros, block, block_ids(n, 1) AS ids
    FROM (
        SELECT merchant_id, sell_item_id, sell_micros, cost_item_id, cost_micros, message_id >> 10 AS block, (message_id & 1023)::int AS n,
            CASE status WHEN 0 THEN 140739635871744 ELSE 1266639542714368 END + (segment * 65536::bigint + carrier_id) * 65536 + segments
                AS small
        FROM sent  -- all that is there: $1 is where it begins
        OFFSET 0
    ) r
    GROUP BY merchant_id, small, sell_item_id, sell_micros, cost_item_id, cost_micros, block
), outcome AS MATERIALIZED (
    SELECT t.*, (t.block >> 12) + 1735689600000 AS ms,
        CASE WHEN t.sell_item_id <> ALL ($3::bigint[]) THEN t.ids ELSE t.ids & coalesce(d.ids, 0::bit(1024)) END AS sold,
        CASE WHEN t.cost_item_id <> ALL ($3::bigint[]) THEN t.ids ELSE t.ids & coalesce(d.ids, 0::bit(1024)) END AS bought
    FROM taken t
    LEFT JOIN delivered d ON d.merchant_id = t.merchant_id AND d.segment = t.segment AND d.block = t.block
), reversed AS MATERIALIZED (
    SELECT s.merchant_id, s.carrier_id, s.sell_item_id, ((s.message_id >> 22) + 1735689600000) / 900000 AS quarter,
        count(*) AS messages, sum(s.segments) AS segments, sum(s.sell_micros) AS micros
    FROM charge_reversal v
    JOIN sent s ON s.merchant_id = v.merchant_id AND s.message_id = v.message_id AND s.segment = v.segment
    WHERE s.message_id >= $1 AND (s.sell_item_id <> ALL ($3::bigint[]) OR 2 = (
        SELECT r.state FROM receipt r
        WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment AND r.state = ANY ($4::smallint[])
        ORDER BY r.received_at, r.state LIMIT 1))
    GROUP BY 1, 2, 3, 4
), quarterly AS MATERIALIZED (  -- bits are counted once for both sides
    SELECT merchant_id, carrier_id, accepted, sell_item_id, sell_micros, cost_item_id, cost_micros, segments, ms / 900000 AS quarter,
        sum(bit_count(ids))::bigint AS messages, sum(bit_count(sold))::bigint AS sold, sum(bit_count(bought))::bigint AS bought,
        min(ms) AS first_ms, max(ms) AS last_ms
    FROM outcome
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
), charged AS (
    SELECT merchant_id, carrier_id, 'revenue' AS account, sell_item_id AS item_id, quarter, sold AS messages, sold * segments AS segments,
        sold * sell_micros AS micros
    FROM quarterly WHERE accepted AND sell_item_id <> 0
    UNION ALL
    SELECT merchant_id, carrier_id, 'revenue', sell_item_id, quarter, -messages, -segments, -micros FROM reversed
    UNION ALL
    SELECT merchant_id, carrier_id, 'cost', cost_item_id, quarter, bought, bought * segments, bought * cost_micros
    FROM quarterly WHERE accepted AND cost_item_id <> 0
), rows AS MATERIALIZED (
    SELECT merchant_id, carrier_id, account, item_id, quarter, sum(messages) AS messages, sum(segments) AS segments,
        sum(micros) AS micros
    FROM charged GROUP BY 1, 2, 3, 4, 5
), books AS (
    SELECT merchant_id, carrier_id, account, item_id, quarter, sum(messages) AS messages, sum(segments) AS segments,
        CASE WHEN account = 'revenue' THEN -sum(micros) ELSE sum(micros) END AS micros
    FROM (
        SELECT merchant_id, carrier_id, account, item_id, floor(date_part('epoch', accepted_at))::bigint / 900 AS quarter, messages, segments,
            amount_micros AS micros
        FROM ledger_entry
        WHERE direction = 'mt' AND account IN ('revenue', 'cost') AND item_id <> 0 AND accepted_at >= $2
        OFFSET 0
    ) e
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
        CASE WHEN row_number() OVER (PARTITION BY price_list_id ORDER BY effective_from) = 1 THEN 0
            ELSE ceil(extract(epoch FROM effective_from) * 1000)::bigint END AS from_ms,
        coalesce(ceil(extract(epoch FROM lead(effective_from) OVER (PARTITION BY price_list_id ORDER BY effective_from)) * 1000)::bigint,
                 9223372036854775807) AS until_ms
    FROM (SELECT price_list_id, version, least(effective_from, '9999-01-01Z') AS effective_from FROM price_version) v
), item AS (
    SELECT i.item_id, i.direction, i.unit_micros, l.side, v.version, v.from_ms, v.until_ms
    FROM price_item i
    JOIN price_list l ON l.price_list_id = i.price_list_id
    JOIN version v ON v.price_list_id = i.price_list_id AND v.version = i.version
), doubtful AS MATERIALIZED (  -- prices that are wrong, or were not in force in all of a quarter
    SELECT DISTINCT p.side, p.item_id, p.micros, p.segments, i.version, i.from_ms, i.until_ms, CASE
        WHEN i.item_id IS NULL THEN format('%1$s item %2$s is no published price', p.side, p.item_id)
        WHEN i.side <> p.side OR i.direction <> 'mt' THEN format('item %1$s is a %2$s price of side %3$s', p.item_id, i.direction, i.side)
        WHEN p.micros <> i.unit_micros * p.segments
            THEN format('%1$s %2$s micros, and %3$s x %4$s are %5$s', p.side, p.micros, i.unit_micros, p.segments, i.unit_micros * p.segments)
        END AS what
    FROM (
        SELECT 'sell' AS side, sell_item_id AS item_id, sell_micros AS micros, segments, first_ms, last_ms
        FROM quarterly WHERE accepted AND (sell_item_id <> 0 OR sell_micros <> 0)
        UNION ALL
        SELECT 'cost', cost_item_id, cost_micros, segments, first_ms, last_ms
        FROM quarterly WHERE accepted AND (cost_item_id <> 0 OR cost_micros <> 0)
    ) p
    LEFT JOIN item i ON i.item_id = p.item_id
    WHERE i.item_id IS NULL OR i.side <> p.side OR i.direction <> 'mt' OR p.micros <> i.unit_micros * p.segments
        OR p.first_ms < i.from_ms OR p.last_ms >= i.until_ms
), mispriced AS (
    SELECT p.merchant_id, side, bit_count(p.ids) AS messages, (p.block << 10) + position(B'1' IN p.ids) - 1 AS message_id,
        coalesce(d.what, format('%1$s item %2$s of version %3$s, which was not in force', side, item_id, d.version)) AS what
    FROM doubtful d
    JOIN (
        SELECT merchant_id, block, ids, ms, 'sell' AS side, sell_item_id AS item_id, sell_micros AS micros, segments
        FROM outcome WHERE accepted
        UNION ALL
        SELECT merchant_id, block, ids, ms, 'cost', cost_item_id, cost_micros, segments FROM outcome WHERE accepted
    ) p USING (side, item_id, micros, segments)
    WHERE d.what IS NOT NULL OR p.ms < d.from_ms OR p.ms >= d.until_ms
), leased AS MATERIALIZED (  -- open leases are number 0
    -- Most are of one claim, so of one block.
    SELECT c.merchant_id, c.lease_id, lower(c.message_ids) >> 10 AS block, r.ids
    FROM budget_charge c
    CROSS JOIN LATERAL (
        SELECT bit_or((~(0::bit(1024)) >> (lower(ids) & 1023)::int) & (~(0::bit(1024)) << (1023 - (upper(ids) - 1 & 1023))::int)) AS ids
        FROM (SELECT unnest(c.message_ids) AS ids) n
    ) r
    WHERE lower(c.message_ids) >> 10 = (upper(c.message_ids) - 1) >> 10
    UNION ALL
    SELECT c.merchant_id, c.lease_id, r.block, r.ids
    FROM budget_charge c
    CROSS JOIN LATERAL (
        SELECT block, bit_or((~(0::bit(1024)) >> greatest(first_id - (block << 10), 0)::int)
                             & (~(0::bit(1024)) << (1023 - least(last_id - (block << 10), 1023))::int)) AS ids
        FROM (
            -- A lease has no more neighbours than a node has ids in a millisecond; of one that says so, which is told, the rest is cut.
            SELECT first_id, last_id, generate_series(first_id >> 10, least(last_id >> 10, (first_id >> 10) + 64)) AS block
            FROM (SELECT lower(ids) AS first_id, upper(ids) - 1 AS last_id FROM (SELECT unnest(c.message_ids) AS ids) u) n
        ) n
        GROUP BY block
    ) r
    WHERE (lower(c.message_ids) >> 10 = (upper(c.message_ids) - 1) >> 10) IS NOT TRUE
    UNION ALL
    SELECT l.merchant_id, 0, m >> 10, block_ids((m & 1023)::int, 1)
    FROM budget_lease l CROSS JOIN LATERAL unnest(l.message_ids) AS m
    GROUP BY 1, 2, 3
), held AS (
    SELECT merchant_id, block, bit_or(ids) AS ids, count(*) AS leases, min(lease_id) AS lease_id FROM leased GROUP BY 1, 2
), judged AS MATERIALIZED (
    -- What was charged in a block: whether some of it is no lease's (bare), or all of it is one's (whole). Where neither is so, prices
    -- are looked at one by one.
    SELECT s.merchant_id, s.block, s.micros, h.ids, h.lease_id, s.ids & ~coalesce(h.ids, 0::bit(1024)) <> 0::bit(1024) AS bare,
        coalesce(h.leases = 1 AND s.ids & ~h.ids = 0::bit(1024), false) AS whole
    FROM (
        SELECT merchant_id, block, bit_or(sold) AS ids, sum(bit_count(sold) * sell_micros) AS micros
        FROM outcome
        WHERE accepted AND sell_micros <> 0 AND merchant_id IN (SELECT merchant_id FROM budget UNION ALL SELECT merchant_id FROM leased)
        GROUP BY 1, 2
    ) s
    LEFT JOIN held h ON h.merchant_id = s.merchant_id AND h.block = s.block
), spent AS (  -- what leases say, of those whose rows are kept, and their rows
    SELECT merchant_id, lease_id, sum(told) AS told, coalesce(sum(charged), 0) AS charged
    FROM (
        SELECT merchant_id, lease_id, spent_micros AS told, NULL AS charged FROM budget_charge
        WHERE lease_id <> 0 AND lower(message_ids) >= $1
        UNION ALL
        SELECT merchant_id, lease_id, NULL, micros FROM judged WHERE whole AND lease_id <> 0
        UNION ALL
        SELECT l.merchant_id, l.lease_id, NULL, bit_count(o.sold & l.ids) * o.sell_micros
        FROM (SELECT merchant_id, block FROM judged WHERE NOT whole) j
        JOIN leased l ON l.merchant_id = j.merchant_id AND l.block = j.block
        JOIN outcome o ON o.merchant_id = j.merchant_id AND o.block = j.block
        WHERE l.lease_id <> 0 AND o.accepted
    ) s
    GROUP BY 1, 2
), excused AS (
    -- A receipt of an earlier time than the one that decided may come when its lease is settled: the charge changes, and the lease does not.
    SELECT l.merchant_id, l.lease_id, sum(s.sell_micros) FILTER (WHERE c.states[1] <> 2) AS too_much,
        sum(s.sell_micros) FILTER (WHERE c.states[1] = 2) AS too_little
    FROM contradicted c
    JOIN leased l ON l.merchant_id = c.merchant_id AND l.block = c.message_id >> 10 AND get_bit(l.ids, (c.message_id & 1023)::int) = 1
    CROSS JOIN LATERAL (
        SELECT sell_micros FROM sent
        WHERE merchant_id = c.merchant_id AND message_id = c.message_id AND segment = c.segment AND sell_item_id = ANY ($3::bigint[])
        OFFSET 0) s
    WHERE 2 = ANY (c.states)
    GROUP BY 1, 2
), unleased AS (
    SELECT o.merchant_id, o.segment, o.sell_micros, n.messages, n.message_id
    FROM (
        SELECT o.merchant_id, o.segment, o.sell_item_id, o.sell_micros, o.block, o.ms, o.sold & ~coalesce(j.ids, 0::bit(1024)) AS ids
        FROM judged j
        JOIN (
            SELECT merchant_id, ceil(extract(epoch FROM began_at + interval '1 minute') * 1000)::bigint AS from_ms FROM budget
        ) b ON b.merchant_id = j.merchant_id
        JOIN outcome o ON o.merchant_id = j.merchant_id AND o.block = j.block
        WHERE j.bare AND o.accepted AND o.sell_micros > 0 AND o.ms >= b.from_ms
    ) o
    CROSS JOIN LATERAL (
        SELECT count(*) AS messages, min((o.block << 10) + n) AS message_id
        FROM generate_series(0, 1023) AS n
        WHERE get_bit(o.ids, n) = 1 AND (o.sell_item_id <> ALL ($3::bigint[]) OR (
            SELECT CASE WHEN bool_and(r.state = 2) THEN min(r.received_at) END FROM receipt r
            WHERE r.merchant_id = o.merchant_id AND r.message_id = (o.block << 10) + n AND r.segment = o.segment
                AND r.state = ANY ($4::smallint[])) < to_timestamp(o.ms / 1000.0) + interval '14 days')
    ) n
    WHERE o.ids <> 0::bit(1024)
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
FROM (
    SELECT merchant_id, bit_count(ids) AS messages, (block << 10) + position(B'1' IN ids) - 1 AS first_id FROM outcome
    WHERE NOT accepted AND (sell_micros <> 0 OR cost_micros <> 0 OR sell_item_id <> 0 OR cost_item_id <> 0)
) x
UNION ALL
SELECT 'I14', count(*),
    (array_agg(format('lease %1$s of merchant %2$s has the ids %3$s, more neighbours than there are', lease_id, merchant_id, ids)
               ORDER BY merchant_id, lease_id, ids))[1]
FROM (
    SELECT merchant_id, lease_id, unnest(message_ids) AS ids FROM budget_charge
    WHERE (lower(message_ids) >= upper(message_ids) - 65536) IS NOT TRUE
) x
WHERE (lower(ids) >= upper(ids) - 65536) IS NOT TRUE
UNION ALL
SELECT 'I14', count(*),
    (array_agg(format('lease %1$s of merchant %2$s: %3$s micros are spent, the rows of its messages have %4$s', lease_id, merchant_id,
                      told, charged) ORDER BY merchant_id, lease_id))[1]
FROM spent LEFT JOIN excused USING (merchant_id, lease_id) WHERE told - charged NOT BETWEEN -coalesce(too_little, 0) AND coalesce(too_much, 0)
UNION ALL
SELECT 'I14', coalesce(sum(messages), 0)::bigint,
    (array_agg(format('message %1$s of merchant %2$s is charged %3$s micros, and no lease has it', message_id, merchant_id, sell_micros)
               ORDER BY message_id, segment))[1]
FROM unleased WHERE messages > 0
UNION ALL
SELECT 'R8', count(*), (array_agg(format('message %1$s of merchant %2$s, part %3$s: %4$s', message_id, merchant_id, segment, told)
                                  ORDER BY message_id, merchant_id, segment))[1]
FROM contradicted
UNION ALL
SELECT 'rows', coalesce(sum(messages), 0)::bigint, NULL FROM quarterly
UNION ALL
SELECT 'charged', coalesce(sum(messages), 0)::bigint, NULL FROM rows WHERE account = 'revenue';
