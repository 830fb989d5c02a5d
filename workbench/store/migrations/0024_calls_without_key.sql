-- As with their answers: the index of a key must stay in memory as a whole, so a log of any size could not be
-- loaded. That ids are new is seen to by the import that brings them (store/identity.py).
CREATE TABLE calls_by_arrival (
    call_id       VARCHAR NOT NULL,
    seq           BIGINT DEFAULT nextval('row_seq'),
    manifest_id   VARCHAR NOT NULL,
    source        VARCHAR NOT NULL,
    native_id     VARCHAR NOT NULL,
    task          VARCHAR NOT NULL,
    occurred_at   TIMESTAMP,
    session_id    VARCHAR,
    served_by     VARCHAR,
    sampling_rate DOUBLE,
    model         VARCHAR,               -- model that answered, as logged
    language      VARCHAR,               -- ISO 639-1 of the last user message
    input_chars   INTEGER,
    turn_depth    INTEGER,               -- user turns in the request
    tool_count    INTEGER,
    request_hash  VARCHAR NOT NULL,      -- identical requests are a cluster
    content_hash  VARCHAR NOT NULL,      -- request and control: tells a repeat from a conflict
    request       VARCHAR NOT NULL,      -- JSON of records.Request
    attributes    VARCHAR NOT NULL,      -- JSON object; its keys never become columns
    marks         VARCHAR[] NOT NULL
);
INSERT INTO calls_by_arrival BY NAME SELECT * FROM calls;
DROP TABLE calls;
ALTER TABLE calls_by_arrival RENAME TO calls;
