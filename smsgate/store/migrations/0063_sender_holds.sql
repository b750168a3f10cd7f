-- What would go by a number of an offer's pool that no carrier has waits for one, as other held messages do.
ALTER TABLE campaign_chunk DROP CONSTRAINT campaign_chunk_hold_check;
ALTER TABLE campaign_chunk ADD CONSTRAINT campaign_chunk_hold_check
    CHECK (hold IN ('quiet_hours', 'cap', 'open_offer', 'unclear_reply', 'sender_unknown'));
