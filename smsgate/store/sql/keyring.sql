-- Data keys and instance secrets, on the control connection.

-- name: lock
-- scope: control
-- Of two processes that miss the same key one makes it, and the other finds it.
SELECT pg_advisory_xact_lock($1);

-- name: data_keys
-- scope: control
SELECT number, owner_id, wrapped FROM data_key ORDER BY number;

-- name: data_keys_of
-- scope: control
SELECT number, owner_id, wrapped FROM data_key
 WHERE owner_id = $1 OR number = ANY ($2::int[])
 ORDER BY number;

-- name: insert_data_key
-- scope: control
INSERT INTO data_key (number, owner_id, wrapped)
SELECT coalesce(max(number), 0) + 1, $1, $2 FROM data_key
RETURNING number, owner_id, wrapped;

-- name: instance_secret
-- scope: control
SELECT sealed FROM instance_secret WHERE name = $1;

-- name: insert_instance_secret
-- scope: control
INSERT INTO instance_secret (name, sealed) VALUES ($1, $2);
