-- Whose agreements ended by time, for housekeeping: every STOP writes rows of the purposes that nobody agreed to, so the
-- table is several times as large as what is looked for.
CREATE INDEX consent_state_expired ON consent_state (merchant_id, subscriber_id) WHERE state = 'expired';
