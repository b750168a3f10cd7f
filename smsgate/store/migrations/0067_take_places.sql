-- The places of offers that are answered, or over at `over_before`, are changed to the next offer; returns how many were.
-- In the order of the number, in which all others lock these rows: by the key for each person, whatever the planner knows of
-- the table and of the sender number, for which it is given no other way. Open offers have no condition of their own (it stands in
-- the list), or it might take them for few and read all of them.
CREATE FUNCTION take_places(msisdns bigint[], message_ids bigint[], subscriber_ids bigint[], places int[], of_sender text,
                            of_merchant bigint, campaign_ids bigint[], offer_ids bigint[], offer_versions int[],
                            expire_at timestamptz[], over_before timestamptz, opened timestamptz)
RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    changed bigint;
BEGIN
    UPDATE open_offer AS o
       SET merchant_id = of_merchant, campaign_id = campaign_ids[1 + t.place], message_id = t.message_id,
           offer_id = offer_ids[1 + t.place], offer_version = offer_versions[1 + t.place],
           subscriber_id = t.subscriber_id, expires_at = expire_at[1 + t.place], opened_at = opened, answered_at = NULL
      FROM (SELECT u.*, of_sender AS sender, take_places.over_before
              FROM unnest(msisdns, message_ids, subscriber_ids, places) AS u (msisdn, message_id, subscriber_id, place)
             ORDER BY u.msisdn) AS t
     WHERE o.msisdn = t.msisdn AND o.sender = t.sender AND (o.answered_at IS NOT NULL OR o.expires_at < t.over_before);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
REVOKE EXECUTE ON FUNCTION take_places FROM PUBLIC;
