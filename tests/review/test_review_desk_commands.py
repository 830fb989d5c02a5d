"""One's own labels looked at and changed, sides decided, and what stays blind: from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from review_world import EVALS, make_world

from workbench.cli import cli
from workbench.facade import Workbench

TOPICS = ("--task", "topics", "--candidate", "tiny-llm")
ORDERS = ("--task", "orders", "--candidate", "tiny-llm")
ALIKE = '{"sku": "A1", "total": 10}'
OTHER = '{"sku": "A1", "total": 12}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a workspace with pairs of three tasks, each of which two people judge."""
    folder = tmp_path / "space"
    world = make_world(folder)
    for task in ("topics", "orders"):
        text = EVALS[task] + "[review]\ndouble_share = 1.0\n"
        (folder / "evals" / task / "eval.toml").write_text(text, encoding="utf-8")
    with world.store:
        world.add_replay("topics", [("a", "b")] * 4)
        world.add_replay("orders", [(ALIKE, OTHER)] * 3)
        world.add_replay("rewrite", [("Thanks, we refund you.", "Thanks, we \x1b[31mrefuse you.")] * 4)
    return folder


def told(root: Path, *words: str, code: int = 0) -> str:
    """Run `workbench label ...` and return what a person reads."""
    done = CliRunner().invoke(cli, ["label", *words, "--workspace", str(root)])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def run(root: Path, *words: str, code: int = 0) -> Any:
    """Run `workbench label ... --json` and return what it printed."""
    text = told(root, *words, "--json", code=code)
    return json.loads(text) if code == 0 else text


def judge(root: Path, queue: tuple[str, ...], who: str, *said: str) -> dict[str, Any]:
    """Ask for the next item and answer it."""
    item = run(root, "next", *queue, "--as", who)
    return dict(run(root, "submit", item["ticket"], "--as", who, *said))


def test_the_terminal_shows_guidelines_and_what_differs(root: Path) -> None:
    """Words of a text, fields of an answer with the unequal first; no letter of it steers the terminal."""
    text = told(root, "next", "--task", "rewrite", "--candidate", "tiny-llm", "--as", "mia")
    assert "Judge rewrite with care." in text
    assert '"refund"' in text.partition("What differs")[2] or "refund" in text.partition("What differs")[2]
    assert "refuse" in text.partition("What differs")[2]
    assert '"Thanks' not in text.partition("What differs")[2]
    assert "\x1b" not in text
    text = told(root, "next", *ORDERS, "--as", "mia")
    assert "1 of 2 fields differ." in text
    assert "  total: " in text
    assert "  sku: " not in text
    for name in ("control", "candidate_", "frontier", "tiny"):
        assert name not in text.replace("--candidate", "")


def test_a_reviewer_looks_at_a_label_again_and_changes_it(root: Path) -> None:
    """Reasons, note and choice change; sides are those of the page, and what was said before stays."""
    label = judge(root, TOPICS, "mia", "--choice", "left", "--reason", "wrong")
    seen = run(root, "look", label["label_id"][:12], *TOPICS, "--as", "mia")
    assert seen["label"]["choice"] == "left"
    assert seen["ticket"] is None
    assert seen["guidelines"] == "Judge topics with care.\n"
    assert "control" not in json.dumps(seen)
    changed = run(
        root, "amend", "last", *TOPICS, "--as", "mia", "--choice", "right", "--note", "on reflection"
    )
    assert (changed["choice"], changed["reasons"], changed["note"]) == ("right", ["wrong"], "on reflection")
    emptied = run(root, "amend", "last", *TOPICS, "--as", "mia", "--no-reasons")
    assert (emptied["choice"], emptied["reasons"]) == ("right", [])
    assert "said already" in told(root, "amend", "last", *TOPICS, "--as", "mia", "--choice", "right")
    assert "on reflection" in told(root, "look", "last", *TOPICS, "--as", "mia")
    assert [each["choice"] for each in run(root, "history", *TOPICS, "--as", "mia")] == ["right"]
    with Workbench(root) as bench:
        assert bench.store.value("SELECT count(*) FROM labels") == 3
        desk = bench.labelling("topics", "tiny-llm")
        mine = desk.own_label("mia")
        assert desk.look_again("mia", mine).call_id == mine.call_id
        assert desk.guidelines()[0].text == "Judge topics with care.\n"


def test_what_was_said_of_each_side_is_changed_too(root: Path) -> None:
    """Wrong fields instead of a choice; the verdict follows."""
    judge(root, ORDERS, "mia", "--left-wrong", "total")
    changed = run(root, "amend", "last", *ORDERS, "--as", "mia", "--right-wrong", "total")
    assert changed["choice"] == "left"
    with Workbench(root) as bench:
        said = bench.labelling("orders", "tiny-llm").own_label("mia").absolute
        assert said is not None
        assert sorted((said.control_wrong, said.candidate_wrong)) == [(), ("total",)]


def test_only_ones_own_labels_are_looked_at_or_changed(root: Path) -> None:
    """Somebody else's is unknown; nothing, or two things at once, is refused with what to do."""
    label = judge(root, TOPICS, "mia", "--choice", "equal")
    for verb in ("look", "amend"):
        more = ("--note", "mine now") if verb == "amend" else ()
        said = run(root, verb, label["label_id"], *TOPICS, "--as", "noor", *more, code=2)
        assert "label history" in said
    assert "Say what changes" in run(root, "amend", "last", *TOPICS, "--as", "mia", code=2)
    both = ("--choice", "left", "--right", "both")
    assert "Say --choice" in run(root, "amend", "last", *TOPICS, "--as", "mia", *both, code=2)


def test_the_guidelines_of_a_label_are_read_at_the_command_line(root: Path) -> None:
    """The list says which stand and how many labels each has; one is printed whole."""
    label = judge(root, TOPICS, "mia", "--choice", "equal")
    (root / "evals" / "topics" / "guidelines.md").write_text("Quite other rules.\n", encoding="utf-8")
    found = run(root, "guidelines", "--task", "topics")
    assert [(each["current"], each["labels"]) for each in found] == [(True, 0), (False, 1)]
    version = label["guideline_version"]
    assert "Judge topics with care." in told(root, "guidelines", "--task", "topics", "--version", version[:6])
    assert "Judge topics with care." in told(root, "look", "last", *TOPICS, "--as", "mia")
    assert version in told(root, "guidelines", "--task", "topics")
    assert version in run(root, "guidelines", "--task", "topics", "--version", "zzz", code=2)


def test_a_conflict_is_decided_by_sides(root: Path) -> None:
    """Which fields are wrong on each side decides, as on the page; a choice beside it is refused."""
    for who, said in (("mia", ("--choice", "equal")), ("noor", ("--choice", "both_bad"))):
        for _ in range(3):
            judge(root, ORDERS, who, *said)
    key = run(root, "conflicts", *ORDERS, "--as", "ada")[0]["key"]
    shown = told(root, "conflicts", *ORDERS, "--as", "ada", "--open", key)
    assert "1 of 2 fields differ." in shown
    assert "label adjudicate" in shown
    assert "label submit" not in shown
    two = ("--choice", "equal", "--left-wrong", "total")
    assert "or there are two" in run(root, "adjudicate", key, *ORDERS, "--as", "ada", *two, code=2)
    made = run(root, "adjudicate", key, *ORDERS, "--as", "ada", "--left-wrong", "total")
    assert made["choice"] == "right"
    with Workbench(root) as bench:
        row = bench.store.rows("SELECT * FROM labels WHERE source = 'adjudicated'")[0]
        assert sorted((row["control_wrong"], row["candidate_wrong"])) == [[], ["total"]]
        assert row["control_right"] != row["candidate_right"]


def test_the_effect_of_labels_tells_no_verdict_on_what_is_still_judged_blind(root: Path) -> None:
    """Neither who nor how, before one's own label; opened, all is told and the pair is not asked for."""
    for _ in range(4):
        judge(root, TOPICS, "mia", "--choice", "equal")
    blind = run(root, "effect", *TOPICS, "--as", "noor")["moves"]
    assert blind
    assert all(each["hidden"] and not each["annotator"] and not each["verdict"] for each in blind)
    text = told(root, "effect", *TOPICS, "--as", "noor")
    assert "mia" not in text
    assert "equal" not in text
    own = run(root, "effect", *TOPICS, "--as", "mia")["moves"]
    assert {(each["annotator"], each["verdict"]) for each in own} == {("mia", "equal")}
    # Nobody by name: whoever runs it is a reviewer, too.
    assert all(each["hidden"] for each in run(root, "effect", *TOPICS)["moves"])
    judged = judge(root, TOPICS, "noor", "--choice", "equal")
    mixed = run(root, "effect", *TOPICS, "--as", "noor")["moves"]
    assert {each["hidden"] for each in mixed if each["call_id"] == judged["call_id"]} <= {False}
    opened = run(root, "effect", *TOPICS, "--as", "ada", "--open")["moves"]
    assert not any(each["hidden"] for each in opened)
    assert not any(each["hidden"] for each in run(root, "effect", *TOPICS, "--as", "ada")["moves"])
    calls = {each["call_id"] for each in opened}
    with Workbench(root) as bench:
        desk = bench.labelling("topics", "tiny-llm")
        assert all(each.hidden for each in desk.moves("ken"))
        item = desk.next("ada")
        assert item is None or item.call_id not in calls
