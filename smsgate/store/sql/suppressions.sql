-- Suppression and what persons ask for. Erasure runs as the owner: nobody at run time may change what was sent.

-- name: is_any
-- scope: report
SELECT EXISTS (SELECT FROM suppression)

-- name: known
-- scope: report
SELECT hash, reason, created_at FROM suppression WHERE hash = ANY ($1::bytea[])

-- name: suppress
-- scope: report
INSERT INTO suppression (hash, reason, created_at)
SELECT t.hash, t.reason, $3 FROM unnest($1::bytea[], $2::text[]) AS t (hash, reason)
    ON CONFLICT (hash) DO UPDATE SET reason = excluded.reason, created_at = greatest(suppression.created_at, excluded.created_at)

-- name: unsuppress
-- scope: report
DELETE FROM suppression WHERE hash = $1

-- name: lifts
-- scope: report
SELECT hash, max(lifted_at) AS lifted_at FROM suppression_lift WHERE hash = ANY ($1::bytea[]) GROUP BY hash

-- name: add_lift
-- scope: report
INSERT INTO suppression_lift (hash, lifted_at, lifted_by, reason) VALUES ($1, $2, $3, $4)

-- name: blocked_of_number
-- scope: msisdn
-- Of one merchant, where $2 names it; locked as whoever changes a consent locks.
SELECT s.merchant_id, s.subscriber_id, b.purposes
  FROM subscriber s
 CROSS JOIN LATERAL (
    SELECT array_agg(p.purpose) AS purposes FROM (
        SELECT 'offers' AS purpose WHERE s.offers_state = $3
         UNION ALL
        SELECT o.purpose FROM consent_state o
         WHERE o.merchant_id = s.merchant_id AND o.subscriber_id = s.subscriber_id AND o.state = $3
    ) AS p
 ) AS b
 WHERE s.msisdn = $1 AND ($2::bigint IS NULL OR s.merchant_id = $2) AND b.purposes IS NOT NULL
 ORDER BY s.merchant_id
   FOR UPDATE OF s

-- name: note_stops
-- scope: report
INSERT INTO number_stop AS n (hash, stopped_at, objected)
SELECT t.hash, t.at, t.objected FROM unnest($1::bytea[], $2::timestamptz[], $3::boolean[]) AS t (hash, at, objected)
    ON CONFLICT (hash) DO UPDATE
   SET stopped_at = greatest(n.stopped_at, excluded.stopped_at), objected = n.objected OR excluded.objected

-- name: is_any_stop
-- scope: report
SELECT EXISTS (SELECT FROM number_stop)

-- name: noted_stops
-- scope: report
SELECT hash, stopped_at FROM number_stop WHERE hash = ANY ($1::bytea[])

-- name: noted_objections
-- scope: report
SELECT hash FROM number_stop WHERE hash = ANY ($1::bytea[]) AND objected

-- name: wanting_of_numbers
-- scope: msisdn
-- People who were added, with a consent from before, since a STOP was read; $3: of one merchant, or 0. Each once, by the
-- first of the STOPs. LATERAL: by the number for each, however few rows the planner takes the table to have.
SELECT DISTINCT ON (p.merchant_id, p.subscriber_id) p.merchant_id, p.subscriber_id, t.msisdn, t.at
  FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS t (msisdn, at, merchant_id)
 CROSS JOIN LATERAL (
    SELECT s.merchant_id, s.subscriber_id FROM subscriber s
     WHERE s.msisdn = t.msisdn AND (t.merchant_id = 0 OR s.merchant_id = t.merchant_id)
       AND s.offers_state IN ('pending', 'subscribed', 'paused') AND NOT EXISTS (
           SELECT FROM consent_event c
            WHERE c.merchant_id = s.merchant_id AND c.subscriber_id = s.subscriber_id AND c.purpose = 'offers'
              AND c.occurred_at > t.at)
    OFFSET 0
 ) AS p
 ORDER BY p.merchant_id, p.subscriber_id, t.at

-- name: lock_for_adding
-- scope: control
-- Many may add people at once, none while a number is being blocked: neither would see the other's rows.
SELECT pg_advisory_xact_lock_shared($1)

-- name: lock_for_blocking
-- scope: control
SELECT pg_advisory_xact_lock($1)

-- name: lock_number
-- scope: msisdn
SELECT subscriber_id FROM subscriber WHERE msisdn = $1 ORDER BY merchant_id FOR UPDATE

-- name: people_of_number
-- scope: msisdn
SELECT merchant_id, subscriber_id FROM subscriber WHERE msisdn = $1 AND offers_state <> $2 ORDER BY merchant_id

-- name: add_request
-- scope: merchant
INSERT INTO data_request (merchant_id, request_id, kind, subscriber_id, records, created_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: erasures
-- scope: merchant
-- A number that never comes again, also when the oldest requests are out of retention.
SELECT count(*) + coalesce(max(request_id), 0) FROM data_request WHERE merchant_id = $1 AND kind = 'erasure'

-- name: requests_page
-- scope: merchant
SELECT request_id, kind, subscriber_id, records, created_at, request_id AS page_id,
       CASE WHEN EXISTS (SELECT FROM erasure_owed e WHERE e.merchant_id = $1 AND e.request_id = r.request_id)
            THEN 'under_way' ELSE 'done' END AS state
  FROM data_request r
 WHERE merchant_id = $1 AND request_id < $2 ORDER BY request_id DESC LIMIT $3

-- name: person
-- scope: merchant
SELECT msisdn FROM subscriber WHERE merchant_id = $1 AND subscriber_id = $2 FOR UPDATE

-- name: people_by_number
-- scope: merchant
SELECT subscriber_id FROM subscriber WHERE merchant_id = $1 AND msisdn = $2 FOR UPDATE

-- name: gone_by_number
-- scope: merchant
-- People whom time removed; how they agreed is kept for longer.
SELECT subscriber_id FROM person_gone WHERE merchant_id = $1 AND hash = $2 ORDER BY last_at DESC

-- name: knows_number
-- scope: merchant
-- Beside people and messages.
SELECT EXISTS (SELECT FROM inbound_message WHERE merchant_id = $1 AND msisdn = $2)
    OR EXISTS (SELECT FROM orders WHERE merchant_id = $1 AND msisdn = $2)
    OR EXISTS (SELECT FROM sender_stop WHERE merchant_id = $1 AND msisdn = $2)

-- name: lock_orders
-- scope: merchant
-- Who changes one of them meanwhile writes its texts first, or finds the next step.
SELECT order_id FROM orders WHERE merchant_id = $1 AND msisdn = $2 ORDER BY order_id FOR UPDATE

-- name: message_ids
-- scope: merchant
-- An offer's messages are found by the chunks whose numbers may hold the person's; the others have an index. $3: of these, the first id
-- that is not meant.
SELECT m.message_id FROM campaign_chunk k
  JOIN message m ON m.merchant_id = k.merchant_id AND m.message_id >= k.message_id_base
                AND m.message_id < k.message_id_base + k.message_count
 WHERE k.merchant_id = $1 AND k.msisdn_lo <= $2 AND k.msisdn_hi >= $2 AND m.msisdn = $2
UNION
SELECT message_id FROM message WHERE merchant_id = $1 AND campaign_id IS NULL AND msisdn = $2 AND message_id < $3

-- name: erase_bounds
-- scope: merchant
-- A chunk's range begins and ends with somebody's number: now with that of the next person in it, or with none. Whom time removed
-- stands in its messages alone, which are found by the range.
UPDATE campaign_chunk AS k
   SET msisdn_lo = coalesce(least(n.lo, t.lo), 0), msisdn_hi = coalesce(greatest(n.hi, t.hi), 0)
  FROM campaign_chunk AS o
 CROSS JOIN LATERAL (SELECT min(s.msisdn) AS lo, max(s.msisdn) AS hi FROM subscriber s
                      WHERE s.merchant_id = $1 AND s.msisdn BETWEEN o.msisdn_lo AND o.msisdn_hi AND s.msisdn <> $2) AS n
 CROSS JOIN LATERAL (SELECT min(m.msisdn) AS lo, max(m.msisdn) AS hi FROM message m
                      WHERE m.merchant_id = $1 AND m.message_id >= o.message_id_base
                        AND m.message_id < o.message_id_base + o.message_count AND m.msisdn NOT IN (0, $2)) AS t
 WHERE k.merchant_id = $1 AND o.merchant_id = $1 AND k.campaign_id = o.campaign_id AND k.no = o.no
   AND $2 IN (o.msisdn_lo, o.msisdn_hi)
RETURNING 1

-- name: erase_messages
-- scope: merchant
UPDATE message SET msisdn = 0, fields = NULL, push = NULL, tlvs = NULL, body = CASE WHEN body IS NULL THEN NULL ELSE '' END
 WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[])
RETURNING 1

-- name: new_transaction
-- scope: control
-- Whoever wrote something until now has a number below it; a snapshot's end would be that of the last one that is over.
SELECT pg_current_xact_id()::text

-- name: older_are_over
-- scope: control
SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8

-- name: erase_owe
-- scope: merchant
INSERT INTO erasure_owed (merchant_id, request_id, msisdn, texts_before) VALUES ($1, $2, $3, $4)

-- name: erase_owed
-- scope: report
SELECT merchant_id, request_id, msisdn, texts_before FROM erasure_owed ORDER BY request_id LIMIT $1

-- name: erase_after
-- scope: merchant
-- $3: a new transaction. What was written down before stands; of another cluster, whose backup this is, it may never come.
UPDATE erasure_owed SET waits_for = least(waits_for, $3::text::xid8) WHERE merchant_id = $1 AND request_id = $2
RETURNING waits_for::text

-- name: erase_again
-- scope: merchant
-- What is removed now was seen until now: whoever has read it may write it still.
UPDATE erasure_owed SET waits_for = NULL WHERE merchant_id = $1 AND request_id = $2

-- name: erase_done
-- scope: merchant
-- Unless another process has removed something meanwhile.
DELETE FROM erasure_owed WHERE merchant_id = $1 AND request_id = $2 AND waits_for = $3::text::xid8 RETURNING 1

-- name: erase_waiting
-- scope: merchant
-- What nobody has in hand yet is never sent; its outcome says why.
WITH gone AS (
    DELETE FROM interactive_queue WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[]) AND owner IS NULL
    RETURNING message_id
)
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, sell_micros,
                  cost_item_id, cost_micros, reason, sent_at)
SELECT $1, g.message_id, 1, 0, -2, coalesce(e.segments, 1), 0, 0, 0, 0, 'erased', $3
  FROM gone g
  LEFT JOIN esme_message e ON e.merchant_id = $1 AND e.message_id = g.message_id
    ON CONFLICT (merchant_id, message_id, segment) DO NOTHING
RETURNING message_id

-- name: erase_submitted
-- scope: merchant
-- The row stays: an outcome that is still to come, and the ESME's question for it, need the account.
UPDATE esme_message SET body = '' WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[]) RETURNING 1

-- name: erase_decisions
-- scope: merchant
UPDATE inbound_decision AS d SET reason = ''
  FROM inbound_message i
 WHERE d.merchant_id = $1 AND i.merchant_id = $1 AND i.inbound_id = d.inbound_id AND i.msisdn = $2
RETURNING 1

-- name: erase_inbound
-- scope: merchant
-- The sentence why it was read so quotes it.
UPDATE inbound_message SET msisdn = 0, text = '', raw = '', tlvs = NULL, reason = '' WHERE merchant_id = $1 AND msisdn = $2 RETURNING 1

-- name: erase_orders
-- scope: merchant
-- A step of its own: whoever changes the order by what was read before reads again.
WITH gone AS (
    UPDATE orders SET msisdn = 0 WHERE merchant_id = $1 AND msisdn = $2 RETURNING order_id, state
), steps AS (
    INSERT INTO order_event (merchant_id, order_id, seq, event, state, actor, at)
    SELECT $1, g.order_id, coalesce(max(e.seq), 0) + 1, 'erased', g.state, 'gateway', $3
      FROM gone g
      LEFT JOIN order_event e ON e.merchant_id = $1 AND e.order_id = g.order_id
     GROUP BY g.order_id, g.state
)
SELECT order_id FROM gone

-- name: erase_kept_messages
-- scope: merchant
-- Of orders, which outlived their partition.
UPDATE kept_message SET msisdn = 0, fields = NULL, push = NULL, tlvs = NULL, body = CASE WHEN body IS NULL THEN NULL ELSE '' END
 WHERE merchant_id = $1
   AND (order_id = ANY ($2::bigint[])
        OR message_id IN (SELECT message_id FROM orders WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[])))
RETURNING 1

-- name: erase_consent_records
-- scope: merchant
-- What was told with a consent, and outlived its partition.
WITH texts AS (
    DELETE FROM kept_message WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) AND order_id IS NULL AND campaign_id IS NULL
    RETURNING message_id
), outcomes AS (
    DELETE FROM kept_sent s USING texts t WHERE s.merchant_id = $1 AND s.message_id = t.message_id
), receipts AS (
    DELETE FROM kept_receipt r USING texts t WHERE r.merchant_id = $1 AND r.message_id = t.message_id
)
SELECT 1 FROM texts

-- name: erase_kept_events
-- scope: merchant
UPDATE kept_event
   SET data = regexp_replace((data || (SELECT coalesce(jsonb_object_agg(k, ''), '{}')
                                         FROM unnest('{text,reason}'::text[]) AS k WHERE data ? k))::text,
                             '\+' || $3::bigint || '(?![0-9])', 'erased', 'g')::jsonb
 WHERE merchant_id = $1 AND subject = ANY ($2::text[])
RETURNING 1

-- name: erase_salts
-- scope: merchant
-- What a stamp held of the person cannot be guessed any more.
UPDATE order_stamp SET salt = '' WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[]) RETURNING 1

-- name: erase_consents
-- scope: merchant
UPDATE consent_event SET msisdn = 0, evidence = '{}' WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) RETURNING 1

-- name: erase_events
-- scope: merchant
-- Of a number that only begins with the same digits nothing is touched. What the person wrote goes too.
UPDATE event
   SET data = regexp_replace((CASE WHEN data ->> 'msisdn' = '+' || $2::bigint
                                   THEN data || (SELECT coalesce(jsonb_object_agg(k, ''), '{}')
                                                   FROM unnest('{text,reason}'::text[]) AS k WHERE data ? k)
                                   ELSE data END)::text,
                             '\+' || $2::bigint || '(?![0-9])', 'erased', 'g')::jsonb
 WHERE merchant_id = $1 AND data::text ~ ('\+' || $2::bigint || '(?![0-9])')
RETURNING 1

-- name: erase_answers
-- scope: merchant
-- A shop may make its keys of numbers, too.
DELETE FROM idempotency_key
 WHERE merchant_id = $1
   AND (key ~ ('(?<![0-9])' || $2::bigint || '(?![0-9])')
        OR (position(convert_to($2::bigint::text, 'UTF8') in answer) > 0
            AND encode(answer, 'hex') ~ ('^(?:..)*?(?<!3[0-9])' || encode(convert_to($2::bigint::text, 'UTF8'), 'hex')
                                         || '(?!3[0-9])')))
RETURNING 1

-- name: erase_told
-- scope: merchant
-- What a shop answered to an event, beginning with its own words.
UPDATE webhook_delivery SET last_error = ''
 WHERE merchant_id = $1 AND last_error ~ ('(?<![0-9])' || $2::bigint || '(?![0-9])')
RETURNING 1

-- name: erase_import_errors
-- scope: merchant
UPDATE import_error SET detail = ''
 WHERE merchant_id = $1 AND detail ~ ('(?<![0-9])' || $2::bigint || '(?![0-9])')
RETURNING 1

-- name: erase_steps
-- scope: merchant
-- Why something was done to an order may quote the person, or speak of it; a link to pay may be the person's own.
UPDATE order_event SET detail = detail - '{reason,link}'::text[]
 WHERE merchant_id = $1 AND order_id = ANY ($2::bigint[]) AND detail ?| '{reason,link}'::text[]
RETURNING 1

-- name: erase_deliveries
-- scope: merchant
DELETE FROM esme_delivery
 WHERE merchant_id = $1 AND position(convert_to($2::bigint::text, 'UTF8') in body) > 0
   AND encode(body, 'hex') ~ ('^(?:..)*?(?<!3[0-9])' || encode(convert_to($2::bigint::text, 'UTF8'), 'hex') || '(?!3[0-9])')
RETURNING 1

-- name: erase_lifts
-- scope: report
-- That it was lifted, by whom and when stays; why may speak of the person.
UPDATE suppression_lift SET reason = '' WHERE hash = $1 RETURNING 1

-- name: erase_sender_stops
-- scope: merchant
DELETE FROM sender_stop WHERE merchant_id = $1 AND msisdn = $2 RETURNING 1

-- name: erase_open_offers
-- scope: msisdn
DELETE FROM open_offer WHERE merchant_id = $1 AND msisdn = $2 RETURNING 1

-- name: erase_questions
-- scope: msisdn
DELETE FROM consent_question WHERE merchant_id = $1 AND msisdn = $2 RETURNING 1

-- name: erase_contacts
-- scope: msisdn
-- What other merchants sent in the last 7 days stays. What this one sent counts for no cap any more.
DELETE FROM marketing_contact WHERE $1::bigint = ALL (merchant_ids) AND msisdn = $2 RETURNING 1

-- name: erase_answer_counts
-- scope: msisdn
-- They are no merchant's; who writes again may be answered again.
DELETE FROM answer_count WHERE msisdn = $1 RETURNING 1

-- name: erase_states
-- scope: merchant
DELETE FROM consent_state WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) RETURNING 1

-- name: erase_gone
-- scope: merchant
DELETE FROM person_gone WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) RETURNING 1

-- name: erase_subscriber
-- scope: merchant
DELETE FROM subscriber WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) RETURNING 1

-- name: file_subscriber
-- scope: merchant
SELECT to_jsonb(t)::text AS record FROM subscriber t WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[])

-- name: file_consents
-- scope: merchant
SELECT to_jsonb(t)::text AS record FROM consent_event t WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) ORDER BY consent_id

-- name: file_states
-- scope: merchant
SELECT to_jsonb(t)::text AS record FROM consent_state t WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) ORDER BY purpose

-- name: file_messages
-- scope: merchant
SELECT (to_jsonb(m) || jsonb_build_object('offer_text', v.text,
            'outcomes', (SELECT coalesce(jsonb_agg(to_jsonb(x) - 'smsc_id'), '[]') FROM sent x
                          WHERE x.merchant_id = $1 AND x.message_id = m.message_id)))::text AS record, e.body AS submitted
  FROM message m
  LEFT JOIN esme_message e ON e.merchant_id = $1 AND e.message_id = m.message_id
  LEFT JOIN campaign c ON c.merchant_id = m.merchant_id AND c.campaign_id = m.campaign_id
  LEFT JOIN offer_version v ON v.merchant_id = c.merchant_id AND v.offer_id = c.offer_id AND v.version = c.offer_version
 WHERE m.merchant_id = $1 AND m.message_id = ANY ($2::bigint[])
 ORDER BY m.message_id

-- name: file_inbound
-- scope: merchant
SELECT (to_jsonb(t) - 'raw' || jsonb_build_object('decision', (SELECT to_jsonb(d) FROM inbound_decision d
            WHERE d.merchant_id = $1 AND d.inbound_id = t.inbound_id)))::text AS record
  FROM inbound_message t
 WHERE merchant_id = $1 AND msisdn = $2 ORDER BY inbound_id

-- name: file_orders
-- scope: merchant
SELECT (to_jsonb(t) || jsonb_build_object('steps', (SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.seq), '[]')
            FROM order_event e WHERE e.merchant_id = $1 AND e.order_id = t.order_id)))::text AS record
  FROM orders t WHERE merchant_id = $1 AND msisdn = $2 ORDER BY order_id

-- name: file_order_messages
-- scope: merchant
SELECT DISTINCT to_jsonb(k)::text AS record FROM orders o
  JOIN kept_message k ON k.merchant_id = $1 AND (k.order_id = o.order_id OR k.message_id = o.message_id)
 WHERE o.merchant_id = $1 AND o.msisdn = $2

-- name: file_consent_messages
-- scope: merchant
SELECT to_jsonb(k)::text AS record FROM kept_message k
 WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[]) AND order_id IS NULL AND campaign_id IS NULL

-- name: file_open_offers
-- scope: msisdn
SELECT to_jsonb(t)::text AS record FROM open_offer t WHERE merchant_id = $1 AND msisdn = $2

-- name: file_sender_stops
-- scope: merchant
SELECT to_jsonb(t)::text AS record FROM sender_stop t WHERE merchant_id = $1 AND msisdn = $2
