-- name: sent_of_span
-- scope: merchant
-- All that carriers took and that has a price, but for what was given back. $4: the final states of receipts.
SELECT coalesce(m.msisdn, 0) AS msisdn, i.network, i.basis, s.segments, r.state = 2 AS delivered
FROM sent s
JOIN price_item i ON i.item_id = s.sell_item_id
LEFT JOIN message m ON m.merchant_id = s.merchant_id AND m.message_id = s.message_id AND m.message_id >= $2 AND m.message_id < $3
LEFT JOIN LATERAL (
    SELECT y.state FROM receipt y
    WHERE y.merchant_id = s.merchant_id AND y.message_id = s.message_id AND y.segment = s.segment
        AND y.message_id >= $2 AND y.message_id < $3 AND y.state = ANY ($4::smallint[])
    ORDER BY y.received_at, y.state
    LIMIT 1
) r ON true
WHERE s.merchant_id = $1 AND s.message_id >= $2 AND s.message_id < $3 AND s.status = 0
    AND NOT EXISTS (SELECT FROM charge_reversal v
                    WHERE v.merchant_id = s.merchant_id AND v.message_id = s.message_id AND v.segment = s.segment);

-- name: received_of_span
-- scope: merchant
-- One from before segments were kept with replies counts as one.
SELECT msisdn, coalesce(segments, 1) AS segments
FROM inbound_message i
WHERE merchant_id = $1 AND received_at >= $2 AND received_at < $3 AND outcome <> 'repetition'
    AND NOT EXISTS (SELECT FROM charge_reversal v WHERE v.merchant_id = i.merchant_id AND v.message_id = i.inbound_id);
