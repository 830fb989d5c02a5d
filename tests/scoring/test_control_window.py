"""A frontier that changed: a share grows only if the evidence of the newer control carries it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring_world import World, failed, make_world

from workbench.records import Action, Recommendation
from workbench.scoring import compare, recommend
from workbench.scoring.control_window import MOVED, change_of, control_window
from workbench.scoring.evidence import gather

AGREE, DIFFER = ("a", "a"), ("a", "b")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a task of which 300 calls agree with a frontier that is asked no more by the newest 200 calls."""
    each = make_world(tmp_path)
    with each.store:
        each.add("topics", [AGREE] * 300)
        yield each


def asked(world: World, current: float = 0.0) -> Recommendation:
    """Return what is recommended."""
    compare(world.workspace, world.store, "topics")
    return recommend(world.workspace, world.store, "topics", "small", current_share=current)


def test_a_frontier_that_changed_holds_the_share_until_the_newer_one_is_compared(world: World) -> None:
    """Evidence of the old one says little; enough of the new one carries the share again."""
    assert asked(world).share == 0.01
    world.add("topics", [AGREE] * 250, first=300, observed=0, replay="r9", model="gpt-9")
    held = asked(world)
    assert (held.action, held.share) == (Action.HOLD, 0.0)
    assert held.binding_reason.startswith("100.0 % of the newest calls are answered by gpt-9, and 0.0 %")
    world.add("topics", [AGREE] * 60, first=600, replay="r2", model="gpt-9")
    assert asked(world).share == 0.01


def test_a_changed_frontier_beside_answers_that_failed_holds_and_ends_nothing(world: World) -> None:
    """What failed under the old one is none of the few, or no, calls of the newer one."""
    world.add("topics", [("a", failed())] * 3, first=300, replay="r2")
    world.add("topics", [AGREE] * 250, first=400, observed=0, replay="r9", model="gpt-9")
    assert (asked(world).action, asked(world).share) == (Action.HOLD, 0.0)
    world.add("topics", [AGREE] * 60 + [("a", failed())] * 6, first=700, replay="r3", model="gpt-9")
    config, fingerprint = world.workspace.eval_for("topics"), world.fingerprint("small")
    compare(world.workspace, world.store, "topics")
    found = gather(world.store, config, fingerprint, config.policy)
    newer = control_window(world.store, config, fingerprint, config.policy, found)
    assert newer is not None
    assert (newer[0].task.compared, newer[0].invalid, found.invalid) == (66, 6, 9)


def test_a_newer_frontier_with_which_a_candidate_differs_is_not_outvoted_by_the_old_one(world: World) -> None:
    """Pooled the bound would hold; alone it does not."""
    world.add("topics", [AGREE] * 15 + [DIFFER] * 25, first=300, replay="r2", model="gpt-9")
    world.add("topics", [AGREE] * 250, first=400, observed=0, replay="r9", model="gpt-9")
    assert asked(world).share == 0.0


def test_two_models_side_by_side_are_no_change(world: World) -> None:
    """A mix that was there before and is there now holds nothing back."""
    with world.store.writing() as writer:
        writer.execute("UPDATE calls SET model = 'other-frontier' WHERE seq % 2 = 0")
    world.add("topics", [AGREE] * 100, first=300, observed=0, replay="r9", model="other-frontier")
    world.add("topics", [AGREE] * 100, first=400, observed=0, replay="r9", model="frontier")
    assert asked(world).share == 0.01


def test_a_changed_frontier_never_lowers_a_live_share(world: World) -> None:
    """It is a reason not to advance, and no sign of harm."""
    world.add("topics", [AGREE] * 250, first=300, observed=0, replay="r9", model="gpt-9")
    assert asked(world, current=0.01).share == 0.01


@pytest.mark.parametrize(
    ("newest", "compared", "key"),
    [
        ([("m", "p2")] * 10, [("m", "p1")] * 10, "prompt"),
        ([("n", "p1")] * 10, [("m", "p1")] * 10, "model"),
        ([("m", f"p{at}") for at in range(10)], [("m", f"q{at}") for at in range(10)], None),
        ([("n", "p1")] * 5 + [("m", "p1")] * 5, [("m", "p1")] * 10, None),
        ([(None, None)] * 10, [("m", "p1")] * 10, None),
        ([], [("m", "p1")], None),
    ],
)
def test_a_change_is_a_model_or_prompt_that_took_over(
    newest: list[tuple[str, str]], compared: list[tuple[str, str]], key: str | None
) -> None:
    """Prompts that differ from call to call took over from nothing."""
    sides = [[{"model": model, "prompt": prompt} for model, prompt in side] for side in (newest, compared)]
    found = change_of(*sides)
    assert (found.key if found else None) == key
    assert found is None or found.now - found.then > MOVED
