-- What a model said of a pair, in one order. Shown and measured against people; decides nothing.
CREATE TABLE judge_votes (
    replay_id           VARCHAR NOT NULL,
    call_id             VARCHAR NOT NULL,
    judge               VARCHAR NOT NULL,  -- fingerprint of the judge
    prompt_version      VARCHAR NOT NULL,
    control_first       BOOLEAN NOT NULL,
    seq                 BIGINT DEFAULT nextval('row_seq'),
    vote                VARCHAR,           -- first, second or equal; NULL: an error, never a tie
    error               VARCHAR,           -- why there is no vote
    said                VARCHAR NOT NULL,  -- the judge's reason, or the message of the error; cut
    model               VARCHAR,           -- that answered, as it named itself
    attempts            INTEGER NOT NULL,
    retried             VARCHAR,
    latency_ms          DOUBLE,
    input_tokens        BIGINT,
    cached_input_tokens BIGINT,
    output_tokens       BIGINT,
    unmetered           BOOLEAN NOT NULL,  -- without counts of tokens, though the model may have worked
    request_chars       BIGINT NOT NULL,
    text_chars          BIGINT NOT NULL,
    started_at          TIMESTAMP,
    PRIMARY KEY (replay_id, call_id, judge, prompt_version, control_first)
);

-- Each run of `workbench judge`: who was asked, in which order, what it cost beyond its votes.
CREATE TABLE judge_runs (
    task                  VARCHAR NOT NULL,
    candidate_fingerprint VARCHAR NOT NULL,
    judge                 VARCHAR NOT NULL,
    prompt_version        VARCHAR NOT NULL,
    seq                   BIGINT DEFAULT nextval('row_seq'),
    event                 VARCHAR NOT NULL,  -- started, finished, paused, interrupted, failed
    detail                VARCHAR NOT NULL,  -- JSON
    created_at            TIMESTAMP NOT NULL
);
