-- Core schema. Rules that keep every size open (one machine, standby, Citus):
--   merchant_id first in every key of a merchant's table; no foreign keys, no triggers, no serials on them;
--   ids are made by the gateway (smsgate.ids) and are time-ordered, so partitions are ranges of ids;
--   message, sent and receipt are insert-only: a state is a join of the three, never an update.
-- MSISDNs are bigint: E.164 has at most 15 digits and no leading zero.
-- Money is bigint micros (10^-6 of the major unit); what shops and buyers read is bigint minor units.

-- ------------------------------------------------------------------ instance, nodes, merchants, keys

CREATE TABLE instance_secret (
    name        text PRIMARY KEY,
    sealed      bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE data_key (
    number      int PRIMARY KEY,
    owner_id    bigint NOT NULL,            -- merchant, or 0 for the instance
    wrapped     bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE node (
    slot        smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 63),
    epoch       bigint NOT NULL DEFAULT 0,
    name        text NOT NULL DEFAULT '',
    expires_at  timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO node (slot) SELECT generate_series(0, 63);

CREATE SEQUENCE node_epoch;                 -- control connection only: a lease's fencing number

CREATE TABLE merchant (
    merchant_id    bigint PRIMARY KEY,
    name           text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    slug           text NOT NULL UNIQUE,    -- the operator's handle on the command line; not used by merchants
    country        text NOT NULL,           -- ISO 3166-1 alpha-2
    language       text NOT NULL,           -- ISO 639-1
    timezone       text NOT NULL,           -- IANA
    currency       text NOT NULL,
    contact        text NOT NULL DEFAULT '',
    price_list_id  bigint,
    state          text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    created_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
    key_id        bigint PRIMARY KEY,
    public_id     text NOT NULL UNIQUE,
    owner_id      bigint NOT NULL,          -- merchant, or 0 for the operator
    mac           bytea NOT NULL,
    name          text NOT NULL,
    mode          text NOT NULL CHECK (mode IN ('live', 'test')),
    scopes        text[] NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz,
    revoked_at    timestamptz,
    last_used_at  timestamptz
);
CREATE INDEX api_key_owner ON api_key (owner_id);

CREATE TABLE carrier (
    carrier_id  smallint PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- ------------------------------------------------------------------ prices (reference data)

CREATE TABLE price_list (
    price_list_id  bigint PRIMARY KEY,
    name           text NOT NULL UNIQUE,
    side           text NOT NULL CHECK (side IN ('sell', 'cost')),
    currency       text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE price_version (
    price_list_id   bigint NOT NULL,
    version         int NOT NULL,
    effective_from  timestamptz NOT NULL,
    source_sha256   bytea NOT NULL,
    published_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (price_list_id, version),
    UNIQUE (price_list_id, effective_from)
);

CREATE TABLE price_item (
    item_id        bigint PRIMARY KEY,
    price_list_id  bigint NOT NULL,
    version        int NOT NULL,
    direction      text NOT NULL CHECK (direction IN ('mt', 'mo')),
    network        text NOT NULL,           -- 'MCCMNC', 'MCC', or '*'
    unit_micros    bigint NOT NULL CHECK (unit_micros >= 0),
    UNIQUE (price_list_id, version, direction, network)
);

-- ------------------------------------------------------------------ subscribers and consent

CREATE TABLE subscriber (
    merchant_id      bigint NOT NULL,
    subscriber_id    bigint NOT NULL,
    msisdn           bigint NOT NULL,
    external_id      text,
    language         text NOT NULL,
    country          text NOT NULL,
    tags             text[] NOT NULL DEFAULT '{}',
    fields           jsonb NOT NULL DEFAULT '{}',
    -- projection of the last consent_event for purpose 'offers' (smsgate.campaigns.consent.State)
    offers_state     text NOT NULL DEFAULT 'none',
    offers_state_at  timestamptz,
    paused_until     timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, subscriber_id),
    UNIQUE (merchant_id, msisdn)
);
CREATE INDEX subscriber_msisdn ON subscriber (msisdn);

CREATE TABLE consent_event (
    merchant_id      bigint NOT NULL,
    consent_id       bigint NOT NULL,
    subscriber_id    bigint NOT NULL,
    msisdn           bigint NOT NULL,
    purpose          text NOT NULL,         -- 'offers'
    event            text NOT NULL,         -- smsgate.campaigns.consent.Event
    state_after      text NOT NULL,
    wording_version  text NOT NULL DEFAULT '',
    source           text NOT NULL,         -- 'form', 'import', 'api', 'sms', 'carrier', ...
    evidence         jsonb NOT NULL DEFAULT '{}',
    inbound_id       bigint,
    occurred_at      timestamptz NOT NULL,
    recorded_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, consent_id)
);
CREATE INDEX consent_event_subscriber ON consent_event (merchant_id, subscriber_id, consent_id);
-- What a gateway process missed while it could not listen (smsgate.store.notices).
CREATE INDEX consent_event_ended ON consent_event (recorded_at)
    WHERE state_after IN ('unsubscribed', 'blocked', 'erased', 'expired');

CREATE TABLE import_job (
    merchant_id    bigint NOT NULL,
    import_id      bigint NOT NULL,
    kind           text NOT NULL,
    state          text NOT NULL,           -- running | finished | failed
    validate_only  boolean NOT NULL,
    rows_total     bigint NOT NULL DEFAULT 0,
    rows_ok        bigint NOT NULL DEFAULT 0,
    rows_failed    bigint NOT NULL DEFAULT 0,
    problem        text NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    PRIMARY KEY (merchant_id, import_id)
);

CREATE TABLE import_error (
    merchant_id  bigint NOT NULL,
    import_id    bigint NOT NULL,
    row_no       bigint NOT NULL,
    code         text NOT NULL,
    detail       text NOT NULL,
    PRIMARY KEY (merchant_id, import_id, row_no)
);

-- ------------------------------------------------------------------ offers, campaigns, chunks

CREATE TABLE offer (
    merchant_id      bigint NOT NULL,
    offer_id         bigint NOT NULL,
    external_id      text,
    version          int NOT NULL,
    state            text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'closed')),
    stock_remaining  bigint CHECK (stock_remaining >= 0),   -- NULL: not counted
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, offer_id)
);
CREATE UNIQUE INDEX offer_external ON offer (merchant_id, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE offer_version (
    merchant_id       bigint NOT NULL,
    offer_id          bigint NOT NULL,
    version           int NOT NULL,
    text              text NOT NULL,
    shop_name         text NOT NULL,
    item              text NOT NULL,
    unit_price_minor  bigint NOT NULL CHECK (unit_price_minor >= 0),
    currency          text NOT NULL,
    quantity_max      int NOT NULL CHECK (quantity_max BETWEEN 1 AND 9999),
    language          text NOT NULL,
    country           text NOT NULL,
    sender            text NOT NULL,
    expires_at        timestamptz NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, offer_id, version)
);

CREATE TABLE campaign (
    merchant_id     bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    external_id     text,
    offer_id        bigint NOT NULL,
    offer_version   int NOT NULL,
    state           text NOT NULL CHECK (state IN ('draft', 'sending', 'paused', 'cancelled', 'finished')),
    audience_tags   text[],                 -- NULL: everybody subscribed; else any of these tags
    audience_ids    bigint[],               -- NULL: no list; else exactly these subscribers
    recipients      bigint NOT NULL DEFAULT 0,
    trigger_id      bigint,
    created_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    PRIMARY KEY (merchant_id, campaign_id)
);
CREATE UNIQUE INDEX campaign_external ON campaign (merchant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX campaign_sending ON campaign (merchant_id, campaign_id) WHERE state = 'sending';

-- One row per up to 1,000 subscribers: the unit of work, of recovery and of fairness.
-- `allowance`: this many messages of the chunk, in id order, may have reached a socket. It is committed
-- before they are written, so after a crash "never written" (>= allowance) is told from "in doubt".
CREATE TABLE campaign_chunk (
    merchant_id      bigint NOT NULL,
    campaign_id      bigint NOT NULL,
    no               int NOT NULL,
    subscriber_lo    bigint NOT NULL,
    subscriber_hi    bigint NOT NULL,
    size             int NOT NULL,
    state            text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'claimed', 'done')),
    owner            bigint,                -- node epoch
    fence            int NOT NULL DEFAULT 0,
    message_id_base  bigint,                -- set by the first claim; the rows exist from then on
    message_count    int,
    allowance        int NOT NULL DEFAULT 0,
    done_at          timestamptz,
    PRIMARY KEY (merchant_id, campaign_id, no)
);
CREATE INDEX campaign_chunk_open ON campaign_chunk (merchant_id, campaign_id, no) WHERE state <> 'done';

-- One open offer per person and sender number: a plain OK is never ambiguous.
CREATE TABLE open_offer (
    msisdn         bigint NOT NULL,
    sender         text NOT NULL,
    merchant_id    bigint NOT NULL,
    campaign_id    bigint NOT NULL,
    message_id     bigint NOT NULL,
    offer_id       bigint NOT NULL,
    offer_version  int NOT NULL,
    subscriber_id  bigint NOT NULL,
    expires_at     timestamptz NOT NULL,
    answered_at    timestamptz,             -- ordered or declined: the next offer may take the place
    PRIMARY KEY (msisdn, sender)
);

CREATE TABLE campaign_counter (
    merchant_id  bigint NOT NULL,
    campaign_id  bigint NOT NULL,
    kind         text NOT NULL,             -- smsgate.flows.records.COUNTERS
    n            bigint NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id, kind)
);

-- ------------------------------------------------------------------ messages: insert-only, by day

CREATE TABLE message (
    merchant_id    bigint NOT NULL,
    message_id     bigint NOT NULL,
    campaign_id    bigint,                  -- NULL: a system message
    subscriber_id  bigint,
    msisdn         bigint NOT NULL,
    kind           text NOT NULL,           -- 'offer', or smsgate.campaigns.texts.Kind
    sender         text NOT NULL,
    fields         text[],                  -- the values the offer's text was rendered with
    body           text,                    -- system messages only; an offer's text is its version's
    order_id       bigint,
    inbound_id     bigint,
    PRIMARY KEY (merchant_id, message_id)
) PARTITION BY RANGE (message_id);
CREATE INDEX message_system ON message (merchant_id, message_id) WHERE campaign_id IS NULL;
CREATE INDEX message_order ON message (merchant_id, order_id) WHERE order_id IS NOT NULL;

-- status: command_status of submit_sm_resp; -1 unknown (no answer came), -2 not sent (why is in `reason`).
CREATE TABLE sent (
    merchant_id   bigint NOT NULL,
    message_id    bigint NOT NULL,
    segment       smallint NOT NULL,
    carrier_id    smallint NOT NULL,
    status        int NOT NULL,
    segments      smallint NOT NULL,
    smsc_id       bytea,
    sell_item_id  bigint NOT NULL,          -- 0: not charged
    sell_micros   bigint NOT NULL,
    cost_item_id  bigint NOT NULL,
    cost_micros   bigint NOT NULL,
    reason        text,
    sent_at       timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, message_id, segment)
) PARTITION BY RANGE (message_id);
CREATE INDEX sent_unknown ON sent (merchant_id, sent_at) WHERE status = -1;  -- a statement lists them apart

CREATE TABLE receipt (
    merchant_id  bigint NOT NULL,
    message_id   bigint NOT NULL,
    segment      smallint NOT NULL,
    state        smallint NOT NULL,         -- SMPP 3.4 5.2.28 message_state
    error        bytea,
    received_at  timestamptz NOT NULL
) PARTITION BY RANGE (message_id);
CREATE INDEX receipt_message ON receipt (merchant_id, message_id);

-- Receipts whose message id was not in memory; resolved set-wise, or dropped after the retention.
CREATE TABLE receipt_unmatched (
    carrier_id    smallint NOT NULL,
    unmatched_id  bigint NOT NULL,
    smsc_id       bytea NOT NULL,
    state         smallint NOT NULL,
    error         bytea,
    received_at   timestamptz NOT NULL,
    next_try_at   timestamptz NOT NULL,     -- waits as long again after each try: 2 s, 4 s, 8 s, ... days
    PRIMARY KEY (carrier_id, unmatched_id)
);

-- System messages that still have to leave. The row goes in the transaction that writes its `sent` row.
CREATE TABLE interactive_queue (
    merchant_id  bigint NOT NULL,
    message_id   bigint NOT NULL,
    expires_at   timestamptz NOT NULL,
    owner        bigint,                    -- node epoch that may have written it to a socket
    PRIMARY KEY (merchant_id, message_id)
);

-- The last flush that each owner committed: a flush given twice (its commit was not seen) is applied once.
CREATE TABLE flush_log (
    owner   bigint PRIMARY KEY,             -- node epoch
    number  bigint NOT NULL,
    at      timestamptz NOT NULL DEFAULT now()
);

-- ------------------------------------------------------------------ inbound

CREATE TABLE mo_seen (
    carrier_id   smallint NOT NULL,
    fingerprint  bytea NOT NULL,
    session      text NOT NULL,             -- which connection of which process brought it
    seen_at      timestamptz NOT NULL,
    PRIMARY KEY (carrier_id, fingerprint)
);

CREATE TABLE mo_part (
    carrier_id   smallint NOT NULL,
    source       bigint NOT NULL,
    destination  text NOT NULL,
    ref          int NOT NULL,
    total        smallint NOT NULL,
    part         smallint NOT NULL,
    text         text NOT NULL,
    received_at  timestamptz NOT NULL,
    raw          bytea NOT NULL DEFAULT '',
    data_coding  smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (carrier_id, source, destination, ref, total, part)
);

-- One row per merchant that the message concerns; merchant 0 is the gateway (nobody could be found).
CREATE TABLE inbound_message (
    merchant_id    bigint NOT NULL,
    inbound_id     bigint NOT NULL,
    carrier_id     smallint NOT NULL,
    msisdn         bigint NOT NULL,
    destination    text NOT NULL,
    text           text NOT NULL,
    raw            bytea NOT NULL,
    data_coding    smallint NOT NULL,
    subscriber_id  bigint,
    campaign_id    bigint,
    message_id     bigint,                  -- the offer that it answers
    order_id       bigint,
    label          text NOT NULL,           -- requirements: accept, quantity, decline, stop, ...
    quantity       int,
    outcome        text NOT NULL,           -- smsgate.flows.records.OUTCOMES
    reason         text NOT NULL,           -- one sentence: why it was read so
    rules_version  text NOT NULL,
    received_at    timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, inbound_id)
);
-- For the API's lists, each newest first; so are those of orders and event.
CREATE INDEX inbound_message_campaign ON inbound_message (merchant_id, campaign_id, inbound_id)
    WHERE campaign_id IS NOT NULL;

CREATE TABLE orders (
    merchant_id       bigint NOT NULL,
    order_id          bigint NOT NULL,
    number            text NOT NULL,        -- what the buyer and the shop say on the telephone
    offer_id          bigint NOT NULL,
    offer_version     int NOT NULL,
    campaign_id       bigint NOT NULL,
    message_id        bigint NOT NULL,      -- the offer that was answered
    nth               smallint NOT NULL DEFAULT 1,  -- "OK 1" after an order is one more
    subscriber_id     bigint NOT NULL,
    msisdn            bigint NOT NULL,
    inbound_id        bigint NOT NULL,
    sender            text NOT NULL,
    quantity          int NOT NULL CHECK (quantity > 0),
    unit_price_minor  bigint NOT NULL,
    total_minor       bigint NOT NULL,
    currency          text NOT NULL,
    state             text NOT NULL,        -- smsgate.campaigns.orders.State
    shop_ref          text NOT NULL DEFAULT '',
    created_at        timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, order_id),
    UNIQUE (merchant_id, message_id, nth),  -- whatever is redelivered or repeated, an acceptance makes one order
    UNIQUE (merchant_id, number)
);
CREATE INDEX orders_state ON orders (merchant_id, state, order_id);
CREATE INDEX orders_campaign ON orders (merchant_id, campaign_id, order_id);

CREATE TABLE order_event (
    merchant_id  bigint NOT NULL,
    order_id     bigint NOT NULL,
    seq          int NOT NULL,
    event        text NOT NULL,
    state        text NOT NULL,
    actor        text NOT NULL,             -- 'customer', 'shop', 'gateway'
    detail       jsonb NOT NULL DEFAULT '{}',
    at           timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, order_id, seq)
);

-- ------------------------------------------------------------------ events and webhooks

CREATE TABLE event (
    merchant_id  bigint NOT NULL,
    event_id     bigint NOT NULL,
    type         text NOT NULL,
    subject      text NOT NULL,             -- public id of what it is about
    data         jsonb NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, event_id)
) PARTITION BY RANGE (event_id);
CREATE INDEX event_type ON event (merchant_id, type, event_id);
CREATE INDEX event_subject ON event (merchant_id, subject, event_id);

CREATE TABLE webhook_endpoint (
    merchant_id       bigint NOT NULL,
    endpoint_id       bigint NOT NULL,
    url               text NOT NULL,
    event_types       text[] NOT NULL,      -- empty: all
    secret            bytea NOT NULL,       -- sealed
    previous_secret   bytea,                -- sealed; signs too until previous_until
    previous_until    timestamptz,
    state             text NOT NULL CHECK (state IN ('active', 'disabled')),
    disabled_reason   text NOT NULL DEFAULT '',
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, endpoint_id)
);

CREATE TABLE webhook_delivery (
    merchant_id      bigint NOT NULL,
    event_id         bigint NOT NULL,
    endpoint_id      bigint NOT NULL,
    subject          text NOT NULL,         -- the event's: events of one subject reach an endpoint in their order
    state            text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts         int NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL,
    owner            bigint,
    last_status      int,
    last_error       text NOT NULL DEFAULT '',
    delivered_at     timestamptz,
    PRIMARY KEY (merchant_id, event_id, endpoint_id)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (merchant_id, endpoint_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_delivery_turn ON webhook_delivery (merchant_id, endpoint_id, subject, event_id) WHERE state = 'pending';

CREATE TABLE trigger_definition (
    merchant_id      bigint NOT NULL,
    trigger_id       bigint NOT NULL,
    name             text NOT NULL,
    mapping          jsonb NOT NULL,        -- smsgate.campaigns.triggers
    secret           bytea NOT NULL,        -- sealed
    previous_secret  bytea,
    previous_until   timestamptz,
    state            text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, trigger_id)
);
CREATE INDEX trigger_definition_id ON trigger_definition (trigger_id);

CREATE TABLE trigger_event (
    merchant_id  bigint NOT NULL,
    trigger_id   bigint NOT NULL,
    webhook_id   text NOT NULL,
    body_sha256  bytea NOT NULL,
    status       smallint NOT NULL,         -- the HTTP answer, given again when the shop repeats itself
    answer       bytea NOT NULL,
    campaign_id  bigint,
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, trigger_id, webhook_id)
);

CREATE TABLE idempotency_key (
    merchant_id  bigint NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL,
    status       smallint,                  -- NULL: in flight
    answer       bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, key)
);

-- ------------------------------------------------------------------ ledger: double entry, insert-only

CREATE TABLE ledger_entry (
    merchant_id    bigint NOT NULL,
    posting_id     bigint NOT NULL,
    line           smallint NOT NULL,
    account        text NOT NULL CHECK (account IN ('unbilled', 'revenue', 'cost', 'carrier_accrual')),
    currency       text NOT NULL,
    amount_micros  bigint NOT NULL,         -- signed; the lines of a posting sum to 0 per currency
    direction      text NOT NULL CHECK (direction IN ('mt', 'mo')),
    item_id        bigint NOT NULL,
    campaign_id    bigint,
    carrier_id     smallint NOT NULL,
    messages       bigint NOT NULL,
    segments       bigint NOT NULL,
    at             timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, posting_id, line)
);
CREATE INDEX ledger_entry_at ON ledger_entry (merchant_id, account, at);

-- ------------------------------------------------------------------ row-level security, the second wall

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'merchant', 'subscriber', 'consent_event', 'import_job', 'import_error', 'offer', 'offer_version', 'campaign',
        'campaign_chunk', 'open_offer', 'campaign_counter', 'message', 'sent', 'receipt', 'interactive_queue',
        'inbound_message', 'orders', 'order_event', 'event', 'webhook_endpoint', 'webhook_delivery',
        'trigger_definition', 'trigger_event', 'idempotency_key', 'ledger_entry'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint)) '
            'WITH CHECK (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint))', t);
    END LOOP;
END $$;
