-- A reply that nobody can read may be a STOP: marketing waits until a person decided about it, the customer said something plain,
-- or this instant (smsgate.campaigns.consent.DOUBT_MAX).
ALTER TABLE subscriber ADD COLUMN doubt_until timestamptz;
CREATE INDEX subscriber_doubt ON subscriber (merchant_id, msisdn) WHERE doubt_until IS NOT NULL;
ALTER TABLE campaign_chunk DROP CONSTRAINT campaign_chunk_hold_check;
ALTER TABLE campaign_chunk ADD CONSTRAINT campaign_chunk_hold_check
    CHECK (hold IN ('quiet_hours', 'cap', 'open_offer', 'unclear_reply'));
