-- The files that documents were handed out as: their hashes, once for each form.
CREATE TABLE document_file (
    merchant_id  bigint NOT NULL,
    document_id  bigint NOT NULL,
    form         text NOT NULL CHECK (form IN ('pdf', 'xml', 'ubl', 'peppol')),
    sha256       bytea NOT NULL,
    octets       int NOT NULL,
    made_at      timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, document_id, form)
);
ALTER TABLE document_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE document_file FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON document_file
    USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
