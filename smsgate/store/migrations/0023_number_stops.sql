-- A STOP from a number that no merchant knew: a consent from before it, that is brought later, opens nothing. The number is a
-- keyed hash, as in `suppression`: of a stranger nothing else is kept.
CREATE TABLE number_stop (
    hash        bytea PRIMARY KEY,
    stopped_at  timestamptz NOT NULL
);
