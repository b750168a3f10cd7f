-- Whose an Idempotency-Key is: when its request took it, and from when on that one counts as dead. Each route gives its requests as
-- long as they may take; a request of another one does not know how long that is.
ALTER TABLE idempotency_key ADD COLUMN reserved_at timestamptz NOT NULL DEFAULT now(),
                            ADD COLUMN abandoned_at timestamptz NOT NULL DEFAULT now() + interval '120 seconds';
