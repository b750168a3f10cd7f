-- What merchants get of what customers paid for premium messages: one self-billed document (389) a month and currency, with
-- what it was made of. `payout` is what is owed to a merchant for them, `payout_cost` what they cost us.
ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_account_check;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_account_check CHECK (account IN
    ('unbilled', 'revenue', 'cost', 'carrier_accrual', 'receivable', 'vat', 'rounding', 'cash', 'prepaid', 'payout', 'payout_cost'));
ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_direction_check;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_direction_check
    CHECK (direction IN ('mt', 'mo', 'document', 'payment', 'payout'));
ALTER TABLE document_line DROP CONSTRAINT document_line_kind_check;
ALTER TABLE document_line ADD CONSTRAINT document_line_kind_check CHECK (kind IN ('usage', 'commitment', 'prepayment', 'payout'));

CREATE TABLE payout (
    merchant_id  bigint NOT NULL,
    month        date NOT NULL,             -- its first day
    currency     text NOT NULL,
    document_id  bigint NOT NULL,
    posting_id   bigint NOT NULL,           -- of the ledger
    PRIMARY KEY (merchant_id, month, currency)
);

-- What each line was made of (R15); rates and shares are millionths of a per cent.
CREATE TABLE payout_line (
    merchant_id            bigint NOT NULL,
    document_id            bigint NOT NULL,
    line                   int NOT NULL,    -- of the document
    short_code             text NOT NULL,
    retail_micros          bigint NOT NULL, -- with VAT, for one billed message
    vat_rate_micros        bigint NOT NULL,
    carrier_share_micros   bigint NOT NULL,
    merchant_share_micros  bigint NOT NULL,
    billed                 bigint NOT NULL, -- by the carrier's count
    PRIMARY KEY (merchant_id, document_id, line)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['payout', 'payout_line'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint)) '
            'WITH CHECK (merchant_id = (SELECT nullif(current_setting(''app.merchant'', true), '''')::bigint))', t);
    END LOOP;
END $$;
