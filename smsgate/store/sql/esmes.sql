-- Accounts of other companies' ESMEs. They are few, and read by every gateway process.

-- name: insert_account
-- scope: merchant
INSERT INTO esme_account (merchant_id, account_id, system_id, purpose, password_mac, senders, binds_max, window_max,
                          rate_per_s, queue_max, daily_max, allow_binary, join_mo)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: insert_numbers
-- scope: merchant
INSERT INTO esme_number (number, merchant_id, account_id) SELECT number, $1, $2 FROM unnest($3::text[]) AS t (number);

-- name: accounts
-- scope: report
SELECT a.merchant_id, a.account_id, a.system_id, a.purpose, a.state = 'active' AND m.state = 'active' AS active,
       a.password_mac, a.senders,
       ARRAY(SELECT n.number FROM esme_number n WHERE n.merchant_id = a.merchant_id AND n.account_id = a.account_id
              ORDER BY n.number) AS numbers,
       a.binds_max, a.window_max, a.rate_per_s, a.queue_max, a.daily_max, a.allow_binary, a.join_mo, m.slug, a.created_at
  FROM esme_account a
  JOIN merchant m ON m.merchant_id = a.merchant_id
 WHERE ($1::text IS NULL OR a.system_id = $1) AND ($2::bigint IS NULL OR a.account_id = $2)
 ORDER BY a.account_id;

-- name: accounts_page
-- scope: merchant
SELECT a.merchant_id, a.account_id, a.account_id AS page_id, a.system_id, a.purpose,
       a.state = 'active' AND m.state = 'active' AS active, a.password_mac, a.senders,
       ARRAY(SELECT n.number FROM esme_number n WHERE n.merchant_id = a.merchant_id AND n.account_id = a.account_id
              ORDER BY n.number) AS numbers,
       a.binds_max, a.window_max, a.rate_per_s, a.queue_max, a.daily_max, a.allow_binary, a.join_mo, m.slug, a.created_at
  FROM esme_account a
  JOIN merchant m ON m.merchant_id = a.merchant_id
 WHERE a.merchant_id = $1 AND a.account_id < $2
 ORDER BY a.account_id DESC
 LIMIT $3;

-- name: set_password
-- scope: control
UPDATE esme_account SET password_mac = $2 WHERE account_id = $1 RETURNING merchant_id;

-- name: set_state
-- scope: control
UPDATE esme_account SET state = $2 WHERE account_id = $1 RETURNING merchant_id;
