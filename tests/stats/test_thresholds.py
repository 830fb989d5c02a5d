"""Confidence thresholds: the case of the specification, the promise by simulation, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from workbench.stats import bounds
from workbench.stats.calibration import calibrated
from workbench.stats.thresholds import (
    auroc,
    frozen_grid,
    is_for_tuning,
    learn_then_test,
    starting_places,
)
from workbench.stats.wording import confidence, measured

GRID = (0.95, 0.9, 0.8, 0.7, 0.5)


def worked_case() -> tuple[list[float], list[int]]:
    """Return calls with n 80/150/300/450/600 and harms 0/2/6/15/40 at or above .95/.9/.8/.7/.5."""
    scores: list[float] = []
    losses: list[int] = []
    before_n, before_bad = 0, 0
    for step, n, bad in zip(GRID, (80, 150, 300, 450, 600), (0, 2, 6, 15, 40), strict=True):
        scores += [step] * (n - before_n)
        losses += [1] * (bad - before_bad) + [0] * (n - before_n - bad + before_bad)
        before_n, before_bad = n, bad
    return scores, losses


@pytest.mark.parametrize(("method", "best", "high"), [("anytime", 0.95, 0.046), ("exact", 0.8, 0.039)])
def test_the_worked_case(method: str, best: float, high: float) -> None:
    """Anytime proves .95 and a single look .8, never .7, whose observed error looks good enough."""
    scores, losses = worked_case()
    found = learn_then_test(scores, losses, scores, tolerance=0.05, delta=0.05, grid=GRID, method=method)
    assert found.best is not None
    assert found.best.confidence == best
    assert found.best.risk.high == pytest.approx(high, abs=0.003)
    assert f"{measured(found.best.routed)} of calls" in found.sentence
    assert "(95 % sure)" in found.sentence
    none = learn_then_test(scores, [1] * len(losses), scores, tolerance=0.05, delta=0.05, grid=GRID)
    assert none.sentence.endswith("within 5.0 %.")


@given(st.floats(0, 1))
def test_a_confidence_reads_1_only_where_it_is(value: float) -> None:
    """Three digits say enough of most; of one near 1 as many are shown as keep it below."""
    assert (float(confidence(value)) == 1) == (value == 1)
    assert float(confidence(value)) == pytest.approx(value, rel=0.005)
    assert [confidence(each) for each in (1.0, 0.9996, 0.99951, 0.8874)] == ["1", "0.9996", "0.9995", "0.887"]


def world(dice: np.random.Generator, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return confidences, and losses that are rarer where the confidence is higher."""
    scores = dice.beta(4, 1.2, n)
    return scores, (dice.random(n) < risk_at(scores)).astype(float)


def risk_at(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the true risk at a confidence."""
    return np.asarray(0.25 * (1 - scores) ** 0.8)


def test_the_promise_holds_where_the_usual_choice_breaks_it() -> None:
    """In at most 5 % of worlds the chosen threshold's true risk is above tolerance; observed error: many."""
    dice = np.random.default_rng(5)
    population = dice.beta(4, 1.2, 100_000)
    broken = naive = chosen = 0
    runs = 250
    for _ in range(runs):
        scores, losses = world(dice, 500)
        grid = frozen_grid(population[:2_000])
        found = learn_then_test(
            scores, losses, population[:2_000], tolerance=0.05, delta=0.05, grid=grid, method=bounds.EXACT
        )
        if found.best:
            chosen += 1
            routed = population[population >= found.best.confidence]
            broken += float(risk_at(routed).mean()) > 0.05
        passing = [t for t in grid if (scores >= t).any() and losses[scores >= t].mean() <= 0.05]
        naive += bool(passing) and float(risk_at(population[population >= min(passing)]).mean()) > 0.05
    assert chosen > runs / 3
    assert broken / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert naive / runs > 0.2


def test_thresholds_with_too_few_calls_are_passed_over_not_failed() -> None:
    """Ten sure calls prove nothing, but they do not end the walk before it has begun."""
    scores = [0.99] * 10 + [0.9] * 200
    found = learn_then_test(scores, [0] * 210, scores, tolerance=0.05, delta=0.05, grid=(0.99, 0.9))
    assert [row.tested for row in found.rows] == [False, True]
    assert found.best is not None
    assert found.best.confidence == 0.9


def test_three_starting_points_get_past_a_bad_first_step() -> None:
    """An unlucky cautious start does not hide what is proven further on, at a third of the error each."""
    scores = [0.99] * 120 + [0.8] * 2_000
    losses = [1] * 12 + [0] * 108 + [0] * 2_000
    grid = (0.99, 0.8, 0.79)
    one = learn_then_test(scores, losses, scores, tolerance=0.05, delta=0.05, grid=grid)
    three = learn_then_test(scores, losses, scores, tolerance=0.05, delta=0.05, grid=grid, starts=3)
    assert one.best is None
    assert three.best is not None
    assert three.best.risk.level == pytest.approx(1 - 0.05 / 3)


def test_a_planned_number_of_labels_fixes_where_every_look_starts() -> None:
    """Early looks prove nothing at the planned start instead of starting elsewhere; later ones go on."""
    scores = [0.9, 0.5] * 400
    at: dict[str, object] = {"tolerance": 0.05, "delta": 0.05, "grid": (0.9, 0.5)}
    early = learn_then_test(scores[:100], [0] * 100, scores, planned_labels=800, **at)  # type: ignore[arg-type]
    assert [row.tested for row in early.rows] == [True, False]
    assert early.best is None
    elsewhere = learn_then_test(scores[:100], [0] * 100, scores, **at)  # type: ignore[arg-type]
    assert [row.tested for row in elsewhere.rows] == [False, True]
    late = learn_then_test(scores, [0] * 800, scores, planned_labels=800, **at)  # type: ignore[arg-type]
    assert late.best is not None
    assert late.best.confidence == 0.5


def test_three_starting_points_need_labels() -> None:
    """With few labels a third of the error costs more than it brings: refused."""
    with pytest.raises(ValueError, match="200 labels"):
        learn_then_test([0.5] * 20, [0] * 20, [0.5], tolerance=0.05, delta=0.05, starts=3)


def test_budget_mode_bounds_harm_among_all_calls() -> None:
    """The same harms are fewer among all calls than among the routed ones: more can be routed."""
    scores, losses = worked_case()
    found = learn_then_test(scores, losses, scores, tolerance=0.05, delta=0.05, grid=GRID, budget_mode=True)
    assert all(row.risk.n == len(scores) for row in found.rows)
    assert found.best is not None
    assert found.best.confidence < 0.95
    assert "routed and harmed" in found.sentence


def test_blended_cost_counts_both_models_where_the_candidate_was_not_sure() -> None:
    """A call below the threshold has cost the candidate and then the control."""
    scores = [0.9] * 75 + [0.1] * 25
    found = learn_then_test(
        scores, [0] * 100, scores, tolerance=0.05, delta=0.05, grid=(0.9, 0.1), costs_usd=(1.0, 10.0)
    )
    assert found.rows[0].cost_usd == pytest.approx(1 + 0.25 * 10)
    assert found.rows[0].latency_ms is None


def test_latencies_of_each_call_are_blended_by_who_is_asked() -> None:
    """Slow calls that go on to the control count with their own latency; NaN leaves a call out."""
    scores = [0.9] * 60 + [0.1] * 40
    candidate, control = [100.0] * 100, [500.0] * 60 + [2_000.0] * 40
    at: dict[str, object] = {"tolerance": 0.05, "delta": 0.05, "grid": (0.9, 0.1)}
    found = learn_then_test(scores, [0] * 100, scores, latencies_ms=(candidate, control), **at)  # type: ignore[arg-type]
    assert [row.latency_ms for row in found.rows] == pytest.approx([100 + 0.4 * 2_000, 100])
    control[60:80] = [float("nan")] * 20
    found = learn_then_test(scores, [0] * 100, scores, latencies_ms=(candidate, control), **at)  # type: ignore[arg-type]
    assert found.rows[0].latency_ms == pytest.approx(100 + 20 * 2_000 / 80)
    candidate[60:80] = [9_000.0] * 20
    found = learn_then_test(scores, [0] * 100, scores, latencies_ms=(candidate, control), **at)  # type: ignore[arg-type]
    assert [row.latency_ms for row in found.rows] == pytest.approx([100 + 20 * 2_000 / 80, 100])
    with pytest.raises(ValueError, match="don't belong together"):
        learn_then_test(scores, [0] * 100, scores, latencies_ms=(candidate, [1.0]), **at)  # type: ignore[arg-type]


def test_confidence_without_information_is_said_to_be_so() -> None:
    """Where harm is as frequent among sure calls, the answer says that confidence is of no use."""
    scores, losses = np.tile(np.linspace(0.1, 0.9, 5), 100), np.repeat([1.0, 0.0, 0.0, 0.0, 0.0], 100)
    found = learn_then_test(scores, losses, scores, tolerance=0.05, delta=0.05)
    assert found.auroc == pytest.approx(0.5)
    assert "no information" in found.sentence
    assert found.best is None
    telling = learn_then_test(scores, (scores < 0.2).astype(float), scores, tolerance=0.05, delta=0.05)
    assert telling.auroc == 1
    assert "no information" not in telling.sentence
    assert telling.best is not None


def test_the_promise_holds_however_often_anyone_looks() -> None:
    """5.1 % harm everywhere, looked at after every 100 labels: promised as rarely as delta says."""
    dice = np.random.default_rng(21)
    runs, labels, grid = 120, 600, (0.5, 0.0)
    broken = naive = 0
    for _ in range(runs):
        scores, losses = dice.random(labels), (dice.random(labels) < 0.051).astype(float)
        promised = tempting = False
        for n in range(100, labels + 1, 100):
            found = learn_then_test(
                scores[:n],
                losses[:n],
                scores,
                tolerance=0.05,
                delta=0.05,
                grid=grid,
                planned_labels=labels,
            )
            promised |= found.best is not None
            tempting |= any(losses[:n][scores[:n] >= t].mean() <= 0.05 for t in grid)
        broken, naive = broken + promised, naive + tempting
    assert broken / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert naive / runs > 0.8


def test_starts_that_follow_the_labels_would_break_the_promise() -> None:
    """Looked at often, skipping what has too few calls as yet proves too much; fixed places do not."""
    dice, runs, labels = np.random.default_rng(8), 500, 2_000
    looks = np.arange(20, labels + 1, 20) - 1

    def needed(delta: float) -> NDArray[np.float64]:
        """Return the fewest calls that prove the tolerance with so many harms."""
        most = int(labels * 0.12)
        return np.asarray([bounds.calls_needed(bad, 0.05, delta) for bad in range(most)], dtype=np.float64)

    one, third = needed(0.05), needed(0.05 / 3)
    followed = fixed = 0
    for _ in range(runs):
        pool, scores = dice.random(1_000), dice.random(labels)
        grid = np.asarray(frozen_grid(pool))
        chosen = scores[:, None] >= grid
        n = chosen.cumsum(axis=0)[looks]
        bad = (chosen & (dice.random(labels) < 0.0505)[:, None]).cumsum(axis=0)[looks]
        enough = n >= one[0]
        first = enough.argmax(axis=1)
        row = np.arange(looks.size)
        followed += bool((enough[row, first] & (n[row, first] >= one[bad[row, first]])).any())
        places = list(starting_places([float((pool >= step).mean()) for step in grid]))
        fixed += bool((n[:, places] >= third[bad[:, places]]).any())
    assert fixed / runs <= 0.05
    assert followed / runs > 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


@given(st.integers(59, 400), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_snapshot_proves_what_the_binomial_test_proves(n: int, bad: int) -> None:
    """One threshold is proven exactly where so few harms have a chance of at most delta at the tolerance."""
    losses = [1] * bad + [0] * (n - bad)
    found = learn_then_test(
        [0.9] * n, losses, [0.9], tolerance=0.05, delta=0.05, grid=(0.9,), method=bounds.EXACT
    )
    assert (found.best is not None) == (binom.cdf(bad, n, 0.05) <= 0.05)


@given(
    st.lists(st.tuples(st.sampled_from(GRID), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 11),
    st.sampled_from([bounds.ANYTIME, bounds.EXACT]),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_one_more_harm_proves_nothing_more(
    blocks: list[tuple[float, bool]], place: int, method: str, budget_mode: bool
) -> None:
    """Proven thresholds come without a gap from the first one tested, and a worse outcome adds none."""
    scores = np.repeat([score for score, _ in blocks], 40)
    losses = np.zeros(scores.size)
    losses[::40] = [float(bad) for _, bad in blocks]
    worse = losses.copy()
    worse[(place % len(blocks)) * 40 + 1] = 1
    found, after = (
        learn_then_test(
            scores,
            each,
            scores,
            tolerance=0.05,
            delta=0.05,
            grid=GRID,
            method=method,
            budget_mode=budget_mode,
        )
        for each in (losses, worse)
    )
    tested = [row.proven for row in found.rows if row.tested]
    assert tested == sorted(tested, reverse=True)
    assert not any(row.proven and not row.tested for row in found.rows)
    assert {row.confidence for row in after.rows if row.proven} <= {
        row.confidence for row in found.rows if row.proven
    }


@pytest.mark.parametrize("method", [bounds.ANYTIME, bounds.EXACT])
@pytest.mark.parametrize("loss", [float("nan"), -0.1, 1.1, float("inf")])
def test_a_loss_that_is_missing_or_impossible_is_refused(loss: float, method: str) -> None:
    """It never counts as unharmed, which would prove a threshold out of missing evidence."""
    with pytest.raises(ValueError, match="each loss"):
        learn_then_test([0.9] * 100, [0.0] * 99 + [loss], [0.9], tolerance=0.05, delta=0.05, method=method)


@pytest.mark.parametrize("method", [bounds.EXACT, bounds.ANYTIME])
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ({"tolerance": float("nan")}, "tolerance must be within"),
        ({"tolerance": 5.0}, "0.05 is 5 %"),
        ({"delta": 5.0}, "delta, an error probability"),
        ({"deff": float("nan")}, "design effect"),
        ({"deff": 0.5}, "design effect"),
    ],
)
def test_what_would_make_no_bound_is_refused(mistake: dict[str, float], said: str, method: str) -> None:
    """A level in percent, or an effect that is no number, ends in words, never in a threshold."""
    with pytest.raises(ValueError, match=said):
        learn_then_test(
            [0.9] * 100,
            [0] * 100,
            [0.9] * 100,
            method=method,
            **({"tolerance": 0.05, "delta": 0.05} | mistake),
        )


def test_losses_between_0_and_1_are_for_the_anytime_bound() -> None:
    """Half losses add up there; the bound that counts refuses them, and a bound of no name too."""
    scores, halves = [0.9] * 200, [0.5] * 4 + [0.0] * 196
    found = learn_then_test(scores, halves, scores, tolerance=0.05, delta=0.05)
    assert found.rows[0].risk == bounds.anytime(2, 200, 0.05)
    with pytest.raises(ValueError, match="must be 0 or 1"):
        learn_then_test(scores, halves, scores, tolerance=0.05, delta=0.05, method=bounds.EXACT)
    with pytest.raises(ValueError, match="'anytime' and 'exact'"):
        learn_then_test(scores, halves, scores, tolerance=0.05, delta=0.05, method="exakt")


def test_planned_labels_decide_about_three_starting_points() -> None:
    """An early look of a large plan may use them as the last one will."""
    scores = [0.9] * 100
    found = learn_then_test(
        scores, [0] * 100, scores, tolerance=0.05, delta=0.05, starts=3, planned_labels=600
    )
    assert found.starts == 3
    with pytest.raises(ValueError, match="200 labels; there are 100"):
        learn_then_test(scores, [0] * 100, scores, tolerance=0.05, delta=0.05, starts=3)


def test_the_grid_is_twenty_quantiles_of_the_known_confidences() -> None:
    """From the 95 % quantile down to the smallest; equal ones are kept once; NaN is no confidence."""
    scores = np.random.default_rng(4).permutation(np.arange(1, 101) / 100)
    expected = [(1 + 99 * step // 20) / 100 for step in range(19, -1, -1)]
    assert frozen_grid([*scores, float("nan")]) == pytest.approx(expected)
    assert frozen_grid([0.5] * 30 + [0.7] * 30) == (0.7, 0.5)
    assert frozen_grid([float("nan")]) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=80, deadline=None)
def test_auroc_is_the_share_of_pairs_in_the_right_order(calls: list[tuple[float, bool]]) -> None:
    """Counting all pairs of a harmed and an unharmed call one by one gives the same number."""
    bad = [score for score, harmed in calls if harmed]
    good = [score for score, harmed in calls if not harmed]
    found = auroc([score for score, _ in calls], [float(harmed) for _, harmed in calls])
    if not bad or not good:
        assert found is None
        return
    wins = sum((b < g) + 0.5 * (b == g) for b in bad for g in good)
    assert found == pytest.approx(wins / (len(bad) * len(good)))


def test_calls_without_a_confidence_are_never_routed() -> None:
    """NaN passes no threshold, neither among the labelled nor among all calls."""
    scores = [0.9] * 100 + [float("nan")] * 100
    found = learn_then_test(scores, [0] * 100 + [1] * 100, scores, tolerance=0.05, delta=0.05)
    assert found.best is not None
    assert found.best.routed == 0.5


def test_tuning_and_reporting_halves_are_stable_and_even() -> None:
    """A call always falls into the same half, and the halves are about equal."""
    ids = [f"call-{number}" for number in range(2_000)]
    halves = [is_for_tuning(each) for each in ids]
    assert halves == [is_for_tuning(each) for each in ids]
    assert 0.45 < sum(halves) / len(halves) < 0.55
    both = sum(a and is_for_tuning(each, seed=1) for a, each in zip(halves, ids, strict=True))
    assert 0.2 < both / len(ids) < 0.3


@pytest.mark.parametrize("n", [150, 2_000])
def test_calibration_follows_the_true_chance_and_never_falls(n: int) -> None:
    """Under and over 200 labels the shown chance rises with confidence and is near the truth."""
    dice = np.random.default_rng(2)
    scores = dice.random(n)
    losses = (dice.random(n) > scores).astype(float)
    shown = calibrated(scores, losses)(np.linspace(0.1, 0.9, 9))
    assert (np.diff(shown) >= -1e-9).all()
    assert np.abs(shown - np.linspace(0.1, 0.9, 9)).max() < (0.2 if n < 200 else 0.12)
