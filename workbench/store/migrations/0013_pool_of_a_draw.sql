-- How many closed batches the queue could draw from, so that what a draw says of a slice rests on the
-- shares of its own time. NULL for draws made before: all batches.
ALTER TABLE draws ADD COLUMN batches INTEGER;
