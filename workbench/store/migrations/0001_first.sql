-- Append-only tables, primary keys only. `seq` orders rows where the clock can't.
CREATE SEQUENCE row_seq START 1;

-- One import. Rows of a manifest are visible once the manifest row stands.
CREATE TABLE manifests (
    manifest_id   VARCHAR PRIMARY KEY,
    seq           BIGINT DEFAULT nextval('row_seq'),
    created_at    TIMESTAMP NOT NULL,
    task          VARCHAR,
    source        VARCHAR NOT NULL,
    format        VARCHAR NOT NULL,
    files         VARCHAR NOT NULL,      -- JSON: [{name, bytes, sha256}]
    sampling_rate DOUBLE,
    report        VARCHAR NOT NULL       -- JSON of the import report
);

CREATE TABLE calls (
    call_id       VARCHAR PRIMARY KEY,
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

-- The frontier's output; apart from calls because a Batch output may arrive later.
CREATE TABLE controls (
    call_id             VARCHAR PRIMARY KEY,
    manifest_id         VARCHAR NOT NULL,
    output              VARCHAR NOT NULL, -- JSON of records.Output
    text                VARCHAR,
    error_kind          VARCHAR,
    latency_ms          DOUBLE,
    input_tokens        BIGINT,
    cached_input_tokens BIGINT,
    output_tokens       BIGINT,
    marks               VARCHAR[] NOT NULL,
    content_hash        VARCHAR            -- text, tool calls and error: tells a repeat from a conflict
);

CREATE TABLE rejects (
    manifest_id  VARCHAR NOT NULL,
    file         VARCHAR NOT NULL,
    line         BIGINT NOT NULL,
    reason       VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    snippet      VARCHAR NOT NULL
);

-- Same id, other content: the stored call is kept out of use until resolved.
CREATE TABLE conflicts (
    call_id      VARCHAR NOT NULL,
    manifest_id  VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    file         VARCHAR NOT NULL,
    line         BIGINT NOT NULL,
    call         VARCHAR NOT NULL,       -- JSON of records.Call as it arrived
    PRIMARY KEY (call_id, content_hash)
);

CREATE TABLE candidates (
    fingerprint VARCHAR PRIMARY KEY,
    seq         BIGINT DEFAULT nextval('row_seq'),
    name        VARCHAR NOT NULL,
    spec        VARCHAR NOT NULL,        -- JSON of config.Candidate, without keys
    created_at  TIMESTAMP NOT NULL
);

CREATE TABLE replays (
    replay_id             VARCHAR PRIMARY KEY,
    seq                   BIGINT DEFAULT nextval('row_seq'),
    task                  VARCHAR NOT NULL,
    candidate             VARCHAR NOT NULL,
    candidate_fingerprint VARCHAR NOT NULL,
    seed                  BIGINT NOT NULL,
    repeats               INTEGER NOT NULL,
    plan                  VARCHAR NOT NULL, -- JSON
    created_at            TIMESTAMP NOT NULL
);

-- The drawn sample. A larger --limit appends a batch; a batch is closed before it is ordered.
CREATE TABLE replay_calls (
    replay_id             VARCHAR NOT NULL,
    call_id               VARCHAR NOT NULL,
    batch                 INTEGER NOT NULL,
    rank                  BIGINT NOT NULL,  -- order of sending within the batch: random core first
    audit_key             VARCHAR NOT NULL, -- hash: order of auditing within the batch
    inclusion_probability DOUBLE NOT NULL,
    PRIMARY KEY (replay_id, call_id)
);

CREATE TABLE replay_events (
    replay_id  VARCHAR NOT NULL,
    seq        BIGINT DEFAULT nextval('row_seq'),
    event      VARCHAR NOT NULL,         -- started, paused, resumed, finished, interrupted, failed
    detail     VARCHAR NOT NULL,         -- JSON
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE observations (
    replay_id     VARCHAR NOT NULL,
    call_id       VARCHAR NOT NULL,
    repeat        INTEGER NOT NULL,
    seq           BIGINT DEFAULT nextval('row_seq'),
    output        VARCHAR NOT NULL,      -- JSON of records.Output
    text          VARCHAR,
    error_kind    VARCHAR,
    attempts      INTEGER NOT NULL,
    latency_ms    DOUBLE,
    input_tokens  BIGINT,
    output_tokens BIGINT,
    started_at    TIMESTAMP,
    PRIMARY KEY (replay_id, call_id, repeat)
);

CREATE TABLE comparisons (
    replay_id         VARCHAR NOT NULL,
    call_id           VARCHAR NOT NULL,
    repeat            INTEGER NOT NULL,
    evaluator_version VARCHAR NOT NULL,
    verdict           VARCHAR NOT NULL,
    score             DOUBLE,
    reason            VARCHAR NOT NULL,
    identical         BOOLEAN NOT NULL,
    invalid           BOOLEAN NOT NULL,
    ignored_by        VARCHAR,
    control_group     VARCHAR,
    candidate_group   VARCHAR,
    flags             VARCHAR[] NOT NULL,
    details           VARCHAR NOT NULL,  -- JSON
    PRIMARY KEY (replay_id, call_id, repeat, evaluator_version)
);

CREATE TABLE embeddings (
    model     VARCHAR NOT NULL,
    text_hash VARCHAR NOT NULL,
    vector    FLOAT[] NOT NULL,
    PRIMARY KEY (model, text_hash)
);

-- Known right answers; the newest per call counts. They become labels of source gold.
CREATE TABLE gold (
    call_id    VARCHAR NOT NULL,
    seq        BIGINT DEFAULT nextval('row_seq'),
    answer     VARCHAR NOT NULL,
    origin     VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- What the queue drew, in order. Stored before anybody sees the item.
CREATE TABLE draws (
    draw_id           VARCHAR PRIMARY KEY,
    seq               BIGINT DEFAULT nextval('row_seq'),
    task              VARCHAR NOT NULL,
    candidate_fingerprint VARCHAR NOT NULL,
    evaluator_version VARCHAR NOT NULL,
    replay_id         VARCHAR NOT NULL,
    call_id           VARCHAR NOT NULL,
    plan              VARCHAR NOT NULL,  -- audit, normalisation, mix, second_review
    position          BIGINT NOT NULL,
    stratum           VARCHAR NOT NULL,
    stratum_share     DOUBLE NOT NULL,   -- W_h when drawn
    draw_probability  DOUBLE NOT NULL,   -- q_h
    weight            DOUBLE NOT NULL,   -- W_h / q_h
    weight_max        DOUBLE NOT NULL,
    created_at        TIMESTAMP NOT NULL
);

CREATE TABLE leases (
    draw_id    VARCHAR NOT NULL,
    annotator  VARCHAR NOT NULL,
    seq        BIGINT DEFAULT nextval('row_seq'),
    expires_at TIMESTAMP NOT NULL
);

CREATE TABLE labels (
    label_id          VARCHAR PRIMARY KEY,
    seq               BIGINT DEFAULT nextval('row_seq'),
    replay_id         VARCHAR NOT NULL,
    call_id           VARCHAR NOT NULL,
    verdict           VARCHAR,           -- NULL: skipped, or the label it supersedes is taken back
    annotator         VARCHAR NOT NULL,
    reasons           VARCHAR[] NOT NULL,
    note              VARCHAR NOT NULL,
    corrected         VARCHAR,
    shown_order       VARCHAR,
    draw_id           VARCHAR,
    draw_probability  DOUBLE,
    guideline_version VARCHAR,
    source            VARCHAR NOT NULL,  -- queue, picked, imported, gold
    supersedes        VARCHAR,
    skipped           BOOLEAN NOT NULL,
    created_at        TIMESTAMP NOT NULL
);

-- Spool parts already loaded: each exactly once.
CREATE TABLE absorbed_parts (
    part        VARCHAR PRIMARY KEY,
    table_name  VARCHAR NOT NULL,
    rows        BIGINT NOT NULL,
    absorbed_at TIMESTAMP NOT NULL
);

-- Calls that may be used: not in an unresolved conflict.
CREATE VIEW usable_calls AS
SELECT c.*, k.output AS control, k.text AS control_text, k.error_kind AS control_error_kind,
       k.latency_ms AS control_latency_ms, k.input_tokens AS control_input_tokens,
       k.cached_input_tokens AS control_cached_input_tokens, k.output_tokens AS control_output_tokens,
       coalesce(k.marks, []) AS control_marks
FROM calls c LEFT JOIN controls k USING (call_id)
WHERE c.call_id NOT IN (SELECT call_id FROM conflicts);
