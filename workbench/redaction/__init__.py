"""Redaction: personal data out of texts and JSON, before they are stored. It detects and does not guarantee.

Needs the standard library alone; names of people need a model (`workbench.redaction.presidio`).
"""

from workbench.redaction.recall import Recall
from workbench.redaction.secret import KeyUnusable, fingerprint, load_key
from workbench.redaction.spans import Detector, Span
from workbench.redaction.text import KINDS, PLACEHOLDER, VERSION, Redactor

__all__ = [
    "KINDS",
    "PLACEHOLDER",
    "VERSION",
    "Detector",
    "KeyUnusable",
    "Recall",
    "Redactor",
    "Span",
    "fingerprint",
    "load_key",
]
