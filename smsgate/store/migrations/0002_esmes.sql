-- Other companies' ESMEs: accounts that bind to us by SMPP, what they submit, and what waits for them.

-- What an operator allows one company's application; the password's code is keyed (smsgate.security).
CREATE TABLE esme_account (
    merchant_id   bigint NOT NULL,
    account_id    bigint NOT NULL,
    system_id     text NOT NULL UNIQUE,
    purpose       text NOT NULL CHECK (purpose IN ('transactional', 'marketing')),
    state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    password_mac  bytea NOT NULL,
    senders       text[] NOT NULL,
    binds_max     int NOT NULL CHECK (binds_max > 0),
    window_max    int NOT NULL CHECK (window_max > 0),
    rate_per_s    int NOT NULL CHECK (rate_per_s > 0),      -- segments
    queue_max     int NOT NULL CHECK (queue_max > 0),       -- messages that wait to leave
    daily_max     bigint,                                   -- segments a UTC day; NULL: no limit
    allow_binary  boolean NOT NULL,
    join_mo       boolean NOT NULL,                         -- long MOs whole instead of part by part
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, account_id)
);

-- Numbers whose MOs go to an account; a number has one taker.
CREATE TABLE esme_number (
    number       text PRIMARY KEY,
    merchant_id  bigint NOT NULL,
    account_id   bigint NOT NULL
);

-- Segments that an account was accepted on one UTC day.
CREATE TABLE esme_day (
    merchant_id  bigint NOT NULL,
    account_id   bigint NOT NULL,
    day          timestamptz NOT NULL,      -- its beginning
    segments     bigint NOT NULL,
    PRIMARY KEY (merchant_id, account_id, day)
);

-- Beside `message`: what an ESME submitted, as the body of its submit_sm without addresses (SMPP 3.4 4.4.1).
CREATE TABLE esme_message (
    merchant_id  bigint NOT NULL,
    message_id   bigint NOT NULL,
    account_id   bigint NOT NULL,
    registered   smallint NOT NULL,         -- registered_delivery: which receipts it wants
    segments     smallint NOT NULL,
    body         bytea NOT NULL,
    PRIMARY KEY (merchant_id, message_id)
) PARTITION BY RANGE (message_id);

-- Receipts and MOs on their way to an ESME. The row goes when its deliver_sm_resp says 0, or at its end.
CREATE TABLE esme_delivery (
    merchant_id  bigint NOT NULL,
    delivery_id  bigint NOT NULL,
    account_id   bigint NOT NULL,
    message_id   bigint,                    -- a receipt's message; NULL: an MO
    state        smallint NOT NULL DEFAULT 0,
    error        bytea NOT NULL DEFAULT '',
    body         bytea,                     -- an MO's deliver_sm
    happened_at  timestamptz NOT NULL,
    next_at      timestamptz NOT NULL,      -- while an ESME has it: when it is given again
    expires_at   timestamptz NOT NULL,
    tries        int NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, delivery_id)
);
CREATE INDEX esme_delivery_account ON esme_delivery (merchant_id, account_id, delivery_id);
CREATE INDEX esme_delivery_message ON esme_delivery (merchant_id, message_id, delivery_id)
    WHERE message_id IS NOT NULL;

-- Who said STOP to a number that an ESME account sends from; a subscriber of the merchant or not.
CREATE TABLE sender_stop (
    merchant_id  bigint NOT NULL,
    sender       text NOT NULL,
    msisdn       bigint NOT NULL,
    stopped_at   timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, sender, msisdn)
);

-- Whose message waits: 0 is the gateway's own. Accounts and the gateway take turns.
ALTER TABLE interactive_queue ADD COLUMN account_id bigint NOT NULL DEFAULT 0;
CREATE INDEX interactive_queue_turn ON interactive_queue (merchant_id, account_id, message_id) WHERE owner IS NULL;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'esme_account', 'esme_number', 'esme_day', 'esme_message', 'esme_delivery', 'sender_stop'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint)) '
            'WITH CHECK (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint))', t);
    END LOOP;
END $$;
