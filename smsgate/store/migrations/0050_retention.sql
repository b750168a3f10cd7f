-- What is kept how long: smsgate/campaigns/law/retention.toml, docs/decisions/0054.

-- What a merchant chose for itself, within the rule's bounds.
CREATE TABLE retention_choice (
    merchant_id  bigint NOT NULL,
    rule         text NOT NULL,
    days         int NOT NULL CHECK (days > 0),
    chosen_at    timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, rule)
);

-- How far housekeeping has come with rows that it does not delete: up to this id, itself included, nothing is left to do.
CREATE TABLE retention_mark (
    merchant_id  bigint NOT NULL,           -- 0: of replies that concern no merchant
    rule         text NOT NULL,
    done_id      bigint NOT NULL,
    PRIMARY KEY (merchant_id, rule)
);

-- People who were not heard of for years: their consent's evidence is kept for some time more, under a keyed hash of the number.
CREATE TABLE person_gone (
    merchant_id    bigint NOT NULL,
    subscriber_id  bigint NOT NULL,
    hash           bytea NOT NULL,
    last_at        timestamptz NOT NULL,    -- the last that was heard of the person, or decided about it
    PRIMARY KEY (merchant_id, subscriber_id)
);
CREATE INDEX person_gone_last ON person_gone (merchant_id, last_at);
CREATE INDEX subscriber_over ON subscriber (merchant_id, offers_state_at)
    WHERE offers_state IN ('expired', 'unsubscribed', 'blocked');

-- Rows of orders when the day of their partition is dropped: an order is proved for as long as it is kept.
CREATE TABLE kept_message (LIKE message INCLUDING DEFAULTS, PRIMARY KEY (merchant_id, message_id));
CREATE INDEX kept_message_order ON kept_message (merchant_id, order_id) WHERE order_id IS NOT NULL;
CREATE TABLE kept_sent (LIKE sent INCLUDING DEFAULTS, PRIMARY KEY (merchant_id, message_id, segment));
CREATE TABLE kept_receipt (LIKE receipt INCLUDING DEFAULTS);
CREATE INDEX kept_receipt_message ON kept_receipt (merchant_id, message_id);
CREATE TABLE kept_event (LIKE event INCLUDING DEFAULTS, PRIMARY KEY (merchant_id, event_id));
CREATE INDEX kept_event_subject ON kept_event (merchant_id, subject, event_id);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'retention_choice', 'retention_mark', 'person_gone', 'kept_message', 'kept_sent', 'kept_receipt', 'kept_event'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint)) '
            'WITH CHECK (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint))', t);
    END LOOP;
END $$;
