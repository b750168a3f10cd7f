           AND ($10::timestamptz IS NULL OR created_at <= $10 AND (offers_state_at IS NULL OR offers_state_at <= $10))
           AND NOT EXISTS (SELECT FROM sender_stop x
                            WHERE x.merchant_id = $1 AND x.sender = ANY($12::text[]) AND x.msisdn = subscriber.msisdn)
         ORDER BY msisdn LIMIT $11) AS chosen
