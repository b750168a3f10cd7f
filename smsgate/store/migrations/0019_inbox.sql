-- What a person of the merchant made of a reply that no rule could read: once each, and kept.
CREATE TABLE inbound_decision (
    merchant_id  bigint NOT NULL,
    inbound_id   bigint NOT NULL,
    verdict      text NOT NULL CHECK (verdict IN ('accept', 'decline', 'stop', 'ignore')),
    quantity     int,
    outcome      text NOT NULL,             -- what came of it, as of a reply that was read so
    order_id     bigint,
    decided_by   text NOT NULL,             -- as the merchant's own system names the person
    key_id       text NOT NULL,             -- public id of the API key
    reason       text NOT NULL,
    decided_at   timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, inbound_id)
);
ALTER TABLE inbound_decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE inbound_decision FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON inbound_decision USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));

-- The inbox: replies that were asked about, came in part, or dispute an order.
CREATE INDEX inbound_message_inbox ON inbound_message (merchant_id, inbound_id)
    WHERE outcome IN ('asked', 'incomplete', 'repetition', 'disputed') AND label NOT IN ('help', 'start');
