-- A receipt can name its message twice, and a receipt that names none is kept as it came.

ALTER TABLE receipt_unmatched
    ADD COLUMN other_id bytea NOT NULL DEFAULT '',  -- the text's id where the TLV has another
    ADD COLUMN raw bytea;                           -- of what nobody can read: smsc_id is empty, no try is made

CREATE INDEX receipt_unmatched_due ON receipt_unmatched (carrier_id, next_try_at);
