"""All of labelling from the command line and from Python, without the app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from review_world import EVALS, make_world

from workbench.cli import cli
from workbench.facade import Workbench
from workbench.records import LabelVerdict

QUEUE = ("--task", "topics", "--candidate", "tiny-llm")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a workspace with six disagreements, each of which two people judge."""
    folder = tmp_path / "space"
    world = make_world(folder)
    rules = "[review]\ndouble_share = 1.0\nshow_effect = true\n"
    (folder / "evals" / "topics" / "eval.toml").write_text(EVALS["topics"] + rules, encoding="utf-8")
    with world.store:
        world.add_replay("topics", [("a", "b")] * 6)
    return folder


def run(root: Path, *words: str, code: int = 0) -> Any:
    """Run `workbench label ... --json` and return what it printed."""
    done = CliRunner().invoke(cli, ["label", *words, "--workspace", str(root), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if code == 0 else done.output


def test_a_reviewer_works_from_the_command_line(root: Path) -> None:
    """Next, submit twice, skip, undo, history; what is printed names no side's role."""
    item = run(root, "next", *QUEUE, "--as", "mia")
    assert run(root, "next", *QUEUE, "--as", "mia")["ticket"] == item["ticket"]
    said = run(root, "submit", item["ticket"], "--as", "mia", "--choice", "left", "--reason", "wrong")
    assert said["choice"] == "left"
    assert "of calls get worse" in said["effect"]
    assert run(root, "submit", item["ticket"], "--as", "mia", "--choice", "right") == said
    second = run(root, "next", *QUEUE, "--as", "mia")
    assert run(root, "skip", second["ticket"], "--as", "mia", "--reason", "unsure")["choice"] == "skipped"
    again = run(root, "undo", *QUEUE, "--as", "mia")
    assert again["ticket"].partition(".")[0] == second["ticket"].partition(".")[0]
    judged = run(root, "submit", again["ticket"], "--as", "mia", "--right", "neither", "--corrected", "c")
    assert judged["choice"] == "both_bad"
    found = run(root, "history", *QUEUE, "--as", "mia")
    assert [each["choice"] for each in found] == ["both_bad", "left"]
    for document in (item, said, found):
        assert "control" not in json.dumps(document)
    status = run(root, "queue", *QUEUE)
    assert status["states"]["labelled"] == 2
    assert [each["annotator"] for each in status["reviewers"]] == ["mia"]
    gold = run(root, "gold", "--task", "topics")
    assert (gold["answers"], Path(gold["path"]).name) == (1, "gold.jsonl")


def test_a_team_settles_conflicts_from_the_command_line(root: Path) -> None:
    """Two differ, a third decides; agreement, checks and effects are told."""
    for who, choice in (("mia", "equal"), ("noor", "both_bad")):
        for _ in range(2):
            item = run(root, "next", *QUEUE, "--as", who)
            run(root, "submit", item["ticket"], "--as", who, "--choice", choice)
    heads = run(root, "conflicts", *QUEUE, "--as", "ada")
    assert heads
    opened = run(root, "conflicts", *QUEUE, "--as", "ada", "--open", heads[0]["key"])
    assert {vote["choice"] for vote in opened["votes"]} == {"equal", "both_bad"}
    run(root, "adjudicate", heads[0]["key"], *QUEUE, "--as", "ada", "--choice", "equal")
    assert len(run(root, "conflicts", *QUEUE, "--as", "ada")) == len(heads) - 1
    report = run(root, "agreement", "--task", "topics")
    assert report["versions"][0]["doubled"] == len(heads)
    assert run(root, "checks", "--task", "topics") == []
    effect = run(root, "effect", *QUEUE)
    assert effect["moves"]
    assert effect["changes"]["sentence"]


@pytest.mark.parametrize("to", ["csv", "jsonl", "parquet"])
def test_labels_leave_in_any_table_whatever_the_file_is_called(root: Path, tmp_path: Path, to: str) -> None:
    """`--to` decides the format, and the import reads it again as nothing new."""
    item = run(root, "next", *QUEUE, "--as", "mia")
    run(root, "submit", item["ticket"], "--as", "mia", "--choice", "equal", "--note", "=1+1")
    file = tmp_path / "labels.txt"
    assert run(root, "export", str(file), "--to", to)["labels"] == 1
    known = run(root, "import", str(file), "--task", "topics")
    assert (known["records"], known["skipped"]) == (1, 1)


def test_the_words_for_a_verdict_stand_in_the_help_and_beside_rows_that_miss_them(root: Path) -> None:
    """The help lists the verdicts, and so does the report beside the first rows that name none of them."""
    words = [each.value for each in LabelVerdict]
    told = CliRunner().invoke(cli, ["label", "import", "--help"]).output
    assert all(word in told for word in words)
    file = root / "verdicts.csv"
    file.write_text("id,verdict\n" + "".join(f"c-{each},control\n" for each in range(8)))
    command = ["label", "import", str(file), "--task", "topics", "--workspace", str(root)]
    done = CliRunner().invoke(cli, command)
    reason = f"'control' is not a verdict; these are: {', '.join(words)}."
    assert done.exit_code == 0
    assert f"  8 x {reason}" in done.output
    assert [line for line in done.output.splitlines() if "verdicts.csv:" in line][1:] == [
        f"    verdicts.csv:{line}: {reason}" for line in range(2, 7)
    ]
    assert "    and 3 more" in done.output


@pytest.mark.parametrize("to", ["argilla", "label-studio"])
def test_items_leave_for_another_program(root: Path, tmp_path: Path, to: str) -> None:
    """They need a task and a candidate, and the files are named."""
    report = run(root, "export", str(tmp_path / "out"), "--to", to, *QUEUE, "--limit", "2")
    assert report["items"] == 2
    assert all(Path(each).is_file() for each in report["files"])
    assert "need --task" in run(root, "export", str(tmp_path), "--to", to, code=2)


def test_mistakes_at_the_command_line_say_what_to_do(root: Path) -> None:
    """A ticket of somebody else, no answer, two answers."""
    item = run(root, "next", *QUEUE, "--as", "mia")
    ticket = item["ticket"]
    assert "label next" in run(root, "submit", ticket, "--as", "noor", "--choice", "equal", code=2)
    assert "Say --choice" in run(root, "submit", ticket, "--as", "mia", code=2)
    both = ("submit", ticket, "--as", "mia", "--choice", "equal", "--right", "both")
    assert "Say --choice" in run(root, *both, code=2)
    assert "label next" in run(root, "skip", "nonsense.²", "--as", "mia", code=2)


def test_nobody_labels_at_the_command_line_under_guidelines_they_have_not_seen(root: Path) -> None:
    """An item that was handed out before the guidelines were edited is asked for again."""
    item = run(root, "next", *QUEUE, "--as", "mia")
    (root / "evals" / "topics" / "guidelines.md").write_text("Quite other rules.\n", encoding="utf-8")
    said = run(root, "submit", item["ticket"], "--as", "mia", "--choice", "left", code=2)
    assert "changed since this item was handed out" in said
    again = run(root, "next", *QUEUE, "--as", "mia")
    assert again["ticket"] != item["ticket"]
    run(root, "submit", again["ticket"], "--as", "mia", "--choice", "left")


def test_python_does_what_the_command_line_does(root: Path, tmp_path: Path) -> None:
    """One object per queue, with the same functions behind it."""
    with Workbench(root) as bench:
        desk = bench.labelling("topics", "tiny-llm")
        item = desk.next("mia")
        assert item is not None
        label = desk.submit(item, "mia", item.absolute(True, True))
        assert (label.verdict, desk.history("mia")) == ("equal", [label])
        assert desk.item(item.ticket, "mia").item_id == item.item_id
        assert desk.effect(label) is not None
        assert desk.status().drawn == {"audit": 1}
        assert desk.undo("mia") is not None
        first = desk.next_by_hand("noor")
        assert first is not None
        desk.skip(first, "noor")
        picked = desk.pick("noor", "replay-1-0-3")
        desk.submit(picked, "noor", "equal")
        assert desk.by_hand().judged == 0
        assert desk.paired_truth().n == 0
        assert desk.attention() == ()
        assert desk.conflicts("ada") == []
        assert desk.agreement().warning == ""
        assert desk.what_would_change().sentence
        assert desk.moves() == []
        assert desk.hand_over(tmp_path / "out", to="argilla", limit=1).items == 1
        assert bench.gold_answers("topics") == []
        assert bench.write_gold_set("topics").answers == 0
