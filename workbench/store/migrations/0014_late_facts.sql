-- What a later import changed of calls that an earlier one brought, as it was before: time and model of a
-- call that got its output later, and the output of one that got its tokens later. For taking it back.
CREATE TABLE late_facts (
    call_id             VARCHAR NOT NULL,
    manifest_id         VARCHAR NOT NULL, -- the later import
    seq                 BIGINT DEFAULT nextval('row_seq'),
    occurred_at         TIMESTAMP,
    model               VARCHAR,
    output              VARCHAR           -- JSON of records.Output without tokens; NULL where it was not changed
);
