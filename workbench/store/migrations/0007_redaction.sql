-- How an import was redacted: JSON {key, version}, the secret's fingerprint and the detectors' version.
-- NULL: as logged. A source is imported one way only, lest a call stand there twice.
ALTER TABLE manifests ADD COLUMN redaction VARCHAR;
