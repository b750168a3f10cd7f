-- Which messages a settled lease was charged for, as ranges: neighbours of a chunk are one. So what a budget says is spent is
-- proved by the rows of its messages, and none of them counts twice.

-- What was accepted before it is not the budget's.
ALTER TABLE budget ADD COLUMN began_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE budget ALTER COLUMN began_at DROP DEFAULT;

-- `lease_id` 0: what was spent before the budget came, and leases whose messages are out of retention.
CREATE TABLE budget_charge (
    merchant_id   bigint NOT NULL,
    lease_id      bigint NOT NULL,
    month         date NOT NULL,             -- whose cap it counts against
    prepaid       boolean NOT NULL,          -- it counts against the balance
    message_ids   int8multirange NOT NULL,
    spent_micros  bigint NOT NULL,
    PRIMARY KEY (merchant_id, lease_id, month, prepaid)
);

INSERT INTO budget_charge (merchant_id, lease_id, month, prepaid, message_ids, spent_micros)
SELECT merchant_id, 0, month, prepaid, '{}', spent_micros FROM budget_spent;

ALTER TABLE budget_charge ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_charge FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON budget_charge USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
