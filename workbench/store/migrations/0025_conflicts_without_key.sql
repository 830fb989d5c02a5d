-- As with calls: a log of millions of calls may tell all of them otherwise. That none is there twice is seen to by
-- the import that brings them (store/identity.py).
CREATE TABLE conflicts_by_arrival (
    call_id      VARCHAR NOT NULL,
    manifest_id  VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    file         VARCHAR NOT NULL,
    line         BIGINT NOT NULL,
    call         VARCHAR NOT NULL,      -- JSON of records.Call as it arrived
    read_before  VARCHAR
);
INSERT INTO conflicts_by_arrival BY NAME SELECT * FROM conflicts;
DROP TABLE conflicts;
ALTER TABLE conflicts_by_arrival RENAME TO conflicts;
