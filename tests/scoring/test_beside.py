"""What stands beside a decision: predicted harm, latency by pairs, thresholds. None of it decides."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scoring_world import ByLetters, World, failed, make_world

from workbench import Workbench
from workbench.cli import cli
from workbench.records import LabelVerdict, Output, Usage
from workbench.scoring import beside, compare, recommend
from workbench.scoring.latency_pairs import paired_latency, unmeasured
from workbench.scoring.predicted import predicted
from workbench.scoring.thresholds import thresholds

WORSE, EQUAL = LabelVerdict.CONTROL_BETTER, LabelVerdict.EQUAL


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    each = make_world(tmp_path)
    with each.store:
        yield each


def texts(world: World, labels: int, *, calls: int = 1_200, harm: float = 0.1) -> set[int]:
    """Store texts of which the harmed ones are less similar, with labels on the first calls."""
    dice = np.random.default_rng(4)
    harmed = {number for number in range(calls) if dice.random() < harm}
    world.add(
        "rewrite", [("aaaa bb", "aaaa bbcc" if number in harmed else "aaaa bb") for number in range(calls)]
    )
    compare(world.workspace, world.store, "rewrite", embedder=lambda _: ByLetters())
    world.draw("rewrite", [(number, WORSE if number in harmed else EQUAL) for number in range(labels)])
    return harmed


def test_predictions_sharpen_the_estimate(world: World) -> None:
    """Similarity tells harm here, so that 400 labels and 800 predictions are worth more than 400 labels."""
    harmed = texts(world, 400)
    found = predicted(world.workspace, world.store, "rewrite", "small")
    assert found.estimate is not None
    assert (found.labels, found.others, found.left_out) == (400, 800, 0)
    assert found.power > 0.5
    assert found.estimate.n_effective > 450
    assert found.estimate.low < len(harmed) / 1_200 < found.estimate.high
    assert "It moves no traffic." in found.sentence


def test_a_queue_that_aims_leaves_no_sample_behind_and_biases_nothing(world: World) -> None:
    """Labels that stand for all calls exactly give their own mean, though most mismatches are among them."""
    world.add("rewrite", [("aaaa bb", "aaaa bbcc" if number < 100 else "aaaa bb") for number in range(1_000)])
    compare(world.workspace, world.store, "rewrite", embedder=lambda _: ByLetters())
    chosen = [*range(84), *range(100, 316)]
    weights = {number: 0.1 / 0.28 if number < 100 else 0.9 / 0.72 for number in chosen}
    world.draw("rewrite", [(n, WORSE if n < 42 else EQUAL) for n in chosen], weights=weights)
    given = {f"rewrite-{number:05d}": 0.5 if number < 100 else 0.0 for number in range(1_000)}
    for predictions in (None, given):
        found = predicted(world.workspace, world.store, "rewrite", "small", predictions=predictions)
        assert found.estimate is not None
        assert (found.labels, found.others) == (300, 700)
        assert found.power > 0.3
        assert found.estimate.point == pytest.approx(0.05, abs=1e-9)
    del given["rewrite-00999"]
    part = predicted(world.workspace, world.store, "rewrite", "small", predictions=given)
    assert part.estimate is None
    assert "1 call without a prediction" in part.sentence


def test_given_predictions_take_the_place_of_similarity(world: World) -> None:
    """A judge's predictions by call id are used alone; calls without one are left out of both sides."""
    harmed = texts(world, 400)
    given = {f"rewrite-{number:05d}": float(number in harmed) for number in range(0, 1_200, 2)}
    found = predicted(world.workspace, world.store, "rewrite", "small", predictions=given)
    assert (found.labels, found.others, found.left_out) == (200, 400, 600)
    assert found.estimate is None
    assert found.reason == "200 labels; an estimate needs 300"
    given = {f"rewrite-{number:05d}": float(number in harmed) for number in range(1_000)}
    part = predicted(world.workspace, world.store, "rewrite", "small", predictions=given)
    assert part.sentence.startswith("Estimated with predictions for 1,000 of 1,200 calls:")
    given = {f"rewrite-{number:05d}": float(number in harmed) for number in range(1_200)}
    whole = predicted(world.workspace, world.store, "rewrite", "small", predictions=given)
    assert whole.estimate is not None
    assert whole.power > 0.6
    useless = predicted(
        world.workspace, world.store, "rewrite", "small", predictions=dict.fromkeys(given, 0.5)
    )
    assert useless.power == 0.0
    assert useless.estimate is not None
    assert useless.estimate.n_effective == pytest.approx(400)


@pytest.mark.parametrize(("labels", "harm", "why"), [(299, 0.1, "299 labels"), (400, 0.01, "harms")])
def test_too_few_labels_or_harms_give_no_estimate(world: World, labels: int, harm: float, why: str) -> None:
    """Under 300 labels or 10 harms the normal interval covers too rarely, and none is shown."""
    texts(world, labels, harm=harm)
    found = predicted(world.workspace, world.store, "rewrite", "small")
    assert found.estimate is None
    assert why in found.reason
    assert found.sentence.startswith("No estimate with predictions")


def test_lapsed_draws_are_harm_to_the_estimate_too(world: World) -> None:
    """Letting draws lapse never makes the estimate smaller."""
    texts(world, 400)
    before = predicted(world.workspace, world.store, "rewrite", "small").estimate
    world.draw("rewrite", [(number, None) for number in range(400, 460)])
    after = predicted(world.workspace, world.store, "rewrite", "small").estimate
    assert before is not None
    assert after is not None
    assert after.point > before.point  # type: ignore[operator]


def test_a_structural_task_takes_its_audited_calls(world: World) -> None:
    """Agreements are known to be harmless; the calls behind the first open disagreement are predicted."""
    world.add("topics", [("a", "b" if number % 10 == 0 else "a") for number in range(1_000)])
    compare(world.workspace, world.store, "topics")
    order = world.store.rows("SELECT call_id FROM replay_calls ORDER BY audit_key, call_id")
    differing = [int(row["call_id"][-5:]) for row in order if int(row["call_id"][-5:]) % 10 == 0]
    world.draw("topics", [(number, WORSE) for number in differing[:60]])
    found = predicted(world.workspace, world.store, "topics", "small")
    assert found.estimate is not None
    assert found.labels + found.others == 1_000
    assert 400 < found.labels < 800
    assert found.estimate.point == pytest.approx(0.1, abs=0.001)


def test_latency_is_compared_on_the_same_calls_at_productions_pace(world: World) -> None:
    """The control's recorded latencies stand against the probe's; the difference is of pairs."""
    world.add("topics", [("a", "a")] * 400)
    world.control_latency("topics", "800 + n % 50")
    world.probe("topics", [200.0 + place % 50 for place in range(300)])
    found = paired_latency(world.workspace, world.store, "topics", "small")
    assert found.calls == 300
    half = found.pairs[0]
    assert half.difference_ms.point == -600
    assert (half.difference_ms.low, half.difference_ms.high) == (-600, -600)
    assert half.candidate_ms.low <= 225 <= half.candidate_ms.high
    assert found == paired_latency(world.workspace, world.store, "topics", "small")
    assert "p50: 224 ms" in found.lines[0]


def test_calls_without_an_answer_are_infinitely_slow(world: World) -> None:
    """A server that drops one call in ten has no p95 at all."""
    world.add("topics", [("a", "a")] * 300)
    world.control_latency("topics", "800")
    world.probe("topics", [math.inf if place % 10 == 0 else 100.0 for place in range(300)])
    found = paired_latency(world.workspace, world.store, "topics", "small")
    assert found.pairs[1].candidate_ms.point == math.inf
    assert "p95: never" in found.lines[1]


@pytest.mark.parametrize(("speed", "rate_known"), [(0.5, True), (1.0, False)])
def test_a_replays_latencies_never_stand_beside_the_controls(
    world: World, speed: float, rate_known: bool
) -> None:
    """Without a probe at production's pace there is no comparison, whatever a replay measured."""
    fast = Output("a", finish_reason="stop", model="small-model", usage=Usage(100, 0, 10), latency_ms=5.0)
    world.add("topics", [("a", fast)] * 100)
    world.control_latency("topics", "800")
    world.probe("topics", [100.0] * 100, speed=speed, rate_known=rate_known)
    found = paired_latency(world.workspace, world.store, "topics", "small")
    assert found.pairs == ()
    assert "its latency can't be measured" in found.reason
    server = replace(world.workspace.candidate("small"), engine="openai")
    assert "--candidate small --probe latency" in unmeasured("topics", server)


def test_a_probe_of_calls_without_a_logged_latency_says_so(world: World) -> None:
    """The log may hold no latency of the frontier; an error's latency is none."""
    world.add("topics", [(failed(), "a")] * 50)
    world.control_latency("topics", "10")
    world.probe("topics", [100.0] * 50)
    assert "No probed call" in paired_latency(world.workspace, world.store, "topics", "small").reason


def test_the_blend_of_a_threshold_takes_the_probe_and_the_log(world: World) -> None:
    """The candidate's mean at production's pace, and the frontier's latency where it falls back."""
    pairs: list[Any] = [
        ("a", Output("a", latency_ms=1.0, confidence={"token_quantile": number / 400}))
        for number in range(400)
    ]
    world.add("topics", pairs)
    compare(world.workspace, world.store, "topics")
    world.control_latency("topics", "800")
    world.probe("topics", [90.0, 110.0] * 100)
    found = thresholds(world.workspace, world.store, "topics", "small")
    assert found.control_latency_ms == 800
    for row in found.rows:
        assert row.latency_ms == pytest.approx(100 + (1 - row.routed) * 800)


def test_nothing_beside_a_decision_changes_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without thresholds, predictions and latencies the decision is the same to the letter."""
    texts(world, 400)
    world.control_latency("rewrite", "800")
    world.probe("rewrite", [100.0] * 200)
    whole = recommend(world.workspace, world.store, "rewrite", "small")
    assert whole.details["predicted"].estimate is not None
    assert len(whole.details["latency"].pairs) == 3
    assert "sentence" in whole.details["thresholds"]
    monkeypatch.setattr(beside, "AT_MOST", 0)
    bare = recommend(world.workspace, world.store, "rewrite", "small")
    assert bare.details["predicted"] is None
    shown = {"latency", "predicted", "thresholds"}

    def decision(answer: Any) -> Any:
        return replace(answer, details={k: v for k, v in answer.details.items() if k not in shown})

    assert decision(whole) == decision(bare)


def test_command_line_and_facade_show_them(world: World) -> None:
    """`recommend --json` has them under details, and the facade has each on its own."""
    texts(world, 320)
    root = str(world.workspace.root)
    result = CliRunner().invoke(
        cli, ["recommend", "--task", "rewrite", "--candidate", "small", "--json", "--workspace", root]
    )
    assert result.exit_code == 0, result.output
    details = json.loads(result.stdout)["details"]
    assert details["predicted"]["labels"] == 320
    assert details["latency"]["pairs"] == []
    assert details["thresholds"]["signal"] is None
    with Workbench(root) as bench:
        assert bench.predicted("rewrite", "small").labels == 320
        assert "can't be measured" in bench.paired_latency("rewrite", "small").reason
