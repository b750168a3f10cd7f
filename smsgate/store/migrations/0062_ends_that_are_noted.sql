-- What three silent years ended is noted, too, when the person is removed, and is no objection: a STOP of later is confirmed.
ALTER TABLE number_stop ADD COLUMN objected boolean NOT NULL DEFAULT true;
