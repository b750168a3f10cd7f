-- A long text is one row of `sent` for each of its parts. `segments` is from now on what the row itself counts for and
-- was charged for: 1 for a part, more for what a carrier cuts by itself (message_payload, an ESME's long text).
-- `parts` is of how many rows it is one; NULL: the row is the whole message.

ALTER TABLE sent ADD COLUMN parts smallint;
