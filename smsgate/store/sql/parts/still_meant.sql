           AND ($10::timestamptz IS NULL OR created_at <= $10 AND (offers_state_at IS NULL OR offers_state_at <= $10))
