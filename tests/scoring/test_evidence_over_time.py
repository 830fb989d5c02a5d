"""Evidence over time, from the store: it ends where the decision stands, whatever was changed on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scoring_world import START, ByLetters, World, make_world

from workbench.records import LabelVerdict
from workbench.review import label_moves
from workbench.review.chronicle import changes_of
from workbench.scoring import compare, recommend
from workbench.scoring.evidence import evidence
from workbench.scoring.trail import Trail, evidence_over_time
from workbench.stats.harm import regressions

WORSE, EQUAL, BETTER = LabelVerdict.CONTROL_BETTER, LabelVerdict.EQUAL, LabelVerdict.CANDIDATE_BETTER


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    each = make_world(tmp_path)
    with each.store:
        yield each


def followed(world: World, task: str) -> Trail:
    """Return the trail, having checked that it ends where the decision stands."""
    trail = evidence_over_time(world.workspace, world.store, task, "small")
    answer = recommend(world.workspace, world.store, task, "small")
    assert trail.steps[-1].harm == answer.harm
    assert trail.steps[-1].labels == answer.details["looked"]
    assert trail.steps[-1].calls == answer.details["compared"]
    return trail


def label(name: str, number: int, verdict: LabelVerdict | None, **more: Any) -> dict[str, Any]:
    """Return a label row on a call of `topics`."""
    return {
        "label_id": name,
        "replay_id": "r1",
        "call_id": f"topics-{number:05d}",
        "verdict": verdict.value if verdict else None,
        "annotator": "mia",
        "reasons": [],
        "note": "",
        "source": "queue",
        "skipped": False,
        "created_at": START,
    } | more


def test_calls_and_verdicts_stand_in_the_order_in_which_they_came(world: World) -> None:
    """A batch, labels, another batch, a label that supersedes one: each moves the bound when it came."""
    world.add("topics", [("a", "b" if number in (20, 60) else "a") for number in range(100)])
    compare(world.workspace, world.store, "topics")
    world.store.append("labels", [label("one", 20, WORSE), label("two", 60, EQUAL)])
    world.add("topics", [("a", "a")] * 100, replay="r2", first=100)
    compare(world.workspace, world.store, "topics")
    world.store.append("labels", [label("three", 20, BETTER, supersedes="one")])
    trail = followed(world, "topics")
    kinds = [(each.kind, each.calls, each.labels) for each in trail.steps]
    first = kinds.index(("calls", 100, 0))
    assert kinds[first + 1 : first + 3] == [("labels", 100, 1), ("labels", 100, 2)]
    assert kinds[first + 3][:1] == ("calls",)
    assert kinds[-2:] == [("calls", 200, 2), ("labels", 200, 2)]
    # The verdict that was changed counted until then.
    assert trail.steps[-2].harm.point == pytest.approx(1 / 200)
    assert trail.steps[-1].harm.point == 0
    assert trail.steps[-1].at == START
    assert [each.stage for each in trail.reached][:1] == [0.01]


def test_a_semantic_task_starts_with_what_people_said(world: World) -> None:
    """Calls alone prove nothing; each draw's verdict moves the bound, and one that lapsed counts as harm."""
    world.add("rewrite", [("aaaa bb", "aaaa bb")] * 60)
    compare(world.workspace, world.store, "rewrite", embedder=lambda _: ByLetters())
    world.draw("rewrite", [(number, EQUAL) for number in range(30)] + [(30, None)])
    trail = followed(world, "rewrite")
    assert trail.steps[0].harm.high == 1.0
    assert trail.steps[-2].harm.high < trail.steps[0].harm.high
    assert trail.steps[-1].harm.high > trail.steps[-2].harm.high
    assert trail.steps[-1].harm.n == 31


def test_nothing_compared_is_no_step(world: World) -> None:
    """Before the first comparison there is nothing to draw."""
    assert evidence_over_time(world.workspace, world.store, "topics", "small").steps == ()


def test_a_change_is_told_only_where_what_counts_changes() -> None:
    """A second reviewer who says better, a first look by hand, a repeated verdict change nothing."""
    rows = [
        label("a", 1, EQUAL, supersedes=None, draw_id=None, draw_probability=None, guideline_version=None)
        | {"seq": 1},
        label("b", 1, BETTER, annotator="bob") | {"seq": 2},
        label("c", 1, WORSE, source="by_hand") | {"seq": 3},
        label("d", 1, EQUAL, supersedes="a") | {"seq": 4},
        label("e", 1, WORSE, annotator="cyd") | {"seq": 5},
        label("f", 1, None, annotator="cyd", supersedes="e") | {"seq": 6},
        label("g", 1, BETTER, source="adjudicated", annotator="dan") | {"seq": 7},
    ]
    full = [
        {"supersedes": None, "draw_id": None, "draw_probability": None, "guideline_version": None} | row
        for row in rows
    ]
    found = changes_of(full)
    told = [(each.seq, each.effective.verdict if each.effective else None) for each in found]
    assert told == [(1, EQUAL), (5, WORSE), (6, EQUAL), (7, BETTER)]


def test_labels_that_count_at_once_move_the_bound_at_once(world: World) -> None:
    """No queue asked for them: they count when every disagreement has one; no step between was true."""
    world.add("topics", [("a", "a")] * 180 + [("a", "b")] * 20)
    compare(world.workspace, world.store, "topics")
    where = (world.workspace, world.store, "topics", "small")
    steps = [evidence(*where).task]
    for number in range(180, 200):
        verdict = WORSE if number == 185 else EQUAL
        world.label("topics", number, verdict, source="imported")
        steps.append(evidence(*where).task)
    policy = world.workspace.eval_for("topics").policy
    bounds = [regressions(each, policy.delta).estimate.high for each in steps]
    assert len(set(bounds[:-1])) == 1, "until the last one, none of them counts"
    (move,) = label_moves(*where, limit=None)
    assert move.together == 20
    assert (move.before, move.after) == (pytest.approx(bounds[0]), pytest.approx(bounds[-1]))
