"""Drift after the evaluation: outcomes, mix, content, and what follows from an alarm."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scoring_world import START, World, make_world

from workbench import Workbench, access
from workbench.cli import cli
from workbench.config import Workspace
from workbench.embed import text_hash
from workbench.errors import ModelMissing, UsageError
from workbench.normal import naive_utc
from workbench.records import Action, LabelVerdict, Message, Request, to_json
from workbench.review import draw_states, next_item, submit
from workbench.review.forecast import foci_of, newest_content
from workbench.review.pool import members_of
from workbench.review.states import NEW_CONTENT, scope_of
from workbench.review.status import queue_status
from workbench.roles import Actor, Grant, Role
from workbench.rollout import accept
from workbench.scoring import compare, recent, recommend, traffic_check, traffic_inputs, traffic_mix, watching
from workbench.scoring.comparing import open_embedder
from workbench.scoring.considered import consider
from workbench.scoring.evidence import gather
from workbench.scoring.gathered import gather_of
from workbench.scoring.held import LIKELY, Held, Look
from workbench.scoring.traffic_check import TrafficCheck, check_traffic, last_check
from workbench.scoring.traffic_mix import MixShift, by_new_mix
from workbench.scoring.traffic_window import traffic_window
from workbench.scoring.watching import WatchReport, watch
from workbench.stats.audit import AuditRow, structural_of
from workbench.stats.evidence import SliceEvidence
from workbench.stats.mix import population_stability
from workbench.stats.parts import parts_of
from workbench.stats.permuted import Shift
from workbench.stats.rows import Table
from workbench.store.comparisons import add_vectors
from workbench.store.drift import imported_after, some_calls

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


def test_another_mix_holds_the_share_until_the_newer_calls_carry_it(world: World) -> None:
    """Traffic of another language holds a share in every recommendation; once it is compared, no more."""
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, CALLS, 2), batch=1, first=CALLS, observed=0)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS, language="fr")
    where = (world.workspace, world.store, "topics", "small")
    assert recommend(*where).share == 0.01
    found = watch(*where, current_share=0.0)
    assert [each.slice for each in found.check.mix if each.shifted] == ["language"]
    assert found.recommendation is not None
    held = recommend(*where)
    assert found.recommendation.share == held.share == 0.0
    assert any("another mix by language" in reason for reason in held.reasons)
    for number in range(CALLS, 2 * CALLS):
        world.observe("topics", number, "a")
    compare(world.workspace, world.store, "topics")
    assert recommend(*where).share == 0.01


def test_a_mix_that_was_evaluated_part_by_part_holds_nothing(world: World) -> None:
    """Where the parts are known, the harm by the new mix carries a share that the newer calls do not."""
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, CALLS, 2), batch=1, first=CALLS, observed=0)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS, language="de")
    found = watch(world.workspace, world.store, "topics", "small")
    (moved,) = [each for each in found.check.mix if each.shifted]
    assert (moved.sample, moved.slice) == ({"de": CALLS}, "language")
    assert recommend(world.workspace, world.store, "topics", "small").share == 0.01


def test_a_mix_that_moved_by_less_than_could_matter_holds_nothing(world: World) -> None:
    """In a large log every day is mixed otherwise: what moves too few calls to raise harm is no other mix."""
    size = 12_000
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", [("a", "a")] * (2 * size), batch=1, first=CALLS, observed=0)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS + size)
    more = size // 50
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET language = 'de' WHERE call_id IN (SELECT call_id FROM calls "
            "WHERE manifest_id = 'later' AND language = 'en' ORDER BY call_id LIMIT ?)",
            (more,),
        )
    where = (world.workspace, world.store, "topics", "small")
    (mix,) = watch(*where).check.mix
    assert mix.p_value <= 0.05
    assert mix.moved == pytest.approx(0.02, abs=0.002)
    assert not mix.shifted
    assert recommend(*where).share == 0.01


def test_a_sample_that_was_given_up_is_no_evaluation(world: World) -> None:
    """What was imported after it and then evaluated is what newer calls are set against."""
    world.add("topics", answers(0.0, 20, 1), replay="dropped", observed=0)
    world.add("topics", answers(0.0, CALLS, 1), first=20)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE replays SET created_at = created_at - INTERVAL 3 DAY WHERE replay_id = 'dropped'"
        )
        manifest = {"manifest_id": "m", "created_at": START - timedelta(days=1), "source": "log"}
        writer.append("manifests", [manifest | {"format": "test", "files": "[]", "report": "{}"}])
    compare(world.workspace, world.store, "topics")
    found = watch(world.workspace, world.store, "topics", "small")
    assert (found.since, found.new_calls) == (START, 0)


def test_what_was_found_counts_until_the_next_look_that_could_see_it(world: World) -> None:
    """A look with a seed or a beginning of its own, or by a viewer, is shown and counts for nothing."""
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, CALLS, 2), batch=1, first=CALLS, observed=0)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS, language="fr")
    where = (world.workspace, world.store, "topics", "small")
    watch(*where, seed=1)
    watch(*where, since=START)
    with access.acting(Actor("v", frozenset({Grant(Role.VIEWER)}))):
        watch(*where)
        assert last_check(*where) is None
    assert recommend(*where).share == 0.01
    watch(*where)
    # What is only shown takes no hold away.
    for shown in (
        watch(*where, current_share=0.0, since=datetime(2030, 1, 1, tzinfo=UTC)),
        watch(*where, current_share=0.0),
    ):
        assert shown.recommendation is not None
        assert shown.recommendation.share == 0.0
    kept = last_check(*where)
    assert kept is not None
    assert kept.moved == ("mix by language",)
    watch(*where, seed=1, since=datetime(2030, 1, 1, tzinfo=UTC))
    assert last_check(*where) == kept


def with_inputs(world: World, *, known: int | None = None, new_from: int = CALLS) -> None:
    """Give each call an input of its own, the first `known` embedded, those from `new_from` on elsewhere."""
    with world.store.writing() as writer:
        calls = writer.rows("SELECT * FROM calls ORDER BY call_id")
        writer.execute("DELETE FROM calls")
        for number, call in enumerate(calls):
            call["request"] = to_json(Request((Message("user", f"text {number}"),))).decode()
        writer.append("calls", calls)
    model = open_embedder(world.workspace.eval_for("topics").embedder).model
    dice = np.random.default_rng(0)
    vectors = {
        text_hash(f"text {number}"): (dice.normal(size=6) + (4.0 if number >= new_from else 0.0)).tolist()
        for number in range(len(calls))[:known]
    }
    add_vectors(world.store, model, vectors)


def test_content_is_compared_where_inputs_are_embedded(world: World) -> None:
    """A viewer has those compared that the store holds vectors of; without any the report says so."""
    found = evaluated_then(world, 0.05)
    assert found.check.content is None
    assert "Inputs are not compared" in found.text
    with_inputs(world)
    moved = watch(world.workspace, world.store, "topics", "small").check
    assert moved.content is not None
    assert moved.content.value > 0.9
    assert moved.content_moved
    assert "new content" in "".join(moved.lines)


def test_inputs_are_embedded_for_whoever_may_replay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look embeds what it compares, each input once, and nothing for a viewer."""
    evaluated_then(world, 0.05)
    with_inputs(world, known=0)
    asked: list[int] = []

    class Random:
        model = "random"

        def embed(self, texts: Sequence[str]) -> Any:
            asked.append(len(texts))
            return np.random.default_rng(len(asked)).normal(size=(len(texts), 6))

    monkeypatch.setattr(traffic_inputs, "open_embedder", lambda _: Random())
    with access.acting(Actor("v", frozenset({Grant(Role.VIEWER)}))):
        assert watch(world.workspace, world.store, "topics", "small").check.content is None
    assert not asked
    assert watch(world.workspace, world.store, "topics", "small").check.content is not None
    assert sum(asked) == 2 * traffic_inputs.CONTENT_CALLS
    watch(world.workspace, world.store, "topics", "small")
    assert sum(asked) == 2 * traffic_inputs.CONTENT_CALLS


def test_review_asks_for_new_content_first(world: World) -> None:
    """Compared calls that are told apart become what the queue aims at, each in one check alone."""
    evaluated_then(world, 0.3)
    fresh = 2 * CALLS - 120
    with_inputs(world, new_from=fresh)
    where = (world.workspace, world.store, "topics", "small")
    found = watch(*where).check
    named = {int(each.rpartition("-")[2]) for each in found.told_apart}
    assert named >= set(range(fresh, 2 * CALLS))
    assert len(named) <= 120 + 0.1 * CALLS
    scope = scope_of(world.workspace, world.store, "topics", "small")
    focus = foci_of(*where, scope)[0]
    assert focus[0] == NEW_CONTENT
    assert members_of(world.store, scope, world.workspace.eval_for("topics"), focus) == set(found.told_apart)
    aimed = 0
    for _ in range(60):
        item = next_item(*where, "mia")
        assert item is not None
        submit(world.workspace, world.store, item, "mia", "equal")
    for state in draw_states(world.store, *scope.params):
        aimed += state.focus == focus and state.call_id in found.told_apart
    assert aimed >= 4
    again = watch(*where).check
    assert again.content_moved
    assert not set(again.told_apart) & set(found.told_apart)


def test_another_look_leaves_the_queue_at_what_is_new(world: World) -> None:
    """What was named before is not taken for usual: the rest is not named in its place, nor aimed at."""
    evaluated_then(world, 0.3)
    with_inputs(world, new_from=2 * CALLS - 120)
    where = (world.workspace, world.store, "topics", "small")
    scope = scope_of(world.workspace, world.store, "topics", "small")
    found = watch(*where).check
    focus = newest_content(world.store, scope)
    assert focus is not None
    again = watch(*where).check
    assert not again.told_apart
    assert newest_content(world.store, scope) == focus
    few = replace(found, checked_at=found.checked_at + timedelta(days=1), told_apart=("topics-00601",))
    assert traffic_check.keep(world.store, "topics", world.fingerprint("small"), few, again)
    assert newest_content(world.store, scope) == focus
    said = queue_status(*where).text
    assert "Aimed at calls of new content" in said
    assert focus not in said


def test_what_can_not_be_compared_any_more_is_no_sign_that_it_went_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without embeddings the check before stands in what it said of content, and why is said."""

    class Missing:
        model = "missing"

        def embed(self, texts: Sequence[str]) -> Any:
            raise ModelMissing(f"No model for {len(texts)} texts.", "Install it.")

    evaluated_then(world, 0.0)
    with_inputs(world)
    assert watch(world.workspace, world.store, "topics", "small").check.content_moved
    monkeypatch.setattr(traffic_inputs, "open_embedder", lambda _: Missing())
    blind = watch(world.workspace, world.store, "topics", "small").check
    assert blind.content_moved
    assert any("stands" in note for note in blind.notes)
    assert any("Install it." in note for note in blind.notes)


def test_a_handful_of_embeddings_does_not_clear_what_was_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where most inputs could not be embedded, the few that could say nothing of the rest."""

    class Failing:
        model = "failing"

        def embed(self, texts: Sequence[str]) -> Any:
            found = np.random.default_rng(0).normal(size=(len(texts), 6))
            found[8:] = np.nan
            return found

    evaluated_then(world, 0.0)
    with_inputs(world)
    before = watch(world.workspace, world.store, "topics", "small").check
    monkeypatch.setattr(traffic_inputs, "open_embedder", lambda _: Failing())
    blind = watch(world.workspace, world.store, "topics", "small").check
    assert blind.content == before.content
    assert blind.content_moved


def test_calls_of_one_session_count_once_in_a_check(world: World) -> None:
    """Sessions of twenty calls in one language each: by calls the mix moved, by sessions it did not."""
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, CALLS, 2), batch=1, first=CALLS)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET session_id = 'e' || CAST(native_id AS INTEGER) // 20, "
            "language = if(md5('e' || CAST(native_id AS INTEGER) // 20) < '8', 'de', 'en')"
        )
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS)
    sides = [
        Counter(
            row["language"]
            for row in some_calls(world.store, "topics", naive_utc(START), after=side, limit=CALLS)
        )
        for side in (False, True)
    ]
    assert population_stability(*sides).p_value <= LIKELY
    (language,) = watch(world.workspace, world.store, "topics", "small").check.mix
    assert not language.shifted
    # A log that has but one session says nothing of sessions.
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET session_id = 'all', language = if(manifest_id = 'later', 'fr', 'de')"
        )
    (language,) = watch(world.workspace, world.store, "topics", "small").check.mix
    assert language.shifted


def test_calls_that_an_eval_leaves_out_are_no_new_traffic(world: World) -> None:
    """A load test that `exclude_marks` keeps from every replay moves no mix, and holds no share."""
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, CALLS, 2), batch=1, first=CALLS, observed=0)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET marks = ['internal'], language = 'fr' "
            "WHERE manifest_id = 'later' AND CAST(native_id AS INTEGER) >= ?",
            (CALLS + 100,),
        )
    where = ("topics", "small")
    assert watch(world.workspace, world.store, *where).shifted
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    path.write_text('exclude_marks = ["internal"]\n' + path.read_text())
    found = watch(Workspace.load(world.workspace.root), world.store, *where).check
    assert (found.new_calls, found.moved) == (100, ())


def test_a_mix_by_length_has_the_limits_of_the_evidence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that looks at some calls cuts lengths as the evidence does: the harm by the mix is known."""
    monkeypatch.setattr(traffic_mix, "MIX_CALLS", 60)
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    path.write_text(path.read_text().replace('by = "language"', 'by = "input_length"'))
    workspace = Workspace.load(world.workspace.root)
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, 100, 2), batch=1, first=CALLS, observed=0)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET input_chars = 400 + CAST(native_id AS INTEGER) % 200 WHERE seq > ?", (CALLS,)
        )
    compare(workspace, world.store, "topics")
    later(world, "topics", CALLS)
    (moved,) = watch(workspace, world.store, "topics", "small").check.mix
    assert moved.shifted
    assert moved.reweighted is not None
    assert moved.reweighted.high < 0.2


def test_what_is_put_together_as_other_was_never_evaluated() -> None:
    """It may be made of other values than then: a bound on those says nothing of these."""
    table = Table.of([AuditRow(f"c{n}", 0, f"{n:04}", agrees=True, identical=True) for n in range(1_000)])
    known = [SliceEvidence("tenant", each, 0.5, structural_of(table, 0.0)) for each in ("acme", "other")]
    shift = MixShift("tenant", 1.0, 0.001, 0.5, shifted=True, sample={"acme": 50_000, "other": 50_000})
    found = by_new_mix(shift, known, 0.05, Look(1, "a"))
    assert found is not None
    assert 0.5 < found.high < 0.51


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
    said, expected = json.loads(shown.stdout), json.loads(to_json(found))
    assert said["check"].pop("checked_at") > expected["check"].pop("checked_at")
    assert said == expected
    dated = CliRunner().invoke(cli, [*command, "--since", "2026-03-04", "--current-share", "5%"])
    assert "0 calls imported since 2026-03-04" in dated.output
    negative = CliRunner().invoke(cli, [*command, "--seed", "-1"])
    assert negative.exit_code == 2
    assert "'--seed'" in negative.output
    with Workbench(root) as bench:
        same = bench.watch("topics", "small")
        assert replace(same, check=replace(same.check, checked_at=found.check.checked_at)) == found
        since = datetime(2026, 3, 4, tzinfo=UTC)
        assert bench.watch("topics", "small", since=since).new_calls == 0


def test_a_mix_that_moved_shows_the_evaluated_harm_by_the_new_mix(world: World) -> None:
    """A language that was never evaluated may be harmed always; one that was counts with its own bound."""
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    assert 'by = "language"' in path.read_text()
    unseen = evaluated_then(world, 0.0, language="fr")
    (moved,) = [each for each in unseen.check.mix if each.slice == "language"]
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


@pytest.mark.parametrize("aimed", [None, ("language", "de"), (NEW_CONTENT, "c1")])
def test_the_newer_calls_speak_through_every_draw_whatever_it_was_aimed_at(
    world: World, aimed: tuple[str, str] | None
) -> None:
    """A draw that was aimed at a slice, or at what a check named, counts for the calls imported since."""
    path = world.workspace.root / "evals" / "rewrite" / "eval.toml"
    path.write_text(path.read_text() + '\n[[slices]]\nby = "language"\n')
    world.workspace = Workspace.load(world.workspace.root)
    pairs = [("same text", "same text" if number % 3 else "another") for number in range(400)]
    world.add("rewrite", pairs)
    compare(world.workspace, world.store, "rewrite")
    later(world, "rewrite", 200)
    config = world.workspace.eval_for("rewrite")
    fingerprint = world.fingerprint("small")
    named = tuple(f"rewrite-{number:05d}" for number in range(0, 400, 9))
    at = datetime(2026, 3, 4, tzinfo=UTC)
    check = TrafficCheck(START, at, 200, content=Shift(0.9, 0.001), content_moved=True, told_apart=named)
    assert traffic_check.keep(world.store, "rewrite", fingerprint, check, None)
    worse, equal = LabelVerdict.CONTROL_BETTER, LabelVerdict.EQUAL
    world.draw("rewrite", [(number, worse if number % 9 == 0 else equal) for number in range(150, 300)])
    with world.store.writing() as writer:
        writer.execute("UPDATE traffic_checks SET check_id = 'c1'")
        writer.execute(
            "UPDATE draws SET focus = ?, batches = 1", (None if aimed is None else json.dumps(aimed),)
        )
    gathered = gather_of(world.store, config, fingerprint)
    new = gathered.frame["call_id"].isin(imported_after(world.store, "rewrite", naive_utc(START))["call_id"])
    (by_rows,) = parts_of(
        gathered.audit,
        [new.to_numpy()],
        basis=gathered.basis,
        draws=gathered.draws,
        weight_max=gathered.weight_max,
        icc=config.policy.icc,
    )
    found = gather(world.store, config, fingerprint, config.policy)
    window = traffic_window(world.store, config, fingerprint, config.policy, found, check)
    assert window is not None
    assert len(window.evidence.task.draws) == 100
    assert window.evidence.task == by_rows


def moved_calls(world: World, newer: int, french: float) -> None:
    """Say that some of so many newer calls are in a language of their own, the rest as before."""
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET language = CASE WHEN CAST(native_id AS INTEGER) % 100 < ? THEN 'fr' "
            "WHEN CAST(native_id AS INTEGER) % 2 = 0 THEN 'de' ELSE 'en' END "
            "WHERE manifest_id = 'later' AND CAST(native_id AS INTEGER) < ?",
            (round(100 * french), CALLS + newer),
        )


def imported(world: World) -> tuple[Workspace, Any, str, str]:
    """Evaluate some calls, and import others that nobody replays."""
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, 400, 2), batch=1, first=CALLS, observed=0)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS)
    return world.workspace, world.store, "topics", "small"


def test_another_look_at_the_same_calls_costs_nothing(world: World) -> None:
    """The number of a look is that of the windows it was at; more calls are another one."""
    where = imported(world)
    numbers = []
    for newer in (0, 0, 100, 100, 200):
        moved_calls(world, newer, 0.01)
        look = watch(*where).check.mix_look
        assert look is not None
        numbers.append(look.number)
    assert numbers == [1, 1, 2, 2, 3]
    watch(*where, seed=1)
    with world.store.writing() as writer:
        writer.execute("UPDATE traffic_checks SET mix_look = NULL, content_look = NULL")
    look = watch(*where).check.mix_look
    assert look is not None
    assert look.number == 6


def test_a_look_that_does_not_see_it_ends_no_hold(world: World) -> None:
    """A fifth of the newer calls were of a new language; a later look at so few usual ones proves nothing."""
    where = imported(world)
    moved_calls(world, 400, 0.2)
    assert watch(*where).check.moved == ("mix by language",)
    moved_calls(world, 400, 0.0)
    unlucky = watch(*where).check
    (mix,) = unlucky.mix
    assert mix.p_value > LIKELY
    assert unlucky.moved == ("mix by language",)
    assert recommend(*where).share == 0.01, "the evaluated harm by the new mix carries it"
    assert "this look does not see it" in "".join(unlucky.lines)


def test_a_mix_that_is_gone_ends_its_hold(world: World) -> None:
    """Nearly all newer calls were of a new language, by mistake; the log without them holds nothing."""
    where = imported(world)
    moved_calls(world, 400, 0.9)
    assert watch(*where).check.moved == ("mix by language",)
    assert recommend(*where).share == 0.0
    moved_calls(world, 400, 0.0)
    assert watch(*where).check.moved == ()
    assert recommend(*where).share == 0.01


def test_what_was_held_is_held_though_the_eval_slices_no_more_by_it(world: World) -> None:
    """To look at something else is no sign that it went away."""
    where = imported(world)
    moved_calls(world, 400, 0.9)
    watch(*where)
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    path.write_text(path.read_text().replace('by = "language"', 'by = "turn_depth"'))
    workspace = Workspace.load(world.workspace.root)
    assert watch(workspace, *where[1:]).check.moved == ("mix by language",)
    assert recommend(workspace, world.store, "topics", "small").share == 0.0


def test_content_that_was_told_apart_ends_its_hold_only_where_a_look_could_see_it(world: World) -> None:
    """Everything was new, and then nothing is: gone by as many calls, and held as long as there are fewer."""
    evaluated_then(world, 0.05)
    with_inputs(world)
    where = (world.workspace, world.store, "topics", "small")
    held = watch(*where).check
    assert held.content_moved
    assert held.content_held is not None
    usual = np.random.default_rng(1)
    model = open_embedder(world.workspace.eval_for("topics").embedder).model
    vectors = {text_hash(f"other {n}"): usual.normal(size=6).tolist() for n in range(2 * CALLS)}
    add_vectors(world.store, model, vectors)
    with world.store.writing() as writer:
        writer.execute("UPDATE calls SET request = replace(request, 'text ', 'other ')")
        writer.execute(
            "UPDATE calls SET marks = ['internal'] WHERE CAST(native_id AS INTEGER) >= ?", (CALLS + 300,)
        )
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    usual_eval = path.read_text()
    path.write_text('exclude_marks = ["internal"]\n' + usual_eval)
    few = watch(Workspace.load(world.workspace.root), *where[1:]).check
    assert few.content is not None
    assert few.content.p_value > LIKELY
    assert few.content_moved
    assert "no proof that it is gone" in "".join(few.lines)
    path.write_text(usual_eval)
    assert not watch(Workspace.load(world.workspace.root), *where[1:]).check.content_moved


def test_a_log_that_is_sampled_otherwise_is_no_other_traffic(world: World) -> None:
    """Where most German calls were not logged, each stands for ten; where nobody knows, that is said."""
    where = imported(world)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET language = if(CAST(native_id AS INTEGER) % 11 = 0, 'de', 'en'), "
            "sampling_rate = if(CAST(native_id AS INTEGER) % 11 = 0, 0.1, 1.0) WHERE manifest_id = 'later'"
        )
    (mix,) = watch(*where).check.mix
    assert (mix.shifted, mix.unrated) == (False, 0)
    assert mix.moved < 0.02
    with world.store.writing() as writer:
        writer.execute("UPDATE calls SET sampling_rate = NULL WHERE manifest_id = 'later'")
    unknown = watch(*where).check
    (mix,) = unknown.mix
    assert (mix.shifted, mix.unrated) == (True, 400)
    assert any("Of 400 calls nobody knows what share" in line for line in unknown.lines)
    assert last_check(*where) == replace(unknown, notes=())


def test_the_new_mix_is_that_of_the_traffic_and_not_of_the_log(world: World) -> None:
    """A language of which one call in twenty is logged counts twenty times in the harm by the new mix."""
    where = imported(world)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET language = if(CAST(native_id AS INTEGER) % 2 = 0, 'de', 'fr'), "
            "sampling_rate = if(CAST(native_id AS INTEGER) % 2 = 0, 1.0, 0.05) WHERE manifest_id = 'later'"
        )
    (mix,) = watch(*where).check.mix
    assert mix.sample is not None
    assert mix.sample["fr"] == pytest.approx(20 * mix.sample["de"], rel=0.3)
    assert mix.reweighted is not None
    assert mix.reweighted.high > 4_000 / 4_200


def test_inputs_are_taken_as_they_are_in_the_traffic(world: World) -> None:
    """A tenth of one kind is logged and all of another: by rate the sample has as many of either."""
    imported(world)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET sampling_rate = if(CAST(native_id AS INTEGER) % 11 = 0, 0.1, 1.0), "
            "language = if(CAST(native_id AS INTEGER) % 11 = 0, 'de', 'en')"
        )
    taken = partial(some_calls, world.store, "topics", naive_utc(START), after=False, limit=60)
    plain, rated = (Counter(row["language"] for row in taken(by_rate=by)) for by in (False, True))
    assert plain["de"] <= 12
    assert 20 <= rated["de"] <= 40


def test_a_late_change_is_seen_though_most_newer_calls_came_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 400 newer calls the last 50 are of a new language: an eighth of all, half of the last hundred."""
    monkeypatch.setattr(recent, "RECENT_CALLS", 100)
    where = imported(world)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET "
            "occurred_at = TIMESTAMP '2025-12-01' + to_hours(2 * CAST(native_id AS INTEGER)), "
            "language = CASE WHEN CAST(native_id AS INTEGER) >= ? THEN 'fr' "
            "WHEN CAST(native_id AS INTEGER) % 2 = 0 THEN 'de' ELSE 'en' END WHERE manifest_id = 'later'",
            (CALLS + 350,),
        )
    check = watch(*where).check
    assert last_check(*where) == replace(check, notes=())
    assert check.moved == ("mix by language",)
    whole, newest = check.mix
    assert (whole.begins, whole.moved) == (None, pytest.approx(50 / 400, abs=0.03))
    assert newest.begins == check.recent == check.begins
    assert newest.moved == pytest.approx(0.5, abs=0.03)
    assert newest.sample == {"fr": 50, "de": 25, "en": 25}
    assert newest.reweighted is not None
    assert newest.reweighted.high > 0.5
    answer = recommend(*where)
    assert answer.share == 0.0
    assert f"Traffic since {check.begins:%Y-%m-%d} is of another mix" in answer.binding_reason
    assert any(line.startswith(f"Mix by language since {check.begins:%Y-%m-%d}") for line in check.lines)


def test_only_calls_since_it_began_speak_for_a_late_change(world: World) -> None:
    """Usual newer calls that are all answered well say nothing about the few of the last days."""
    world.add("topics", answers(0.0, CALLS, 1))
    world.add("topics", answers(0.0, 400, 2), batch=1, first=CALLS)
    compare(world.workspace, world.store, "topics")
    later(world, "topics", CALLS)
    begins = datetime(2026, 2, 20, tzinfo=UTC)
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET occurred_at = if(CAST(native_id AS INTEGER) < ?, TIMESTAMP '2026-01-01', ?) "
            "WHERE manifest_id = 'later'",
            (CALLS + 390, naive_utc(begins)),
        )
    config, fingerprint = world.workspace.eval_for("topics"), world.fingerprint("small")
    found = gather(world.store, config, fingerprint, config.policy)
    at = datetime(2026, 3, 4, tzinfo=UTC)
    whole = TrafficCheck(START, at, 400, content=Shift(0.9, 0.001), content_moved=True)
    newest = replace(whole, content_held=Held(at, 0.5, 10, begins))
    for check, calls in ((whole, 400), (newest, 10)):
        window = traffic_window(world.store, config, fingerprint, config.policy, found, check)
        assert window is not None
        assert window.evidence.task.compared == calls


def test_a_call_with_a_time_to_come_counts_as_made_when_it_was_imported(world: World) -> None:
    """A clock that runs ahead would make one call the newest week."""
    where = imported(world)
    moment = naive_utc(watch(*where).check.since)
    with world.store.writing() as writer:
        writer.execute("UPDATE calls SET occurred_at = TIMESTAMP '2099-01-01' WHERE manifest_id = 'later'")
    at = imported_after(world.store, "topics", moment)["at"]
    assert at.nunique() == 1
    assert at.iloc[0].year < 2099


def test_two_who_look_in_one_moment_are_two_looks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is later looks again, and knows what the other found."""
    where = imported(world)
    moved_calls(world, 100, 0.01)
    looks = 0

    def meanwhile(*args: Any, **named: Any) -> Any:
        nonlocal looks
        looks += 1
        found = check_traffic(*args, **named)
        if looks == 1:
            moved_calls(world, 400, 0.9)
            assert watch(*where).check.moved == ("mix by language",)
            moved_calls(world, 400, 0.8)
        return found

    monkeypatch.setattr(watching, "check_traffic", meanwhile)
    later_look = watch(*where).check
    assert looks == 3
    assert later_look.mix_look is not None
    assert later_look.mix_look.number == 2
    assert later_look.moved == ("mix by language",)
    assert len(world.store.rows("SELECT 1 FROM traffic_checks")) == 2
