-- Calls that a candidate served itself (`calls.served_by`): what their log holds as the answer, in `controls`,
-- is the candidate's. Kept beside the answer too, where every query looks.
ALTER TABLE controls ADD COLUMN served_by VARCHAR;

-- What the frontier answers when it is asked for some of these calls.
CREATE TABLE asked_controls (
    call_id             VARCHAR PRIMARY KEY,
    replay_id           VARCHAR NOT NULL, -- the asking
    output              VARCHAR NOT NULL, -- JSON of records.Output
    text                VARCHAR,
    error_kind          VARCHAR,
    latency_ms          DOUBLE,
    input_tokens        BIGINT,
    cached_input_tokens BIGINT,
    output_tokens       BIGINT
);

-- The frontier's answers, whether the log holds them or they were asked for.
CREATE VIEW frontier_outputs AS
SELECT call_id, output, text, error_kind, latency_ms, input_tokens, cached_input_tokens, output_tokens, marks
FROM controls WHERE served_by IS NULL
UNION ALL
SELECT call_id, output, text, error_kind, latency_ms, input_tokens, cached_input_tokens, output_tokens, []
FROM asked_controls;

CREATE OR REPLACE VIEW usable_calls AS
SELECT c.*, k.output AS control, k.text AS control_text, k.error_kind AS control_error_kind,
       k.latency_ms AS control_latency_ms, k.input_tokens AS control_input_tokens,
       k.cached_input_tokens AS control_cached_input_tokens, k.output_tokens AS control_output_tokens,
       coalesce(k.marks, []) AS control_marks
FROM calls c LEFT JOIN frontier_outputs k USING (call_id)
WHERE c.call_id NOT IN (SELECT call_id FROM conflicts);
