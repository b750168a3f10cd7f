-- Which merchants wrote from which sender number: asked when a STOP or HELP comes to it from somebody unknown. Kept by the statements that
-- write offers' versions and texts of appointments.
CREATE TABLE sender_merchant (
    sender       text NOT NULL,
    merchant_id  bigint NOT NULL,
    PRIMARY KEY (sender, merchant_id)
);
ALTER TABLE sender_merchant ENABLE ROW LEVEL SECURITY;
ALTER TABLE sender_merchant FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON sender_merchant USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
INSERT INTO sender_merchant
SELECT DISTINCT s, v.merchant_id FROM offer_version v, unnest(v.sender || v.sender_pool) AS s;
DROP INDEX offer_version_sender;
DROP INDEX offer_version_pool;
