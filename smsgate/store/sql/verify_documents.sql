-- Proofs of closed months and their documents. $1 and $2: currencies, and micros of their minor units. Half away from zero is
-- (2 x |a| + b) / (2 x b) in whole numbers, with the sign of a.

-- name: lines
-- scope: report
-- A credit that uses up its line takes what the earlier ones left of it, with the roundings of all of them; others take no more (R13).
SELECT 'I7' AS invariant, count(*) AS wrong,
    (array_agg(format('line %1$s of document %2$s-%3$s: ' || CASE expected WHEN rounded THEN '%4$s x %5$s micros is' ELSE 'what is left is' END
                      || ' %6$s, not %7$s', line, series, number, quantity, unit_micros, expected, net_minor)
               ORDER BY merchant_id, document_id, line))[1] AS first
FROM (
    SELECT *, CASE WHEN uses_up THEN rest WHEN rest < 0 OR rounded < 0 THEN greatest(rounded, rest) ELSE least(rounded, rest) END AS expected
    FROM (
        SELECT d.merchant_id, d.document_id, d.series, d.number, l.line, l.quantity, l.unit_micros, l.net_minor, c.rest, c.uses_up,
            sign(l.quantity::numeric * l.unit_micros) * div(2 * abs(l.quantity::numeric * l.unit_micros) + s.scale, 2 * s.scale) AS rounded
        FROM document_line l
        JOIN document d ON d.merchant_id = l.merchant_id AND d.document_id = l.document_id
        JOIN unnest($1::text[], $2::bigint[]) AS s (currency, scale) ON s.currency = d.currency
        LEFT JOIN (
            SELECT l.merchant_id, l.document_id, l.line, o.net_minor - sum(l.net_minor) OVER so_far + l.net_minor AS rest,
                sum(l.quantity) OVER so_far = o.quantity AS uses_up
            FROM document d
            JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
            JOIN document_line o ON o.merchant_id = d.merchant_id AND o.document_id = d.credits_id AND o.line = l.credits_line
            WHERE d.credits_id IS NOT NULL
            WINDOW so_far AS (PARTITION BY o.merchant_id, o.document_id, o.line ORDER BY d.issued_on, d.series, d.number, l.line)
        ) c ON c.merchant_id = l.merchant_id AND c.document_id = l.document_id AND c.line = l.line
        OFFSET 0  -- each is rounded once
    ) r
) x
WHERE net_minor <> expected;

-- name: sums
-- scope: report
-- The VAT of a group (category and rate) is rounded once in a document. The credit that uses up a group takes what the earlier ones left of
-- its VAT, with the roundings of all of them; others take no more, but where the group also gives something back (R13). What is paid back of
-- a prepayment has its share of the VAT, which may be a minor unit off.
WITH taxed AS MATERIALIZED (
    SELECT merchant_id, document_id, vat_category, vat_rate_micros, net, units, one_sign,
        sign(net * rate) * div(2 * abs(net * rate) + 100000000, 200000000) AS vat
    FROM (
        SELECT merchant_id, document_id, vat_category, vat_rate_micros, greatest(vat_rate_micros, 0) AS rate, sum(net_minor)::numeric AS net,
            sum(abs(quantity)) AS units, bool_and(quantity > 0) = bool_or(quantity > 0) AS one_sign
        FROM document_line GROUP BY merchant_id, document_id, vat_category, vat_rate_micros
    ) g
), credited AS MATERIALIZED (
    SELECT merchant_id, document_id, sum(part) AS vat
    FROM (
        SELECT merchant_id, document_id, up_to_it - coalesce(lag(up_to_it) OVER (
            PARTITION BY merchant_id, credits_id, vat_category, vat_rate_micros ORDER BY issued_on, series, number), 0) AS part
        FROM (
            SELECT *, CASE WHEN units = all_units THEN all_vat WHEN NOT one_sign THEN vat WHEN all_vat < 0 THEN greatest(vat, all_vat)
                ELSE least(vat, all_vat) END AS up_to_it
            FROM (
                SELECT d.merchant_id, d.document_id, d.credits_id, d.issued_on, d.series, d.number, t.vat_category, t.vat_rate_micros,
                    sum(t.units) OVER so_far AS units, sum(t.vat) OVER so_far AS vat, o.units AS all_units, o.vat AS all_vat, o.one_sign
                FROM document d
                JOIN taxed t ON t.merchant_id = d.merchant_id AND t.document_id = d.document_id
                LEFT JOIN taxed o ON o.merchant_id = d.merchant_id AND o.document_id = d.credits_id AND o.vat_category = t.vat_category
                    AND o.vat_rate_micros = t.vat_rate_micros
                WHERE d.doc_type = '381' AND d.credits_id IS NOT NULL
                WINDOW so_far AS (PARTITION BY d.merchant_id, d.credits_id, t.vat_category, t.vat_rate_micros
                                  ORDER BY d.issued_on, d.series, d.number)
            ) g
        ) u
    ) p
    GROUP BY merchant_id, document_id
)
SELECT 'I8' AS invariant, count(*) AS wrong,
    (array_agg(format('document %1$s-%2$s: net %3$s, VAT %4$s, gross %5$s; its lines make %6$s and %7$s', series, number, net_minor, vat_minor,
                      gross_minor, lines_net, lines_vat) ORDER BY merchant_id, document_id))[1] AS first
FROM (
    SELECT d.*, coalesce(t.net, 0) AS lines_net, coalesce(c.vat, t.vat, 0) AS lines_vat
    FROM document d
    LEFT JOIN (SELECT merchant_id, document_id, sum(net) AS net, sum(vat) AS vat FROM taxed GROUP BY 1, 2) t USING (merchant_id, document_id)
    LEFT JOIN credited c USING (merchant_id, document_id)
) x
WHERE net_minor <> lines_net OR gross_minor <> net_minor + vat_minor
    OR (vat_minor <> lines_vat AND (doc_type <> '503' OR abs(vat_minor - lines_vat) > 1))
UNION ALL
SELECT 'I11', count(*),
    (array_agg(format('document %1$s-%2$s: more VAT is credited than it has, or than the credited lines make', o.series, o.number)
               ORDER BY o.merchant_id, o.document_id))[1]
FROM document o
JOIN (
    SELECT merchant_id, credits_id, sum(vat_minor) AS vat, sum(c.vat) AS lines_vat
    FROM document d LEFT JOIN credited c USING (merchant_id, document_id)
    WHERE credits_id IS NOT NULL GROUP BY 1, 2
) c ON c.merchant_id = o.merchant_id AND c.credits_id = o.document_id
WHERE abs(c.vat) > abs(coalesce(c.lines_vat, o.vat_minor));

-- name: moved
-- scope: report
SELECT 'I9' AS invariant, count(*) AS wrong,
    (array_agg(format('document %1$s-%2$s: exact %3$s micros, rounding %4$s; its lines make %5$s', series, number, exact_micros,
                      rounding_micros, lines_exact) ORDER BY merchant_id, document_id))[1] AS first
FROM (
    SELECT d.*, s.scale, coalesce(l.exact, 0) AS lines_exact, coalesce(l.lines, 0) AS lines
    FROM document d
    JOIN unnest($1::text[], $2::bigint[]) AS s (currency, scale) ON s.currency = d.currency
    LEFT JOIN (
        SELECT merchant_id, document_id, sum(quantity::numeric * unit_micros) AS exact, count(*) AS lines
        FROM document_line GROUP BY merchant_id, document_id
    ) l USING (merchant_id, document_id)
) x
WHERE exact_micros <> lines_exact OR rounding_micros <> exact_micros - net_minor * scale
    OR (credits_id IS NULL AND 2 * abs(rounding_micros) > lines * scale);

-- name: postings
-- scope: report
-- A document moves its gross less what it deducts of advances, and VAT less what stood in them; a prepayment invoice is paid, and
-- so is what is paid back of it.
SELECT 'I9' AS invariant, count(*) AS wrong,
    (array_agg(format('document %1$s-%2$s of merchant %3$s: the ledger has %4$s receivable, %5$s VAT and %6$s rounding for it',
                      series, number, merchant_id, receivable, vat, rounding) ORDER BY merchant_id, place))[1] AS first
FROM (
    SELECT coalesce(d.merchant_id, p.merchant_id) AS merchant_id, posting_id AS place, d.series, d.number,
        coalesce(p.receivable, 0) AS receivable, coalesce(p.vat, 0) AS vat, coalesce(p.rounding, 0) AS rounding,
        CASE WHEN d.doc_type IN ('386', '503') THEN 0 ELSE d.sign * (d.gross_minor - d.paid_minor) * d.scale END AS gross,
        -d.sign * (d.vat_minor - CASE WHEN d.doc_type = '380' THEN d.deducted ELSE 0 END) * d.scale AS tax,
        d.sign * d.rounding_micros AS rounded
    FROM (
        SELECT d.*, s.scale, CASE WHEN d.doc_type IN ('381', '503') THEN -1 ELSE 1 END AS sign,
            (SELECT coalesce(sum(a.vat_minor), 0) FROM document_advance a
             WHERE a.merchant_id = d.merchant_id AND a.document_id = d.document_id) AS deducted
        FROM document d
        JOIN unnest($1::text[], $2::bigint[]) AS s (currency, scale) ON s.currency = d.currency
        WHERE d.doc_type IN ('380', '381', '386', '503')
    ) d
    FULL JOIN (
        SELECT merchant_id, posting_id, sum(amount_micros) FILTER (WHERE account = 'receivable') AS receivable,
            sum(amount_micros) FILTER (WHERE account = 'vat') AS vat,
            sum(amount_micros) FILTER (WHERE account = 'rounding') AS rounding
        FROM ledger_entry WHERE direction = 'document' GROUP BY merchant_id, posting_id
    ) p USING (merchant_id, posting_id)
) x
WHERE (receivable, vat, rounding) IS DISTINCT FROM (gross, tax, rounded);

-- name: numbers
-- scope: report
SELECT 'I10' AS invariant, count(*) AS wrong, (array_agg(what ORDER BY series, number))[1] AS first
FROM (
    SELECT series, number, format('after %1$s-%2$s comes %3$s-%4$s', series, before, series, number) AS what
    FROM (SELECT series, number, coalesce(lag(number) OVER (PARTITION BY series ORDER BY number), 0) AS before FROM document) n
    WHERE number <> before + 1
    UNION ALL
    SELECT series, number, format('%1$s-%2$s is of %3$s, the one before it of %4$s', series, number, issued_on, before)
    FROM (SELECT series, number, issued_on, lag(issued_on) OVER (PARTITION BY series ORDER BY number) AS before FROM document) n
    WHERE issued_on < before
    UNION ALL
    SELECT s.series, s.last, format('series %1$s counts %2$s documents, and has %3$s', s.series, s.last, count(d.number))
    FROM document_series s LEFT JOIN document d ON d.series = s.series
    GROUP BY s.series, s.last HAVING count(d.number) <> s.last OR coalesce(max(d.number), 0) <> s.last
    UNION ALL
    SELECT d.series, min(d.number), format('series %1$s has documents and no counter', d.series)
    FROM document d WHERE NOT EXISTS (SELECT FROM document_series s WHERE s.series = d.series) GROUP BY d.series
) x;

-- name: credits
-- scope: report
-- `sums` has what they take of VAT.
SELECT 'I11' AS invariant, count(*) AS wrong, (array_agg(what ORDER BY merchant_id, document_id, line))[1] AS first
FROM (
    SELECT o.merchant_id, o.document_id, o.line,
        format('line %1$s of document %2$s-%3$s: %4$s of %5$s units and %6$s of %7$s minor units are credited', o.line, d.series, d.number,
               c.quantity, o.quantity, c.net, o.net_minor) AS what
    FROM (
        SELECT d.merchant_id, d.credits_id, l.credits_line, sum(l.quantity) AS quantity, sum(l.net_minor) AS net
        FROM document d JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
        WHERE d.doc_type = '381' AND d.credits_id IS NOT NULL GROUP BY 1, 2, 3
    ) c
    JOIN document_line o ON o.merchant_id = c.merchant_id AND o.document_id = c.credits_id AND o.line = c.credits_line
    JOIN document d ON d.merchant_id = o.merchant_id AND d.document_id = o.document_id
    WHERE abs(c.quantity) > abs(o.quantity) OR abs(c.net) > abs(o.net_minor) OR sign(c.quantity) <> sign(o.quantity)
        OR (c.quantity = o.quantity AND c.net <> o.net_minor)
    UNION ALL
    SELECT d.merchant_id, d.document_id, l.line, format('line %1$s of document %2$s-%3$s credits nothing', l.line, d.series, d.number)
    FROM document d JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
    WHERE d.doc_type = '381' AND d.credits_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM document_line o WHERE o.merchant_id = d.merchant_id AND o.document_id = d.credits_id AND o.line = l.credits_line)
) x;

-- name: cuts
-- scope: report
-- Documents of closes are of months that are closed; cuts do not fall, and months are closed after them.
SELECT 'I12' AS invariant, count(*) AS wrong, (array_agg(what ORDER BY merchant_id, month))[1] AS first
FROM (
    SELECT d.merchant_id, d.month, format('document %1$s-%2$s is of %3$s, which merchant %4$s did not close', d.series, d.number,
                                          to_char(d.month, 'YYYY-MM'), d.merchant_id) AS what
    FROM document d
    WHERE d.doc_type IN ('380', '381') AND d.credits_id IS NULL AND NOT EXISTS (
        SELECT FROM billing_period p WHERE p.merchant_id = d.merchant_id AND p.month = d.month AND p.closed_at IS NOT NULL)
    UNION ALL
    SELECT merchant_id, month, format('merchant %1$s cut %2$s at %3$s, and the month before it at %4$s', merchant_id,
                                      to_char(month, 'YYYY-MM'), cut_at, before)
    FROM (SELECT *, lag(cut_at) OVER (PARTITION BY merchant_id ORDER BY month) AS before FROM billing_period) p
    WHERE cut_at < before
    UNION ALL
    SELECT merchant_id, month, format('merchant %1$s closed %2$s at %3$s, and cut it at %4$s', merchant_id, to_char(month, 'YYYY-MM'),
                                      closed_at, cut_at)
    FROM billing_period WHERE closed_at < cut_at
) x;

-- name: periods
-- scope: report
-- What a closed month billed is what was recorded before its cut: its own, and of earlier months what the close before left.
SELECT 'I12' AS invariant, count(*) AS wrong,
    (array_agg(format('merchant %1$s, %2$s, item %3$s of %4$s: documents have %5$s segments, the ledger %6$s before the cut', merchant_id,
                      to_char(month, 'YYYY-MM'), item_id, to_char(origin, 'YYYY-MM'), billed, booked)
               ORDER BY month, merchant_id, origin, item_id))[1] AS first
FROM (
    SELECT merchant_id, month, item_id, origin, coalesce(d.quantity, 0) AS billed, coalesce(e.segments, 0) AS booked
    FROM (
        SELECT d.merchant_id, d.month, l.item_id, l.origin,
            sum(CASE WHEN d.doc_type = '381' THEN -l.quantity ELSE l.quantity END) AS quantity
        FROM document d JOIN document_line l ON l.merchant_id = d.merchant_id AND l.document_id = d.document_id
        WHERE d.credits_id IS NULL AND l.kind = 'usage' GROUP BY 1, 2, 3, 4
    ) d
    FULL JOIN (
        SELECT p.merchant_id, p.month, e.item_id, date_trunc('month', e.accepted_at AT TIME ZONE m.timezone)::date AS origin,
            sum(e.segments) AS segments
        FROM (
            SELECT b.*, max(cut_at) OVER (PARTITION BY merchant_id ORDER BY month ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                AS previous_cut_at
            FROM billing_period b
        ) p
        JOIN merchant m ON m.merchant_id = p.merchant_id
        JOIN ledger_entry e ON e.merchant_id = p.merchant_id AND e.account = 'unbilled' AND e.direction <> 'document'
            AND e.at < p.cut_at AND e.accepted_at < p.ends_at
            AND (e.accepted_at >= p.starts_at OR e.at >= coalesce(p.previous_cut_at, '-infinity'))
        WHERE p.closed_at IS NOT NULL
        GROUP BY 1, 2, 3, 4
    ) e USING (merchant_id, month, item_id, origin)
) x
WHERE billed <> booked;

-- name: chain
-- scope: report
SELECT 'I15' AS invariant, count(*) AS wrong,
    (array_agg(format('document %1$s-%2$s is not what was issued, or the one before it', series, number) ORDER BY series, number))[1] AS first
FROM (
    SELECT series, number, payload, previous_sha256, chain_sha256,
        coalesce(lag(chain_sha256) OVER (PARTITION BY series ORDER BY number), '') AS before,
        lead(number) OVER (PARTITION BY series ORDER BY number) IS NULL AS newest
    FROM document
) x
LEFT JOIN document_series s USING (series)
WHERE previous_sha256 <> before OR chain_sha256 <> sha256(previous_sha256 || payload)
    OR (newest AND chain_sha256 IS DISTINCT FROM s.last_sha256);

-- name: payloads
-- scope: report
-- The stored paper and the row beside it say the same.
SELECT 'I8' AS invariant, count(*) AS wrong,
    (array_agg(format('document %1$s-%2$s: its paper has %3$s, its row %4$s', series, number, paper, told) ORDER BY series, number))[1] AS first
FROM (
    SELECT series, number,
        concat_ws(' ', p->>'code', p->>'currency', p->>'issued_on', p->>'net_minor', p->>'vat_minor', p->>'gross_minor',
                  p->>'exact_micros', p->>'rounding_micros', p->>'paid_minor', jsonb_array_length(p->'lines')) AS paper,
        concat_ws(' ', doc_type, currency, issued_on, net_minor, vat_minor, gross_minor, exact_micros, rounding_micros, paid_minor,
                  (SELECT count(*) FROM document_line l WHERE l.merchant_id = d.merchant_id AND l.document_id = d.document_id)) AS told
    FROM (SELECT *, convert_from(payload, 'UTF8')::jsonb AS p FROM document OFFSET 0) d  -- each paper is read once
) x
WHERE paper <> told;

-- name: paper_lines
-- scope: report
-- And so do the lines of both.
SELECT 'I8' AS invariant, count(*) AS wrong,
    (array_agg(format('line %1$s of document %2$s-%3$s: its paper has %4$s, its row %5$s', line, series, number, paper, told)
               ORDER BY series, number, line))[1] AS first
FROM (
    SELECT d.series, d.number, coalesce(p.line, l.line) AS line, coalesce(p.text, 'nothing') AS paper, coalesce(l.text, 'nothing') AS told
    FROM document d
    CROSS JOIN LATERAL (
        SELECT n::int AS line, concat_ws(' ', x->>'quantity', x->>'unit_micros', x->>'vat_category', x->>'net_minor') AS text
        FROM jsonb_array_elements(convert_from(d.payload, 'UTF8')::jsonb -> 'lines') WITH ORDINALITY AS e (x, n)
    ) p
    LEFT JOIN LATERAL (
        SELECT k.line, concat_ws(' ', k.quantity, k.unit_micros, k.vat_category, k.net_minor) AS text
        FROM document_line k WHERE k.merchant_id = d.merchant_id AND k.document_id = d.document_id AND k.line = p.line
    ) l ON true
) x
WHERE paper <> told;
