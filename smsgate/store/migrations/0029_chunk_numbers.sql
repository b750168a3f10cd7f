-- A chunk is a range of numbers and no longer one of subscriber ids: the people of a claim are neighbours in every index by
-- number, which open offers and contacts have (docs/decisions/0038).

ALTER TABLE campaign_chunk
    ADD COLUMN msisdn_lo bigint,
    ADD COLUMN msisdn_hi bigint;

ALTER TABLE campaign_chunk NO FORCE ROW LEVEL SECURITY;
ALTER TABLE subscriber NO FORCE ROW LEVEL SECURITY;
-- What nobody claimed yet: each run of people who follow each other among all the merchant's people is a chunk; a claim cuts
-- one that is too large.
WITH waiting AS MATERIALIZED (
    SELECT * FROM campaign_chunk WHERE message_id_base IS NULL AND state = 'ready'
), numbered AS MATERIALIZED (
    SELECT merchant_id, subscriber_id, msisdn, row_number() OVER (PARTITION BY merchant_id ORDER BY msisdn) AS place
      FROM subscriber WHERE merchant_id IN (SELECT merchant_id FROM waiting)
), members AS (
    SELECT w.merchant_id, w.campaign_id, n.msisdn,
           n.place - row_number() OVER (PARTITION BY w.merchant_id, w.campaign_id ORDER BY n.place) AS run
      FROM waiting w
      JOIN numbered n ON n.merchant_id = w.merchant_id AND n.subscriber_id BETWEEN w.subscriber_lo AND w.subscriber_hi
), runs AS (
    SELECT merchant_id, campaign_id, run, min(msisdn) AS lo, max(msisdn) AS hi, count(*) AS size
      FROM members GROUP BY merchant_id, campaign_id, run
)
INSERT INTO campaign_chunk (merchant_id, campaign_id, no, subscriber_lo, subscriber_hi, size, msisdn_lo, msisdn_hi)
SELECT r.merchant_id, r.campaign_id,
       (SELECT max(k.no) FROM campaign_chunk k WHERE k.merchant_id = r.merchant_id AND k.campaign_id = r.campaign_id)
           + row_number() OVER (PARTITION BY r.merchant_id, r.campaign_id ORDER BY r.lo),
       0, 0, r.size, r.lo, r.hi
  FROM runs r;
DELETE FROM campaign_chunk WHERE message_id_base IS NULL AND state = 'ready' AND msisdn_lo IS NULL;
-- Whose people were chosen: the range only says where a person may be looked for.
UPDATE campaign_chunk SET msisdn_lo = 0, msisdn_hi = 9223372036854775807 WHERE msisdn_lo IS NULL;
ALTER TABLE subscriber FORCE ROW LEVEL SECURITY;
ALTER TABLE campaign_chunk FORCE ROW LEVEL SECURITY;

ALTER TABLE campaign_chunk
    ALTER COLUMN msisdn_lo SET NOT NULL,
    ALTER COLUMN msisdn_hi SET NOT NULL,
    DROP COLUMN subscriber_lo,
    DROP COLUMN subscriber_hi;
