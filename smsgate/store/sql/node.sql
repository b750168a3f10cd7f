-- Leases of node slots. Local tables of the control database.

-- name: next_epoch
-- scope: control
SELECT nextval('node_epoch')

-- name: take_slot
-- scope: control
-- $1 epoch, $2 name, $3 time to live in seconds
UPDATE node
   SET epoch = $1, name = $2, expires_at = now() + make_interval(secs => $3)
 WHERE slot = (SELECT slot FROM node WHERE expires_at <= now() ORDER BY expires_at, slot LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING slot

-- name: renew_slot
-- scope: control
UPDATE node
   SET expires_at = now() + make_interval(secs => $3)
 WHERE slot = $1 AND epoch = $2 AND expires_at > now()
RETURNING slot

-- name: release_slot
-- scope: control
UPDATE node SET expires_at = now() WHERE slot = $1 AND epoch = $2

-- name: live
-- scope: control
SELECT epoch FROM node WHERE expires_at > now()
