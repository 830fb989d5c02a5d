"""The guidelines that a label was made under stay readable, whatever guidelines.md says by now."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from review_world import World, make_world

from workbench import review
from workbench.config import Workspace
from workbench.errors import UsageError

FIRST = "Judge topics with care.\n"
SECOND = '=Prefer the safer topic,\n\n- "also" where both fit.\n'
WHERE = ("topics", "tiny-llm")


def rewrite(world: World, text: str) -> None:
    """Edit the guidelines of the task."""
    (world.root / "evals" / "topics" / "guidelines.md").write_text(text, encoding="utf-8")
    world.workspace = Workspace.load(world.root)


def judge(world: World, verdict: str = "equal", who: str = "mia") -> str | None:
    """Label the next item and return the version that the label carries."""
    item = review.next_item(world.workspace, world.store, *WHERE, who, now=world.clock)
    assert item is not None
    label = review.submit(world.workspace, world.store, item, who, verdict, now=world.clock)
    return label.guideline_version


def texts(world: World) -> dict[str, str | None]:
    """Return the text of every version."""
    return {
        each.version: each.text for each in review.guideline_texts(world.workspace, world.store, "topics")
    }


@pytest.fixture
def judged(world: World) -> tuple[World, str, str]:
    """Return a world with labels under two versions, and both versions."""
    world.add_replay("topics", [("a", "b")] * 8)
    first = judge(world)
    judge(world)
    rewrite(world, SECOND)
    second = judge(world, "control_better")
    assert first
    assert second
    return world, first, second


def test_a_label_keeps_the_words_it_was_made_under(judged: tuple[World, str, str]) -> None:
    """After an edit both texts are there, the one that stands first, each with its labels."""
    world, first, second = judged
    found = review.guideline_texts(world.workspace, world.store, "topics")
    assert [(each.version, each.text, each.labels, each.current) for each in found] == [
        (second, SECOND, 1, True),
        (first, FIRST, 2, False),
    ]
    assert found[1].kept_at == world.clock()
    rewrite(world, "Quite other rules.\n")
    now = review.guideline_texts(world.workspace, world.store, "topics")
    assert [(each.text, each.labels) for each in now] == [
        ("Quite other rules.\n", 0),
        (SECOND, 1),
        (FIRST, 2),
    ]
    assert review.guideline_text(world.workspace, world.store, "topics", first[:6]).text == FIRST


def test_a_version_is_kept_once_and_back_again_is_the_same(judged: tuple[World, str, str]) -> None:
    """Rows are only ever added: an edit that is taken back adds none."""
    world, first, _ = judged
    rewrite(world, FIRST)
    assert judge(world) == first
    rows = world.store.rows("SELECT version, text FROM guideline_texts ORDER BY seq")
    assert [row["text"] for row in rows] == [FIRST, SECOND]
    assert review.guideline_texts(world.workspace, world.store, "topics")[0].labels == 3


def test_an_item_handed_out_before_an_edit_keeps_what_it_was_shown_with(world: World) -> None:
    """The text comes from the page of the reviewer, not from the file of that moment."""
    world.add_replay("topics", [("a", "b")] * 3)
    item = review.next_item(world.workspace, world.store, *WHERE, "mia", now=world.clock)
    assert item is not None
    rewrite(world, SECOND)
    turn = review.answer(
        world.workspace, world.store, item, "tiny-llm", "mia", review.Answer("equal"), now=world.clock
    )
    assert texts(world)[str(turn.label.guideline_version)] == FIRST


def test_decisions_and_items_for_other_programs_keep_their_text_too(world: World, tmp_path: Path) -> None:
    """What somebody decides, and what goes out to be labelled elsewhere, is under guidelines as well."""
    world.add_replay("topics", [("a", "b")] * 30)
    where = (world.workspace, world.store, *WHERE)
    review.hand_over(*where, tmp_path / "out", to="argilla", limit=1, now=world.clock)
    assert list(texts(world).values()) == [FIRST]
    assert world.store.value("SELECT count(*) FROM guideline_texts") == 1
    pair = world.store.rows("SELECT replay_id, call_id FROM comparisons LIMIT 1")[0]
    for who, verdict in (("mia", "equal"), ("noor", "control_better")):
        item = review.pick(*where, who, pair["call_id"], now=world.clock)
        review.submit(*where[:2], item, who, verdict, now=world.clock)
    rewrite(world, SECOND)
    dispute = review.disputes(world.workspace, world.store, *WHERE)[0]
    review.adjudicate(world.workspace, world.store, dispute, "ada", "equal", now=world.clock)
    assert sorted(filter(None, texts(world).values())) == sorted([FIRST, SECOND])


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_exported_labels_carry_their_guidelines_and_bring_them_back(
    judged: tuple[World, str, str], tmp_path: Path, form: str
) -> None:
    """Each row of a file says what its label was made under, also where that reads like a formula."""
    world, first, second = judged
    file = tmp_path / f"labels.{form}"
    review.export_labels(world.workspace, world.store, file, task="topics")
    if form == "csv":
        rows = list(csv.DictReader(file.open(newline="", encoding="utf-8")))
        assert rows[-1]["guidelines"].startswith("'=")
    elif form == "jsonl":
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    else:
        rows = pq.read_table(file).to_pylist()
    assert [row["guidelines"].lstrip("'") for row in rows] == [FIRST, FIRST, SECOND]
    other = make_world(tmp_path / "other")
    with other.store:
        rewrite(other, "Rules of this place.\n")
        other.add_replay("topics", [("a", "b")] * 8)
        report = review.import_labels(
            other.workspace, other.store, file, task="topics", candidate="tiny-llm", now=other.clock
        )
        assert report.accepted == 3
        found = texts(other)
    assert (found[first], found[second]) == (FIRST, SECOND)


def test_a_file_whose_text_is_not_that_of_its_version_brings_none(
    judged: tuple[World, str, str], tmp_path: Path
) -> None:
    """A version is the hash of its text: no file can put other words under a label."""
    world, first, _ = judged
    file = tmp_path / "labels.jsonl"
    review.export_labels(world.workspace, world.store, file, task="topics")
    file.write_text(file.read_text(encoding="utf-8").replace("with care", "in haste"), encoding="utf-8")
    other = make_world(tmp_path / "other")
    with other.store:
        rewrite(other, "Rules of this place.\n")
        other.add_replay("topics", [("a", "b")] * 8)
        review.import_labels(
            other.workspace, other.store, file, task="topics", candidate="tiny-llm", now=other.clock
        )
        assert texts(other)[first] is None


def test_an_unknown_version_names_those_there_are(judged: tuple[World, str, str]) -> None:
    """Nothing, or two versions that begin alike, is an error that lists what is known."""
    world, first, second = judged
    for wrong in ("zzz", ""):
        with pytest.raises(UsageError) as caught:
            review.guideline_text(world.workspace, world.store, "topics", wrong)
        assert first in str(caught.value.hint)
        assert second in str(caught.value.hint)
