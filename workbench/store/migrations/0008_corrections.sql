-- Imports that were taken back: their calls are gone, this says what and when.
CREATE TABLE undone_imports (
    manifest_id VARCHAR PRIMARY KEY,
    seq         BIGINT DEFAULT nextval('row_seq'),
    source      VARCHAR NOT NULL,
    removed     VARCHAR NOT NULL,        -- JSON: rows by table
    undone_by   VARCHAR NOT NULL,
    undone_at   TIMESTAMP NOT NULL
);

-- Conflicts that a person resolved: a record with this content is known to be wrong, and passed over.
CREATE TABLE conflict_resolutions (
    call_id      VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,       -- of the version that was given up
    seq          BIGINT DEFAULT nextval('row_seq'),
    kept         VARCHAR NOT NULL,       -- stored or arrived
    manifest_id  VARCHAR NOT NULL,       -- the import that brought the conflict
    given_up     VARCHAR NOT NULL,       -- JSON of records.Call: nothing is lost
    resolved_by  VARCHAR NOT NULL,
    resolved_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (call_id, content_hash)
);
