-- What carriers billed, held against what we counted: a result for each file, by network and price.
CREATE TABLE reconciliation (
    reconciliation_id  bigint PRIMARY KEY,
    carrier_id         smallint NOT NULL,
    month              date NOT NULL,             -- its first day; in the carrier's zone
    zone               text NOT NULL,
    currency           text NOT NULL,
    by_message         boolean NOT NULL,          -- false: the file has a line for each network and price
    file_name          text NOT NULL,
    file_sha256        bytea NOT NULL,
    file_rows          bigint NOT NULL,
    our_micros         bigint NOT NULL,
    invoiced_micros    bigint NOT NULL,
    allowed_micros     bigint NOT NULL,           -- the tolerance
    verdict            text NOT NULL CHECK (verdict IN ('accepted', 'dispute', 'underbilled')),
    counts             jsonb NOT NULL,            -- rows by class (smsgate.billing.reconciliation.RowClass)
    created_at         timestamptz NOT NULL,
    UNIQUE (carrier_id, month, file_sha256)       -- a file counts once
);

CREATE TABLE reconciliation_line (
    reconciliation_id  bigint NOT NULL,
    line               int NOT NULL,
    network            text NOT NULL,
    our_unit_micros    bigint,
    their_unit_micros  bigint,
    our_segments       bigint NOT NULL,
    their_segments     bigint NOT NULL,
    our_micros         bigint NOT NULL,
    their_micros       bigint NOT NULL,
    PRIMARY KEY (reconciliation_id, line)
);

-- A carrier's rows while they are matched, in one transaction; nothing of it is worth a log.
CREATE UNLOGGED TABLE carrier_record (
    reconciliation_id  bigint NOT NULL,
    place              bigint NOT NULL,           -- line of the file
    message_id         text NOT NULL,             -- folded (smsgate.protocol.message_ids)
    at                 timestamptz NOT NULL,
    segments           int NOT NULL,
    cost_micros        bigint,
    network            text NOT NULL,
    PRIMARY KEY (reconciliation_id, place)
);
