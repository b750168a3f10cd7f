-- An open offer is itself the last marketing message that its sender number brought this person: claims write one row for
-- each person and not two. `marketing_contact` keeps what an open offer was that is replaced or closed (docs/decisions/0038).

ALTER TABLE open_offer ADD COLUMN opened_at timestamptz;  -- NULL: from before, and counted in marketing_contact

-- The API closes offers, too, and may not see what other merchants sent: so this is done by a function.
CREATE FUNCTION keep_contacts(people bigint[], merchants bigint[], opened timestamptz[], since timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO marketing_contact AS c (msisdn, merchant_ids, at, last_at)
    SELECT t.msisdn, array_agg(t.merchant_id), array_agg(t.at), max(t.at)
      FROM unnest(people, merchants, opened) AS t (msisdn, merchant_id, at)
     WHERE t.at > since
     GROUP BY t.msisdn
     ORDER BY t.msisdn
        ON CONFLICT (msisdn) DO UPDATE
       SET merchant_ids = ARRAY(SELECT u.m FROM unnest(c.merchant_ids, c.at) WITH ORDINALITY AS u (m, a, n)
                                 WHERE u.a > since ORDER BY u.n) || excluded.merchant_ids,
           at = ARRAY(SELECT u.a FROM unnest(c.at) WITH ORDINALITY AS u (a, n) WHERE u.a > since ORDER BY u.n)
                || excluded.at,
           last_at = greatest(c.last_at, excluded.last_at)
$$;
REVOKE EXECUTE ON FUNCTION keep_contacts FROM PUBLIC;
