-- Who accepted which share when. Rows are only ever added; each names the hash of the one before it, so that
-- a row that was changed or taken out shows.
CREATE TABLE ramp_decisions (
    decision_id           VARCHAR PRIMARY KEY,
    seq                   BIGINT DEFAULT nextval('row_seq'),
    task                  VARCHAR NOT NULL,
    candidate             VARCHAR NOT NULL,
    candidate_fingerprint VARCHAR NOT NULL,
    evaluator_version     VARCHAR NOT NULL,
    action                VARCHAR NOT NULL,   -- what was recommended
    share                 DOUBLE NOT NULL,    -- what was accepted, 0..1
    recommended_share     DOUBLE NOT NULL,
    supported_share       DOUBLE NOT NULL,    -- the cap of the evidence
    current_share         DOUBLE NOT NULL,    -- what was served when it was decided
    moves                 VARCHAR NOT NULL,   -- JSON of rollout.Moves at the accepted share
    fallback              VARCHAR NOT NULL,   -- the same for the time after an override
    harm                  VARCHAR NOT NULL,   -- JSON of records.Estimate
    binding_reason        VARCHAR NOT NULL,
    reason                VARCHAR NOT NULL,   -- why another share than the recommended; empty otherwise
    expires_at            TIMESTAMP,          -- of an override
    decided_by            VARCHAR NOT NULL,
    decided_at            TIMESTAMP NOT NULL,
    evidence_hash         VARCHAR NOT NULL,
    policy_version        VARCHAR NOT NULL,
    policy                VARCHAR NOT NULL,   -- JSON of records.Policy
    previous_hash         VARCHAR NOT NULL,   -- entry_hash of the row before, empty for the first
    entry_hash            VARCHAR NOT NULL
);
