"""Names of people and places, by Presidio and a spaCy model (the extra `presidio`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import ModelMissing
from workbench.redaction.spans import Span

NAMES = ("PERSON", "LOCATION")
"""What the built-in detectors can't find. Numbers are theirs: they check them."""

_PIECE_CHARS = 50_000
"""spaCy refuses texts above a million characters, and takes memory by their length."""
_GAP = re.compile(r"\s")


class PresidioDetector:
    """Finds what a Presidio analyzer finds.

    Args:
        analyzer: A `presidio_analyzer.AnalyzerEngine`, with recognisers of your own if you like.
        language: Of the texts, such as `en`.
        entities: Which of its entities are replaced; None for all that it knows.
        least_score: From which score on, 0 to 1.
    """

    name = "presidio"

    def __init__(
        self,
        analyzer: Any,
        language: str = "en",
        entities: Sequence[str] | None = NAMES,
        least_score: float = 0.4,
    ) -> None:
        self._analyzer, self._language = analyzer, language
        self._entities, self._least_score = None if entities is None else list(entities), least_score

    @classmethod
    def of_model(cls, model: str) -> PresidioDetector:
        """Return the detector of an installed spaCy model. Nothing is downloaded.

        Args:
            model: Its name, such as `en_core_web_lg`, or its folder.

        Raises:
            ModelMissing: Presidio or the model is not installed.
        """
        try:
            import spacy
            from presidio_analyzer import AnalyzerEngine
            from presidio_analyzer.nlp_engine import NlpEngineProvider
        except ImportError as error:
            raise ModelMissing(
                f"Redaction of names needs Presidio, which is not installed ({error.name}).",
                "pip install 'shadow-workbench[presidio]', or leave --redact-model out.",
            ) from error
        if not spacy.util.is_package(model) and not (Path(model) / "meta.json").is_file():
            raise ModelMissing(
                f"There is no spaCy model {model!r} here, and none is downloaded unasked.",
                f"python -m spacy download {model}, or name the folder of a model.",
            )
        language = str(spacy.util.get_model_meta(model)["lang"]) if Path(model).is_dir() else model[:2]
        found = {"lang_code": language, "model_name": model}
        provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [found]})
        analyzer = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=[language])
        return cls(analyzer, language)

    def find(self, text: str) -> Iterator[Span]:
        """Give what the analyzer finds; a text that it fails on counts as personal as a whole."""
        for start, end in _pieces(text):
            piece = text[start:end]
            try:
                results = self._analyzer.analyze(
                    text=piece,
                    language=self._language,
                    entities=self._entities,
                    score_threshold=self._least_score,
                )
                spans = [
                    (each.start, each.end, re.sub(r"[^A-Z0-9_]", "_", each.entity_type.upper()))
                    for each in results
                ]
            except Exception:
                yield Span(start, end, "TEXT", piece)
                continue
            for first, last, kind in spans:
                normal = " ".join(piece[first:last].casefold().split())
                yield Span(start + first, start + last, kind[:30], normal)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut a long text between words."""
    start = 0
    while len(text) - start > _PIECE_CHARS:
        gap = _GAP.search(text, start + _PIECE_CHARS)
        end = gap.start() if gap and gap.start() < start + 2 * _PIECE_CHARS else start + _PIECE_CHARS
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)
