-- The guard of a campaign (smsgate.campaigns.guard). NULL limits are the gateway's own. `paused_reason` says why the
-- guard paused it; `guard_off`: the merchant went on all the same.
ALTER TABLE campaign ADD COLUMN guard_first_sends int CHECK (guard_first_sends BETWEEN 100 AND 1000000);
ALTER TABLE campaign ADD COLUMN guard_stop_share int CHECK (guard_stop_share BETWEEN 0 AND 10000);
ALTER TABLE campaign ADD COLUMN guard_failure_share int CHECK (guard_failure_share BETWEEN 0 AND 10000);
ALTER TABLE campaign ADD COLUMN guard_off boolean NOT NULL DEFAULT false;
ALTER TABLE campaign ADD COLUMN paused_reason text CHECK (paused_reason IN ('stop_rate', 'failure_rate'));
