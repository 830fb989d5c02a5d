-- Which version of the readers read an import, and what else decides what they make of a file.
ALTER TABLE manifests ADD COLUMN reading INTEGER;                 -- formats.READING; NULL: before it was noted
ALTER TABLE manifests ADD COLUMN read_with VARCHAR;               -- hash of format, mapping and model asked for
-- The earlier import that read the same record: then this is no conflict of two records, but of two readings.
ALTER TABLE conflicts ADD COLUMN read_before VARCHAR;
ALTER TABLE conflict_resolutions ADD COLUMN read_before VARCHAR;
