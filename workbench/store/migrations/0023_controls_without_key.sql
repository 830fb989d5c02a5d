-- The index of a key must stay in memory as a whole: some 90 bytes a call, which a log of millions of calls can't
-- afford twice. Answers are only ever written beside their calls, whose key says which calls there are.
CREATE TABLE controls_by_call (
    call_id             VARCHAR NOT NULL,
    manifest_id         VARCHAR NOT NULL,
    output              VARCHAR NOT NULL, -- JSON of records.Output
    text                VARCHAR,
    error_kind          VARCHAR,
    latency_ms          DOUBLE,
    input_tokens        BIGINT,
    cached_input_tokens BIGINT,
    output_tokens       BIGINT,
    marks               VARCHAR[] NOT NULL,
    content_hash        VARCHAR,          -- text, tool calls and error: tells a repeat from a conflict
    served_by           VARCHAR
);
INSERT INTO controls_by_call BY NAME SELECT * FROM controls;
DROP TABLE controls;
ALTER TABLE controls_by_call RENAME TO controls;
