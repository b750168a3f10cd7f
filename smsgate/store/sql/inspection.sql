-- What `smsgate check` looks at: the server's settings and clock, and who may read what.

-- name: server
-- scope: control
SELECT current_setting('server_version') AS version,
    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'
        AND current_setting('synchronous_commit') <> 'off' AS durable,
    pg_is_in_recovery() AS standby,
    clock_timestamp() AS now,
    pg_database_size(current_database()) AS octets,
    (SELECT count(*) FROM data_key) AS data_keys;

-- name: whoami
-- scope: control
SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolbypassrls AS sees_all
FROM pg_catalog.pg_roles r
WHERE r.rolname = current_user;
