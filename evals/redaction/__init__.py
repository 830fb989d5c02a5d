"""Measures the built-in redaction on a seeded corpus: recall and precision of each detector."""
