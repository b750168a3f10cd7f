-- What a merchant may send for: a balance paid in before, a cap on each month of its zone, or both. Who has no row here pays
-- for nothing of it. Gateways take leases on the budget, a chunk of messages at a time; what a lease was spent on is read from
-- the messages' rows when its chunk is over, never guessed.

ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_account_check;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_account_check CHECK (account IN
    ('unbilled', 'revenue', 'cost', 'carrier_accrual', 'receivable', 'vat', 'rounding', 'cash', 'prepaid'));
ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_direction_check;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_direction_check
    CHECK (direction IN ('mt', 'mo', 'document', 'payment'));

CREATE TABLE budget (
    merchant_id          bigint PRIMARY KEY,
    currency             text NOT NULL,
    prepaid              boolean NOT NULL,
    month_cap_micros     bigint CHECK (month_cap_micros >= 0),  -- NULL: none
    alarm_micros         bigint NOT NULL DEFAULT 0 CHECK (alarm_micros >= 0),  -- told when no more is left; 0: at the end
    paid_in_micros       bigint NOT NULL DEFAULT 0,
    spent_micros         bigint NOT NULL DEFAULT 0,  -- of what was paid in; settled
    leased_micros        bigint NOT NULL DEFAULT 0,  -- of what was paid in; the sum of its leases
    month                date NOT NULL,              -- first day of the month of the next two
    month_ends_at        timestamptz NOT NULL,
    month_spent_micros   bigint NOT NULL DEFAULT 0,
    month_leased_micros  bigint NOT NULL DEFAULT 0,
    short_micros         bigint,                     -- price of the message that did not fit; NULL: none waits
    short_until          timestamptz,                -- then it is tried again in any case
    alarmed_at           timestamptz                 -- NULL: enough was left when last looked at
);

-- Money set aside for messages that a gateway may write; `ends_at`: until then the rest is in doubt; NULL: it may write.
CREATE TABLE budget_lease (
    merchant_id   bigint NOT NULL,
    lease_id      bigint NOT NULL,
    owner         bigint NOT NULL,           -- node epoch
    campaign_id   bigint NOT NULL,           -- 0: messages of the queue
    chunk_no      bigint NOT NULL,
    fence         int NOT NULL,              -- of the chunk
    month         date NOT NULL,             -- whose cap it counts against
    prepaid       boolean NOT NULL,          -- it counts against the balance
    first_id      bigint NOT NULL,           -- of the messages when it was taken
    last_id       bigint NOT NULL,
    message_ids   bigint[] NOT NULL,
    micros        bigint[] NOT NULL,         -- what each may cost
    held_micros   bigint NOT NULL,           -- their sum
    ends_at       timestamptz,
    PRIMARY KEY (merchant_id, lease_id)
);
CREATE INDEX budget_lease_ends ON budget_lease (ends_at);

-- What settled leases were spent on, by the month of the lease.
CREATE TABLE budget_spent (
    merchant_id   bigint NOT NULL,
    month         date NOT NULL,
    prepaid       boolean NOT NULL,
    spent_micros  bigint NOT NULL,
    PRIMARY KEY (merchant_id, month, prepaid)
);

-- Payments, each once by the reference that the operator gives.
CREATE TABLE budget_topup (
    merchant_id    bigint NOT NULL,
    reference      text NOT NULL,
    amount_micros  bigint NOT NULL CHECK (amount_micros > 0),
    posting_id     bigint NOT NULL,          -- of the ledger
    at             timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, reference)
);

-- Whether messages wait for money: the one that did not fit would not fit now either. Gateways do not claim what waits, but
-- for a try at `short_until`: the message may have been cancelled since, and others fit.
CREATE FUNCTION budget_is_short(b budget) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(b.short_micros > least(
        CASE WHEN b.prepaid THEN b.paid_in_micros - b.spent_micros - b.leased_micros END,
        CASE WHEN b.month_ends_at <= now() THEN b.month_cap_micros
             ELSE b.month_cap_micros - b.month_spent_micros - b.month_leased_micros END), false)
$$;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['budget', 'budget_lease', 'budget_spent', 'budget_topup'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint)) '
            'WITH CHECK (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint))', t);
    END LOOP;
END $$;
