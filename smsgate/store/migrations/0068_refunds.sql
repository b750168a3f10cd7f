-- What was paid back of balances, each once by the reference that the operator gives: one that is told again is answered with
-- the documents (503) of the first time.
CREATE TABLE budget_refund (
    merchant_id   bigint NOT NULL,
    reference     text NOT NULL,
    document_ids  bigint[] NOT NULL CHECK (cardinality(document_ids) > 0),
    at            timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, reference)
);
ALTER TABLE budget_refund ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_refund FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON budget_refund
    USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
