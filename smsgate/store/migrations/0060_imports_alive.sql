-- An import whose process died stayed `running` for good: one that runs says so now and then.
ALTER TABLE import_job ADD COLUMN alive_at timestamptz NOT NULL DEFAULT now();
