-- Consent that changes by time. `due_<event>` finds whose; once they are locked it is asked again for them alone ($3):
-- the state, the end of a pause, a question or a word of the person may be another by then.

-- name: due_resume
-- scope: report
SELECT merchant_id, subscriber_id, 'offers' AS purpose FROM subscriber
 WHERE offers_state = 'paused' AND paused_until <= $1 AND ($3::bigint[] IS NULL OR subscriber_id = ANY ($3))
UNION ALL
SELECT merchant_id, subscriber_id, purpose FROM consent_state
 WHERE state = 'paused' AND paused_until <= $1 AND ($3::bigint[] IS NULL OR subscriber_id = ANY ($3))
 ORDER BY 1, 2 LIMIT $2

-- name: due_question_expired
-- scope: report
-- While a newer question about the same waits, from another number, its yes still counts.
SELECT merchant_id, subscriber_id, purpose FROM consent_question q
 WHERE asked_at <= $1 AND ($3::bigint[] IS NULL OR subscriber_id = ANY ($3))
   AND NOT EXISTS (SELECT FROM consent_question n
                    WHERE n.msisdn = q.msisdn AND n.merchant_id = q.merchant_id AND n.purpose = q.purpose AND n.asked_at > $1)
 ORDER BY 1, 2 LIMIT $2

-- name: due_idle
-- scope: report
-- A word from the person, or an agreement, is contact; what the merchant does is none.
SELECT s.merchant_id, s.subscriber_id, 'offers' AS purpose FROM subscriber s
 WHERE ($3::bigint[] IS NULL OR s.subscriber_id = ANY ($3))
   AND s.created_at <= $1 AND s.offers_state IN ('pending', 'subscribed', 'paused') AND s.offers_state_at <= $1
   AND NOT EXISTS (SELECT FROM inbound_message i
                    WHERE i.merchant_id = s.merchant_id AND i.msisdn = s.msisdn AND i.received_at > $1)
 ORDER BY 1, 2 LIMIT $2

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
