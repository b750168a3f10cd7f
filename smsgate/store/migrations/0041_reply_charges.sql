-- What a reply is charged, kept with it as a message's charge is. NULL: it came before this was kept.
ALTER TABLE inbound_message
    ADD COLUMN segments     smallint,  -- of its text (R1)
    ADD COLUMN sell_item_id bigint,    -- 0: nothing is charged
    ADD COLUMN sell_micros  bigint;
