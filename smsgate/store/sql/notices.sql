-- name: notify
-- scope: control
SELECT pg_notify('smsgate', $1)

-- name: probe
-- scope: control
SELECT 1
