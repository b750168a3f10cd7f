-- Consent that changes by time. `due_<event>` finds whose; `still_<event>` looks again once they are locked: the state, the end of a pause,
-- a question or a word of the person may be another by then. LATERAL: by the key of each, however few rows the planner takes a table to have.

-- name: due_resume
-- scope: report
SELECT merchant_id, subscriber_id FROM subscriber WHERE offers_state = 'paused' AND paused_until <= $1
UNION ALL
SELECT merchant_id, subscriber_id FROM consent_state WHERE state = 'paused' AND paused_until <= $1
 ORDER BY 1, 2 LIMIT $2

-- name: still_resume
-- scope: merchant
SELECT p.subscriber_id, d.purpose
  FROM unnest($2::bigint[]) AS p (subscriber_id)
 CROSS JOIN LATERAL (
    SELECT 'offers' AS purpose FROM subscriber s
     WHERE s.merchant_id = $1 AND s.subscriber_id = p.subscriber_id AND s.offers_state = 'paused' AND s.paused_until <= $3
     UNION ALL
    SELECT c.purpose FROM consent_state c
     WHERE c.merchant_id = $1 AND c.subscriber_id = p.subscriber_id AND c.state = 'paused' AND c.paused_until <= $3
    OFFSET 0
 ) AS d

-- name: due_question_expired
-- scope: report
-- While a newer question about the same waits, from another number, its yes still counts.
SELECT merchant_id, subscriber_id FROM consent_question q
 WHERE asked_at <= $1
   AND NOT EXISTS (SELECT FROM consent_question n
                    WHERE n.msisdn = q.msisdn AND n.merchant_id = q.merchant_id AND n.purpose = q.purpose AND n.asked_at > $1)
 ORDER BY 1, 2 LIMIT $2

-- name: still_question_expired
-- scope: report
-- Questions are kept by number.
SELECT q.subscriber_id, q.purpose
  FROM unnest($2::bigint[]) AS p (subscriber_id)
 CROSS JOIN LATERAL (
    SELECT msisdn FROM subscriber WHERE merchant_id = $1 AND subscriber_id = p.subscriber_id OFFSET 0
 ) AS s
 CROSS JOIN LATERAL (
    SELECT o.subscriber_id, o.purpose FROM consent_question o
     WHERE o.msisdn = s.msisdn AND o.merchant_id = $1 AND o.asked_at <= $3
       AND NOT EXISTS (SELECT FROM consent_question n
                        WHERE n.msisdn = s.msisdn AND n.merchant_id = $1 AND n.purpose = o.purpose AND n.asked_at > $3)
    OFFSET 0
 ) AS q

-- name: due_idle
-- scope: report
-- A word from the person, or an agreement to whatever, is contact: the log has also one that changed no state. What the merchant does is
-- none, nor what time alone does to a consent. Each person's few words and consents are read by their key.
SELECT d.merchant_id, d.subscriber_id
  FROM (SELECT merchant_id, subscriber_id, msisdn FROM subscriber
         WHERE created_at <= $1 AND offers_state IN ('pending', 'subscribed', 'paused') AND offers_state_at <= $1
         UNION ALL
        SELECT c.merchant_id, c.subscriber_id, s.msisdn
          FROM consent_state c JOIN subscriber s ON s.merchant_id = c.merchant_id AND s.subscriber_id = c.subscriber_id
         WHERE s.created_at <= $1 AND c.state IN ('pending', 'subscribed', 'paused') AND c.state_at <= $1) AS d
 WHERE (SELECT true FROM inbound_message i
         WHERE i.merchant_id = d.merchant_id AND i.msisdn = d.msisdn AND i.received_at > $1 LIMIT 1) IS NULL
   AND (SELECT true FROM consent_event e
         WHERE e.merchant_id = d.merchant_id AND e.subscriber_id = d.subscriber_id AND e.occurred_at > $1
           AND e.event NOT IN ('idle', 'resume', 'question_expired') LIMIT 1) IS NULL
 ORDER BY 1, 2 LIMIT $2

-- name: still_idle
-- scope: merchant
SELECT s.subscriber_id, d.purpose
  FROM unnest($2::bigint[]) AS p (subscriber_id)
 CROSS JOIN LATERAL (
    SELECT subscriber_id, msisdn, offers_state, offers_state_at FROM subscriber
     WHERE merchant_id = $1 AND subscriber_id = p.subscriber_id AND created_at <= $3
    OFFSET 0
 ) AS s
 CROSS JOIN LATERAL (
    SELECT 'offers' AS purpose WHERE s.offers_state IN ('pending', 'subscribed', 'paused') AND s.offers_state_at <= $3
     UNION ALL
    SELECT c.purpose FROM consent_state c
     WHERE c.merchant_id = $1 AND c.subscriber_id = s.subscriber_id
       AND c.state IN ('pending', 'subscribed', 'paused') AND c.state_at <= $3
 ) AS d
 WHERE (SELECT true FROM inbound_message i
         WHERE i.merchant_id = $1 AND i.msisdn = s.msisdn AND i.received_at > $3 LIMIT 1) IS NULL
   AND (SELECT true FROM consent_event e
         WHERE e.merchant_id = $1 AND e.subscriber_id = s.subscriber_id AND e.occurred_at > $3
           AND e.event NOT IN ('idle', 'resume', 'question_expired') LIMIT 1) IS NULL

-- name: lock_people
-- scope: merchant
SELECT subscriber_id, msisdn FROM subscriber
 WHERE merchant_id = $1 AND subscriber_id = ANY ($2::bigint[])
 ORDER BY subscriber_id
   FOR UPDATE

-- name: states_of
-- scope: merchant
SELECT s.subscriber_id, t.purpose,
       CASE WHEN t.purpose = 'offers' THEN s.offers_state ELSE coalesce(o.state, 'none') END AS state
  FROM subscriber s
  JOIN unnest($2::bigint[], $3::text[]) AS t (subscriber_id, purpose) ON t.subscriber_id = s.subscriber_id
  LEFT JOIN consent_state o ON o.merchant_id = $1 AND o.subscriber_id = s.subscriber_id AND o.purpose = t.purpose
 WHERE s.merchant_id = $1
 ORDER BY s.subscriber_id, t.purpose

-- name: opted_out
-- scope: merchant
-- The outcome that stands says it: the carrier's own code, of the carrier that the message went by.
SELECT DISTINCT s.subscriber_id
  FROM sent x
  JOIN message m ON m.merchant_id = $1 AND m.message_id = x.message_id AND m.message_id = ANY ($2::bigint[])
  JOIN subscriber s ON s.merchant_id = $1 AND s.msisdn = m.msisdn
 WHERE x.merchant_id = $1 AND x.message_id = ANY ($2::bigint[])
   AND ((x.carrier_id, x.status) IN (SELECT * FROM unnest($3::smallint[], $4::bigint[]))
        OR EXISTS (SELECT FROM receipt r
                    WHERE r.merchant_id = $1 AND r.message_id = x.message_id
                      AND (x.carrier_id, r.error) IN (SELECT * FROM unnest($5::smallint[], $6::bytea[]))))
 ORDER BY s.subscriber_id

-- name: log
-- scope: merchant
INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, event, state_after, source,
                           evidence, occurred_at, recorded_at)
SELECT $1, $2 + t.place - 1, t.subscriber_id, t.msisdn, t.purpose, $3, t.state, $9,
       jsonb_build_object('who', CASE $9 WHEN 'sms' THEN 'phone' ELSE $9 END), $4, $4
  FROM unnest($5::bigint[], $6::bigint[], $7::text[], $8::text[])
       WITH ORDINALITY AS t (subscriber_id, msisdn, purpose, state, place)

-- name: end_questions
-- scope: msisdn
DELETE FROM consent_question AS q USING unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, msisdn)
 WHERE q.msisdn = t.msisdn AND q.merchant_id = t.merchant_id AND q.asked_at <= $3
