-- Words that strangers opt in by.

-- name: add_keyword
-- scope: merchant
INSERT INTO join_keyword (sender, word, merchant_id, keyword_id, wording_version, double_opt_in, created_at)
VALUES ($2, $3, $1, $4, $5, $6, $7)

-- name: keywords_page
-- scope: merchant
SELECT keyword_id, sender, word, wording_version, double_opt_in, created_at, keyword_id AS page_id
  FROM join_keyword
 WHERE merchant_id = $1 AND keyword_id < $2
 ORDER BY keyword_id DESC
 LIMIT $3

-- name: delete_keyword
-- scope: merchant
DELETE FROM join_keyword WHERE merchant_id = $1 AND keyword_id = $2 RETURNING keyword_id
