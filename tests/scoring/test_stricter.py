"""What is chosen after answers were seen never makes evidence look better than it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scoring_world import World, make_world

from workbench.ramp import State
from workbench.records import Action
from workbench.scoring import compare, recommend
from workbench.scoring.deciding import decided
from workbench.scoring.evidence import evidence
from workbench.stats import bounds

AGREE, DIFFER = ("a", "a"), ("a", "b")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    each = make_world(tmp_path)
    with each.store:
        yield each


def asked(world: World) -> tuple[Action, float, str]:
    compare(world.workspace, world.store, "topics")
    answer = recommend(world.workspace, world.store, "topics", "small")
    return answer.action, answer.share, answer.binding_reason


@pytest.mark.parametrize(("answer", "share"), [(AGREE, 0.01), (DIFFER, 0.0)])
def test_a_batch_stopped_half_way_can_hold_the_share_and_not_raise_it(
    world: World, answer: tuple[str, str], share: float
) -> None:
    """A budget stopped the second sample; its answers don't count for the candidate, only against it."""
    world.add("topics", [AGREE] * 60)
    world.add("topics", [answer] * 40, batch=1, first=60, observed=30)
    found = asked(world)
    assert found[1] == share
    assert ("not finished" in found[2]) == (share == 0)
    assert evidence(world.workspace, world.store, "topics", "small").task.compared == 60


def test_asking_the_same_calls_again_does_not_mend_a_sample_that_was_dropped(world: World) -> None:
    """29 of 40 answers were bad, the replay was left, and another of the same calls came out clean."""
    world.add("topics", [DIFFER] * 40, observed=29)
    world.add("topics", [AGREE] * 40, replay="r2", known_calls=True)
    action, share, why = asked(world)
    assert (action, share) == (Action.HOLD, 0)
    assert "29 calls of samples that are not finished" in why


def test_a_dropped_sample_never_lowers_a_live_share(world: World) -> None:
    """The part that was answered first is no random part: it holds, and rolls nothing back."""
    world.add("topics", [AGREE] * 150, hours_apart=2)
    world.add("topics", [DIFFER] * 40, batch=1, first=150, observed=39)
    compare(world.workspace, world.store, "topics")
    found = evidence(world.workspace, world.store, "topics", "small")
    eval_config = world.workspace.eval_for("topics")
    state = State(share=0.05, days_in_stage=9, live_compared=500)
    scope = (world.store, eval_config, world.fingerprint("small"), found, eval_config.policy)
    assert decided(*scope, state).share == 0.05
    world.observe("topics", 189, "a")
    compare(world.workspace, world.store, "topics")
    whole = evidence(world.workspace, world.store, "topics", "small")
    assert decided(*scope[:3], whole, eval_config.policy, state).share < 0.05


def test_the_best_of_several_candidates_is_judged_as_such(world: World) -> None:
    """What the evidence carries at delta / K is said, and the share does not grow beyond it."""
    world.add("topics", [AGREE] * 14)
    world.add("topics", [AGREE] * 6, first=14, batch=1)
    compare(world.workspace, world.store, "topics")
    policy = world.workspace.eval_for("topics").policy
    alone = recommend(world.workspace, world.store, "topics", "small")
    assert alone.share == 0.01
    assert not any("candidates were tried" in each for each in alone.reasons)
    world.add("topics", [DIFFER] * 20, candidate="other", replay="r2", known_calls=True)
    compare(world.workspace, world.store, "topics")
    assert bounds.anytime_upper(0, 20, policy.delta) < 0.2 < bounds.anytime_upper(0, 20, policy.delta / 2)
    best = recommend(world.workspace, world.store, "topics", "small")
    assert (best.action, best.share) == (Action.HOLD, 0)
    assert best.details["candidates_tried"] == 2
    assert any("2 candidates were tried" in each for each in best.reasons)


def test_leaving_each_sample_at_its_first_bad_answer_proves_nothing() -> None:
    """At 10 % harm one of 40 samples mostly comes out clean; counted with what was left it proves nothing."""
    generator, delta, size = np.random.default_rng(5), 0.05, 36
    clean_is_enough = bounds.anytime_upper(0, size, delta) <= 0.10
    alone = pooled = 0
    for _ in range(200):
        seen = harms = 0
        for _ in range(40):
            bad = np.flatnonzero(generator.random(size) < 0.10)
            if bad.size:
                seen, harms = seen + int(bad[0]) + 1, harms + 1
                continue
            alone += clean_is_enough
            pooled += bounds.anytime_upper(harms, seen + size, delta) <= 0.10
            break
    assert alone / 200 > 0.5
    assert pooled / 200 <= delta


@pytest.mark.parametrize(("held_out", "share"), [(12, 0.01), (30, 0.0)])
def test_calls_held_out_for_examples_are_missing_evidence(world: World, held_out: int, share: float) -> None:
    """Above the share of calls that may stay unknown, the share of traffic does not grow."""
    world.add("topics", [AGREE] * 240)
    with world.store.writing() as writer:
        plan = f'{{"held_out": {held_out}, "usable": 240}}'
        writer.execute("UPDATE replays SET plan = ?", (plan,))
    found = asked(world)
    assert found[1] == share
    assert ("held out" in found[2]) == (share == 0)
