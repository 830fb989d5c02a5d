"""The seeded corpus of redaction: its figures hold, and can fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evals.redaction.__main__ import BARS, NOTE, Row, measure, table
from evals.redaction.corpus import Sample, corpus
from workbench.redaction import KINDS, text


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.kind: row for row in measure(corpus(300, seed=1))}


def test_each_detector_reaches_its_bars(rows: dict[str, Row]) -> None:
    """Every detector finds the usual spellings and leaves look-alikes, on a seed it was not written on."""
    assert set(rows) == set(KINDS)
    for row in rows.values():
        assert row.recall is not None
        assert row.precision is not None
        assert row.recall >= BARS["recall"], row
        assert row.precision >= BARS["precision"], row


def test_what_hides_is_told(rows: dict[str, Row]) -> None:
    """The table holds the spellings that are missed too, and that nothing is guaranteed."""
    assert any((row.hard_recall or 0) < 0.5 for row in rows.values())
    assert "does not guarantee" in NOTE
    assert all(f"| {kind} |" in table(rows.values()) for kind in KINDS)


def test_the_corpus_is_seeded() -> None:
    """The same seed gives the same texts, another one others."""
    assert list(corpus(20)) == list(corpus(20))
    assert list(corpus(20)) != list(corpus(20, seed=2))


def test_a_detector_that_finds_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its detector a kind has no recall: the figures measure something."""

    def nothing(_: str) -> Iterator[Sample]:
        return iter(())

    monkeypatch.setattr(text, "find_cards", nothing)
    (card,) = (row for row in measure(corpus(100)) if row.kind == "CARD")
    assert card.recall == 0
