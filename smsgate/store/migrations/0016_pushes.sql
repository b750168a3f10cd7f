-- WAP Push: octets instead of a text. `body` holds what people are shown of it.
ALTER TABLE message ADD COLUMN push bytea;      -- the WSP push PDU, its transaction id 0; NULL: a text
