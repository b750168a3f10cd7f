-- Minimums are versions that nobody changes: the newest one that covers a month holds.
ALTER TABLE billing_commitment ADD COLUMN version int GENERATED ALWAYS AS IDENTITY;
ALTER TABLE billing_commitment ALTER COLUMN version DROP IDENTITY;
ALTER TABLE billing_commitment ADD COLUMN set_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE billing_commitment DROP CONSTRAINT billing_commitment_pkey;
ALTER TABLE billing_commitment ADD PRIMARY KEY (merchant_id, version);
