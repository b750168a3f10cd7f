-- name: start
-- scope: merchant
INSERT INTO import_job (merchant_id, import_id, kind, state, validate_only, created_at)
VALUES ($1, $2, $3, 'running', $4, $5);

-- name: import
-- scope: merchant
SELECT import_id, kind, state, validate_only, rows_total, rows_ok, rows_failed, problem, created_at, finished_at, alive_at,
    state = 'running' AND alive_at < now() - interval '120 s' AS is_silent
FROM import_job
WHERE merchant_id = $1 AND import_id = $2;

-- name: imports_page
-- scope: merchant
SELECT import_id, kind, state, validate_only, rows_total, rows_ok, rows_failed, problem, created_at, finished_at, alive_at,
    state = 'running' AND alive_at < now() - interval '120 s' AS is_silent, import_id AS page_id
FROM import_job
WHERE merchant_id = $1 AND import_id < $2
ORDER BY import_id DESC
LIMIT $3;

-- name: lock_numbers
-- scope: merchant
-- In one order, so that two imports of the same numbers wait for each other and never lock each other out.
SELECT subscriber_id FROM subscriber
WHERE merchant_id = $1 AND msisdn = ANY ($2::bigint[])
ORDER BY msisdn
FOR UPDATE;

-- name: consents_of
-- scope: merchant
-- A statement of its own after the lock: the locking one would not see the STOPs that it waited for.
SELECT s.msisdn, s.offers_state, s.language, s.tags::text AS tags, (
    SELECT max(c.occurred_at)
    FROM consent_event c
    WHERE c.merchant_id = $1 AND c.subscriber_id = s.subscriber_id AND c.purpose = $3 AND c.event = ANY ($4::text[])
) AS stopped_at
FROM subscriber s
WHERE s.merchant_id = $1 AND s.subscriber_id = ANY ($2::bigint[]);

-- name: put_rows
-- scope: merchant
-- Of rows with the same number the last one counts, as if they had come one by one; each is a consent of its own.
-- One statement: each index of the two tables is gone through once.
WITH n AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $9::bigint[], $10::text::text[], $11::text::text[], $12::text::text[], $13::text::text[], $14::text::text[],
        $15::text::text[], $16::text::text[], $17::text::text[], $18::timestamptz[], $19::text::bigint[],
        $20::text::text[], $21::text::text[], $22::text::text[]
    ) WITH ORDINALITY AS r (
        msisdn, external_id, language, country, tags, fields, state, wording_version, source, occurred_at, row_no, region,
        timezone, at, place
    )
), s AS (
    INSERT INTO subscriber AS old (
        merchant_id, subscriber_id, msisdn, external_id, language, country, tags, fields, offers_state,
        offers_state_at, created_at, updated_at, region, timezone, place
    )
    SELECT DISTINCT ON (n.msisdn)
        $1, $2 + n.place - 1, n.msisdn, n.external_id, coalesce(n.language, m.language), n.country,
        coalesce(n.tags, '{}')::text[], n.fields::jsonb, n.state, $8, $8, $8, n.region, n.timezone, n.at
    FROM n
    JOIN merchant m ON m.merchant_id = $1
    ORDER BY n.msisdn, n.place DESC
    ON CONFLICT (merchant_id, msisdn) DO UPDATE SET
        external_id = coalesce(excluded.external_id, old.external_id),
        language = excluded.language,
        tags = excluded.tags,
        fields = old.fields || excluded.fields,
        region = CASE WHEN excluded.region || excluded.timezone = '' THEN old.region ELSE excluded.region END,
        timezone = CASE WHEN excluded.region || excluded.timezone = '' THEN old.timezone ELSE excluded.timezone END,
        place = CASE WHEN excluded.region || excluded.timezone = '' AND old.place <> '' THEN old.place
            ELSE excluded.place END,
        offers_state = excluded.offers_state,
        offers_state_at = CASE
            WHEN old.offers_state = excluded.offers_state THEN old.offers_state_at
            ELSE excluded.offers_state_at
        END,
        updated_at = excluded.updated_at
    RETURNING subscriber_id, msisdn
)
INSERT INTO consent_event (
    merchant_id, consent_id, subscriber_id, msisdn, purpose, event, state_after, wording_version, source, evidence,
    occurred_at, recorded_at
)
SELECT $1, $3 + n.place - 1, s.subscriber_id, s.msisdn, $4, $5, n.state, n.wording_version, $6,
    jsonb_build_object('source', n.source, 'import', $7::text, 'row', n.row_no, 'who', $23::text, 'key', $23::text), n.occurred_at, $8
FROM n
JOIN s ON s.msisdn = n.msisdn;

-- name: put_errors
-- scope: merchant
INSERT INTO import_error (merchant_id, import_id, row_no, code, detail)
SELECT $1, $2, n.row_no, n.code, n.detail
FROM unnest($3::bigint[], $4::text[], $5::text[]) AS n (row_no, code, detail)
ORDER BY n.row_no
LIMIT $6
ON CONFLICT (merchant_id, import_id, row_no) DO NOTHING;

-- name: count_rows
-- scope: merchant
UPDATE import_job SET rows_total = rows_total + $3 + $4, rows_ok = rows_ok + $3, rows_failed = rows_failed + $4
WHERE merchant_id = $1 AND import_id = $2
RETURNING rows_failed - $4;

-- name: renew
-- scope: merchant
UPDATE import_job SET alive_at = now() WHERE merchant_id = $1 AND import_id = $2 AND state = 'running';

-- name: finish
-- scope: merchant
UPDATE import_job SET state = CASE WHEN $3 = '' THEN 'finished' ELSE 'failed' END, problem = $3, finished_at = $4
WHERE merchant_id = $1 AND import_id = $2
RETURNING import_id, kind, state, validate_only, rows_total, rows_ok, rows_failed, problem, created_at, finished_at, alive_at,
    false AS is_silent;

-- name: errors
-- scope: merchant
SELECT row_no, code, detail
FROM import_error
WHERE merchant_id = $1 AND import_id = $2 AND row_no > $3
ORDER BY row_no
LIMIT $4;
