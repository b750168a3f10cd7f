merchant_id = $1 AND offers_state = 'subscribed'
    AND ($2::text[] IS NULL OR tags && $2)
    AND ($3::bigint[] IS NULL OR subscriber_id = ANY ($3))
    AND ($4::jsonb IS NULL OR fields @> $4)
    AND ($5::bigint[] IS NULL OR EXISTS (SELECT FROM orders b WHERE b.merchant_id = $1
        AND b.subscriber_id = subscriber.subscriber_id AND b.offer_id = ANY ($5) AND b.state = ANY ($7::text[])))
    AND ($6::bigint[] IS NULL OR NOT EXISTS (SELECT FROM orders n WHERE n.merchant_id = $1
        AND n.subscriber_id = subscriber.subscriber_id AND n.offer_id = ANY ($6) AND n.state = ANY ($7::text[])))
