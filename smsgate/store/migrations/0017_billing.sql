-- Months are cut, closed, and become documents; what a month takes is decided by the instant of its cut.

-- The quarter of an hour in which the messages were accepted: all zones differ from UTC by multiples of it.
ALTER TABLE ledger_entry ADD COLUMN accepted_at timestamptz;
UPDATE ledger_entry SET accepted_at = to_timestamp(floor(extract(epoch FROM at) / 900) * 900);
ALTER TABLE ledger_entry ALTER COLUMN accepted_at SET NOT NULL;

ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_account_check;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_account_check
    CHECK (account IN ('unbilled', 'revenue', 'cost', 'carrier_accrual', 'receivable', 'vat', 'rounding'));
ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_direction_check;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_direction_check CHECK (direction IN ('mt', 'mo', 'document'));

-- What charges an MT, and prices by quantity: {"mode": "graduated", "steps": [[1, 50000], [101, 40000]]}, first unit and micros.
ALTER TABLE price_item ADD COLUMN basis text NOT NULL DEFAULT 'submit' CHECK (basis IN ('submit', 'delivered'));
ALTER TABLE price_item ADD COLUMN ladder jsonb;

-- The one way into the ledger: no role at run time may insert otherwise, and none may change or delete. The lines of a
-- posting sum to zero per currency, or nothing is written. What is recorded after a month was cut is told as late, whatever
-- instant its flush began with: either the cut sees the entry, or the entry (in a later statement) sees the cut.
CREATE FUNCTION post_ledger(
    merchant_ids bigint[], posting_ids bigint[], lines smallint[], accounts text[], currencies text[], amounts bigint[],
    directions text[], item_ids bigint[], campaign_ids bigint[], carrier_ids smallint[], message_counts bigint[],
    segment_counts bigint[], recorded timestamptz[], accepted timestamptz[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(merchant_ids, posting_ids, currencies, amounts) AS p (merchant_id, posting_id, currency, amount)
        GROUP BY merchant_id, posting_id, currency HAVING sum(amount) <> 0
    ) THEN
        RAISE EXCEPTION 'a posting does not sum to zero' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7203001);
    INSERT INTO ledger_entry (merchant_id, posting_id, line, account, currency, amount_micros, direction, item_id,
                              campaign_id, carrier_id, messages, segments, at, accepted_at)
    SELECT p.merchant_id, p.posting_id, p.line, p.account, p.currency, p.amount, p.direction, p.item_id, p.campaign_id,
        p.carrier_id, p.messages, p.segments,
        greatest(p.recorded, (SELECT max(b.cut_at) FROM billing_period b WHERE b.merchant_id = p.merchant_id)), p.accepted
    FROM unnest(merchant_ids, posting_ids, lines, accounts, currencies, amounts, directions, item_ids, campaign_ids,
                carrier_ids, message_counts, segment_counts, recorded, accepted)
        AS p (merchant_id, posting_id, line, account, currency, amount, direction, item_id, campaign_id, carrier_id,
              messages, segments, recorded, accepted);
END $$;
REVOKE EXECUTE ON FUNCTION post_ledger FROM PUBLIC;

-- What documents say of the merchant, and on what terms; documents keep a copy of their own.
CREATE TABLE billing_profile (
    merchant_id        bigint PRIMARY KEY,
    legal_name         text NOT NULL,
    street             text NOT NULL,
    postcode           text NOT NULL,
    city               text NOT NULL,
    country            text NOT NULL,
    legal_id           text NOT NULL DEFAULT '',
    legal_scheme       text NOT NULL DEFAULT '0002',
    vat_number         text NOT NULL DEFAULT '',
    business           boolean NOT NULL,
    einvoicing_id      text NOT NULL DEFAULT '',
    einvoicing_scheme  text NOT NULL DEFAULT '0225',
    payment_days       smallint NOT NULL CHECK (payment_days BETWEEN 0 AND 60)  -- C. com. L441-10
);

-- What the merchant's services are taxed with, from which of its days on (R6, R16).
CREATE TABLE billing_vat (
    merchant_id  bigint NOT NULL,
    valid_from   date NOT NULL,
    category     text NOT NULL,
    rate_micros  bigint,                    -- NULL: the seller's rate that is in force; -1: the category has none
    exemption    text NOT NULL DEFAULT '',  -- a code of the VATEX list
    reason       text NOT NULL,             -- why this category, in words
    PRIMARY KEY (merchant_id, valid_from)
);

-- Minimum net of a month (R11).
CREATE TABLE billing_commitment (
    merchant_id    bigint NOT NULL,
    currency       text NOT NULL,
    first_month    date NOT NULL,
    last_month     date,                    -- included; NULL: without end
    minimum_minor  bigint NOT NULL CHECK (minimum_minor >= 0),
    PRIMARY KEY (merchant_id, currency, first_month)
);

-- Charges that were given back, each once (I5).
CREATE TABLE charge_reversal (
    merchant_id  bigint NOT NULL,
    message_id   bigint NOT NULL,
    segment      smallint NOT NULL,
    posting_id   bigint NOT NULL,           -- of the ledger
    reason       text NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, message_id, segment)
);

CREATE TABLE billing_period (
    merchant_id  bigint NOT NULL,
    month        date NOT NULL,             -- its first day
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    cut_at       timestamptz NOT NULL,      -- what is recorded from then on is late
    closed_at    timestamptz,               -- NULL: cut, its documents are not made yet
    PRIMARY KEY (merchant_id, month)
);

-- Numbers without gaps: the row is locked by the transaction that writes the document.
CREATE TABLE document_series (
    series       text PRIMARY KEY,
    last         bigint NOT NULL DEFAULT 0,
    last_on      date NOT NULL DEFAULT '-infinity',  -- dates of issue do not fall
    last_sha256  bytea NOT NULL DEFAULT ''           -- of the last document's chain
);

CREATE TABLE document (
    merchant_id      bigint NOT NULL,
    document_id      bigint NOT NULL,
    series           text NOT NULL,
    number           bigint NOT NULL,
    doc_type         text NOT NULL CHECK (doc_type IN ('380', '381', '386', '389')),
    month            date NOT NULL,
    currency         text NOT NULL,
    issued_on        date NOT NULL,
    credits_id       bigint,                -- the document that a credit note credits
    net_minor        bigint NOT NULL,
    vat_minor        bigint NOT NULL,
    gross_minor      bigint NOT NULL,
    exact_micros     bigint NOT NULL,
    rounding_micros  bigint NOT NULL,
    payload          bytea NOT NULL,        -- smsgate.billing.invoices.canonical_json
    previous_sha256  bytea NOT NULL,        -- of the document before in the series
    chain_sha256     bytea NOT NULL,        -- sha256(previous_sha256 || payload)
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, document_id),
    UNIQUE (merchant_id, series, number)
);
CREATE INDEX document_month ON document (merchant_id, month);

CREATE TABLE document_line (
    merchant_id      bigint NOT NULL,
    document_id      bigint NOT NULL,
    line             int NOT NULL,          -- from 1, as on the paper
    kind             text NOT NULL CHECK (kind IN ('usage', 'commitment')),
    price_list_id    bigint NOT NULL,
    item_id          bigint NOT NULL,
    version          int NOT NULL,
    origin           date NOT NULL,         -- first day of the month of acceptance
    unit_micros      bigint NOT NULL,
    vat_category     text NOT NULL,
    vat_rate_micros  bigint NOT NULL,
    quantity         bigint NOT NULL,       -- as on the paper: of a credit note with swapped sign
    net_minor        bigint NOT NULL,
    credits_line     int,                   -- the line of document.credits_id that it credits
    PRIMARY KEY (merchant_id, document_id, line)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['billing_profile', 'billing_vat', 'billing_commitment', 'charge_reversal', 'billing_period', 'document', 'document_line'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint)) '
            'WITH CHECK (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint))', t);
    END LOOP;
END $$;
