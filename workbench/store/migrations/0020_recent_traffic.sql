-- Since when the newest calls were looked at by themselves, so that a late change is not lost among older ones;
-- NULL where they were all that was imported since the evaluation, and in checks from before they were.
ALTER TABLE traffic_checks ADD COLUMN recent TIMESTAMP;
