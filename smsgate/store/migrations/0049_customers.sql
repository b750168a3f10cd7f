-- Texts that one number got on one UTC day apart from order and STOP texts (smsgate.flows.answer_limit): one bound for all
-- processes, which a restart does not end. Kept by the day on which the answered MO came.
CREATE TABLE answer_count (
    msisdn   bigint NOT NULL,
    day_at   timestamptz NOT NULL,
    answers  smallint NOT NULL,
    PRIMARY KEY (msisdn, day_at)
);
CREATE INDEX answer_count_day ON answer_count USING brin (day_at);

-- Words that somebody who is not known opts in by, as smsgate.campaigns.consent_commands compares words. Of a sender number
-- that merchants share each word is one merchant's.
CREATE TABLE join_keyword (
    sender           text NOT NULL,
    word             text NOT NULL,
    merchant_id      bigint NOT NULL,
    keyword_id       bigint NOT NULL,
    wording_version  text NOT NULL,         -- of what the person had read: the poster, the counter card
    double_opt_in    boolean NOT NULL,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (sender, word)
);
CREATE UNIQUE INDEX join_keyword_id ON join_keyword (merchant_id, keyword_id);
ALTER TABLE join_keyword ENABLE ROW LEVEL SECURITY;
ALTER TABLE join_keyword FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON join_keyword USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
