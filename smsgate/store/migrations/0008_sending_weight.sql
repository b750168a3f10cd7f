-- A merchant's share, in messages, where several send by one carrier at the same time.
ALTER TABLE merchant ADD COLUMN sending_weight smallint NOT NULL DEFAULT 1 CHECK (sending_weight BETWEEN 1 AND 100);
