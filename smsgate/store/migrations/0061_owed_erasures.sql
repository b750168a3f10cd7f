-- Erasures that are not over: what others were writing of the person while theirs ran is removed when they have ended, by whichever
-- process. The row goes with the last of it, and the number with the row.
CREATE TABLE erasure_owed (
    merchant_id  bigint NOT NULL,
    request_id   bigint NOT NULL,    -- of data_request
    msisdn       bigint NOT NULL,
    texts_before bigint NOT NULL,    -- texts with this id or a later one are of after the erasure
    waits_for    xid8,               -- transactions below it have to end first; NULL: something was removed since it was written down
    PRIMARY KEY (merchant_id, request_id)
);
ALTER TABLE erasure_owed ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasure_owed FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON erasure_owed USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
