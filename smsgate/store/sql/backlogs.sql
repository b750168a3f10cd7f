-- What waits for its other half, counted up to a bound, so that a large table costs no more than a small one.

-- name: waiting
-- scope: account
SELECT (SELECT count(*) FROM (SELECT FROM receipt_unmatched WHERE carrier_id = $1 LIMIT $2) AS r)
           AS receipts_unmatched,
       (SELECT count(*) FROM (SELECT FROM mo_part WHERE carrier_id = $1 LIMIT $2) AS p) AS mo_parts;
