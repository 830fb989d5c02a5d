-- What other tools recorded about calls: feedback, assessments, annotations. Kept apart from
-- `labels`: nobody knows how these calls were drawn, so they never enter a bound.
CREATE TABLE imported_labels (
    label_id       VARCHAR PRIMARY KEY,   -- hash of source, origin and native id
    seq            BIGINT DEFAULT nextval('row_seq'),
    manifest_id    VARCHAR NOT NULL,
    source         VARCHAR NOT NULL,
    origin         VARCHAR NOT NULL,      -- tensorzero, mlflow, langsmith, langfuse, openinference, helicone, ...
    native_id      VARCHAR NOT NULL,
    target_kind    VARCHAR NOT NULL,      -- call, session, call_or_session, trace, span
    target_id      VARCHAR NOT NULL,
    name           VARCHAR NOT NULL,      -- the metric's name: data
    kind           VARCHAR NOT NULL,      -- boolean, number, text, json, demonstration
    value          VARCHAR NOT NULL,      -- JSON
    comment        VARCHAR NOT NULL,
    annotator      VARCHAR NOT NULL,
    annotator_kind VARCHAR NOT NULL,      -- human, llm, code, ... as the log says
    attributes     VARCHAR NOT NULL,      -- JSON object; its keys never become columns
    content_hash   VARCHAR NOT NULL,
    created_at     TIMESTAMP
);
