-- Who read or took out the text of calls: never the text itself.
CREATE TABLE accesses (
    access_id  VARCHAR PRIMARY KEY,
    seq        BIGINT DEFAULT nextval('row_seq'),
    created_at TIMESTAMP NOT NULL,
    actor      VARCHAR NOT NULL,         -- an e-mail address, or the name of local work
    signed_in  BOOLEAN NOT NULL,         -- whether an identity provider vouches for the name
    kind       VARCHAR NOT NULL,         -- store.accesses.Kind
    task       VARCHAR NOT NULL,         -- empty for what belongs to no single task
    calls      BIGINT NOT NULL
);
