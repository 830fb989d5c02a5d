-- What looks at newly imported traffic found: is it like what a candidate was evaluated on? Rows are only ever
-- added; the newest of a task and candidate counts.
CREATE TABLE traffic_checks (
    check_id              VARCHAR PRIMARY KEY,
    seq                   BIGINT DEFAULT nextval('row_seq'),
    task                  VARCHAR NOT NULL,
    candidate_fingerprint VARCHAR NOT NULL,
    since                 TIMESTAMP NOT NULL,   -- imports after it were set against those before
    checked_at            TIMESTAMP NOT NULL,
    new_calls             BIGINT NOT NULL,
    mix                   VARCHAR NOT NULL,     -- JSON of scoring.traffic_check.MixShift
    content               VARCHAR,              -- JSON of stats.drift.Shift; NULL where it could not be compared
    content_moved         BOOLEAN NOT NULL,
    told_apart            VARCHAR[] NOT NULL    -- compared calls of new content that no earlier check named
);
