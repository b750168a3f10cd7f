-- name: sums
-- scope: report
SELECT (SELECT count(*) FROM sent WHERE status = 0) AS accepted,
       (SELECT count(*) FROM sent s JOIN message m ON m.merchant_id = s.merchant_id AND m.message_id = s.message_id
         WHERE s.status = 0 AND m.kind = 'offer') AS offers_accepted,
       (SELECT count(DISTINCT r.message_id) FROM receipt r
          JOIN message m ON m.merchant_id = r.merchant_id AND m.message_id = r.message_id
         WHERE r.state = $1::int AND m.kind = 'offer') AS delivered,
       (SELECT coalesce(sum(messages), 0)::bigint FROM ledger_entry
         WHERE account = 'revenue' AND direction = 'mt') AS ledger_messages,
       (SELECT coalesce(-sum(amount_micros), 0)::bigint FROM ledger_entry WHERE account = 'revenue') AS ledger_micros,
       (SELECT coalesce(sum(amount_micros), 0)::bigint FROM ledger_entry WHERE account = 'cost') AS cost_micros,
       (SELECT count(*) FROM orders) AS orders,
       (SELECT count(*) FROM orders WHERE state = 'confirmed') AS confirmed,
       (SELECT count(*) FROM subscriber WHERE offers_state = 'unsubscribed') AS stops,
       (SELECT count(*) FROM webhook_delivery WHERE state = 'pending') AS events_pending,
       (SELECT count(*) FROM sent s WHERE s.status = 0 AND NOT EXISTS (
            SELECT 1 FROM receipt r WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id)) AS open_receipts

-- name: replies
-- scope: report
SELECT label, count(*) AS n FROM inbound_message GROUP BY label
