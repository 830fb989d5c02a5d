"""Real answers with human truth, from outside the project: the promises hold there, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evals.truth import real, real_judges, real_labels, real_page
from evals.truth.page import replaced
from evals.truth.table import SMALL
from workbench.records import LabelVerdict

DATA = Path(os.environ.get("WORKBENCH_DATA") or "absent")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="WORKBENCH_DATA names no folder with real data")


@needs_data
@pytest.mark.slow
def test_no_rival_that_is_provably_worse_holds_traffic_and_others_do() -> None:
    """At no look, with a label or none, is a clearly worse model above 0 %; of the others some reach 25 %."""
    rows = list(real.label_rows(SMALL))
    assert [row for row in rows if not row.ok] == []
    assert [row.measured for row in rows if row.promise.startswith("hold any traffic")] == [0, 0]
    reached = [row.measured or 0 for row in rows if row.promise.startswith("reach")]
    assert min(reached) >= 15


@needs_data
def test_labels_beside_a_judge_cover_and_some_judges_alone_mislead() -> None:
    """The interval holds at its level for every judge; a judge's own does not, in both sets of data."""
    rows = list(real.judge_rows(SMALL))
    assert [row for row in rows if not row.ok] == []
    misled = [row for row in rows if row.promise.startswith("judges whose")]
    assert {row.world.split(",")[0] for row in misled} == {"llmbar", "judge_bench"}
    assert all((row.measured or 0) >= 1 for row in misled)


@needs_data
def test_negated_sentences_move_no_traffic() -> None:
    """Texts that say the opposite and count as a match hold 0 % without labels."""
    rows = list(real.negation_rows(SMALL))
    assert rows
    assert [row for row in rows if not row.ok] == []


@needs_data
@pytest.mark.slow
def test_the_page_of_every_candidate_and_judge_is_what_the_data_say() -> None:
    """Each figure of docs/truth-real.md comes out again, and it says which judges mislead alone."""
    made = real_page.text(DATA / "textclass", DATA / "llmbar")
    page = real_page.PAGE.read_text(encoding="utf-8")
    assert page == replaced(page, made), "write it anew: python -m evals.truth.real_page"
    assert "judges would mislead whoever asked them alone" in made
    assert "**no**" in made


def test_without_data_the_sections_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no data sees a table without these rows, not an error."""
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    for section in (real.label_rows, real.judge_rows, real.negation_rows):
        assert list(section(SMALL)) == []


@pytest.mark.parametrize(
    ("control", "candidate", "verdict"),
    [
        ("a", "b", LabelVerdict.CONTROL_BETTER),
        ("b", "a", LabelVerdict.CANDIDATE_BETTER),
        ("b", "c", LabelVerdict.BOTH_BAD),
        ("a", "a", LabelVerdict.EQUAL),
    ],
)
def test_gold_plays_the_reviewer(control: str, candidate: str, verdict: LabelVerdict) -> None:
    """Who alone is right is better; both wrong is both bad."""
    assert real_labels.judge(control, candidate, gold="a") is verdict


def test_a_verdict_that_can_not_be_read_is_no_tie() -> None:
    """A judge that said nothing in one order leaves its item out."""
    assert (
        real_judges.verdict_of({"winner": "1", "winner_swapped": None}, ("winner", "winner_swapped")) is None
    )
    assert real_judges.verdict_of({"winner": "1", "winner_swapped": "2"}, ("winner", "winner_swapped")) == 0.5
