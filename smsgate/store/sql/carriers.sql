-- name: lock
-- scope: control
SELECT pg_advisory_xact_lock($1)

-- name: carriers
-- scope: control
SELECT carrier_id, name FROM carrier

-- name: insert_carrier
-- scope: control
INSERT INTO carrier (carrier_id, name) VALUES ($1, $2)
