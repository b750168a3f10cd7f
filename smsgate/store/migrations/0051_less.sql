-- Who asked for fewer messages gets at most one offer in so many days (smsgate.campaigns.consent.LESS_PERIOD) from then on, or from
-- the last offer since: this instant. NULL: nobody asked, or the person took it back.
ALTER TABLE subscriber ADD COLUMN less_at timestamptz;
-- What a claim looks at beside consent: whose reply may be a STOP, and who asked for fewer messages. One look for both.
DROP INDEX subscriber_doubt;
CREATE INDEX subscriber_reluctant ON subscriber (merchant_id, msisdn) WHERE doubt_until IS NOT NULL OR less_at IS NOT NULL;
