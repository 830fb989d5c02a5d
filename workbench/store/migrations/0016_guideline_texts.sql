-- The guidelines that labels were made under, word for word: guidelines.md is edited, labels keep their version.
-- Rows are only ever added. `version` is the hash that labels carry.
CREATE TABLE guideline_texts (
    task       VARCHAR NOT NULL,
    version    VARCHAR NOT NULL,
    seq        BIGINT DEFAULT nextval('row_seq'),
    text       VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,        -- when the first label under it was made, or the first item went out
    PRIMARY KEY (task, version)
);
