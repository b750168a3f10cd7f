-- When a person asked for silence altogether (STOP ALL), or the carrier shut the number: then texts about orders end, too,
-- which a plain STOP lets through. Counts while offers_state is 'unsubscribed'.
ALTER TABLE subscriber ADD COLUMN silent_at timestamptz;
