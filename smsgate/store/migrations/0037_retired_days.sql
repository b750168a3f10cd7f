-- Message rows go by the day, after their time; what they made of the books stays. So months whose rows are gone are still
-- proved, by the sums that were taken in the transaction that dropped them. Days are those of UTC, as partitions are.
CREATE TABLE retired_day (
    day              date PRIMARY KEY,
    messages         bigint NOT NULL,       -- that carriers took
    previous_sha256  bytea NOT NULL,        -- of the day that was dropped before
    chain_sha256     bytea NOT NULL         -- sha256(previous_sha256 || the text of its sums): smsgate/store/sql/retired.sql
);

CREATE TABLE retired_usage (
    merchant_id  bigint NOT NULL,
    day          date NOT NULL,
    month        date NOT NULL,             -- first day of the month of acceptance, in the merchant's zone
    account      text NOT NULL CHECK (account IN ('revenue', 'cost')),
    carrier_id   smallint NOT NULL,
    item_id      bigint NOT NULL,
    messages     bigint NOT NULL,           -- charged, less those given back
    segments     bigint NOT NULL,
    micros       bigint NOT NULL,
    PRIMARY KEY (merchant_id, day, month, account, carrier_id, item_id)
);
CREATE INDEX retired_usage_month ON retired_usage (merchant_id, month);

ALTER TABLE retired_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE retired_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON retired_usage
    USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
