-- One transaction for a group of MOs. Look-ups are set-wise; what is decided about is locked.

-- name: first_seen
-- scope: account
-- $5 within one session, where the answer to the first surely arrived; $6 after a new connection or a restart.
INSERT INTO mo_seen (carrier_id, fingerprint, session, seen_at)
SELECT t.carrier_id, t.fingerprint, t.session, t.seen_at
  FROM unnest($1::smallint[], $2::bytea[], $3::text[], $4::timestamptz[]) AS t (carrier_id, fingerprint, session, seen_at)
 ORDER BY 1, 2
    ON CONFLICT (carrier_id, fingerprint) DO UPDATE SET seen_at = excluded.seen_at, session = excluded.session
 WHERE mo_seen.seen_at < excluded.seen_at - CASE WHEN mo_seen.session = excluded.session THEN $5::interval ELSE $6 END
RETURNING carrier_id, fingerprint

-- name: add_part
-- scope: account
INSERT INTO mo_part (carrier_id, sender, destination, ref, total, part, source, received_at, raw, data_coding, codec, esm_class,
                     source_ton, source_npi, destination_ton, destination_npi, tlvs)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT (carrier_id, sender, destination, ref, total, part) DO NOTHING

-- name: parts
-- scope: account
-- Locked: a part that another process settles at this moment is its text's, not this one's.
SELECT part, raw FROM mo_part
 WHERE carrier_id = $1 AND sender = $2 AND destination = $3 AND ref = $4 AND total = $5
 ORDER BY part
   FOR UPDATE

-- name: carriers_of_parts
-- scope: report
SELECT DISTINCT carrier_id FROM mo_part ORDER BY carrier_id

-- name: due_parts
-- scope: account
-- Complete (its parts were taken in two transactions at once), or nothing came for a while. The lock on the first
-- part stands for the set: of two processes that lock row by row, each could get half.
SELECT p.sender, p.destination, p.ref, p.total
  FROM mo_part p
  JOIN (SELECT sender, destination, ref, total, min(part) AS part FROM mo_part
         WHERE carrier_id = $1
         GROUP BY sender, destination, ref, total
        HAVING count(*) = total OR max(received_at) < $2
         ORDER BY max(received_at) OFFSET $3 LIMIT 1) AS due USING (sender, destination, ref, total, part)
 WHERE p.carrier_id = $1
   FOR UPDATE OF p SKIP LOCKED

-- name: take_parts
-- scope: account
DELETE FROM mo_part WHERE carrier_id = $1 AND sender = $2 AND destination = $3 AND ref = $4 AND total = $5
RETURNING part, source, raw, data_coding, codec, received_at, esm_class, source_ton, source_npi, destination_ton,
          destination_npi, tlvs

-- name: open_offers
-- scope: msisdn
-- Not locked here (another distribution), so read after `lock_people`: who stops or answers holds the subscriber. LATERAL with a
-- limit here and below: by the key; the table was read whole for each group of answers. What is locked is then changed by its
-- key and never by its place (ctid): what another changed while the lock was waited for stands in a place that the statement
-- does not see, and was passed over.
-- Left out is what was claimed and surely is not written yet, for a pace, a pause or a link that is down: the border is committed
-- before what is below it is written, and of a chunk that is given back all that was written has its outcome. Nobody can mean what
-- nobody got. Each campaign's few chunks are read by their key, too.
WITH opened AS MATERIALIZED (
    SELECT o.msisdn, o.sender, o.merchant_id, o.campaign_id, o.message_id, o.offer_id, o.offer_version, o.subscriber_id,
           o.answered_at
      FROM (SELECT DISTINCT * FROM unnest($1::bigint[], $2::text[]) AS t (msisdn, sender)) AS t
     CROSS JOIN LATERAL (SELECT * FROM open_offer WHERE msisdn = t.msisdn AND sender = t.sender LIMIT 1) AS o)
SELECT o.*
  FROM opened o
  LEFT JOIN LATERAL (
       SELECT true AS unwritten FROM campaign_chunk k
        WHERE k.merchant_id = o.merchant_id AND k.campaign_id = o.campaign_id AND k.state <> 'done'
          AND k.message_id_base <= o.message_id AND o.message_id < k.message_id_base + k.message_count
          AND (k.state = 'ready' OR k.message_id_base + k.allowance <= o.message_id)
          AND (k.members IS NULL OR o.message_id = ANY (k.members))
          AND (SELECT true FROM sent x WHERE x.merchant_id = o.merchant_id AND x.message_id = o.message_id LIMIT 1) IS NULL
        LIMIT 1) AS k ON true
 WHERE k.unwritten IS NULL
 ORDER BY o.msisdn, o.sender

-- name: people
-- scope: msisdn
SELECT merchant_id, subscriber_id, msisdn, language FROM subscriber
 WHERE msisdn = ANY($1::bigint[])
 ORDER BY merchant_id, subscriber_id

-- name: lock_people
-- scope: merchant
-- The state is read again under the lock: an import or the API may have changed it since `people`.
SELECT subscriber_id, offers_state, doubt_until IS NOT NULL AS in_doubt, less_at IS NOT NULL AS less FROM subscriber
 WHERE merchant_id = $1 AND subscriber_id = ANY($2::bigint[])
 ORDER BY subscriber_id
   FOR UPDATE

-- name: other_consents
-- scope: merchant
-- After `lock_people`, whose rows stand for these too.
SELECT c.merchant_id, c.subscriber_id, c.purpose, c.state
  FROM unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, subscriber_id)
  JOIN consent_state c ON c.merchant_id = t.merchant_id AND c.subscriber_id = t.subscriber_id

-- name: open_questions
-- scope: msisdn
SELECT msisdn, sender, merchant_id, subscriber_id, purpose, wording_version, asked_at
  FROM consent_question
 WHERE msisdn = ANY ($1::bigint[])
 ORDER BY msisdn, sender, merchant_id

-- name: close_questions
-- scope: msisdn
DELETE FROM consent_question AS q USING unnest($1::bigint[], $2::bigint[], $3::text[]) AS t (merchant_id, msisdn, purpose)
 WHERE q.msisdn = t.msisdn AND q.merchant_id = t.merchant_id AND q.purpose = t.purpose

-- name: answer_counts
-- scope: msisdn
SELECT msisdn, day_at, answers FROM answer_count WHERE msisdn = ANY($1::bigint[])

-- name: count_answers
-- scope: msisdn
-- What stands there now: another sum than was decided by is another process's answer in between.
INSERT INTO answer_count AS a (msisdn, day_at, answers)
SELECT t.msisdn, t.day_at, t.added
  FROM unnest($1::bigint[], $2::timestamptz[], $3::smallint[]) AS t (msisdn, day_at, added)
 ORDER BY 1, 2
    ON CONFLICT (msisdn, day_at) DO UPDATE SET answers = a.answers + excluded.answers
RETURNING msisdn, day_at, answers

-- name: merchants
-- scope: report
SELECT merchant_id, slug, name, language, contact, timezone FROM merchant WHERE merchant_id = ANY($1::bigint[])

-- name: writers_among
-- scope: report
SELECT sender, merchant_id FROM sender_merchant WHERE sender = ANY ($1::text[]) AND merchant_id = ANY ($2::bigint[])

-- name: sender_merchants
-- scope: report
-- Who wrote from numbers that got a STOP or HELP. Beside them who may: those that are named ($2, $3), and of numbers that everybody may use
-- ($4) as many as tell that they are too many ($5).
SELECT t.sender, m.merchant_id, m.slug, m.name, m.language, m.contact, m.timezone, m.state = 'active' AS active,
       EXISTS (SELECT FROM sender_merchant w WHERE w.sender = t.sender AND w.merchant_id = t.merchant_id) AS wrote
  FROM (SELECT sender, merchant_id FROM sender_merchant WHERE sender = ANY ($1::text[])
         UNION
        SELECT n.sender, m.merchant_id FROM unnest($2::text[], $3::text[]) AS n (sender, slug) JOIN merchant m ON m.slug = n.slug
         UNION
        SELECT e.sender, m.merchant_id FROM unnest($4::text[]) AS e (sender)
         CROSS JOIN (SELECT merchant_id FROM merchant WHERE test_of IS NULL ORDER BY merchant_id LIMIT $5) AS m) AS t
  JOIN merchant m ON m.merchant_id = t.merchant_id
 ORDER BY t.sender, m.merchant_id

-- name: keywords
-- scope: report
SELECT k.sender, k.word, k.wording_version, k.double_opt_in, m.merchant_id, m.slug, m.name, m.language, m.contact, m.timezone
  FROM unnest($1::text[], $2::text[]) AS t (sender, word)
  JOIN join_keyword k ON k.sender = t.sender AND k.word = t.word
  JOIN merchant m ON m.merchant_id = k.merchant_id AND m.state = 'active'

-- name: add_subscribers
-- scope: merchant
-- Nothing where somebody else was first: the group begins again, and knows the person.
INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, created_at, updated_at, place)
SELECT t.merchant_id, t.subscriber_id, t.msisdn, t.language, t.country, t.at, t.at, t.place
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
    AS t (merchant_id, subscriber_id, msisdn, language, country, at, place)
 ORDER BY t.merchant_id, t.msisdn
    ON CONFLICT (merchant_id, msisdn) DO NOTHING
RETURNING subscriber_id

-- name: lock_offers
-- scope: merchant
-- Whose stock is counted, which an offer's is or is not for ever: pieces are taken from what is read here.
-- No key of it changes: a campaign of the offer may begin meanwhile, which takes minutes if it is for millions.
-- Of a row that was waited for, what it returns is what another left.
SELECT offer_id, state, stock_remaining FROM offer
 WHERE merchant_id = $1 AND offer_id = ANY($2::bigint[]) AND stock_remaining IS NOT NULL
 ORDER BY offer_id
   FOR NO KEY UPDATE

-- name: offer_versions
-- scope: merchant
-- With `lock_offers`, which tells state and stock where that had to wait. A version that was answered was there before.
SELECT v.offer_id, v.version AS offer_version, v.text, v.shop_name, v.item, v.unit_price_minor, v.currency, v.quantity_max,
       v.language, v.country, v.sender, v.expires_at, v.ask_above_minor, v.withdrawal, v.cancel_window_s, v.shop_answer_s,
       v.confirm_by_sms, o.state, o.stock_remaining
  FROM offer o
  JOIN offer_version v ON v.merchant_id = o.merchant_id AND v.offer_id = o.offer_id
 WHERE o.merchant_id = $1 AND o.offer_id = ANY($2::bigint[])

-- name: hold_live
-- scope: merchant
-- Of uncounted stock, decided by what was read without a lock: what ends an offer comes after the commit from here on,
-- or has come first. Shared, and this late: groups that overlap without end must not keep a merchant waiting.
SELECT offer_id FROM offer
 WHERE merchant_id = $1 AND offer_id = ANY($2::bigint[]) AND state = 'live'
 ORDER BY offer_id
   FOR SHARE

-- name: named_orders
-- scope: merchant
-- Each only to the number that placed it; an erased person's order has none, as has a sender that is a name.
SELECT o.merchant_id, o.number, o.msisdn, o.message_id, o.campaign_id, o.offer_id, o.offer_version, o.subscriber_id
  FROM orders o
  JOIN unnest($2::bigint[], $3::text[]) AS t (msisdn, number) ON o.number = t.number AND o.msisdn = t.msisdn
 WHERE o.merchant_id = $1 AND o.msisdn <> 0

-- name: orders_of_people
-- scope: merchant
SELECT merchant_id, number, msisdn, message_id, campaign_id, offer_id, offer_version, subscriber_id
  FROM orders WHERE merchant_id = $1 AND subscriber_id = ANY($2::bigint[]) AND order_id >= $3

-- name: orders_of_messages
-- scope: merchant
-- LATERAL with a limit (`nth` is no larger): by the key for each, however few rows the planner takes the table to have.
-- As a list, the table was read whole until it was analyzed: in a sale, for each group of answers.
SELECT o.order_id
  FROM unnest($2::bigint[]) AS t (message_id)
 CROSS JOIN LATERAL (
       SELECT order_id FROM orders WHERE merchant_id = $1 AND message_id = t.message_id ORDER BY nth LIMIT 32767) AS o
 ORDER BY o.order_id

-- name: taken_numbers
-- scope: merchant
-- The first that is no smaller: only the index by number has it at hand. Of an equal number the planner thinks, while the
-- table is empty, that any index of the merchant will do.
SELECT o.number
  FROM unnest($2::text[]) AS t (number)
 CROSS JOIN LATERAL (
       SELECT number FROM orders WHERE merchant_id = $1 AND number >= t.number ORDER BY number LIMIT 1) AS o
 WHERE o.number = t.number

-- name: lock_orders
-- scope: merchant
-- In the order of the ids that are given, as everybody locks them; each the first that is no smaller, as above.
SELECT o.order_id, o.message_id, o.number, o.state, o.nth, o.quantity, o.created_at, o.placed_at, o.shop_ref, o.stock_held,
       o.due_event, o.due_at, o.delivered_at
  FROM unnest($2::bigint[]) AS t (order_id)
 CROSS JOIN LATERAL (
       SELECT * FROM orders WHERE merchant_id = $1 AND order_id >= t.order_id ORDER BY order_id LIMIT 1 FOR UPDATE) AS o
 WHERE o.order_id = t.order_id

-- name: order_steps
-- scope: merchant
-- A statement of its own after the lock: the locking one would see the steps as they were before it waited.
SELECT order_id, max(seq) AS seq, bool_or(event = 'customer_unclear') AS asked
  FROM order_event WHERE merchant_id = $1 AND order_id = ANY($2::bigint[]) GROUP BY order_id

-- name: insert_inbound
-- scope: merchant
INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, raw, data_coding,
                             subscriber_id, campaign_id, message_id, order_id, label, quantity, outcome, reason,
                             rules_version, received_at, esm_class, source_ton, source_npi, destination_ton,
                             destination_npi, tlvs, segments, sell_item_id, sell_micros)
SELECT * FROM unnest($1::text::bigint[], $2::text::bigint[], $3::text::smallint[], $4::text::bigint[],
                     $5::text::text[], $6::text::text[], $7::bytea[], $8::text::smallint[], $9::text::bigint[],
                     $10::text::bigint[], $11::text::bigint[], $12::text::bigint[], $13::text::text[], $14::text::int[],
                     $15::text::text[], $16::text::text[], $17::text::text[], $18::timestamptz[],
                     $19::text::smallint[], $20::text::smallint[], $21::text::smallint[], $22::text::smallint[],
                     $23::text::smallint[], $24::bytea[], $25::text::smallint[], $26::text::bigint[], $27::text::bigint[])

-- name: insert_consents
-- scope: merchant
INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, event, state_after, source,
                           inbound_id, occurred_at, wording_version, evidence)
SELECT t.merchant_id, t.consent_id, t.subscriber_id, t.msisdn, t.purpose, t.event, t.state, t.source, t.inbound_id, t.at,
       t.wording_version, t.evidence::jsonb
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
              $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[])
    AS t (merchant_id, consent_id, subscriber_id, msisdn, event, state, inbound_id, at, purpose, wording_version, source,
          evidence)

-- name: set_consent
-- scope: merchant
-- A silence is kept until the person agrees again (also by an import, which leaves it to be taken away here), or the number is
-- another person's (expired): being asked, or a no to that, ends none.
UPDATE subscriber AS s
   SET offers_state = t.state, offers_state_at = t.at, paused_until = t.until, updated_at = t.at,
       silent_at = CASE WHEN t.silent THEN t.at
                        WHEN s.offers_state IN ('none', 'pending', 'unsubscribed', 'blocked')
                             AND t.state IN ('none', 'pending', 'unsubscribed', 'blocked') THEN s.silent_at END
  FROM unnest($2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::boolean[])
    AS t (subscriber_id, state, at, until, silent)
 WHERE s.merchant_id = $1 AND s.subscriber_id = t.subscriber_id

-- name: set_doubts
-- scope: merchant
-- Of people who are locked. ANY, here and below: by the key. As a join alone, a plan made while the table was empty went on to
-- read all of it for each group of answers, until it was analyzed.
UPDATE subscriber AS s SET doubt_until = t.until
  FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS t (merchant_id, subscriber_id, until)
 WHERE s.merchant_id = ANY ($1) AND s.subscriber_id = ANY ($2) AND s.merchant_id = t.merchant_id AND s.subscriber_id = t.subscriber_id

-- name: set_less
-- scope: merchant
UPDATE subscriber AS s SET less_at = t.at
  FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS t (merchant_id, subscriber_id, at)
 WHERE s.merchant_id = ANY ($1) AND s.subscriber_id = ANY ($2) AND s.merchant_id = t.merchant_id AND s.subscriber_id = t.subscriber_id

-- name: put_other_consents
-- scope: merchant
INSERT INTO consent_state (merchant_id, subscriber_id, purpose, state, state_at, paused_until)
SELECT $1, t.subscriber_id, t.purpose, t.state, t.at, t.until
  FROM unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS t (subscriber_id, purpose, state, at, until)
    ON CONFLICT (merchant_id, subscriber_id, purpose) DO UPDATE
   SET state = excluded.state, state_at = excluded.state_at, paused_until = excluded.paused_until

-- name: insert_orders
-- scope: merchant
INSERT INTO orders (merchant_id, order_id, number, nth, offer_id, offer_version, campaign_id, message_id, subscriber_id,
                    msisdn, inbound_id, sender, quantity, unit_price_minor, total_minor, currency, state,
                    created_at, due_event, due_at, changed_at, placed_at)
SELECT t.*, t.at, CASE WHEN t.state = 'placed' THEN t.at END
  FROM unnest($1::text::bigint[], $2::text::bigint[], $3::text::text[], $4::text::smallint[], $5::text::bigint[],
              $6::text::int[], $7::text::bigint[], $8::text::bigint[], $9::text::bigint[], $10::text::bigint[],
              $11::text::bigint[], $12::text::text[], $13::text::int[], $14::text::bigint[], $15::text::bigint[],
              $16::text::text[], $17::text::text[], $18::timestamptz[], $19::text::text[], $20::timestamptz[])
    AS t (merchant_id, order_id, number, nth, offer_id, offer_version, campaign_id, message_id, subscriber_id, msisdn,
          inbound_id, sender, quantity, unit_price_minor, total_minor, currency, state, at, due_event, due_at)

-- name: insert_order_steps
-- scope: merchant
INSERT INTO order_event (merchant_id, order_id, seq, event, state, at, actor, detail)
SELECT t.merchant_id, t.order_id, t.seq, t.event, t.state, t.at, t.actor, t.detail::jsonb
  FROM unnest($1::text::bigint[], $2::text::bigint[], $3::text::int[], $4::text::text[], $5::text::text[],
              $6::timestamptz[], $7::text::text[], $8::text::text[])
    AS t (merchant_id, order_id, seq, event, state, at, actor, detail)

-- name: set_order_states
-- scope: merchant
-- Of orders that are locked; ANY as above.
UPDATE orders AS o
   SET state = t.state, changed_at = t.at, quantity = t.quantity, total_minor = t.total_minor, stock_held = t.stock_held,
       due_event = t.due_event, due_at = t.due_at,
       placed_at = CASE WHEN o.state = 'awaiting_confirmation' AND t.state = 'placed' THEN t.at ELSE o.placed_at END
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::int[], $6::bigint[], $7::boolean[], $8::text[],
              $9::timestamptz[])
    AS t (merchant_id, order_id, state, at, quantity, total_minor, stock_held, due_event, due_at)
 WHERE o.merchant_id = ANY ($1) AND o.order_id = ANY ($2) AND o.merchant_id = t.merchant_id AND o.order_id = t.order_id

-- name: take_stock
-- scope: merchant
-- Of offers that are locked; ANY as above.
UPDATE offer AS o SET stock_remaining = o.stock_remaining - t.pieces
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS t (merchant_id, offer_id, pieces)
 WHERE o.merchant_id = ANY ($1) AND o.offer_id = ANY ($2) AND o.merchant_id = t.merchant_id AND o.offer_id = t.offer_id

-- name: answered
-- scope: msisdn
-- Locked in the order of the number first, as claims do: in another one a claim and a group waited for each other in a circle.
WITH held AS MATERIALIZED (
    SELECT o.msisdn, o.sender, t.at
      FROM (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[]) AS t (msisdn, sender, message_id, at)
             ORDER BY msisdn, sender) AS t
     CROSS JOIN LATERAL (SELECT msisdn, sender FROM open_offer
                          WHERE msisdn = t.msisdn AND sender = t.sender AND message_id = t.message_id LIMIT 1 FOR UPDATE) AS o)
UPDATE open_offer AS o SET answered_at = h.at
  FROM held h
 WHERE o.msisdn = ANY (ARRAY(SELECT msisdn FROM held)) AND o.msisdn = h.msisdn AND o.sender = h.sender

-- name: close_offers
-- scope: msisdn
-- What was sent counts on for the caps of other merchants' offers. Locked in the order of the number first, as claims do.
WITH held AS MATERIALIZED (
    SELECT o.msisdn, o.sender
      FROM (SELECT msisdn, array_agg(merchant_id) AS merchant_ids
              FROM unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, msisdn) GROUP BY msisdn ORDER BY msisdn) AS t
     CROSS JOIN LATERAL (SELECT msisdn, sender FROM open_offer WHERE msisdn = t.msisdn AND merchant_id = ANY (t.merchant_ids)
                          ORDER BY sender LIMIT 1000 FOR UPDATE) AS o), gone AS (
    DELETE FROM open_offer AS o USING held h
     WHERE o.msisdn = ANY (ARRAY(SELECT msisdn FROM held)) AND o.msisdn = h.msisdn AND o.sender = h.sender
    RETURNING o.msisdn, o.merchant_id, o.opened_at)
SELECT keep_contacts(array_agg(msisdn), array_agg(merchant_id), array_agg(opened_at), now() - interval '7 days') FROM gone
