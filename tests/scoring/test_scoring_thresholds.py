"""Confidence thresholds from a store: the promise, the halves, the blend, and what is said without any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scoring_world import CONFIG, World, failed, make_world

from workbench import Workbench
from workbench.cli import cli
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import LabelVerdict, Output, Policy, Usage, to_json
from workbench.scoring import compare, recommend
from workbench.scoring.thresholds import ThresholdReport, thresholds

TOLERANCE = 0.05


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    each = make_world(tmp_path)
    with each.store:
        yield each


def sure(text: str, confidence: float | None, signal: str = "token_quantile") -> Output:
    """Return an answer with a confidence."""
    signals = {} if confidence is None else {signal: confidence}
    return Output(
        text, finish_reason="stop", model="small-model", usage=Usage(100, 0, 10), confidence=signals
    )


def draw(dice: np.random.Generator, n: int, most: float, power: float) -> list[tuple[str, Output]]:
    """Return answers of which most * (1 - c) ** power differ at confidence c, uniform in 0..1."""
    scores = dice.random(n)
    differs = dice.random(n) < most * (1 - scores) ** power
    return [
        ("a", sure("b" if bad else "a", float(score))) for score, bad in zip(scores, differs, strict=True)
    ]


def report(world: World, task: str = "topics", **options: object) -> ThresholdReport:
    return thresholds(world.workspace, world.store, task, "small", **options)  # type: ignore[arg-type]


def easy(world: World, n: int = 900) -> ThresholdReport:
    """Store answers whose harm falls fast with confidence, and return the report."""
    world.add("topics", draw(np.random.default_rng(1), n, 0.5, 3.0))
    compare(world.workspace, world.store, "topics")
    return report(world)


@pytest.mark.parametrize(("most", "power"), [(0.5, 3.0), (0.06, 0.0)])
def test_the_promise_holds_at_every_look(tmp_path: Path, most: float, power: float) -> None:
    """Looked at after each of three batches, a threshold that breaks its promise is found in 5 % of worlds.

    That is through the real store and less Monte Carlo error; where confidence tells, most worlds find one.
    """
    runs, size = 16, 400
    names = [f"c{run:02}" for run in range(runs)]
    world = make_world(tmp_path)
    extra = "".join(
        f'\n[[candidates]]\nname = "{name}"\nengine = "recorded"\noutputs = "{name}.csv"\n' for name in names
    )
    (tmp_path / "workbench.toml").write_text(CONFIG + extra, encoding="utf-8")
    for name in names:
        (tmp_path / f"{name}.csv").write_text(f"row,out\n0,{name}\n", encoding="utf-8")
    world.workspace = Workspace.load(tmp_path)
    dice = np.random.default_rng(7)
    broken: set[str] = set()
    found = 0
    with world.store:
        for batch in range(3):
            for name in names:
                world.add(
                    "topics",
                    draw(dice, size, most, power),
                    candidate=name,
                    replay=name,
                    batch=batch,
                    first=batch * size,
                    known_calls=name != names[0],
                )
            compare(world.workspace, world.store, "topics")
            for name in names:
                best = thresholds(world.workspace, world.store, "topics", name).best
                if best is None:
                    continue
                found += batch == 2
                if most * (1 - best.confidence) ** power / (power + 1) > TOLERANCE:
                    broken.add(name)
    # 3 standard errors above 5 %.
    assert len(broken) <= runs * (0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5)
    if power:
        assert found >= 0.8 * runs


def test_the_table_shows_what_a_threshold_brings(world: World) -> None:
    """Routed shares rise from cautious to permissive, the other half agrees, and the blend adds up."""
    found = easy(world)
    assert found.signal == "token_quantile"
    assert found.best is not None
    assert found.best.risk.high <= TOLERANCE
    assert found.informative
    assert [row.routed for row in found.rows] == sorted(row.routed for row in found.rows)
    assert found.tuned_on + found.reported_on == found.calls == 900
    assert abs(found.tuned_on - 450) < 70
    # Nobody has looked at an output: there is a bound, and no estimate.
    assert found.best.reported.point is None
    assert found.best.reported.high < 1.5 * TOLERANCE
    control, candidate = (100 * 2 + 10 * 8) / 1e6, (100 * 0.1 + 10 * 0.2) / 1e6
    assert found.control_cost_usd == pytest.approx(control)
    for row in found.rows:
        assert row.cost_usd == pytest.approx(candidate + (1 - row.routed) * control)
        assert row.latency_ms is None
    chances = [row.chance_fine for row in found.rows if row.chance_fine is not None]
    assert chances == sorted(chances, reverse=True)
    assert "The log holds no latency of the frontier" in found.text


def test_thresholds_and_starts_stay_as_the_first_batch_fixed_them(world: World) -> None:
    """More evidence with quite other confidences moves neither the grid nor the half that a call is in."""
    first = easy(world, 400)
    shifted = [
        (control, sure(str(each.text), 0.001)) for control, each in draw(np.random.default_rng(3), 400, 0, 1)
    ]
    world.add("topics", shifted, batch=1, first=400)
    compare(world.workspace, world.store, "topics")
    later = report(world)
    assert [row.confidence for row in later.rows] == [row.confidence for row in first.rows]
    assert later.rows[-1].routed < first.rows[-1].routed
    assert [row.risk for row in later.rows] == [row.risk for row in first.rows]


def test_a_disagreement_found_harmless_is_no_loss(world: World) -> None:
    """Labels improve a structural threshold, and never make a harmful one look better."""
    world.add("topics", [("a", sure("b" if i % 8 == 0 else "a", 0.9 - i / 10_000)) for i in range(800)])
    compare(world.workspace, world.store, "topics")
    before = report(world)
    assert before.best is None
    for number in range(0, 800, 8):
        world.label("topics", number, LabelVerdict.EQUAL)
    after = report(world)
    assert after.best is not None
    assert after.best.routed == 1.0


def test_semantic_thresholds_count_drawn_labels_alone(world: World) -> None:
    """Similar texts prove nothing: without labels nothing is proven, and the report says what to do."""
    world.add("rewrite", [("same text", sure("same text", i / 400)) for i in range(400)])
    compare(world.workspace, world.store, "rewrite")
    found = report(world, "rewrite")
    assert found.best is None
    assert found.tuned_on == 0
    assert all(row.risk.high == 1.0 for row in found.rows)
    assert "label what the queue draws" in found.text


def test_a_lapsed_draw_counts_as_harm(world: World) -> None:
    """With clean labels a threshold is proven; the same draws left to lapse prove none."""
    world.add("rewrite", [("same text", sure("same text", (i + 1) / 601)) for i in range(600)])
    compare(world.workspace, world.store, "rewrite")
    world.draw("rewrite", [(number, LabelVerdict.EQUAL) for number in range(600) if number % 6])
    clean = report(world, "rewrite")
    assert clean.best is not None
    assert clean.tuned_on + clean.reported_on == 500
    world.draw("rewrite", [(number, None) for number in range(0, 600, 6)])
    lapsed = report(world, "rewrite")
    assert lapsed.rows[-1].risk.point is not None
    assert lapsed.rows[-1].risk.point > 0.1
    assert lapsed.tuned_on + lapsed.reported_on == 600
    assert lapsed.best is None or lapsed.best.confidence > clean.best.confidence
    # A call that is not routed can't be harmed, whatever became of its draw.
    budget = report(world, "rewrite", budget_mode=True)
    assert budget.rows[-1].risk.high > TOLERANCE


def test_budget_mode_bounds_harm_over_all_calls(world: World) -> None:
    """It may go further than the harm among the routed does, and never counts calls that fall back."""
    found = easy(world)
    budget = report(world, budget_mode=True)
    assert budget.best is not None
    assert found.best is not None
    assert budget.best.confidence <= found.best.confidence
    assert budget.rows[0].risk.n == budget.tuned_on
    for row, other in zip(budget.rows, found.rows, strict=True):
        assert row.risk.high <= other.risk.high + 1e-12


def test_a_failed_answer_has_no_confidence_and_falls_back(world: World) -> None:
    """Errors are never routed: they worsen neither a threshold nor its share beyond their own."""
    pairs = draw(np.random.default_rng(1), 900, 0.5, 3.0)
    world.add("topics", [*pairs, *(("a", failed()) for _ in range(100))])
    compare(world.workspace, world.store, "topics")
    found = report(world)
    assert found.known == 900
    assert found.rows[-1].routed == pytest.approx(0.9)
    assert "100 of 1,000 answers have no token_quantile" in found.text


def test_confidence_without_information_is_said_to_be_so(world: World) -> None:
    """An AUROC of at most .55 leads the answer."""
    world.add("topics", draw(np.random.default_rng(2), 800, 0.1, 0.0))
    compare(world.workspace, world.store, "topics")
    found = report(world)
    assert found.auroc is not None
    assert found.informative is (found.auroc > 0.55)
    assert found.sentence.startswith("Confidence carries no information") is not found.informative


def test_without_a_confidence_the_report_says_what_to_do(world: World) -> None:
    """No signal: no table, the reason, and both ways to get one."""
    world.add("topics", [("a", "a")] * 60)
    compare(world.workspace, world.store, "topics")
    found = report(world)
    assert found.rows == ()
    assert "samples = 5" in found.text
    assert "log-probabilities" in found.text


def test_the_order_of_signals_and_a_wrong_name(world: World) -> None:
    """The margin between labels comes first where most answers have it; an unknown name is refused."""
    world.add("topics", [("a", sure("a", 0.5, "sample_agreement"))] * 10)
    world.add("topics", [("a", sure("a", 0.6, "label_margin"))] * 40, first=10)
    compare(world.workspace, world.store, "topics")
    assert report(world).signal == "label_margin"
    assert report(world, signal="sample_agreement").known == 10
    assert report(world, signal="token_quantile").rows == ()
    with pytest.raises(UsageError, match="No confidence is called 'hunch'"):
        report(world, signal="hunch")
    with pytest.raises(UsageError, match="is compared yet"):
        thresholds(world.workspace, world.store, "orders", "small")


def test_a_plan_fixes_one_walk_for_every_look(world: World) -> None:
    """With a planned number of labels one walk has the whole error; the policy can hold the plan."""
    easy(world)
    planned = report(world, planned_labels=900)
    assert planned.planned_labels == 900
    assert {row.risk.level for row in planned.rows} == {0.95}
    assert {round(row.risk.level, 4) for row in report(world).rows} == {0.9833}
    policy = replace(Policy(), planned_labels=900)
    assert report(world, policy=policy) == planned


def test_command_and_facade_say_the_same_and_the_decision_does_not_change(world: World) -> None:
    """`workbench thresholds --json` is the record of `Workbench.thresholds`; recommend decides without it."""
    before = to_json(recommend(world.workspace, world.store, "topics", "small"))
    assert before
    found = easy(world)
    root = str(world.workspace.root)
    result = CliRunner().invoke(
        cli, ["thresholds", "--task", "topics", "--candidate", "small", "--json", "--workspace", root]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(to_json(found))
    with Workbench(root) as bench:
        assert bench.thresholds("topics", "small") == found
    text = CliRunner().invoke(
        cli, ["thresholds", "--task", "topics", "--candidate", "small", "--workspace", root]
    )
    assert "proven" in text.output
