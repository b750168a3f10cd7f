-- Numbers that moved to another network: one version is in force, the next one is loaded beside it.

-- name: ported_of
-- scope: msisdn
SELECT p.msisdn, p.mccmnc
  FROM ported_number p
  JOIN portability_version v ON v.version = p.version AND v.state = 'in_force'
 WHERE p.msisdn = ANY($1::text::bigint[])

-- name: version_in_force
-- scope: control
SELECT version, numbers, deltas, changed_at FROM portability_version WHERE state = 'in_force'

-- name: try_lock
-- scope: control
SELECT pg_try_advisory_lock($1)

-- name: unlock
-- scope: control
SELECT pg_advisory_unlock($1)

-- name: begin_version
-- scope: control
INSERT INTO portability_version (version, state, changed_at)
SELECT coalesce(max(version), 0) + 1, 'loading', $1 FROM portability_version
RETURNING version

-- name: retire_versions
-- scope: control
DELETE FROM portability_version WHERE version <> $1

-- name: put_in_force
-- scope: control
UPDATE portability_version SET state = 'in_force', numbers = $2, changed_at = $3 WHERE version = $1

-- name: note_delta
-- scope: control
UPDATE portability_version SET deltas = deltas + 1, changed_at = $2, numbers = numbers + $3 WHERE version = $1

-- name: put_numbers
-- scope: msisdn
-- One number twice in one statement is one number: the caller gives each once.
INSERT INTO ported_number (msisdn, version, mccmnc)
SELECT t.msisdn, $1, t.mccmnc FROM unnest($2::bigint[], $3::text[]) AS t (msisdn, mccmnc)
    ON CONFLICT (msisdn, version) DO UPDATE SET mccmnc = excluded.mccmnc
RETURNING (xmax = 0) AS fresh

-- name: drop_numbers
-- scope: msisdn
DELETE FROM ported_number WHERE version = $1 AND msisdn = ANY($2::bigint[]) RETURNING 1

-- name: drop_other_versions
-- scope: report
DELETE FROM ported_number WHERE version <> $1
