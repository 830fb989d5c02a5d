-- Which look a check was, so that however many there are they err no more often than one: the same windows again
-- are no other look. NULL where a window could not be compared, and of checks from before looks were counted.
ALTER TABLE traffic_checks ADD COLUMN mix_windows VARCHAR;     -- hash of the calls by slice that were compared
ALTER TABLE traffic_checks ADD COLUMN mix_look BIGINT;         -- counted from 1
ALTER TABLE traffic_checks ADD COLUMN content_windows VARCHAR; -- hash of the embeddings that were compared
ALTER TABLE traffic_checks ADD COLUMN content_look BIGINT;     -- counted from 1
ALTER TABLE traffic_checks ADD COLUMN content_held VARCHAR;    -- JSON of scoring.held.Held
ALTER TABLE traffic_checks ADD COLUMN content_seen BOOLEAN;    -- whether this look saw it
