"""A task whose name in the log is none here is still found: under what of it can stand in a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from import_world import Desk, pair

from workbench.ingest.routing import task_name
from workbench.specs import NAME_PATTERN


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("triage", "triage"),
        ("support agent", "support-agent"),
        ("ops/triage", "ops-triage"),
        ("tensorzero::llm_judge::haiku::topic", "tensorzero-llm_judge-haiku-topic"),
        ("../no name", "no-name"),
        ("Stützpunkt Süd", "Stutzpunkt-Sud"),
    ],
)
def test_what_can_stand_in_a_name_is_kept(text: str, name: str) -> None:
    assert task_name(text) == name


@given(st.text(min_size=1, max_size=200))
def test_every_text_has_one_name(text: str) -> None:
    """It is a name, always the same, and a name stays itself."""
    found = task_name(text)
    assert NAME_PATTERN.fullmatch(found)
    assert task_name(found) == found


def test_texts_that_lose_their_letters_are_told_apart() -> None:
    assert (
        len({task_name(each) for each in ("客服", "票务", "票务 agent", "客服 agent", "///", "a" * 300)}) == 6
    )


def test_the_report_says_which_names_were_changed_and_which_became_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    names = ["support agent", "support/agent", 7, "triage", True, None]
    rows = [pair(f"id-{number}", metadata={"task": name}) for number, name in enumerate(names)]
    report = desk.take(desk.write("a.jsonl", *rows))
    assert report.tasks == {"support-agent": 2, "unassigned": 2, "7": 1, "triage": 1}
    assert report.renamed_tasks == {"support agent": "support-agent", "support/agent": "support-agent"}
    assert "'support agent' is support-agent" in report.text
    assert "Several became one: support-agent" in report.text
    desk.store.close()
