-- Latency at the pace of the log: never compared as outputs, never mixed with a replay's latencies.
CREATE TABLE latency_probes (
    probe_id              VARCHAR PRIMARY KEY,
    seq                   BIGINT DEFAULT nextval('row_seq'),
    task                  VARCHAR NOT NULL,
    candidate             VARCHAR NOT NULL,
    candidate_fingerprint VARCHAR NOT NULL,
    speed                 DOUBLE NOT NULL,  -- multiple of production's pace, or of the log's
    rate_known            BOOLEAN NOT NULL, -- whether that is production's: the share logged is known
    calls_per_s           DOUBLE NOT NULL,  -- scheduled
    report                VARCHAR NOT NULL, -- JSON of replay.latency.SpeedRun
    created_at            TIMESTAMP NOT NULL
);

CREATE TABLE latency_probe_calls (
    probe_id       VARCHAR NOT NULL,
    position       INTEGER NOT NULL,       -- order of sending
    call_id        VARCHAR NOT NULL,
    scheduled_s    DOUBLE NOT NULL,        -- from the start of the probe
    late_ms        DOUBLE NOT NULL,        -- how much later this machine sent it
    latency_ms     DOUBLE,                 -- from the scheduled time to the whole answer
    first_token_ms DOUBLE,                 -- likewise, to the first token
    attempts       INTEGER NOT NULL,
    in_flight      INTEGER NOT NULL,       -- others, when it was sent
    error_kind     VARCHAR,
    unanswered     BOOLEAN NOT NULL,       -- dropped, or the server failed: infinitely slow
    PRIMARY KEY (probe_id, position)
);
