-- name: statement_months
-- scope: merchant
-- Revenue is posted negative (a credit); months are the merchant's own, by its time zone.
SELECT to_char(at AT TIME ZONE $2, 'YYYY-MM') AS month, currency, sum(messages)::bigint AS messages,
    sum(segments)::bigint AS segments, -sum(amount_micros)::bigint AS amount_micros
FROM ledger_entry
WHERE merchant_id = $1 AND account = 'revenue' AND direction <> 'document'
GROUP BY 1, 2
ORDER BY 1 DESC, 2
LIMIT $3;

-- name: statement_lines
-- scope: merchant
SELECT e.campaign_id, c.external_id, e.direction, e.item_id, coalesce(i.network, '') AS network,
    coalesce(i.unit_micros, 0) AS unit_micros, sum(e.messages)::bigint AS messages,
    sum(e.segments)::bigint AS segments, -sum(e.amount_micros)::bigint AS amount_micros
FROM ledger_entry e
LEFT JOIN price_item i ON i.item_id = e.item_id
LEFT JOIN campaign c ON c.merchant_id = e.merchant_id AND c.campaign_id = e.campaign_id
WHERE e.merchant_id = $1 AND e.account = 'revenue' AND e.direction <> 'document' AND e.at >= $2 AND e.at < $3 AND e.currency = $4
GROUP BY e.campaign_id, c.external_id, e.direction, e.item_id, i.network, i.unit_micros
ORDER BY e.direction, i.network, e.item_id, e.campaign_id;

-- name: unknown_messages
-- scope: merchant
-- In doubt: written to a socket and never answered. Not charged, and shown so that nobody has to guess.
SELECT count(DISTINCT message_id)::bigint
FROM sent
WHERE merchant_id = $1 AND status = -1 AND sent_at >= $2 AND sent_at < $3
    AND message_id >= $4 AND message_id < $5;

-- name: pricing_version
-- scope: control
SELECT (SELECT count(*) FROM price_list) AS lists, (SELECT count(*) FROM price_version) AS versions,
    (SELECT max(published_at) FROM price_version) AS published_at;

-- name: price_lists
-- scope: control
SELECT price_list_id, name, side, currency FROM price_list ORDER BY price_list_id;

-- name: price_versions
-- scope: control
SELECT price_list_id, version, effective_from FROM price_version ORDER BY price_list_id, version;

-- name: price_items
-- scope: control
SELECT item_id, price_list_id, version, direction, network, unit_micros, basis, ladder::text
FROM price_item ORDER BY item_id;

-- name: merchant_prices
-- scope: control
SELECT merchant_id, price_list_id, currency, slug, test_of IS NOT NULL AS test FROM merchant;
