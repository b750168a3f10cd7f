-- That a person lifted a block, with who and why: of one merchant (its own hash of the number), or for all. A merchant's own
-- makes the block for every merchant void for it, until the number is blocked anew.
CREATE TABLE suppression_lift (
    hash       bytea NOT NULL,
    lifted_at  timestamptz NOT NULL,
    lifted_by  text NOT NULL,
    reason     text NOT NULL,
    PRIMARY KEY (hash, lifted_at)
);
