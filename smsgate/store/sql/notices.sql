-- name: notify
-- scope: control
SELECT pg_notify('smsgate', $1)

-- name: probe
-- scope: control
SELECT 1

-- name: stops_since
-- scope: report
SELECT merchant_id, msisdn FROM consent_event
 WHERE recorded_at >= $1 AND purpose = 'offers' AND state_after IN ('unsubscribed', 'blocked', 'erased', 'expired')

-- name: sender_stops_since
-- scope: report
SELECT sender, msisdn FROM sender_stop WHERE stopped_at >= $1
