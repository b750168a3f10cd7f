-- Consent per purpose. `subscriber` keeps the state for offers, where the bulk path reads it; here are the others.
CREATE TABLE consent_state (
    merchant_id    bigint NOT NULL,
    subscriber_id  bigint NOT NULL,
    purpose        text NOT NULL CHECK (purpose IN ('location', 'polls', 'appointments')),
    state          text NOT NULL,           -- smsgate.campaigns.consent.ConsentState
    state_at       timestamptz NOT NULL,
    paused_until   timestamptz,
    PRIMARY KEY (merchant_id, subscriber_id, purpose)
);

-- A double opt-in that waits for a yes, by the number that was asked from: there a yes is its answer.
CREATE TABLE consent_question (
    msisdn           bigint NOT NULL,
    sender           text NOT NULL,
    merchant_id      bigint NOT NULL,
    subscriber_id    bigint NOT NULL,
    purpose          text NOT NULL,
    wording_version  text NOT NULL,
    asked_at         timestamptz NOT NULL,
    PRIMARY KEY (msisdn, sender, merchant_id)
);
CREATE INDEX consent_question_asked ON consent_question (asked_at);

-- Housekeeping: pauses that are over, and people without contact for years.
CREATE INDEX subscriber_paused ON subscriber (paused_until) WHERE offers_state = 'paused';
CREATE INDEX subscriber_age ON subscriber USING brin (created_at);
CREATE INDEX inbound_message_person ON inbound_message (merchant_id, msisdn, inbound_id);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['consent_state', 'consent_question'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint)) '
            'WITH CHECK (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint))', t);
    END LOOP;
END $$;
