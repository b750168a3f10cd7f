-- Of a campaign for few of a merchant's people the range of a chunk's numbers holds mostly others, and its claim would read them
-- all: such a chunk names its people.
ALTER TABLE campaign_chunk ADD COLUMN subscriber_ids bigint[];  -- NULL: who is meant of the range
