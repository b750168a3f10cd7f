-- Numbers that must not be written to, as keyed hashes (smsgate.security.suppression): no number, and not whose.
CREATE TABLE suppression (
    hash        bytea PRIMARY KEY,
    reason      text NOT NULL CHECK (reason IN ('erased', 'wrong_person', 'death', 'child', 'complaint', 'carrier')),
    created_at  timestamptz NOT NULL
);

-- What persons asked for, as proof that it was done; an erased person is known by the subscriber's id alone.
CREATE TABLE data_request (
    merchant_id    bigint NOT NULL,
    request_id     bigint NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('access', 'erasure')),
    subscriber_id  bigint NOT NULL,
    records        int NOT NULL,
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, request_id)
);
ALTER TABLE data_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE data_request FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON data_request USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
