-- `messages_per_minute`: NULL sends as fast as the carriers take them. What was granted so far is paid for until
-- `paced_until` (smsgate.campaigns.pacing), which every process moves before it sends.
ALTER TABLE campaign ADD COLUMN messages_per_minute int CHECK (messages_per_minute BETWEEN 1 AND 60000);
ALTER TABLE campaign ADD COLUMN paced_until timestamptz;
