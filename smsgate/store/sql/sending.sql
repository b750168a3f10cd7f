-- The bulk path. All of it runs as sg_bulk, so every statement names its merchant itself.

-- name: claimable_states
-- scope: report
-- The first $4 campaigns of each merchant of which a chunk is ready at $1 and which we can send ($2: sender numbers),
-- or which nobody may send any more at $3; none while the merchant has no money for the next message, or the offer is
-- sold out: an order may give a piece back, or its merchant have more. LATERAL with a limit: one look into each index a campaign.
SELECT t.merchant_id, c.campaign_id, c.state, c.sender, c.expires_at, t.sending_weight, c.messages_per_minute,
       c.recipients, b.merchant_id IS NOT NULL
  FROM (SELECT DISTINCT merchant_id FROM campaign WHERE state = 'sending') AS s
  JOIN merchant t ON t.merchant_id = s.merchant_id AND t.state = 'active' AND t.shop_lost_at IS NULL
  LEFT JOIN budget b ON b.merchant_id = t.merchant_id
 CROSS JOIN LATERAL (
    SELECT c.campaign_id, c.state, v.sender, v.expires_at, c.messages_per_minute, c.recipients
      FROM campaign c
     CROSS JOIN LATERAL (SELECT o.sender, o.expires_at FROM offer_version o
                          WHERE o.merchant_id = c.merchant_id AND o.offer_id = c.offer_id AND o.version = c.offer_version
                          LIMIT 1) AS v
     WHERE c.merchant_id = t.merchant_id AND c.state = 'sending' AND (v.sender = ANY ($2::text[]) AND NOT coalesce(budget_is_short(b) AND b.short_until > now(), false)
         AND NOT EXISTS (SELECT FROM offer f WHERE f.merchant_id = c.merchant_id AND f.offer_id = c.offer_id AND f.stock_remaining = 0)
         OR v.expires_at <= $3)
       AND (SELECT k.no FROM campaign_chunk k
             WHERE k.merchant_id = c.merchant_id AND k.campaign_id = c.campaign_id AND k.state = 'ready'
               AND (k.not_before IS NULL OR k.not_before <= $1) LIMIT 1) IS NOT NULL
     ORDER BY c.campaign_id LIMIT $4
 ) AS c

-- name: known_states
-- scope: report
-- What a suspended merchant was sending, or one whose shop takes no orders, or what is sold out, waits as if paused
-- until that is over.
SELECT c.merchant_id, c.campaign_id,
       CASE WHEN c.state = 'sending' AND (k.state = 'suspended' OR k.shop_lost_at IS NOT NULL OR f.stock_remaining = 0) THEN 'paused'
            WHEN c.state = 'cancelled' THEN coalesce(c.cancelled_for, c.state)
            ELSE c.state END,
       v.sender, v.expires_at, k.sending_weight, c.messages_per_minute, c.recipients,
       EXISTS (SELECT FROM budget b WHERE b.merchant_id = c.merchant_id)
  FROM unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, campaign_id)
  JOIN campaign c ON c.merchant_id = t.merchant_id AND c.campaign_id = t.campaign_id
  JOIN merchant k ON k.merchant_id = c.merchant_id
  JOIN offer f ON f.merchant_id = c.merchant_id AND f.offer_id = c.offer_id
  JOIN offer_version v ON v.merchant_id = c.merchant_id AND v.offer_id = c.offer_id AND v.version = c.offer_version

-- name: take_chunks
-- scope: merchant
-- One of each campaign. Found once and then taken: a look that the plan repeats would lock more than it takes.
WITH found AS MATERIALIZED (
    SELECT k.campaign_id, k.no
      FROM unnest($2::bigint[]) AS t (campaign_id)
     CROSS JOIN LATERAL (SELECT campaign_id, no FROM campaign_chunk
                          WHERE merchant_id = $1 AND campaign_id = t.campaign_id AND state = 'ready'
                            AND (not_before IS NULL OR not_before <= $4)
                          ORDER BY no LIMIT 1
                            FOR UPDATE SKIP LOCKED) AS k
)
UPDATE campaign_chunk AS c
   SET state = 'claimed', owner = $3, fence = fence + 1
  FROM found
 WHERE c.merchant_id = $1 AND c.campaign_id = found.campaign_id AND c.no = found.no
RETURNING c.merchant_id, c.campaign_id, c.no, msisdn_lo, msisdn_hi, fence, message_id_base, message_count,
          allowance, members, subscriber_ids IS NOT NULL AS named

-- name: campaign_offers
-- scope: merchant
-- FOR SHARE: a cancel waits for the claim, or the claim sees the cancel.
SELECT c.merchant_id, c.campaign_id, c.started_at, c.audience_tags, c.audience_ids,
       c.audience_fields::text AS audience_fields, c.audience_bought, c.audience_not_bought, c.offer_id, c.offer_version,
       v.sender_pool, v.text, v.shop_name, v.item, v.unit_price_minor, v.currency, v.quantity_max, v.language, v.country,
       v.sender, v.expires_at, v.tlvs, t.sending_weight, c.messages_per_minute,
       EXISTS (SELECT FROM budget b WHERE b.merchant_id = c.merchant_id) AS budgeted
  FROM campaign c
  JOIN merchant t ON t.merchant_id = c.merchant_id AND t.state = 'active' AND t.shop_lost_at IS NULL
  JOIN offer_version v ON v.merchant_id = c.merchant_id AND v.offer_id = c.offer_id AND v.version = c.offer_version
 WHERE c.merchant_id = $1 AND c.campaign_id = ANY ($2::bigint[]) AND c.state = 'sending'
 ORDER BY c.campaign_id
   FOR SHARE OF c

-- name: paces
-- scope: report
SELECT c.merchant_id, c.campaign_id, c.messages_per_minute, c.paced_until
  FROM unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, campaign_id)
  JOIN campaign c ON c.merchant_id = t.merchant_id AND c.campaign_id = t.campaign_id
 WHERE c.state = 'sending'

-- name: take_pace
-- scope: merchant
-- Nothing where another process was first: the pace read before is met again, or nobody is granted anything.
UPDATE campaign SET paced_until = $5
 WHERE merchant_id = $1 AND campaign_id = $2 AND state = 'sending' AND messages_per_minute = $3
   AND paced_until IS NOT DISTINCT FROM $4
RETURNING campaign_id

-- name: guarded
-- scope: report
-- $1 to $3 are the gateway's own limits.
SELECT c.merchant_id, c.campaign_id, coalesce(c.guard_first_sends, $1::int) AS first_sends,
       coalesce(c.guard_stop_share, $2::int) AS stop_share, coalesce(c.guard_failure_share, $3::int) AS failure_share,
       c.recipients, coalesce(sum(k.n) FILTER (WHERE k.kind IN ('accepted', 'refused')), 0)::bigint AS sends,
       coalesce(sum(k.n) FILTER (WHERE k.kind = 'stops'), 0)::bigint AS stops,
       coalesce(sum(k.n) FILTER (WHERE k.kind IN ('refused', 'failed')), 0)::bigint AS failures
  FROM campaign c
  JOIN campaign_counter k ON k.merchant_id = c.merchant_id AND k.campaign_id = c.campaign_id
 WHERE c.state = 'sending' AND NOT c.guard_off
 GROUP BY c.merchant_id, c.campaign_id
HAVING bool_or(k.kind IN ('stops', 'refused', 'failed'))

-- name: pause_guarded
-- scope: merchant
UPDATE campaign SET state = 'paused', paused_reason = $3
 WHERE merchant_id = $1 AND campaign_id = $2 AND state = 'sending' AND NOT guard_off
RETURNING campaign_id

-- name: candidates
-- scope: merchant
-- Who came, or consented, after the start was in no preview. Tags have no time: $11 bounds whom they bring along.
-- A STOP to a sender number ($12) counts, were it said before the person subscribed. Those of the people who are meant are read in one
-- walk and hashed: a join read all of the merchant's for each person where the planner took it for one with few, as most are.
-- Places as the hours know them (campaigns.hours.Place): one when all are at the same; the offer's country if nobody.
-- One or two fields, as nearly every text has, are a column each, and taken without a query of their own for each person. They
-- come as JSON: a list for each person costs the gateway four times as much as a column.
WITH meant AS MATERIALIZED (
    SELECT subscriber_id, msisdn, fields, CASE WHEN place = '' THEN country ELSE place END AS place FROM subscriber
     WHERE
-- part: audience
       AND msisdn BETWEEN $8 AND $9
-- part: chosen

-- name: named_candidates
-- scope: merchant
-- As `candidates`, of a chunk that names its people: number $9 of campaign $8.
WITH meant AS MATERIALIZED (
    SELECT subscriber_id, msisdn, fields, CASE WHEN place = '' THEN country ELSE place END AS place FROM subscriber
     WHERE
-- part: audience
       AND subscriber_id = ANY ((SELECT k.subscriber_ids FROM campaign_chunk k
                                  WHERE k.merchant_id = $1 AND k.campaign_id = $8 AND k.no = $9)::bigint[])
-- part: chosen

-- name: listed_candidates
-- scope: merchant
-- As `candidates`, of audiences that are lists: $3 names each one's subscribers, $2 the place of its campaign in the
-- claim, $4 the campaign's start. LATERAL with a limit and OFFSET: by the key for each, whatever the planner takes the tables for.
SELECT t.place AS campaign, s.subscriber_id, s.msisdn, CASE WHEN s.place = '' THEN s.country ELSE s.place END AS place,
       ARRAY(SELECT coalesce(s.fields ->> name, '') FROM unnest($6::text[]) WITH ORDINALITY AS f (name, n) ORDER BY n) AS fields
  FROM unnest($2::int[], $3::bigint[], $4::timestamptz[]) AS t (place, subscriber_id, started_at)
 CROSS JOIN LATERAL (
    SELECT * FROM subscriber WHERE merchant_id = $1 AND subscriber_id = t.subscriber_id LIMIT 1
 ) AS s
 WHERE s.offers_state = 'subscribed'
   AND (t.started_at IS NULL OR s.created_at <= t.started_at AND (s.offers_state_at IS NULL OR s.offers_state_at <= t.started_at))
   AND NOT EXISTS (SELECT FROM sender_stop x WHERE x.merchant_id = $1 AND x.sender = ANY($5::text[]) AND x.msisdn = s.msisdn OFFSET 0)
 ORDER BY 1, 2

-- name: shorten_chunk
-- scope: merchant
UPDATE campaign_chunk SET msisdn_hi = $4, size = $5 WHERE merchant_id = $1 AND campaign_id = $2 AND no = $3

-- name: insert_rest_chunk
-- scope: merchant
-- Its number is its own whoever claims beside us: each chunk of the start has its own row of them.
INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: insert_part_chunks
-- scope: merchant
INSERT INTO campaign_chunk (merchant_id, campaign_id, no, message_id_base, message_count, size, allowance, state, owner,
                            members, not_before, hold, hold_rule, msisdn_lo, msisdn_hi, fence)
SELECT $1, t.campaign_id, t.no, t.base, t.count, t.count, t.allowance, t.state, t.owner, t.members::bigint[], t.not_before,
       t.hold, t.hold_rule, t.lo, t.hi, 1
  FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::text[], $8::bigint[], $9::text[],
              $10::timestamptz[], $11::text[], $12::text[], $13::bigint[], $14::bigint[])
    AS t (campaign_id, no, base, count, allowance, state, owner, members, not_before, hold, hold_rule, lo, hi)

-- name: one_claim_at_a_time
-- scope: control
-- $1: the lock's number. Held until the commit, so what a claim knows of people holds until its rows are there. Whoever waits
-- holds the campaign, and whoever stands still stops all: the time of both is short. What follows is about some people of many, and a
-- plan that was made for a table that was small is kept: no table is read as a whole.
SELECT set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '10s', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), pg_advisory_xact_lock($1)

-- name: known_people
-- scope: msisdn
-- Of the people of $1 who have an open offer, or had one in the last week: by each number who has a row, and of these rows what a
-- cap still counts, and whose offer is open at $9; without a number those who had as many messages as a cap lets through. A row
-- for each number and not for each person: a shop's next campaign knows everybody. ANY goes through the index once, from number
-- to number, be they neighbours or far from each other.
WITH known AS MATERIALIZED (
    SELECT msisdn, sender, merchant_id, opened_at AS at, answered_at IS NULL AND expires_at >= $9 AS live
      FROM open_offer WHERE msisdn = ANY ($1::text::bigint[])
     UNION ALL
    SELECT c.msisdn, NULL, u.m, u.a, false
      FROM marketing_contact AS c, unnest(c.merchant_ids, c.at) AS u (m, a)
     WHERE c.msisdn = ANY ($1::text::bigint[])
), capped AS (
    SELECT msisdn FROM known WHERE at > $4 GROUP BY msisdn
    HAVING count(*) FILTER (WHERE at > $3) >= $5::int OR count(*) >= $6::int
        OR count(*) FILTER (WHERE at > $3 AND merchant_id = $2) >= $7::int
        OR count(*) FILTER (WHERE merchant_id = $2) >= $8::int
)
SELECT sender, array_agg(msisdn) AS msisdns, array_agg(msisdn) FILTER (WHERE at > $4) AS counted,
       array_agg(merchant_id) FILTER (WHERE at > $4) AS merchant_ids, array_agg(at) FILTER (WHERE at > $4) AS at,
       array_agg(msisdn) FILTER (WHERE live) AS live
  FROM known WHERE sender IS NOT NULL GROUP BY sender
 UNION ALL
SELECT NULL, array_agg(msisdn), NULL, NULL, NULL, NULL FROM capped

-- name: reluctant
-- scope: merchant
-- Of few people, by an index of their own: whose reply may have been a STOP, and who asked for fewer messages.
SELECT msisdn, doubt_until, less_at FROM subscriber
 WHERE merchant_id = $1 AND msisdn BETWEEN $2 AND $3 AND (doubt_until > $4 OR less_at IS NOT NULL)

-- name: lock_less
-- scope: merchant
-- Whose next offer may come, as it stands under the lock: whoever says something holds the subscriber before the open offer, too.
SELECT msisdn FROM subscriber WHERE merchant_id = $1 AND msisdn = ANY ($2::bigint[]) AND less_at <= $3
 ORDER BY subscriber_id
   FOR UPDATE

-- name: spend_less
-- scope: merchant
UPDATE subscriber SET less_at = $3 WHERE merchant_id = $1 AND msisdn = ANY ($2::bigint[]) AND less_at IS NOT NULL

-- name: give_less_back
-- scope: merchant
-- Of offers that never left: the next one may come again. Locked first, in the order in which answers lock people, with those
-- whom `lock_less` may take next ($5: of these numbers; $6: whose time was over by then).
WITH held AS MATERIALIZED (
    SELECT s.subscriber_id, t.opened_at
      FROM subscriber s
      LEFT JOIN unnest($2::bigint[], $3::timestamptz[]) AS t (msisdn, opened_at) ON t.msisdn = s.msisdn
     WHERE s.merchant_id = $1 AND s.msisdn = ANY ($5::bigint[]) AND s.less_at IS NOT NULL
       AND (s.less_at = t.opened_at OR s.less_at <= $6)
     ORDER BY s.subscriber_id
       FOR UPDATE OF s)
UPDATE subscriber AS s SET less_at = h.opened_at - $4::interval
  FROM held h
 WHERE s.merchant_id = $1 AND s.subscriber_id = h.subscriber_id AND s.less_at = h.opened_at

-- name: contacts
-- scope: msisdn
SELECT k.msisdn, array_agg(k.merchant_id) AS merchant_ids, array_agg(k.at) AS at
  FROM (SELECT msisdn, merchant_id, opened_at AS at FROM open_offer
         WHERE msisdn = ANY($1::bigint[]) AND opened_at IS NOT NULL
         UNION ALL
        SELECT c.msisdn, u.m, u.a FROM marketing_contact c, unnest(c.merchant_ids, c.at) AS u (m, a)
         WHERE c.msisdn = ANY($1::bigint[])) AS k
 GROUP BY k.msisdn

-- name: take_places
-- scope: msisdn
-- Nothing comes back but how many: a row each costs half as much as its change.
SELECT take_places($1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::int[], $5, $6, $7, $8, $9, $10, $11, $12)

-- name: take_or_make_places
-- scope: msisdn
-- Of those whom `take_places` left: by the key and in one step, whatever another changed while this waited; who has no row any
-- more gets one, and comes back in `anew` (a row that was there is locked before it is changed, so xmax names us). An offer that
-- is open would be locked, too, and its answer wait for the claim: those of `known_people` are left out before.
WITH taken AS (
    INSERT INTO open_offer AS o (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, offer_version, subscriber_id,
                                 expires_at, opened_at)
    SELECT t.msisdn, $5, $6, ($7::bigint[])[1 + t.place], t.message_id, ($8::bigint[])[1 + t.place],
           ($9::int[])[1 + t.place], t.subscriber_id, ($10::timestamptz[])[1 + t.place], $12
      FROM unnest($1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::int[])
        AS t (msisdn, message_id, subscriber_id, place)
     ORDER BY t.msisdn
    ON CONFLICT (msisdn, sender) DO UPDATE
       SET merchant_id = excluded.merchant_id, campaign_id = excluded.campaign_id, message_id = excluded.message_id,
           offer_id = excluded.offer_id, offer_version = excluded.offer_version, subscriber_id = excluded.subscriber_id,
           expires_at = excluded.expires_at, opened_at = excluded.opened_at, answered_at = NULL
     WHERE o.answered_at IS NOT NULL OR o.expires_at < $11
    RETURNING message_id, xmax = 0 AS anew
)
SELECT array_agg(message_id) AS taken, array_agg(message_id) FILTER (WHERE anew) AS anew FROM taken

-- name: keep_contacts
-- scope: msisdn
SELECT keep_contacts($1::bigint[], $2::bigint[], $3::timestamptz[], $4)

-- name: opened_already
-- scope: msisdn
SELECT message_id, opened_at FROM open_offer
 WHERE msisdn = ANY($1::bigint[]) AND sender = $2 AND message_id = ANY($3::bigint[])

-- name: insert_not_sent
-- scope: merchant
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, sell_micros,
                  cost_item_id, cost_micros, reason, sent_at)
SELECT $1, message_id, 1, 0, -2, 1, 0, 0, 0, 0, $3, $4 FROM unnest($2::bigint[]) AS t (message_id)

-- name: set_chunks_messages
-- scope: merchant
UPDATE campaign_chunk AS c
   SET message_id_base = t.base, message_count = t.count, allowance = t.allowance, state = t.state, owner = t.owner,
       members = t.members::bigint[], not_before = t.not_before, hold = t.hold, hold_rule = t.hold_rule
  FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::text[], $8::bigint[], $9::text[],
              $10::timestamptz[], $11::text[], $12::text[])
    AS t (campaign_id, no, base, count, allowance, state, owner, members, not_before, hold, hold_rule)
 WHERE c.merchant_id = $1 AND c.campaign_id = t.campaign_id AND c.no = t.no

-- name: unsettled_messages
-- scope: merchant
-- $4: the chunk's members, where ids of others stand between them.
SELECT m.message_id, m.msisdn, m.subscriber_id, m.sender, m.fields,
       coalesce(s.offers_state, 'none') = 'subscribed'
           AND NOT EXISTS (SELECT FROM sender_stop y
                            WHERE y.merchant_id = $1 AND y.sender = m.sender AND y.msisdn = m.msisdn) AS agreed,
       CASE WHEN s.place = '' THEN s.country ELSE coalesce(s.place, '') END AS place
  FROM message m
  LEFT JOIN sent x ON x.merchant_id = m.merchant_id AND x.message_id = m.message_id
                  AND x.message_id >= $2 AND x.message_id < $3
  LEFT JOIN subscriber s ON s.merchant_id = m.merchant_id AND s.subscriber_id = m.subscriber_id
 WHERE m.merchant_id = $1 AND m.message_id >= $2 AND m.message_id < $3 AND x.message_id IS NULL
   AND ($4::bigint[] IS NULL OR m.message_id = ANY($4))
 ORDER BY m.message_id

-- name: oldest_partitions
-- scope: report
SELECT min(child.relname) AS name
  FROM pg_catalog.pg_inherits
  JOIN pg_catalog.pg_class child ON child.oid = inhrelid
 WHERE inhparent IN ('message'::regclass, 'sent'::regclass) AND child.relname ~ '_p[0-9]+$'
 GROUP BY inhparent

-- name: release_chunks
-- scope: merchant
-- With the border go those below it who are in doubt after a kill of the next owner, so it does not stay where it was.
UPDATE campaign_chunk AS c SET state = 'ready', owner = NULL, allowance = least(c.allowance, t.border)
  FROM unnest($2::bigint[], $3::bigint[], $4::int[], $6::int[]) AS t (campaign_id, no, fence, border)
 WHERE c.merchant_id = $1 AND c.campaign_id = t.campaign_id AND c.no = t.no AND c.fence = t.fence AND c.owner = $5
   AND c.state = 'claimed'

-- name: chunks_of_owner
-- scope: report
SELECT merchant_id, campaign_id, no, fence FROM campaign_chunk WHERE owner = $1 AND state = 'claimed'

-- name: interactive_of_owner
-- scope: report
SELECT merchant_id, message_id FROM interactive_queue WHERE owner = $1

-- name: owned_chunks
-- scope: merchant
-- Locked until the flush is durable: nobody takes a chunk over between this look and the outcomes' rows.
SELECT c.campaign_id, c.no, c.fence
  FROM campaign_chunk c
  JOIN unnest($2::bigint[], $3::bigint[], $4::int[]) AS t (campaign_id, no, fence)
    ON c.campaign_id = t.campaign_id AND c.no = t.no AND c.fence = t.fence
 WHERE c.merchant_id = $1 AND c.owner = $5
 ORDER BY c.campaign_id, c.no
   FOR UPDATE OF c

-- name: chunk_progress
-- scope: merchant
UPDATE campaign_chunk AS c
   SET allowance = t.allowance, state = CASE WHEN t.done THEN 'done' WHEN t.released THEN 'ready' ELSE c.state END,
       done_at = CASE WHEN t.done THEN $7::timestamptz ELSE NULL END,
       owner = CASE WHEN t.released AND NOT t.done THEN NULL ELSE c.owner END
  FROM unnest($2::bigint[], $3::bigint[], $4::int[], $5::int[], $6::boolean[], $9::boolean[])
    AS t (campaign_id, no, fence, allowance, done, released)
 WHERE c.merchant_id = $1 AND c.campaign_id = t.campaign_id AND c.no = t.no AND c.fence = t.fence AND c.owner = $8

-- name: finishable
-- scope: report
-- One look into the index a campaign, whatever the planner believes of tables that grew since they were analyzed.
SELECT merchant_id, campaign_id FROM campaign c
 WHERE state = 'sending'
   AND (SELECT k.no FROM campaign_chunk k
         WHERE k.merchant_id = c.merchant_id AND k.campaign_id = c.campaign_id AND k.state <> 'done' LIMIT 1) IS NULL

-- name: finish_campaigns
-- scope: merchant
-- Locked in the order in which claims lock them.
WITH over AS MATERIALIZED (
    SELECT campaign_id FROM campaign
     WHERE merchant_id = $1 AND campaign_id = ANY ($2::bigint[]) AND state = 'sending'
     ORDER BY campaign_id
       FOR UPDATE
)
UPDATE campaign AS c SET state = 'finished', finished_at = $3
  FROM over
 WHERE c.merchant_id = $1 AND c.campaign_id = over.campaign_id
RETURNING c.campaign_id, c.recipients

-- name: add_counters
-- scope: merchant
INSERT INTO campaign_counter (merchant_id, campaign_id, kind, n)
SELECT t.merchant_id, t.campaign_id, t.kind, t.n
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) AS t (merchant_id, campaign_id, kind, n)
 ORDER BY 1, 2, 3
    ON CONFLICT (merchant_id, campaign_id, kind) DO UPDATE SET n = campaign_counter.n + excluded.n

-- name: log_flush
-- scope: control
INSERT INTO flush_log (owner, number) VALUES ($1, $2)
    ON CONFLICT (owner) DO UPDATE SET number = excluded.number, at = now() WHERE flush_log.number < excluded.number
RETURNING number

-- name: post_ledger
-- scope: control
-- The function checks that each posting sums to zero, and what is late by the month's cut.
SELECT post_ledger($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                   $8::bigint[], $9::bigint[], $10::smallint[], $11::bigint[], $12::bigint[], $13::timestamptz[],
                   $14::timestamptz[])

-- name: insert_sent
-- scope: merchant
-- Only after a COPY met a row that is there: a recovery called it unknown while its owner still lived.
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, sell_item_id, sell_micros,
                  cost_item_id, cost_micros, reason, sent_at, parts)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::bigint[], $6::smallint[], $7::bytea[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::timestamptz[],
                     $14::smallint[])
    ON CONFLICT (merchant_id, message_id, segment) DO NOTHING
RETURNING merchant_id, message_id, segment

-- name: merge_sent
-- scope: merchant
-- A recovery wrote one row for a message of which it knew nothing: it may be the first part of several.
UPDATE sent AS s
   SET carrier_id = t.carrier_id, status = t.status, segments = t.segments, smsc_id = t.smsc_id,
       sell_item_id = t.sell_item_id, sell_micros = t.sell_micros, cost_item_id = t.cost_item_id,
       cost_micros = t.cost_micros, reason = t.reason, sent_at = t.sent_at, parts = t.parts
  FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::bigint[], $6::smallint[], $7::bytea[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::timestamptz[], $14::smallint[])
    AS t (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, sell_item_id, sell_micros,
          cost_item_id, cost_micros, reason, sent_at, parts)
 WHERE s.merchant_id = t.merchant_id AND s.message_id = t.message_id AND s.segment = t.segment AND s.status = -1
RETURNING s.merchant_id, s.message_id, s.segment

-- name: called_unknown
-- scope: merchant
-- How many of the merged rows each campaign had counted as unknown.
SELECT t.merchant_id, m.campaign_id, count(*) AS n
  FROM unnest($1::bigint[], $2::bigint[]) AS t (merchant_id, message_id)
 CROSS JOIN LATERAL (
       SELECT campaign_id FROM message WHERE merchant_id = t.merchant_id AND message_id = t.message_id OFFSET 0) AS m
 WHERE m.campaign_id IS NOT NULL
 GROUP BY t.merchant_id, m.campaign_id

-- name: interactive_done
-- scope: merchant
DELETE FROM interactive_queue WHERE merchant_id = $1 AND message_id = ANY($2::bigint[])

-- name: close_unsent_offers
-- scope: msisdn
-- Locked in the order of the number first, as claims do. LATERAL with a limit: by the key for each; deleted by the
-- key, for another may have changed the row while this waited.
WITH gone AS MATERIALIZED (
    SELECT o.msisdn, o.sender
      FROM (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS t (msisdn, sender, message_id) ORDER BY msisdn, sender) AS t
     CROSS JOIN LATERAL (SELECT msisdn, sender FROM open_offer
                          WHERE msisdn = t.msisdn AND sender = t.sender AND message_id = t.message_id LIMIT 1 FOR UPDATE) AS o)
DELETE FROM open_offer AS o USING gone g
 WHERE o.msisdn = ANY (ARRAY(SELECT msisdn FROM gone)) AND o.msisdn = g.msisdn AND o.sender = g.sender

-- name: interactive_merchants
-- scope: report
SELECT q.merchant_id, b.merchant_id IS NOT NULL AS budgeted,
       coalesce(budget_is_short(b) AND b.short_until > now(), false) AS short, coalesce(t.test_of IS NOT NULL, false) AS test
  FROM (SELECT DISTINCT merchant_id FROM interactive_queue WHERE owner IS NULL AND account_id = 0) AS q
  LEFT JOIN budget b ON b.merchant_id = q.merchant_id
  LEFT JOIN merchant t ON t.merchant_id = q.merchant_id
 ORDER BY q.merchant_id

-- name: take_interactive
-- scope: merchant
-- What the person agreed to is looked at again; beside offers only for kinds with a purpose ($6). What test merchants send
-- ($7) waits for no carrier. The messages are looked at one by one: a join read all of the merchant's day for the few that are taken.
WITH next AS MATERIALIZED (
    SELECT q.message_id, q.expires_at, m.msisdn, m.sender, m.body, m.push, m.tlvs, m.kind, m.subscriber_id,
           m.inbound_id IS NOT NULL AS answers
      FROM interactive_queue q
     CROSS JOIN LATERAL (SELECT * FROM message WHERE merchant_id = $1 AND message_id = q.message_id OFFSET 0) AS m
     WHERE q.merchant_id = $1 AND q.owner IS NULL AND q.account_id = 0
       AND (q.expires_at <= $5 OR $7::boolean OR $4::text[] <> '{}')
       AND (m.sender = ANY($4::text[]) OR q.expires_at <= $5 OR $7::boolean)
     ORDER BY q.message_id LIMIT $3
       FOR UPDATE OF q SKIP LOCKED
), taken AS (
    UPDATE interactive_queue AS q SET owner = $2 FROM next AS n WHERE q.merchant_id = $1 AND q.message_id = n.message_id)
SELECT n.message_id, n.msisdn, n.sender, n.body, n.push, n.tlvs, n.expires_at, n.kind, n.answers, s.offers_state,
       s.offers_state_at, s.silent_at,
       CASE WHEN s.subscriber_id IS NOT NULL AND n.kind = ANY($6::text[]) THEN ARRAY(
           SELECT o.purpose || '=' || o.state FROM consent_state o
            WHERE o.merchant_id = $1 AND o.subscriber_id = s.subscriber_id) END AS others
  FROM next n
  LEFT JOIN subscriber s ON s.merchant_id = $1 AND s.subscriber_id = n.subscriber_id
 ORDER BY n.message_id

-- name: refusable_messages
-- scope: merchant
-- As `take_interactive` reads it, of those whose person is still there.
SELECT m.message_id, m.kind, m.inbound_id IS NOT NULL AS answers, s.offers_state, s.offers_state_at, s.silent_at,
       CASE WHEN s.subscriber_id IS NOT NULL AND m.kind = ANY($3::text[]) THEN ARRAY(
           SELECT o.purpose || '=' || o.state FROM consent_state o
            WHERE o.merchant_id = $1 AND o.subscriber_id = s.subscriber_id) END AS others
  FROM message m
  LEFT JOIN subscriber s ON s.merchant_id = $1 AND s.subscriber_id = m.subscriber_id
 WHERE m.merchant_id = $1 AND m.message_id = ANY($2::bigint[]) AND m.msisdn <> 0

-- name: withheld_order_texts
-- scope: merchant
-- Of these messages, what orders needed to say; a person who was erased in between is nobody's to reach.
SELECT message_id, order_id, kind, body FROM message
 WHERE merchant_id = $1 AND message_id = ANY ($2::bigint[]) AND order_id IS NOT NULL AND msisdn <> 0
 ORDER BY message_id

-- name: submitting_accounts
-- scope: report
SELECT a.merchant_id, a.account_id,
       a.state = 'active' AND t.state = 'active' AND NOT coalesce(budget_is_short(b) AND b.short_until > now(), false) AS may_send,
       b.merchant_id IS NOT NULL AS budgeted
  FROM esme_account a
  JOIN merchant t ON t.merchant_id = a.merchant_id
  LEFT JOIN budget b ON b.merchant_id = a.merchant_id
 WHERE (a.purpose = 'marketing') = $1
   AND EXISTS (SELECT FROM interactive_queue q
                WHERE q.merchant_id = a.merchant_id AND q.account_id = a.account_id AND q.owner IS NULL)
 ORDER BY a.account_id

-- name: take_submitted
-- scope: merchant
-- One by one, as `take_interactive`.
UPDATE interactive_queue SET owner = $2
 WHERE merchant_id = $1
   AND message_id IN (SELECT q.message_id FROM interactive_queue q
                        CROSS JOIN LATERAL (SELECT sender FROM message
                                             WHERE merchant_id = $1 AND message_id = q.message_id OFFSET 0) AS m
                        WHERE q.merchant_id = $1 AND q.owner IS NULL AND q.account_id = $6
                          AND (q.expires_at <= $5 OR $4::text[] <> '{}')
                          AND (m.sender = ANY($4::text[]) OR q.expires_at <= $5)
                        ORDER BY q.message_id LIMIT $3
                          FOR UPDATE OF q SKIP LOCKED)
RETURNING message_id

-- name: taken_submitted
-- scope: merchant
-- A statement of its own: a text replaced while take_submitted waited for its locks is not in that one's snapshot.
-- Consent to marketing is looked at again: much may have been said while the message waited.
SELECT m.message_id, m.msisdn, m.sender, e.body, e.segments, q.expires_at,
       $3::boolean AND NOT (
           EXISTS (SELECT FROM subscriber s
                    WHERE s.merchant_id = $1 AND s.msisdn = m.msisdn AND s.offers_state = 'subscribed'
                      AND (s.doubt_until IS NULL OR s.doubt_until <= now())
                      AND (s.less_at IS NULL OR s.less_at <= now() - $4::interval))
           AND NOT EXISTS (SELECT FROM sender_stop x
                            WHERE x.merchant_id = $1 AND x.sender = m.sender AND x.msisdn = m.msisdn)) AS stopped
  FROM interactive_queue q
  JOIN message m ON m.merchant_id = $1 AND m.message_id = q.message_id
  JOIN esme_message e ON e.merchant_id = $1 AND e.message_id = q.message_id
 WHERE q.merchant_id = $1 AND q.message_id = ANY($2::bigint[])
 ORDER BY m.message_id

-- name: release_interactive
-- scope: merchant
-- Never what has an outcome: the parts of a long text that are out would go once more. It stays with its owner, whose
-- end makes the rest unknown.
UPDATE interactive_queue q SET owner = NULL WHERE merchant_id = $1 AND message_id = ANY($2::bigint[]) AND owner = $3
   AND NOT EXISTS (SELECT FROM sent s WHERE s.merchant_id = $1 AND s.message_id = q.message_id)

-- name: unmatched_carriers
-- scope: report
-- Also carriers that no configuration names any more: their receipts came while one did.
SELECT c.carrier_id FROM carrier c
 WHERE EXISTS (SELECT FROM receipt_unmatched r WHERE r.carrier_id = c.carrier_id AND r.next_try_at <= $1)
 ORDER BY c.carrier_id

-- name: unmatched_due
-- scope: account
-- Locked: two processes that match at once never take the same receipt.
SELECT unmatched_id, smsc_id, other_id, state, error, received_at FROM receipt_unmatched
 WHERE carrier_id = $1 AND next_try_at <= $2
 ORDER BY next_try_at LIMIT $3
   FOR UPDATE SKIP LOCKED

-- name: look_by_key
-- scope: control
-- Of this transaction: no plan reads a day of messages for the few that wait, nor takes the other core to do so.
SELECT set_config('enable_seqscan', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)

-- name: sent_by_smsc_id
-- scope: account
-- Ids grow with time, and the key begins with the merchant: of each merchant what is younger than $3, and not the whole day.
SELECT s.merchant_id, s.message_id, s.segment, s.smsc_id, m.campaign_id, m.kind,
       ARRAY(SELECT DISTINCT r.state FROM receipt r
              WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
                AND r.message_id >= $3) AS states
  FROM merchant t
 CROSS JOIN LATERAL (SELECT * FROM sent
                      WHERE merchant_id = t.merchant_id AND message_id >= $3 AND carrier_id = $1 AND smsc_id = ANY($2::bytea[])
                        AND status = 0
                     OFFSET 0) AS s
  JOIN message m ON m.merchant_id = s.merchant_id AND m.message_id = s.message_id AND m.message_id >= $3

-- name: sent_by_folded_id
-- scope: account
-- As smsgate.protocol.message_ids.fold has it; an id that is no ASCII is found by its octets alone. Zeros alone are ''
-- here (the index is older than the rule that they are an id), which a message without an id is, too: it is none of them.
SELECT s.merchant_id, s.message_id, s.segment, s.smsc_id, m.campaign_id, m.kind,
       ARRAY(SELECT DISTINCT r.state FROM receipt r
              WHERE r.merchant_id = s.merchant_id AND r.message_id = s.message_id AND r.segment = s.segment
                AND r.message_id >= $3) AS states
  FROM merchant t
 CROSS JOIN LATERAL (SELECT * FROM sent
                      WHERE merchant_id = t.merchant_id AND message_id >= $3 AND carrier_id = $1
                        AND ltrim(lower(encode(smsc_id, 'escape')), '0') = ANY($2::text[]) AND smsc_id <> '' AND status = 0
                     OFFSET 0) AS s
  JOIN message m ON m.merchant_id = s.merchant_id AND m.message_id = s.message_id AND m.message_id >= $3

-- name: sample_of_smsc_ids
-- scope: account
SELECT smsc_id FROM sent WHERE carrier_id = $1 AND status = 0 AND smsc_id <> '' AND message_id >= $2 LIMIT $3

-- name: matched
-- scope: account
DELETE FROM receipt_unmatched WHERE carrier_id = $1 AND unmatched_id = ANY($2::bigint[])

-- name: not_matched
-- scope: account
UPDATE receipt_unmatched SET next_try_at = $3::timestamptz + ($3::timestamptz - received_at) WHERE carrier_id = $1 AND unmatched_id = ANY($2::bigint[])

-- name: insert_receipts
-- scope: merchant
INSERT INTO receipt (merchant_id, message_id, segment, state, error, received_at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::bytea[], $6::timestamptz[])

-- name: owners
-- scope: report
SELECT owner FROM campaign_chunk WHERE state = 'claimed' AND owner IS NOT NULL
UNION
SELECT owner FROM interactive_queue WHERE owner IS NOT NULL

-- name: orphaned_chunks
-- scope: report
SELECT merchant_id, campaign_id, no FROM campaign_chunk WHERE state = 'claimed' AND owner = ANY($1::bigint[])

-- name: lock_orphaned_chunk
-- scope: merchant
SELECT message_id_base, message_count, allowance, members FROM campaign_chunk
 WHERE merchant_id = $1 AND campaign_id = $2 AND no = $3 AND state = 'claimed' AND owner = ANY($4::bigint[])
   FOR UPDATE SKIP LOCKED

-- name: mark_unknown
-- scope: merchant
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, sell_micros,
                  cost_item_id, cost_micros, reason, sent_at)
SELECT m.merchant_id, m.message_id, 1, 0, -1, 1, 0, 0, 0, 0, 'owner_lost', $4
  FROM message m
 WHERE m.merchant_id = $1 AND m.message_id >= $2 AND m.message_id < $3
   AND ($5::bigint[] IS NULL OR m.message_id = ANY($5))
   AND NOT EXISTS (SELECT 1 FROM sent x WHERE x.merchant_id = $1 AND x.message_id = m.message_id
                      AND x.message_id >= $2 AND x.message_id < $3)
    ON CONFLICT (merchant_id, message_id, segment) DO NOTHING  -- the owner lives after all, and was first
RETURNING message_id

-- name: return_chunk
-- scope: merchant
UPDATE campaign_chunk
   SET state = CASE WHEN allowance >= coalesce(message_count, size) AND message_count IS NOT NULL THEN 'done' ELSE 'ready' END,
       done_at = CASE WHEN allowance >= coalesce(message_count, size) AND message_count IS NOT NULL THEN $4::timestamptz END,
       owner = NULL, fence = fence + 1
 WHERE merchant_id = $1 AND campaign_id = $2 AND no = $3

-- name: cancelled_chunks
-- scope: report
SELECT k.merchant_id, k.campaign_id, k.no, coalesce(c.cancelled_for, c.state)
  FROM campaign_chunk k
  JOIN campaign c ON c.merchant_id = k.merchant_id AND c.campaign_id = k.campaign_id AND c.state = 'cancelled'
 WHERE k.state = 'ready'
 ORDER BY k.merchant_id, k.campaign_id, k.no LIMIT $1

-- name: end_chunk
-- scope: merchant
UPDATE campaign_chunk SET state = 'done', done_at = $4, fence = fence + 1
 WHERE merchant_id = $1 AND campaign_id = $2 AND no = $3 AND state = 'ready'
RETURNING message_id_base, message_count, members

-- name: orphaned_interactive
-- scope: report
SELECT merchant_id, array_agg(message_id ORDER BY message_id) AS message_ids FROM interactive_queue
 WHERE owner = ANY($1::bigint[])
 GROUP BY merchant_id

-- name: lock_orphaned_interactive
-- scope: merchant
-- In the order of the key. One that its owner gave back meanwhile, standing still as it had, may be another's by now.
SELECT message_id FROM interactive_queue
 WHERE merchant_id = $1 AND message_id = ANY($2::bigint[]) AND owner = ANY($3::bigint[])
 ORDER BY message_id
   FOR UPDATE

-- name: orphaned_texts
-- scope: merchant
SELECT m.message_id, m.sender, m.body, m.push, e.segments
  FROM message m
  LEFT JOIN esme_message e ON e.merchant_id = m.merchant_id AND e.message_id = m.message_id
 WHERE m.merchant_id = $1 AND m.message_id = ANY($2::bigint[])

-- name: unknown_interactive
-- scope: merchant
-- Of a message without any outcome one row, which counts for all its segments; of a long text of which some parts
-- have their outcome, one for each other part.
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, sell_micros,
                  cost_item_id, cost_micros, reason, sent_at, parts)
SELECT $1, t.message_id, n, 0, -1, CASE WHEN k.parts IS NULL THEN t.segments ELSE 1 END, 0, 0, 0, 0, 'owner_lost', $4,
       k.parts
  FROM unnest($2::bigint[], $3::smallint[]) AS t (message_id, segments)
 CROSS JOIN LATERAL (SELECT max(x.parts) AS parts FROM sent x
                      WHERE x.merchant_id = $1 AND x.message_id = t.message_id) AS k
 CROSS JOIN LATERAL generate_series(1, coalesce(k.parts, 1)) AS n
    ON CONFLICT (merchant_id, message_id, segment) DO NOTHING
RETURNING message_id
