"""Reviewers with a known harm, through the real functions: what is stored averages to the truth."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import mean

import pytest
from review_world import World, make_world

from workbench import review
from workbench.review import Plan, State

SIZE = 240


def harm_of(call_id: str, rate: float) -> bool:
    """Say whether a call's candidate is worse: fixed by the call, at about a rate."""
    return random.Random(f"truth {call_id}").random() < rate


def label_all(world: World, task: str, truth: dict[str, bool], limit: int, names: list[str]) -> int:
    """Let reviewers in turn label until a limit or until nothing is left."""
    done = 0
    while done < limit:
        asked = [
            review.next_item(world.workspace, world.store, task, "tiny-llm", name, now=world.clock)
            for name in names
        ]
        if not any(asked):
            break
        for name, item in zip(names, asked, strict=True):
            if item:
                verdict = "control_better" if truth[item.call_id] else "equal"
                review.submit(world.workspace, world.store, item, name, verdict, now=world.clock)
                done += 1
    return done


@pytest.mark.parametrize("seed", range(2))
def test_weighted_draws_of_a_semantic_task_average_to_the_true_harm(tmp_path: Path, seed: int) -> None:
    """Harm sits in mismatches; the weights undo that they were drawn more often."""
    world = make_world(tmp_path / "space")
    rng = random.Random(seed)
    scores = [rng.choice([0.3, 0.7, 0.85, 0.93, 0.97]) for _ in range(SIZE)]
    with world.store:
        replay = world.add_replay(
            "rewrite", [(f"{seed} text {n}", f"{seed} other {n}") for n in range(SIZE)], scores=scores
        )
        truth = {
            f"call-{replay}-0-{n}": harm_of(f"{seed} {n}", 0.5 if score < 0.8 else 0.05)
            for n, score in enumerate(scores)
        }
        label_all(world, "rewrite", truth, 90, ["mia", "noor"])
        states = review.draw_states(world.store, *world.scope("rewrite").params, now=world.clock)
    draws = [each for each in states if each.plan is Plan.MIX and each.state is State.LABELLED]
    assert len(draws) >= 60
    values = [each.weight * (each.verdict == "control_better") for each in draws]
    spread = (mean((value - mean(values)) ** 2 for value in values) / len(values)) ** 0.5
    assert abs(mean(values) - mean(truth.values())) < 4 * spread
    assert mean(each.weight for each in draws) == pytest.approx(1.0, abs=0.15)
    assert all(truth[each.call_id] == (each.verdict == "control_better") for each in draws), (
        "a verdict landed on another call"
    )


def test_a_full_audit_finds_every_harm_among_the_disagreements(tmp_path: Path) -> None:
    """Structural: harms found over calls audited is the true harm, with two reviewers in turn."""
    world = make_world(tmp_path / "space")
    rng = random.Random(7)
    with world.store:
        pairs = [("a", rng.choice(["a", "a", "a", "b", "A."])) for _ in range(SIZE)]
        replay = world.add_replay("topics", pairs)
        truth = {
            f"call-{replay}-0-{n}": observed == "b" and harm_of(str(n), 0.3)
            for n, (_, observed) in enumerate(pairs)
        }
        label_all(world, "topics", truth, 10_000, ["mia", "noor"])
        states = review.draw_states(world.store, *world.scope("topics").params, now=world.clock)
    audit = [each for each in states if each.plan is Plan.AUDIT]
    assert len(audit) == sum(observed == "b" for _, observed in pairs)
    assert all(each.state is State.LABELLED for each in states)
    assert sum(each.verdict == "control_better" for each in audit) == sum(truth.values()) > 0
