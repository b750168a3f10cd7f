-- What an order's rows held while things happened to it: stamps, each with the hash of the one before and the gateway's
-- signature (smsgate.security.proof_stamps, docs/decisions/0043). Rows are added and never changed, but for the salt, which
-- goes with an erasure.

CREATE TABLE order_stamp (
    merchant_id  bigint NOT NULL,
    order_id     bigint NOT NULL,
    no           int NOT NULL,            -- from 1
    at           timestamptz NOT NULL,
    erases       boolean NOT NULL,        -- it takes up what an erasure left
    facts        text NOT NULL,           -- JSON: [kind, id, salted SHA-256 in hex] of each row
    previous     bytea NOT NULL,
    sha256       bytea NOT NULL,
    signature    bytea NOT NULL,          -- Ed25519, by the key of proof files
    salt         bytea NOT NULL,          -- empty: erased
    PRIMARY KEY (merchant_id, order_id, no)
);
ALTER TABLE order_stamp ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_stamp FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON order_stamp USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));

-- Orders from before have no stamp yet; a loop of the gateway makes one for each.
ALTER TABLE orders ADD COLUMN unstamped boolean NOT NULL DEFAULT true;
ALTER TABLE orders ALTER COLUMN unstamped SET DEFAULT false;
CREATE INDEX orders_unstamped ON orders (merchant_id, order_id) WHERE unstamped;

-- The MO as it came: what stood in the PDU beside the text. Of a long one, the first part's, and the TLVs of all parts.
ALTER TABLE inbound_message
    ADD COLUMN esm_class smallint,          -- NULL: from before, or a phone of test mode
    ADD COLUMN source_ton smallint,
    ADD COLUMN source_npi smallint,
    ADD COLUMN destination_ton smallint,
    ADD COLUMN destination_npi smallint,
    ADD COLUMN tlvs bytea;                  -- encoded, but for message_payload, which is `raw`
ALTER TABLE mo_part
    ADD COLUMN esm_class smallint,
    ADD COLUMN source_ton smallint,
    ADD COLUMN source_npi smallint,
    ADD COLUMN destination_ton smallint,
    ADD COLUMN destination_npi smallint,
    ADD COLUMN tlvs bytea;
