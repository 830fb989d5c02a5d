-- What the traffic consists of. The newest profile counts; the calls of older ones are taken away.
CREATE TABLE profiles (
    profile_id  VARCHAR PRIMARY KEY,
    seq         BIGINT DEFAULT nextval('row_seq'),
    fingerprint VARCHAR NOT NULL,       -- of the configuration it was made under
    last_call   BIGINT NOT NULL,        -- the newest call's seq it knows
    report      VARCHAR NOT NULL,       -- JSON of profiling.ProfileReport
    created_at  TIMESTAMP NOT NULL
);

-- The template of each call that no task takes. Visible once the profile's row stands.
CREATE TABLE profile_calls (
    profile_id VARCHAR NOT NULL,
    call_seq   BIGINT NOT NULL,
    workload   VARCHAR NOT NULL
);

-- Stored calls that a new rule took out of `unassigned`.
CREATE TABLE task_moves (
    seq        BIGINT DEFAULT nextval('row_seq'),
    task       VARCHAR NOT NULL,
    from_task  VARCHAR NOT NULL,
    calls      BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
