       AND ($10::timestamptz IS NULL OR created_at <= $10 AND (offers_state_at IS NULL OR offers_state_at <= $10))
)
SELECT coalesce(array_agg(subscriber_id), '{}') AS subscriber_ids, coalesce(array_agg(msisdn), '{}') AS msisdns,
       CASE WHEN min(place) IS NOT DISTINCT FROM max(place) THEN ARRAY[coalesce(min(place), $13)] ELSE array_agg(place) END
           AS places,
       to_json(array_agg(CASE cardinality($14::text[])
                     WHEN 1 THEN ARRAY[coalesce(fields ->> $14[1], '')]
                     WHEN 2 THEN ARRAY[coalesce(fields ->> $14[1], ''), coalesce(fields ->> $14[2], '')]
                     ELSE ARRAY(SELECT coalesce(fields ->> name, '') FROM unnest($14) WITH ORDINALITY AS f (name, n) ORDER BY n)
                 END) FILTER (WHERE cardinality($14) > 0))::text AS fields
  FROM (SELECT * FROM meant
         WHERE msisdn NOT IN (SELECT x.msisdn FROM sender_stop x WHERE x.merchant_id = $1 AND x.sender = ANY($12::text[])
                                 AND x.msisdn = ANY (ARRAY(SELECT msisdn FROM meant)))
         ORDER BY msisdn LIMIT $11) AS chosen
