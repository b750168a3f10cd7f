-- Budgets and leases on them. Every change of a merchant's leases holds the row of its budget, taken first.

-- name: lock_budget
-- scope: merchant
SELECT b.*, m.timezone FROM budget b JOIN merchant m ON m.merchant_id = b.merchant_id WHERE b.merchant_id = $1 FOR UPDATE OF b

-- name: read_budget
-- scope: merchant
SELECT * FROM budget WHERE merchant_id = $1

-- name: merchant_terms
-- scope: merchant
SELECT currency, timezone FROM merchant WHERE merchant_id = $1

-- name: insert_budget
-- scope: merchant
-- What the month and the day were charged before counts against a cap.
INSERT INTO budget (merchant_id, currency, prepaid, month, month_ends_at, month_spent_micros, day, day_ends_at, day_before_micros,
                    day_spent_micros, began_at)
VALUES ($1, $2, false, $3, $4, $5, $6, $7, $8, $8, $9) ON CONFLICT (merchant_id) DO NOTHING RETURNING month_spent_micros

-- name: charged_since
-- scope: merchant
SELECT coalesce(sum(amount_micros), 0)::bigint FROM ledger_entry
 WHERE merchant_id = $1 AND account = 'unbilled' AND direction = 'mt' AND currency = $2 AND at >= $3

-- name: set_terms
-- scope: merchant
UPDATE budget SET prepaid = $2, month_cap_micros = $3, day_cap_micros = $4, alarm_micros = $5, alarmed_at = NULL, short_until = NULL
 WHERE merchant_id = $1

-- name: write_budget
-- scope: merchant
UPDATE budget SET month = $2, month_ends_at = $3, paid_in_micros = $4, spent_micros = $5, leased_micros = $6,
       month_spent_micros = $7, month_leased_micros = $8, drawn_micros = $9, refunded_micros = $10, adjusted_micros = $11,
       day_before_micros = CASE WHEN day = $12 THEN day_before_micros ELSE 0 END, day = $12, day_ends_at = $13, day_spent_micros = $14,
       day_leased_micros = $15
 WHERE merchant_id = $1

-- name: write_short
-- scope: merchant
UPDATE budget SET short_micros = $2, short_until = $3 WHERE merchant_id = $1

-- name: write_alarmed
-- scope: merchant
UPDATE budget SET alarmed_at = $2 WHERE merchant_id = $1

-- name: lock_own_chunk
-- scope: merchant
-- Shared: a recovery that gives the chunk to another waits for the lease, or the lease sees that it did.
SELECT no FROM campaign_chunk
 WHERE merchant_id = $1 AND campaign_id = $2 AND no = $3 AND fence = $4 AND owner = $5 AND state = 'claimed'
   FOR SHARE

-- name: overlapping
-- scope: merchant
SELECT lease_id, month, day, prepaid, message_ids, micros, held_micros FROM budget_lease
 WHERE merchant_id = $1 AND first_id <= $3 AND last_id >= $2
   AND message_ids && $4::bigint[]
 ORDER BY lease_id

-- name: insert_lease
-- scope: merchant
INSERT INTO budget_lease (merchant_id, lease_id, owner, campaign_id, chunk_no, fence, month, day, prepaid, first_id, last_id, message_ids,
                          micros, held_micros)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: narrow_lease
-- scope: merchant
UPDATE budget_lease SET message_ids = $3, micros = $4, held_micros = $5, ends_at = coalesce($6::timestamptz, ends_at)
 WHERE merchant_id = $1 AND lease_id = $2

-- name: delete_lease
-- scope: merchant
DELETE FROM budget_lease WHERE merchant_id = $1 AND lease_id = $2

-- name: add_spent
-- scope: merchant
INSERT INTO budget_spent AS s (merchant_id, month, prepaid, spent_micros) VALUES ($1, $2, $3, $4)
    ON CONFLICT (merchant_id, month, prepaid) DO UPDATE SET spent_micros = s.spent_micros + excluded.spent_micros

-- name: settleable
-- scope: report
-- Nobody writes messages of a lease any more whose chunk is over, given back or taken over, or that left the queue.
SELECT l.merchant_id, l.lease_id FROM budget_lease l
 WHERE l.ends_at IS NULL AND CASE
       WHEN l.campaign_id <> 0 THEN NOT EXISTS (
           SELECT FROM campaign_chunk c
            WHERE c.merchant_id = l.merchant_id AND c.campaign_id = l.campaign_id AND c.no = l.chunk_no
              AND c.fence = l.fence AND c.owner = l.owner AND c.state = 'claimed')
       ELSE NOT EXISTS (
           SELECT FROM interactive_queue q
            WHERE q.merchant_id = l.merchant_id AND q.message_id = ANY (l.message_ids) AND q.owner = l.owner) END
UNION ALL
SELECT merchant_id, lease_id FROM budget_lease WHERE ends_at <= $1
 ORDER BY 1, 2 LIMIT $2

-- name: lease_of
-- scope: merchant
SELECT lease_id, month, day, prepaid, message_ids, micros, held_micros, ends_at FROM budget_lease WHERE merchant_id = $1 AND lease_id = $2

-- name: add_charge
-- scope: merchant
INSERT INTO budget_charge AS c (merchant_id, lease_id, month, day, prepaid, message_ids, spent_micros)
SELECT $1, $2, $3, $4, $5, coalesce(range_agg(int8range(id, id, '[]')), '{}'), $7 FROM unnest($6::bigint[]) AS t (id)
    ON CONFLICT (merchant_id, lease_id, month, prepaid) DO UPDATE
   SET message_ids = c.message_ids + excluded.message_ids, spent_micros = c.spent_micros + excluded.spent_micros

-- name: outcomes
-- scope: merchant
-- $4: final states of receipts, $5: the one that charges. `waits`: a receipt says whether it is charged; `unheard`: none has yet.
-- LATERAL with OFFSET: each message by its key. A join read all that the merchant sent on the day for the few that are asked about.
SELECT t.message_id, t.micros,
       coalesce(sum(s.sell_micros) FILTER (WHERE s.status = 0 AND (i.basis IS DISTINCT FROM 'delivered' OR r.state = $5::smallint)), 0)::bigint
           AS charged,
       coalesce(bool_or(s.status = -1), false) AS unknown,
       coalesce(bool_or(s.status = 0 AND i.basis = 'delivered'), false) AS waits,
       coalesce(bool_or(s.status = 0 AND i.basis = 'delivered' AND r.state IS NULL), false) AS unheard
  FROM unnest($2::bigint[], $3::bigint[]) AS t (message_id, micros)
  LEFT JOIN LATERAL (SELECT * FROM sent WHERE merchant_id = $1 AND message_id = t.message_id OFFSET 0) AS s ON true
  LEFT JOIN price_item i ON i.item_id = s.sell_item_id
  LEFT JOIN LATERAL (
      SELECT f.state FROM receipt f
       WHERE i.basis = 'delivered' AND f.merchant_id = $1 AND f.message_id = s.message_id AND f.segment = s.segment
         AND f.state = ANY ($4::smallint[])
       ORDER BY f.received_at, f.state LIMIT 1) r ON true
 GROUP BY t.message_id, t.micros
 ORDER BY t.message_id

-- name: insert_topup
-- scope: merchant
INSERT INTO budget_topup (merchant_id, reference, amount_micros, posting_id, at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (merchant_id, reference) DO NOTHING RETURNING posting_id

-- name: topup_amount
-- scope: merchant
SELECT amount_micros FROM budget_topup WHERE merchant_id = $1 AND reference = $2

-- name: state
-- scope: merchant
SELECT b.*, m.timezone, budget_is_short(b) AS short,
       (SELECT coalesce(sum(l.held_micros), 0)::bigint FROM budget_lease l
         WHERE l.merchant_id = $1 AND l.ends_at IS NOT NULL) AS in_doubt
  FROM budget b JOIN merchant m ON m.merchant_id = b.merchant_id
 WHERE b.merchant_id = $1


-- name: payments_without_document
-- scope: merchant
SELECT t.reference, t.amount_micros, t.at, b.currency
  FROM budget_topup t JOIN budget b ON b.merchant_id = t.merchant_id
 WHERE t.merchant_id = $1 AND t.document_id IS NULL ORDER BY t.at, t.reference LIMIT $2

-- name: lock_payment
-- scope: merchant
SELECT document_id FROM budget_topup WHERE merchant_id = $1 AND reference = $2 FOR UPDATE

-- name: payment_documented
-- scope: merchant
UPDATE budget_topup SET document_id = $3 WHERE merchant_id = $1 AND reference = $2

-- name: payment_document
-- scope: merchant
SELECT document_id FROM budget_topup WHERE merchant_id = $1 AND reference = $2

-- name: refund_documents
-- scope: merchant
SELECT document_ids FROM budget_refund WHERE merchant_id = $1 AND reference = $2

-- name: insert_refund
-- scope: merchant
INSERT INTO budget_refund (merchant_id, reference, document_ids, at) VALUES ($1, $2, $3, $4)

-- name: open_advances
-- scope: merchant
-- Prepayment invoices of which something is left, oldest first.
SELECT d.document_id, d.series, d.number, d.issued_on, d.net_minor, d.vat_minor, coalesce(u.gross, 0)::bigint AS used
  FROM document d
  LEFT JOIN LATERAL (SELECT sum(a.gross_minor) AS gross FROM document_advance a
                      WHERE a.merchant_id = $1 AND a.advance_id = d.document_id) u ON true
 WHERE d.merchant_id = $1 AND d.doc_type = '386' AND d.currency = $2 AND d.gross_minor > coalesce(u.gross, 0)
 ORDER BY d.issued_on, d.document_id LIMIT $3

-- name: unbilled
-- scope: merchant
SELECT coalesce(sum(amount_micros), 0)::bigint FROM ledger_entry WHERE merchant_id = $1 AND account = 'unbilled' AND currency = $2

-- name: charged_and_unbilled
-- scope: merchant
-- One statement, so one snapshot: what messages of open leases on the balance have been charged, and what no document has
-- asked for after the month that ends at $4 and was cut at $5; $3 bounds the index. $6, $7: as in `outcomes`.
SELECT (SELECT coalesce(sum(s.sell_micros), 0)::bigint
          FROM budget_lease l
         CROSS JOIN LATERAL unnest(l.message_ids) AS m (message_id)
         CROSS JOIN LATERAL (
               SELECT * FROM sent WHERE merchant_id = $1 AND message_id = m.message_id AND status = 0 OFFSET 0) AS s  -- as `outcomes`
          LEFT JOIN price_item i ON i.item_id = s.sell_item_id
         WHERE l.merchant_id = $1 AND l.prepaid
           AND (i.basis IS DISTINCT FROM 'delivered' OR (
               SELECT f.state FROM receipt f
                WHERE f.merchant_id = $1 AND f.message_id = s.message_id AND f.segment = s.segment
                  AND f.state = ANY ($6::smallint[])
                ORDER BY f.received_at, f.state LIMIT 1) = $7::smallint)) AS charged,
       (SELECT coalesce(sum(e.amount_micros), 0)::bigint FROM ledger_entry e
         WHERE e.merchant_id = $1 AND e.account = 'unbilled' AND e.direction <> 'document' AND e.currency = $2
           AND e.at >= $3 AND (e.at >= $5 OR e.accepted_at >= $4)) AS unbilled
