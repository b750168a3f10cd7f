-- The ledger is chained: each close seals what was recorded since the merchant's close before, which nothing can be added to any
-- more (post_ledger records nothing before a cut). Sending does nothing for it. What a seal holds stands in
-- smsgate/store/sql/ledger_seals.sql.
CREATE TABLE ledger_seal (
    merchant_id      bigint NOT NULL,
    month            date NOT NULL,         -- whose close sealed it
    day              date NOT NULL,         -- of ledger_entry.at, in UTC
    entries          bigint NOT NULL,
    entries_sha256   bytea NOT NULL,
    previous_sha256  bytea NOT NULL,        -- chain_sha256 of the merchant's seal before; '' of the first
    chain_sha256     bytea NOT NULL,
    PRIMARY KEY (merchant_id, month, day)
);
-- The merchant's last seal at its close; NULL: not closed, or closed before there were seals.
ALTER TABLE billing_period ADD COLUMN ledger_sha256 bytea;

ALTER TABLE ledger_seal ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_seal FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON ledger_seal
    USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
