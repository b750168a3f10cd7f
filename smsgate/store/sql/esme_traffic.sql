-- What ESMEs submit, and what waits for them. All of it runs as sg_bulk: every statement names its merchant itself.

-- name: insert_submissions
-- scope: merchant
-- Given twice under the same ids (a commit was not seen), the second time waits for the first to end and writes
-- only what does not stand: it may have left the queue already.
WITH new AS (
    SELECT *
      FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::smallint[], $7::smallint[],
                  $8::bytea[], $9::timestamptz[])
        AS n (merchant_id, message_id, account_id, msisdn, sender, registered, segments, body, expires_at)
), kept AS (
    INSERT INTO esme_message (merchant_id, message_id, account_id, registered, segments, body)
    SELECT merchant_id, message_id, account_id, registered, segments, body FROM new
        ON CONFLICT (merchant_id, message_id) DO NOTHING
    RETURNING merchant_id, message_id
), written AS (
    INSERT INTO message (merchant_id, message_id, msisdn, kind, sender)
    SELECT n.merchant_id, n.message_id, n.msisdn, 'esme', n.sender
      FROM new n JOIN kept k ON k.merchant_id = n.merchant_id AND k.message_id = n.message_id
), queued AS (
    INSERT INTO interactive_queue (merchant_id, message_id, expires_at, account_id)
    SELECT n.merchant_id, n.message_id, n.expires_at, n.account_id
      FROM new n JOIN kept k ON k.merchant_id = n.merchant_id AND k.message_id = n.message_id
)
SELECT message_id FROM kept

-- name: standing
-- scope: merchant
-- $3 and $4 are the lowest and the highest of the ids: partitions between them are looked at alone.
SELECT e.message_id
  FROM unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, message_id)
  JOIN esme_message e ON e.merchant_id = t.merchant_id AND e.message_id = t.message_id
                     AND e.message_id BETWEEN $3 AND $4

-- name: agreed
-- scope: merchant
-- Who may get marketing of this merchant from this sender number: subscribed, and no STOP to the number.
SELECT t.n
  FROM unnest($2::bigint[], $3::text[]) WITH ORDINALITY AS t (msisdn, sender, n)
  JOIN subscriber s ON s.merchant_id = $1 AND s.msisdn = t.msisdn AND s.offers_state = 'subscribed'
 WHERE NOT EXISTS (SELECT FROM sender_stop x
                    WHERE x.merchant_id = $1 AND x.sender = t.sender AND x.msisdn = t.msisdn)

-- name: add_to_day
-- scope: merchant
INSERT INTO esme_day (merchant_id, account_id, day, segments)
SELECT t.merchant_id, t.account_id, $3, t.segments
  FROM unnest($1::bigint[], $2::bigint[], $4::bigint[]) AS t (merchant_id, account_id, segments)
 ORDER BY 1, 2
    ON CONFLICT (merchant_id, account_id, day) DO UPDATE SET segments = esme_day.segments + excluded.segments

-- name: spent
-- scope: report
SELECT account_id, segments FROM esme_day WHERE day = $1

-- name: waiting
-- scope: report
SELECT account_id, count(*) AS waiting FROM interactive_queue WHERE account_id <> 0 GROUP BY account_id

-- name: message_state
-- scope: merchant
SELECT e.message_id, x.status, x.reason, x.sent_at, r.state, r.received_at, q.message_id IS NOT NULL AS queued
  FROM esme_message e
  LEFT JOIN sent x ON x.merchant_id = $1 AND x.message_id = e.message_id
  LEFT JOIN interactive_queue q ON q.merchant_id = $1 AND q.message_id = e.message_id
  LEFT JOIN LATERAL (
      SELECT y.state, y.received_at FROM receipt y
       WHERE y.merchant_id = $1 AND y.message_id = $3
       ORDER BY y.state = ANY($4::smallint[]) DESC, y.received_at LIMIT 1) r ON true
 WHERE e.merchant_id = $1 AND e.account_id = $2 AND e.message_id = $3

-- name: cancel
-- scope: merchant
DELETE FROM interactive_queue
 WHERE merchant_id = $1 AND account_id = $2 AND message_id = ANY($3::bigint[]) AND owner IS NULL
RETURNING message_id

-- name: waiting_to
-- scope: merchant
SELECT q.message_id
  FROM interactive_queue q
  JOIN message m ON m.merchant_id = $1 AND m.message_id = q.message_id
 WHERE q.merchant_id = $1 AND q.account_id = $2 AND q.owner IS NULL AND m.sender = $3 AND m.msisdn = $4
 ORDER BY q.message_id

-- name: insert_cancelled
-- scope: merchant
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, sell_micros,
                  cost_item_id, cost_micros, reason, sent_at)
SELECT $1, message_id, 1, 0, -2, segments, 0, 0, 0, 0, 'cancelled', $3
  FROM esme_message WHERE merchant_id = $1 AND message_id = ANY($2::bigint[])

-- name: waiting_body
-- scope: merchant
SELECT e.body
  FROM interactive_queue q
  JOIN esme_message e ON e.merchant_id = $1 AND e.message_id = q.message_id
 WHERE q.merchant_id = $1 AND q.account_id = $2 AND q.message_id = $3 AND q.owner IS NULL

-- name: lock_waiting
-- scope: merchant
-- Who claims meanwhile passes it by; where it was claimed before, nothing is found.
UPDATE interactive_queue SET expires_at = coalesce($4::timestamptz, expires_at)
 WHERE merchant_id = $1 AND account_id = $2 AND message_id = $3 AND owner IS NULL
RETURNING message_id

-- name: segments
-- scope: merchant
SELECT segments FROM esme_message WHERE merchant_id = $1 AND account_id = $2 AND message_id = $3

-- name: replace_body
-- scope: merchant
UPDATE esme_message SET body = $4, registered = $5, segments = $6
 WHERE merchant_id = $1 AND account_id = $2 AND message_id = $3

-- name: insert_reports
-- scope: merchant
-- What an ESME asked to hear of its messages: once each, and nothing after a first final state. To be run before
-- the receipts themselves are written.
INSERT INTO esme_delivery (merchant_id, delivery_id, account_id, message_id, state, error, happened_at, next_at,
                           expires_at)
SELECT t.merchant_id, t.delivery_id, e.account_id, t.message_id, t.state, t.error, t.at, t.at, t.at + $7::interval
  FROM (SELECT DISTINCT ON (merchant_id, message_id, state) *
          FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bytea[], $6::timestamptz[])
            AS u (merchant_id, delivery_id, message_id, state, error, at)
         ORDER BY merchant_id, message_id, state, delivery_id) t
  JOIN esme_message e ON e.merchant_id = t.merchant_id AND e.message_id = t.message_id
                     AND e.message_id BETWEEN $8 AND $9
 WHERE CASE WHEN t.state = ANY($10::smallint[]) THEN e.registered & 16 <> 0
            WHEN t.state = 2 THEN e.registered & 3 IN (1, 3)
            ELSE e.registered & 3 IN (1, 2) END
   AND NOT EXISTS (SELECT FROM receipt r
                    WHERE r.merchant_id = t.merchant_id AND r.message_id = t.message_id
                      AND r.message_id BETWEEN $8 AND $9 AND r.state = ANY($11::smallint[]))

-- name: insert_mos
-- scope: merchant
INSERT INTO esme_delivery (merchant_id, delivery_id, account_id, body, happened_at, next_at, expires_at)
SELECT t.merchant_id, t.delivery_id, t.account_id, t.body, t.at, t.at, t.at + $6::interval
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::timestamptz[])
    AS t (merchant_id, delivery_id, account_id, body, at)

-- name: takers
-- scope: report
SELECT n.number, n.merchant_id, n.account_id, a.join_mo
  FROM esme_number n
  JOIN esme_account a ON a.merchant_id = n.merchant_id AND a.account_id = n.account_id
 WHERE n.number = ANY($1::text[])

-- name: insert_sender_stops
-- scope: merchant
INSERT INTO sender_stop (merchant_id, sender, msisdn, stopped_at)
SELECT t.merchant_id, t.sender, t.msisdn, t.at
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[]) AS t (merchant_id, sender, msisdn, at)
 ORDER BY 1, 2, 3
    ON CONFLICT (merchant_id, sender, msisdn) DO UPDATE SET stopped_at = excluded.stopped_at

-- name: delete_sender_stops
-- scope: merchant
DELETE FROM sender_stop AS s
 USING unnest($1::bigint[], $2::text[], $3::bigint[]) AS t (merchant_id, sender, msisdn)
 WHERE s.merchant_id = t.merchant_id AND s.sender = t.sender AND s.msisdn = t.msisdn

-- name: claim_deliveries
-- scope: merchant
-- What is told of one message comes in its order: the next waits until the one before was taken.
WITH due AS (
    SELECT d.delivery_id
      FROM esme_delivery d
     WHERE d.merchant_id = $1 AND d.account_id = $2 AND d.next_at <= $3 AND d.expires_at > $3
       AND NOT EXISTS (SELECT FROM esme_delivery b
                        WHERE b.merchant_id = $1 AND b.message_id = d.message_id AND b.delivery_id < d.delivery_id)
     ORDER BY d.delivery_id LIMIT $5
       FOR UPDATE SKIP LOCKED
)
UPDATE esme_delivery d SET next_at = $4, tries = d.tries + 1
  FROM due
 WHERE d.merchant_id = $1 AND d.delivery_id = due.delivery_id
RETURNING d.merchant_id, d.delivery_id, d.account_id, d.message_id, d.state, d.error, d.body, d.happened_at, d.tries

-- name: submitted
-- scope: merchant
SELECT m.message_id, m.msisdn, m.sender, e.body
  FROM message m
  JOIN esme_message e ON e.merchant_id = m.merchant_id AND e.message_id = m.message_id
 WHERE m.merchant_id = $1 AND m.message_id = ANY($2::bigint[])

-- name: delivered
-- scope: merchant
DELETE FROM esme_delivery WHERE merchant_id = $1 AND delivery_id = ANY($2::bigint[])

-- name: deliver_later
-- scope: merchant
-- After 2 s, 4 s, 8 s, ... 5 minutes.
UPDATE esme_delivery SET next_at = $3::timestamptz + least(2 ^ least(tries, 9), 300) * interval '1 second'
 WHERE merchant_id = $1 AND delivery_id = ANY($2::bigint[])

-- name: deliver_again
-- scope: merchant
UPDATE esme_delivery SET next_at = $3 WHERE merchant_id = $1 AND delivery_id = ANY($2::bigint[])

-- name: accounts_due
-- scope: report
SELECT t.merchant_id, t.account_id
  FROM unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, account_id)
 WHERE EXISTS (SELECT FROM esme_delivery d
                WHERE d.merchant_id = t.merchant_id AND d.account_id = t.account_id AND d.next_at <= $3
                  AND d.expires_at > $3)

-- name: deliveries_waiting
-- scope: report
SELECT count(*) FROM esme_delivery
