-- name: notify
-- scope: control
SELECT pg_notify('smsgate', said) FROM unnest($1::text[]) AS said

-- name: probe
-- scope: control
SELECT 1
