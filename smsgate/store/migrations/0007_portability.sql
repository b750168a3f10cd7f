-- Who moved to another network. Loaded from operators' files: one version in force, the next one loading beside it.

CREATE TABLE portability_version (
    version     int PRIMARY KEY,
    state       text NOT NULL CHECK (state IN ('loading', 'in_force')),
    numbers     bigint NOT NULL DEFAULT 0,
    deltas      int NOT NULL DEFAULT 0,
    changed_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX portability_in_force ON portability_version (state) WHERE state = 'in_force';

CREATE TABLE ported_number (
    msisdn   bigint NOT NULL,
    version  int NOT NULL,
    mccmnc   text NOT NULL,
    PRIMARY KEY (msisdn, version)
);
