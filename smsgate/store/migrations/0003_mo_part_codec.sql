-- Parts of a long MO are joined as octets: an SMSC may end one inside a character.

ALTER TABLE mo_part
    ADD COLUMN codec text NOT NULL DEFAULT 'gsm7';  -- how `raw` is read: protocol.mo_text.decode_text

UPDATE mo_part
   SET codec = CASE WHEN data_coding = 8 THEN 'utf-16-be'
                    WHEN data_coding IN (1, 3) THEN 'latin-1'
                    WHEN data_coding IN (2, 4) THEN 'binary'
                    ELSE 'gsm7' END;

ALTER TABLE mo_part DROP COLUMN text;
