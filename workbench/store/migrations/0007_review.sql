-- Each side judged by itself: is it right, and which of its fields are wrong. NULL where sides were only compared.
ALTER TABLE labels ADD COLUMN control_right BOOLEAN;
ALTER TABLE labels ADD COLUMN candidate_right BOOLEAN;
ALTER TABLE labels ADD COLUMN control_wrong VARCHAR[];
ALTER TABLE labels ADD COLUMN candidate_wrong VARCHAR[];

-- The slice that the queue aimed at when it drew, as NAME=VALUE; what an attention check should be answered.
ALTER TABLE draws ADD COLUMN focus VARCHAR;
ALTER TABLE draws ADD COLUMN expected VARCHAR;

-- Who has read what others said of a pair: they are not asked for a blind verdict on it any more.
CREATE TABLE openings (
    replay_id  VARCHAR NOT NULL,
    call_id    VARCHAR NOT NULL,
    annotator  VARCHAR NOT NULL,
    seq        BIGINT DEFAULT nextval('row_seq'),
    created_at TIMESTAMP NOT NULL
);
