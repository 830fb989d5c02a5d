"""From an empty workspace to a recommendation: each stage is told from the store, and so is the next step."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from app_building import Pair, answer, demo_pairs, fill, make_workspace
from click.testing import CliRunner
from overview_rows import POLICY, row

from workbench import Workbench, ramp
from workbench.cli import cli
from workbench.config import Workspace
from workbench.journey import (
    DONE,
    LATER,
    NEXT,
    Facts,
    Journey,
    falls,
    headline,
    journey,
    next_steps,
    told,
    wants_labels,
)
from workbench.records import Basis, Policy
from workbench.scoring import OverviewRow
from workbench.scoring.freshness import Ages
from workbench.stats.evidence import OutcomeGroup, Population
from workbench.store import Store


def states(found: Journey) -> dict[str, str]:
    return {each.name: each.state for each in found.stages}


def test_every_stage_follows_from_the_store(tmp_path: Path) -> None:
    """Calls, an eval, a candidate, a replay: one after the other, and the command names the real thing."""
    root = tmp_path / "w"
    full = make_workspace(root)
    assert full.evals  # Read before the files go.
    text = (root / "workbench.toml").read_text()
    (root / "workbench.toml").write_text("")
    moved = {each: each.read_text() for each in root.glob("evals/*/eval.toml")}
    for each in moved:
        each.unlink()
    with Store.open(full.store_path, spool=full.spool) as store:
        found = journey(Workspace.load(root), store)
        assert list(states(found).values()) == [NEXT, *[LATER] * 5]
        assert found.next_step is not None
        assert found.next_step.page == "upload"

        pairs = [each for each in demo_pairs(80) if each.task == "triage"]
        fill(full, store, pairs)
        with store.writing() as writer:
            for table in ("replays", "replay_calls", "observations", "comparisons"):
                writer.execute(f"DELETE FROM {table}")  # noqa: S608
        found = journey(Workspace.load(root), store)
        assert [states(found)[each] for each in ("log", "task")] == [DONE, NEXT]
        assert found.stages[0].said == "80 calls in 1 task."
        assert found.next_step is not None
        assert found.next_step.command == "workbench profile"

        for each, content in moved.items():
            each.write_text(content)
        assert states(journey(Workspace.load(root), store))["candidate"] == NEXT
        (root / "workbench.toml").write_text(text)
        found = journey(Workspace.load(root), store)
        assert states(found)["replay"] == NEXT
        assert found.next_step is not None
        assert found.next_step.command == "workbench replay --task triage --candidate small"
        assert found.next_step.query == {"task": "triage", "candidate": "small"}
        assert not found.finished


def test_a_finished_way_names_the_next_step_of_the_task_that_goes_furthest(tmp_path: Path) -> None:
    """With a first recommendation every stage is done, and labels are called what they are: for later."""
    workspace = make_workspace(tmp_path / "w")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, demo_pairs())
        found = journey(workspace, store)
    assert found.finished
    assert found.stages[4].said.startswith("Not needed for the first stage")
    assert {each.task for each in found.tasks} == {"triage", "orders", "rewrite"}
    assert found.next_step is not None
    assert found.next_step.command == "workbench recommend --task triage --candidate small"


def test_a_made_up_candidate_finishes_no_stage(tmp_path: Path) -> None:
    """It shows how the workbench works and moves nothing."""
    workspace = make_workspace(tmp_path / "w")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, [each for each in demo_pairs() if each.task == "triage"], "planted")
        found = journey(workspace, store)
    assert states(found)["replay"] == NEXT
    assert [each.synthetic for each in found.tasks] == [True]


def test_what_was_answered_and_not_compared_is_compared_next(tmp_path: Path) -> None:
    """A replay without a comparison is no second replay."""
    workspace = make_workspace(tmp_path / "w")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(
            workspace, store, [Pair("triage", n, f"t{n}", answer("other"), answer("other")) for n in range(5)]
        )
        with store.writing() as writer:
            writer.execute("DELETE FROM comparisons")
        found = journey(workspace, store)
    assert found.next_step is not None
    assert found.next_step.command == "workbench compare --task triage --candidate small"


def test_names_from_a_log_are_quoted_in_commands() -> None:
    """What a task is called runs nothing when the command is copied."""
    step = next_steps(row("a; rm -rf $HOME", "`x`"))[0]
    assert shlex.split(step.command)[3:] == ["a; rm -rf $HOME", "--candidate", "`x`"]


@pytest.mark.parametrize(
    ("found", "pages"),
    [
        (row(), ("ramp", "review")),
        (row(compared=10, disagreements=0), ("replays", "ramp")),
        (row(disagreements=150), ("review", "ramp")),
        (row(ages=Ages(None, None, None, newer=5)), ("ramp", "review", "replays")),
    ],
)
def test_the_next_step_fits_what_is_missing(found: OverviewRow, pages: tuple[str, ...]) -> None:
    """A ramp to look at, calls to replay, cases to look into, newer calls to take in."""
    assert tuple(each.page for each in next_steps(found)) == pages


def test_a_share_that_slices_hold_back_whole_moves_nothing() -> None:
    """Beside "0 of 3 tasks can move" no card says to move 1 %: it says what holds it back."""
    found = row()
    held = row(recommendation=replace(found.recommendation, effective_share=0.0))
    assert headline(found).startswith("Move 1 %")
    assert headline(held) == "Nothing may move yet: the evidence allows 1 %, slices hold all of it back."
    assert next_steps(held)[0].words == "See why and what is missing"


def decided(policy: Policy = POLICY, **fields: Any) -> OverviewRow:
    """Return a row with the real decision on some evidence."""
    task = fields.pop("task", Population(compared=400, disagreements=150))
    found = ramp.recommend(ramp.Evidence(task=task, days=20.0, **fields), policy)
    return row(recommendation=found, basis=task.basis)


def served(found: OverviewRow, current: float) -> OverviewRow:
    """Return a row with another share in force."""
    return replace(found, recommendation=replace(found.recommendation, current_share=current))


def test_traffic_that_has_to_go_back_comes_before_all_else() -> None:
    """An alarm at night: neither a label nor a first step is what to do in the morning."""
    known = Facts((("triage", 9), ("orders", 9)), ("triage", "orders"), ("small",), 1, (), 0)
    fine, worse = served(row(), 0.01), served(row("orders", disagreements=150), 0.25)
    # Slices hold all of it back: what serves has to go back, too.
    base = row("notes").recommendation
    held = row("notes", recommendation=replace(base, effective_share=0.0, current_share=0.01))
    assert told(known, [row(), fine]).urgent is None
    assert not falls(fine)
    for rows in ([fine, worse, held], [held, worse], [replace(fine, synthetic=True), worse]):
        found = told(known, rows)
        assert found.urgent is not None
        assert found.urgent.task == "orders"
        assert found.next_step == next_steps(worse)[0]
        assert found.next_step.words == "See what to take back"
        assert found.text.endswith("workbench recommend --task orders --candidate small")
    assert next_steps(held)[0].words == "See what to take back"
    # A made-up candidate has no traffic of anybody's.
    assert told(known, [fine, replace(worse, synthetic=True)]).urgent is not None
    assert told(known, [fine, replace(worse, task="triage", synthetic=True)]).urgent is None


def test_labels_and_latency_are_asked_for_where_they_are_what_is_missing() -> None:
    """A semantic task without a look needs labels; a latency nobody measured needs a probe."""
    unseen = decided(task=Population(basis=Basis.SEMANTIC, compared=400, disagreements=150))
    assert next_steps(unseen)[0].page == "review"
    first = next_steps(
        decided(replace(POLICY, latency_p95_ms=500.0), task=Population(compared=400, disagreements=4))
    )[0]
    assert first.query["measure"] == "latency"
    assert first.command.endswith("--probe latency")


@pytest.mark.parametrize("kind", ["label", "field"])
def test_what_an_answer_is_called_asks_for_no_label(kind: str) -> None:
    """A candidate that has given up an answer is looked into, whatever that answer is called."""
    gone = OutcomeGroup(kind, "label account", 60, 2, Population(compared=60, disagreements=58))
    found = decided(groups=(gone,))
    assert "label account" in " ".join(found.recommendation.missing)
    assert not wants_labels(found)
    assert [each.page for each in next_steps(found)] == ["compare", "ramp"]
    poor = replace(gone, agreements=44, population=Population(compared=60, disagreements=16))
    assert wants_labels(decided(task=Population(compared=400, disagreements=16), groups=(poor,)))


def test_an_estimate_above_the_tolerance_asks_for_no_label() -> None:
    """Where more labels will hardly help, the sentence that says so does not ask for them."""
    task = Population(
        compared=400,
        disagreements=100,
        audited=200,
        audited_disagreements=50,
        harms=14,
        cleared=36,
        looked=50,
    )
    found = decided(task=task)
    assert found.recommendation.missing[0].startswith("More labels will hardly help")
    assert not wants_labels(found)
    assert next_steps(found)[0].page == "compare"


def test_labels_that_help_nobody_are_not_the_next_stage() -> None:
    """With one candidate that has given up an answer, the next step is to see why, not to label."""
    gone = OutcomeGroup("label", "account", 60, 2, Population(compared=60, disagreements=58))
    known = Facts((("triage", 400),), ("triage",), ("small",), 1, (("triage", "small"),), 0)
    found = told(known, [decided(groups=(gone,))])
    assert states(found) | {"labels": LATER, "ramp": NEXT} == states(found)
    assert "none would help" in found.stages[4].said
    assert found.next_step is not None
    assert found.next_step.page == "compare"


def test_the_command_and_the_facade_say_the_same(tmp_path: Path) -> None:
    """`workbench status` prints the way, the tasks and the next step; with --json one document."""
    workspace = make_workspace(tmp_path / "w")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, [each for each in demo_pairs() if each.task == "triage"])
    done = CliRunner().invoke(cli, ["status", "--workspace", str(workspace.root)])
    assert done.exit_code == 0, done.output
    assert "[x] Import a log. 240 calls in 1 task." in done.stdout
    assert "triage / small: Move 1 % of the traffic next" in done.stdout
    assert "workbench recommend --task triage --candidate small" in done.stdout
    document = json.loads(
        CliRunner().invoke(cli, ["status", "--json", "--workspace", str(workspace.root)]).stdout
    )
    with Workbench(workspace.root) as bench:
        found = bench.status()
    assert [each["state"] for each in document["stages"]] == [each.state for each in found.stages]
    assert document["next_step"]["command"] == found.next_step.command if found.next_step else None
