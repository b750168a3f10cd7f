-- Texts that one number got on one UTC day apart from order and STOP texts (smsgate.flows.answer_limit): one bound for all
-- processes, which a restart does not end. Kept by the day on which the answered MO came.
CREATE TABLE answer_count (
    msisdn   bigint NOT NULL,
    day_at   timestamptz NOT NULL,
    answers  smallint NOT NULL,
    PRIMARY KEY (msisdn, day_at)
);
CREATE INDEX answer_count_day ON answer_count USING brin (day_at);
