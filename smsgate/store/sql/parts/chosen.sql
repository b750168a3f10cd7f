       AND ($10::timestamptz IS NULL OR created_at <= $10 AND (offers_state_at IS NULL OR offers_state_at <= $10))
)
SELECT coalesce(array_agg(subscriber_id), '{}') AS subscriber_ids, coalesce(array_agg(msisdn), '{}') AS msisdns,
       CASE WHEN min(place) IS NOT DISTINCT FROM max(place) THEN ARRAY[coalesce(min(place), $13)] ELSE array_agg(place) END
           AS places,
       json_agg(coalesce(fields ->> ($14::text[])[1], '')) FILTER (WHERE cardinality($14::text[]) > 0)::text AS first_field,
       json_agg(coalesce(fields ->> ($14::text[])[2], '')) FILTER (WHERE cardinality($14::text[]) > 1)::text AS second_field,
       json_agg(ARRAY(SELECT coalesce(fields ->> name, '')
                        FROM unnest(($14::text[])[3:]) WITH ORDINALITY AS f (name, n) ORDER BY n))
           FILTER (WHERE cardinality($14::text[]) > 2)::text AS other_fields
  FROM (SELECT * FROM meant
         WHERE msisdn NOT IN (SELECT x.msisdn FROM sender_stop x WHERE x.merchant_id = $1 AND x.sender = ANY($12::text[])
                                 AND x.msisdn = ANY (ARRAY(SELECT msisdn FROM meant)))
         ORDER BY msisdn LIMIT $11) AS chosen
