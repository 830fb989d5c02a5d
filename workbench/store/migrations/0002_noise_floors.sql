-- How often the frontier agrees with itself. The newest row of a task under an evaluator version counts.
CREATE TABLE noise_floors (
    task              VARCHAR NOT NULL,
    seq               BIGINT DEFAULT nextval('row_seq'),
    evaluator_version VARCHAR NOT NULL,
    floor             VARCHAR NOT NULL,  -- JSON of scoring.noise.NoiseFloor
    created_at        TIMESTAMP NOT NULL
);
