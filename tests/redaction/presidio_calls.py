"""Redaction by Presidio and a real spaCy pipeline without weights; runs where both are installed.

Usage: presidio_calls.py FOLDER
"""

import json
import sys
from collections import Counter
from pathlib import Path

import spacy
from presidio_analyzer import Pattern, PatternRecognizer

from workbench.errors import ModelMissing
from workbench.redaction import Redactor
from workbench.redaction.presidio import PresidioDetector

folder = Path(sys.argv[1]) / "blank"
nlp = spacy.blank("en")
names = [{"label": "PERSON", "pattern": "Ada Lovelace"}, {"label": "GPE", "pattern": "Lisbon"}]
nlp.add_pipe("entity_ruler").add_patterns(names)
nlp.to_disk(folder)

detector = PresidioDetector.of_model(str(folder))
redactor = Redactor(b"k" * 32, [detector])
TEXT = "Ada Lovelace (ada@example.com) moved to Lisbon; ADA  lovelace's friend Ada Lovelace did not."
found: Counter = Counter()
once = redactor.text(TEXT, found)

digits = PatternRecognizer("CUSTOMER", patterns=[Pattern("customer", r"\bC-\d{6}\b", 0.9)])
detector._analyzer.registry.add_recognizer(digits)
own = Redactor(b"k" * 32, [PresidioDetector(detector._analyzer, entities=["CUSTOMER"])])
try:
    PresidioDetector.of_model("en_core_web_lg")
    missing = ""
except ModelMissing as error:
    missing = str(error)


class Broken:
    def analyze(self, **_: object) -> list:
        raise RuntimeError("bug")


answers = {
    "once": once,
    "twice": redactor.text(once, Counter()),
    "found": dict(found),
    "json": redactor.text('{"who": "Ada Lovelace"}', Counter()),
    "own": own.text("customer C-123456 asks", Counter()),
    "long": redactor.text("x " * 60_000 + "Ada Lovelace", Counter())[-40:],
    "broken": Redactor(b"k" * 32, [PresidioDetector(Broken())]).text("Grace Hopper", Counter()),
    "missing": missing,
}
print("ANSWERS " + json.dumps(answers))
