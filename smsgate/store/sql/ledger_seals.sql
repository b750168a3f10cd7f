-- The chain of hashes over the ledger. Rows are hashed as text, in the order of posting and line, by the hour in which they were recorded;
-- a day is the hash over its hours. chain_sha256 = sha256(previous_sha256 || 'month day entries ' || entries_sha256). A float holds the
-- microseconds of an instant exactly (below 2^53), and concat_ws makes the text in two thirds of the time of format. Half a second is
-- rounded up, as seals of before have it: a cast of a float would round to the even one.

-- name: days
-- scope: merchant
-- Recorded from $2 up to $3.
SELECT (hour AT TIME ZONE 'UTC')::date AS day, sum(entries)::bigint AS entries, sha256(string_agg(sha256, '' ORDER BY hour)) AS sha256
FROM (
    SELECT date_bin('1 hour', at, '2000-01-01Z') AS hour, count(*) AS entries,
        sha256(convert_to(string_agg(
            concat_ws(' ', posting_id, line, account, currency, amount_micros, direction, item_id, coalesce(campaign_id, 0), carrier_id,
                      messages, segments, (date_part('epoch', at) * 1000000)::bigint, floor(date_part('epoch', accepted_at) + 0.5)::bigint) || E'\n',
            '' ORDER BY posting_id, line), 'UTF8')) AS sha256
    FROM ledger_entry
    WHERE merchant_id = $1 AND at >= $2 AND at < $3
    GROUP BY 1
) h
GROUP BY day
ORDER BY day

-- name: lock_period
-- scope: merchant
SELECT ledger_sha256 FROM billing_period WHERE merchant_id = $1 AND month = $2 FOR UPDATE

-- name: sealed_before
-- scope: merchant
SELECT cut_at, ledger_sha256 FROM billing_period
WHERE merchant_id = $1 AND month < $2 AND ledger_sha256 IS NOT NULL
ORDER BY month DESC LIMIT 1

-- name: insert
-- scope: merchant
INSERT INTO ledger_seal (merchant_id, month, day, entries, entries_sha256, previous_sha256, chain_sha256)
SELECT $1, $2, t.day, t.entries, t.entries_sha256, t.previous_sha256, t.chain_sha256
FROM unnest($3::date[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[])
    AS t (day, entries, entries_sha256, previous_sha256, chain_sha256)

-- name: seal_period
-- scope: merchant
UPDATE billing_period SET ledger_sha256 = $3 WHERE merchant_id = $1 AND month = $2

-- name: proofs
-- scope: report
-- Sealed months are the last ones of a merchant: the first of them sealed all that was recorded before.
WITH sealed AS (
    SELECT merchant_id, month, cut_at, ledger_sha256,
        coalesce(lag(cut_at) OVER (PARTITION BY merchant_id ORDER BY month), '-infinity') AS since
    FROM billing_period WHERE ledger_sha256 IS NOT NULL
), found AS (
    SELECT merchant_id, month, (hour AT TIME ZONE 'UTC')::date AS day, sum(entries) AS entries, min(first_posting) AS first_posting,
        sha256(string_agg(sha256, '' ORDER BY hour)) AS sha256
    FROM (
        SELECT e.merchant_id, p.month, date_bin('1 hour', e.at, '2000-01-01Z') AS hour, count(*) AS entries,
            min(e.posting_id) AS first_posting,
            sha256(convert_to(string_agg(
                concat_ws(' ', e.posting_id, e.line, e.account, e.currency, e.amount_micros, e.direction, e.item_id,
                          coalesce(e.campaign_id, 0), e.carrier_id, e.messages, e.segments, (date_part('epoch', e.at) * 1000000)::bigint,
                          floor(date_part('epoch', e.accepted_at) + 0.5)::bigint) || E'\n',
                '' ORDER BY e.posting_id, e.line), 'UTF8')) AS sha256
        FROM sealed p
        JOIN ledger_entry e ON e.merchant_id = p.merchant_id AND e.at >= p.since AND e.at < p.cut_at
        GROUP BY 1, 2, 3
    ) h
    GROUP BY 1, 2, 3
), chain AS (
    SELECT *, coalesce(lag(chain_sha256) OVER (PARTITION BY merchant_id ORDER BY month, day), '') AS before
    FROM ledger_seal
), compared AS (
    SELECT merchant_id, month, day, coalesce(f.entries, 0) AS entries, coalesce(c.entries, 0) AS sealed_entries, f.first_posting,
        f.sha256 IS DISTINCT FROM c.entries_sha256 OR c.previous_sha256 IS DISTINCT FROM c.before
            OR c.chain_sha256 IS DISTINCT FROM sha256(
                c.previous_sha256 || convert_to(format('%1$s %2$s %3$s ', month, day, c.entries), 'UTF8') || c.entries_sha256) AS broken
    FROM found f FULL JOIN chain c USING (merchant_id, month, day)
)
SELECT 'I12' AS invariant, count(*) AS wrong,
    (array_agg(format('merchant %1$s, close of %2$s: %3$s entries were recorded on %4$s, the first by posting %5$s, and the close had %6$s',
                      merchant_id, to_char(month, 'YYYY-MM'), entries, day, first_posting, sealed_entries)
               ORDER BY merchant_id, month, day))[1] AS first
FROM compared WHERE entries > sealed_entries
UNION ALL
SELECT 'I15', count(*),
    (array_agg(format('merchant %1$s, close of %2$s: the %3$s entries recorded on %4$s are not the %5$s that were sealed, or the seal before them',
                      merchant_id, to_char(month, 'YYYY-MM'), entries, day, sealed_entries) ORDER BY merchant_id, month, day))[1]
FROM compared WHERE broken AND entries <= sealed_entries
UNION ALL
SELECT 'I15', count(*),
    (array_agg(format('merchant %1$s: %2$s is closed and does not have its last seal of the ledger', merchant_id, to_char(month, 'YYYY-MM'))
               ORDER BY merchant_id, month))[1]
FROM (
    SELECT p.merchant_id, p.month, p.ledger_sha256, coalesce(s.chain_sha256, '') AS last,
        EXISTS (SELECT FROM sealed b WHERE b.merchant_id = p.merchant_id AND b.month < p.month) AS follows
    FROM billing_period p
    LEFT JOIN LATERAL (
        SELECT l.chain_sha256 FROM ledger_seal l WHERE l.merchant_id = p.merchant_id AND l.month <= p.month
        ORDER BY l.month DESC, l.day DESC LIMIT 1
    ) s ON true
    WHERE p.closed_at IS NOT NULL
) x
WHERE ledger_sha256 <> last OR (ledger_sha256 IS NULL AND follows);
