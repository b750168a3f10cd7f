-- Long MOs of senders that are no numbers are joined as well: a part is its sender's as it came, not its MSISDN's.

ALTER TABLE mo_part ADD COLUMN sender text NOT NULL DEFAULT '';
UPDATE mo_part SET sender = source::text;
ALTER TABLE mo_part
    DROP CONSTRAINT mo_part_pkey,
    ADD PRIMARY KEY (carrier_id, sender, destination, ref, total, part);
