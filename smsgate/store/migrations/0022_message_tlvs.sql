-- Optional parameters that a merchant gives a text: vendors' tags that its carrier wants with it, encoded as SMPP does.
ALTER TABLE message ADD COLUMN tlvs bytea;              -- NULL: none; an offer's are its version's
ALTER TABLE offer_version ADD COLUMN tlvs bytea NOT NULL DEFAULT '';
