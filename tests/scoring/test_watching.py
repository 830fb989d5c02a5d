"""Drift after the evaluation: outcomes, mix, content, and what follows from an alarm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scoring_world import START, World, make_world

from workbench import Workbench
from workbench.cli import cli
from workbench.embed import text_hash
from workbench.errors import UsageError
from workbench.records import Action, LabelVerdict, Message, Request, to_json
from workbench.rollout import accept
from workbench.scoring import compare, recommend
from workbench.scoring.comparing import open_embedder
from workbench.scoring.considered import consider
from workbench.scoring.watching import WatchReport, watch
from workbench.store.comparisons import add_vectors

CALLS = 600


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    each = make_world(tmp_path)
    with each.store:
        yield each


def answers(rate: float, n: int, seed: int) -> list[tuple[str, str]]:
    dice = np.random.default_rng(seed)
    return [("a", "b" if dice.random() < rate else "a") for _ in range(n)]


def later(world: World, task: str, first: int, *, language: str = "") -> None:
    """Say that the calls from a number on were imported a day after the first sample was drawn."""
    with world.store.writing() as writer:
        writer.append(
            "manifests",
            [
                {
                    "manifest_id": "later",
                    "created_at": START + timedelta(days=1),
                    "source": "log",
                    "format": "test",
                    "files": "[]",
                    "report": "{}",
                }
            ],
        )
        writer.execute(
            "UPDATE calls SET manifest_id = 'later' WHERE task = ? AND CAST(native_id AS INTEGER) >= ?",
            (task, first),
        )
        if language:
            writer.execute("UPDATE calls SET language = ? WHERE manifest_id = 'later'", (language,))


def evaluated_then(world: World, rate: float, *, live: int = CALLS, language: str = "") -> WatchReport:
    """Evaluate at 5 % disagreement, then import and replay calls at another rate."""
    world.add("topics", answers(0.05, CALLS, 1))
    world.add("topics", answers(rate, live, 2), batch=1, first=CALLS)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS, language=language)
    return watch(world.workspace, world.store, "topics", "small")


def test_outcomes_that_stay_as_evaluated_raise_no_alarm(world: World) -> None:
    """The same rate, the same mix: nothing is said to have changed."""
    found = evaluated_then(world, 0.05)
    assert (found.new_calls, found.live) == (CALLS, CALLS)
    assert not found.alarmed
    assert not found.shifted
    assert found.evaluated.n == CALLS
    assert "No alarm" in found.text


def test_a_rate_that_rises_is_an_alarm_and_a_step_down(world: World) -> None:
    """Disagreement of 30 % after an evaluation of 5 % alarms, and a live share falls."""
    found = evaluated_then(world, 0.30)
    assert found.alarmed
    assert found.alarms[0] < 200
    assert "ALARM after" in found.text
    now = watch(world.workspace, world.store, "topics", "small", current_share=0.05)
    assert now.recommendation is not None
    assert now.recommendation.share < 0.05
    assert any(each.name == "drift" and not each.ok for each in now.recommendation.guards)
    # The recommendation of its own does not look for drift.
    alone = recommend(world.workspace, world.store, "topics", "small", current_share=0.05)
    assert all(each.ok for each in alone.guards if each.name == "drift")


def test_one_stage_down_where_only_the_alarm_speaks(world: World) -> None:
    """With every disagreement found harmless the evidence carries the share; the alarm takes one stage."""
    evaluated_then(world, 0.30)
    for number, (_, said) in enumerate([*answers(0.05, CALLS, 1), *answers(0.30, CALLS, 2)]):
        if said == "b":
            world.label("topics", number, LabelVerdict.EQUAL)
    found = watch(world.workspace, world.store, "topics", "small", current_share=0.10)
    assert found.recommendation is not None
    assert found.recommendation.action is Action.STEP_DOWN
    assert found.recommendation.share == 0.05
    after = START + timedelta(days=2)
    anew = watch(world.workspace, world.store, "topics", "small", since=after, current_share=0.05)
    assert not anew.alarmed
    assert anew.new_calls == 0


def test_another_mix_keeps_the_share_from_growing(world: World) -> None:
    """Traffic of another language is said to be another mix, and holds a share that would have grown."""
    found = evaluated_then(world, 0.0, language="fr")
    assert [each.slice for each in found.mix if each.shifted] == ["language"]
    free = recommend(world.workspace, world.store, "topics", "small")
    held = watch(world.workspace, world.store, "topics", "small", current_share=0.0).recommendation
    assert held is not None
    assert free.share > held.share == 0.0
    assert any("another mix by language" in reason for reason in held.reasons)


def test_content_is_compared_where_inputs_are_embedded(world: World) -> None:
    """Vectors that the store holds are compared; none is made, and without any the report says so."""
    found = evaluated_then(world, 0.05)
    assert found.content is None
    assert "workbench slices" in found.text
    with world.store.writing() as writer:
        calls = writer.rows("SELECT * FROM calls ORDER BY call_id")
        writer.execute("DELETE FROM calls")
        for number, call in enumerate(calls):
            call["request"] = to_json(Request((Message("user", f"text {number}"),))).decode()
        writer.append("calls", calls)
    model = open_embedder(world.workspace.eval_for("topics").embedder).model
    dice = np.random.default_rng(0)
    vectors = {
        text_hash(f"text {number}"): (dice.normal(size=6) + (2.0 if number >= CALLS else 0.0)).tolist()
        for number in range(2 * CALLS)
    }
    add_vectors(world.store, model, vectors)
    moved = watch(world.workspace, world.store, "topics", "small")
    assert moved.content is not None
    assert moved.content.value > 0.9
    assert moved.content_shifted
    assert "new content" in moved.text


def test_texts_are_watched_by_labels_alone(world: World) -> None:
    """Labelled harm of live texts alarms; similarity never does."""
    world.add("rewrite", [("same text", "same text")] * 1_000)
    compare(world.workspace, world.store, "rewrite")
    later(world, "rewrite", 500)
    bare = watch(world.workspace, world.store, "rewrite", "small")
    assert (bare.live, bare.evidence) == (0, 0.0)
    assert "needs labels" in bare.text
    worse, equal = LabelVerdict.CONTROL_BETTER, LabelVerdict.EQUAL
    world.draw("rewrite", [(number, equal) for number in range(200)])
    world.draw("rewrite", [(number, worse if number % 2 else equal) for number in range(500, 620)])
    found = watch(world.workspace, world.store, "rewrite", "small")
    assert (found.live, found.live_bad) == (120, 60)
    assert found.alarmed
    assert found.evaluated.n == 200


def test_nothing_to_compare_with_is_said(world: World) -> None:
    """Without new calls there is nothing to watch; without an evaluation it is an error with a way out."""
    world.add("topics", answers(0.05, 100, 1))
    compare(world.workspace, world.store, "topics")
    quiet = watch(world.workspace, world.store, "topics", "small")
    assert quiet.new_calls == 0
    assert "import newer logs" in quiet.text
    later(world, "topics", 0)
    with pytest.raises(UsageError, match="was imported after"):
        watch(world.workspace, world.store, "topics", "small")


def test_command_and_facade_say_the_same(world: World) -> None:
    """`workbench watch --json` is the record of `Workbench.watch`."""
    found = evaluated_then(world, 0.30)
    root = str(world.workspace.root)
    command = ["watch", "--task", "topics", "--candidate", "small", "--workspace", root]
    shown = CliRunner().invoke(cli, [*command, "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout) == json.loads(to_json(found))
    dated = CliRunner().invoke(cli, [*command, "--since", "2026-03-04", "--current-share", "5%"])
    assert "0 calls imported since 2026-03-04" in dated.output
    with Workbench(root) as bench:
        assert bench.watch("topics", "small") == found
        since = datetime(2026, 3, 4, tzinfo=UTC)
        assert bench.watch("topics", "small", since=since).new_calls == 0


def test_a_mix_that_moved_shows_the_evaluated_harm_by_the_new_mix(world: World) -> None:
    """A language that was never evaluated may be harmed always; one that was counts with its own bound."""
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    assert 'by = "language"' in path.read_text()
    unseen = evaluated_then(world, 0.0, language="fr")
    (moved,) = [each for each in unseen.mix if each.slice == "language"]
    assert moved.reweighted is not None
    assert moved.reweighted.high < 0.1
    assert "By the new mix at most" in unseen.text
    assert moved.reweighted.method.startswith("slices re-weighted")


def test_a_fall_of_the_share_starts_the_watch_anew(world: World) -> None:
    """The log of decisions says when: what alarmed before it is neither live nor evaluated any more."""
    evaluated_then(world, 0.30)
    assert watch(world.workspace, world.store, "topics", "small").alarmed
    for share, days in ((0.05, 1), (0.01, 2)):
        now = START + timedelta(days=days)
        made = consider(world.workspace, world.store, "topics", "small", now=now, current_share=0.0)
        accept(
            world.workspace,
            world.store,
            "topics",
            "small",
            share=share,
            shown=made.evidence_hash,
            current_share=0.0,
            who="ada",
            reason="As it was before",
            until=now + timedelta(days=3),
            now=now,
        )
    anew = watch(world.workspace, world.store, "topics", "small")
    assert (anew.alarmed, anew.new_calls) == (False, 0)
    assert anew.evaluated.n == CALLS
