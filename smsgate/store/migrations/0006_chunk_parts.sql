-- A chunk whose people go to several carriers is cut into one chunk per carrier, numbered far above the others.
ALTER TABLE campaign_chunk ALTER COLUMN no TYPE bigint;
