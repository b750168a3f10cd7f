-- name: notify
-- scope: control
SELECT pg_notify('smsgate', t.said) FROM unnest($1::text[]) WITH ORDINALITY AS t (said, no) ORDER BY t.no

-- name: probe
-- scope: control
SELECT 1
