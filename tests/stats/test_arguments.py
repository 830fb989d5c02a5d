"""What can't be is refused in words: a rate in percent, a count that is none, a value that is missing."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import workbench.stats as stats
from workbench.stats.agreement import confusion
from workbench.stats.evidence import Population, SessionEvidence, SliceEvidence
from workbench.stats.prediction import predicted_harm

MISSING = math.nan
TABLE = confusion({("a", "a"): 20, ("a", "b"): 4, ("b", "b"): 9})
TASK = Population(compared=100, disagreements=5)

GOOD: dict[str, dict[str, Any]] = {
    "agreement_by_label": {"table": TABLE},
    "anytime": {"bad": 1, "n": 50},
    "anytime_lower": {"bad": 1, "n": 50},
    "anytime_upper": {"bad": 1, "n": 50},
    "calls_needed": {"failures": 1, "bound": 0.05},
    "cohen_kappa": {"table": TABLE},
    "compare_latencies": {"control_ms": [5.0] * 30, "candidate_ms": [4.0] * 30},
    "exact": {"bad": 1, "n": 50},
    "exact_lower": {"bad": 1, "n": 50},
    "exact_upper": {"bad": 1, "n": 50},
    "gwet_ac1": {"table": TABLE},
    "krippendorff_alpha": {"ratings": [{"mia": i % 3 > 0, "tom": i % 4 > 0} for i in range(20)]},
    "learn_then_test": {
        "confidences": [0.9] * 80,
        "losses": [0] * 80,
        "unlabelled": [0.9] * 80,
        "tolerance": 0.05,
    },
    "level_of_look": {"look": 1},
    "moved_limits": {"before": {"a": 30, "b": 20}, "after": {"a": 20, "b": 20}},
    "net": {"population": TASK},
    "noise_asked_again": {"agreeing": [True] * 20, "clusters": [], "icc": 0.05},
    "noise_from_pairs": {"shares": [0.5] * 20, "clusters": [], "icc": 0.05},
    "pairwise_kappa": {"ratings": [{"mia": "a", "tom": "b"}, {"mia": "a", "tom": "a"}] * 9},
    "percentile": {"values": [1.0, 2.0, 3.0] * 20, "q": 0.95},
    "ppi_mean": {"outcomes": [0, 1, 0, 1], "predictions": [0, 1, 1, 1], "other_predictions": [0, 1]},
    "predicted_harm": {"outcomes": [0, 1], "predictions": [0, 1], "other_predictions": [0, 1]},
    "regressions": {"population": TASK},
    "reweighted": {"slices": [SliceEvidence("language", "en", 1.0, TASK)], "mix": {"en": 1}},
    "session_rate": {"found": SessionEvidence(100, 0, 0, 1, TASK, TASK)},
    "size_needed": {"rate": 0.01, "bound": 0.05},
    "tango": {"worse": 3, "better": 5, "n": 40},
    "told_limits": {"accuracy": 0.6, "n": 50, "m": 40},
    "weighted_lower": {"losses": [0.0, 1.0]},
    "weighted_upper": {"losses": [0.0, 1.0]},
}


def test_every_public_statistic_with_an_error_probability_is_tried_below() -> None:
    """Nothing that takes a delta is left out."""
    taking = {name for name in stats.__all__ if "delta" in inspect.signature(getattr(stats, name)).parameters}
    assert taking == set(GOOD)


@pytest.mark.parametrize("delta", [0, 1, 5, 10, -0.05, math.nan, math.inf])
@pytest.mark.parametrize("name", GOOD)
def test_an_error_probability_outside_0_and_1_is_refused(name: str, delta: float) -> None:
    """One in percent, 10 for 10 %, came out as a bound that was far too good."""
    function = getattr(stats, name)
    function(**GOOD[name], delta=0.1)
    with pytest.raises(ValueError, match=r"inside 0\.\.1 \(0\.05 is 5 %\)"):
        function(**GOOD[name], delta=delta)


COUNTS = [
    (-1, 10),
    (11, 10),
    (2, 1),
    (1, -1),
    (MISSING, 10),
    (1, MISSING),
    (1, math.inf),
    (math.inf, math.inf),
]


@pytest.mark.parametrize(("bad", "n"), COUNTS)
@pytest.mark.parametrize(
    "function",
    [
        stats.anytime,
        stats.anytime_lower,
        stats.anytime_upper,
        stats.exact,
        stats.exact_lower,
        stats.exact_upper,
    ],
)
def test_counts_that_can_not_be_are_refused(function: Callable[..., Any], bad: float, n: float) -> None:
    """Bad calls are a part of all calls."""
    with pytest.raises(ValueError, match=r"bad calls of .* can't be"):
        function(bad, n, 0.05)


def test_counts_that_rounding_put_a_hair_outside_are_not_refused() -> None:
    """Counts over a design effect: all bad is all bad, and none is none."""
    n = 10 / 3
    assert stats.anytime_upper(n * (1 + 1e-14), n, 0.05) == stats.exact_upper(n * (1 + 1e-14), n, 0.05) == 1
    assert stats.anytime_lower(-1e-14, n, 0.05) == stats.exact_lower(-1e-14, n, 0.05) == 0


ENTRIES: list[tuple[str, Callable[[], object], str]] = [
    ("half an effect", lambda: stats.anytime(0, 40, 0.05, deff=0.5), "design effect must be at least 1"),
    ("no effect", lambda: stats.exact(0, 40, 0.05, deff=0), "design effect must be at least 1"),
    ("an unknown effect", lambda: stats.anytime(0, 40, 0.05, deff=MISSING), "design effect"),
    ("a method of no name", lambda: stats.calls_needed(0, 0.05, 0.05, method="foo"), "called 'foo'"),
    ("a bound in percent", lambda: stats.calls_needed(0, 5, 0.05), "bound must be within 0..1"),
    ("failures below none", lambda: stats.calls_needed(-1, 0.05, 0.05), "can't be"),
    ("a rate in percent", lambda: stats.size_needed(1.5, 0.05, 0.05), "rate must be within 0..1"),
    ("a bound that is missing", lambda: stats.size_needed(0, MISSING, 0.05), "bound must be"),
    ("half an effect, planned", lambda: stats.size_needed(0, 0.1, 0.05, deff=0.5), "design effect"),
    ("a loss below none", lambda: stats.weighted_lower([-5], 0.05), "outside of what their plan allows"),
    ("a loss above all", lambda: stats.weighted_lower([5], 0.05), "outside of what their plan allows"),
    ("a loss below none, above", lambda: stats.weighted_upper([-5], 0.05), "outside of what their plan"),
    ("a missing loss", lambda: stats.weighted_upper([MISSING], 0.05), "a loss is missing"),
    ("a missing loss, below", lambda: stats.weighted_lower([MISSING], 0.05), "a loss is missing"),
    ("a negative count", lambda: stats.weighted_upper([0], 0.05, counts=[-3]), "a count must be"),
    ("half an effect, drawn", lambda: stats.weighted_upper([0], 0.05, deff=0.5), "design effect"),
    ("a missing outcome", lambda: stats.design_effect([0, MISSING], [["a", "a"]], 0.05), "missing"),
    ("an outcome of two", lambda: stats.design_effect([0, 2], [["a", "a"]], 0.05), "within 0..1"),
    ("clusters of others", lambda: stats.design_effect([0, 1], [["a"]], 0.05), "don't belong together"),
    ("a correlation in percent", lambda: stats.design_effect([0, 1], [["a", "a"]], 5), "icc must be"),
    ("pairs below none", lambda: stats.tango(-1, 2, 10, 0.05), "can't be"),
    ("pairs that are missing", lambda: stats.tango(MISSING, 2, 10, 0.05), "can't be"),  # type: ignore[arg-type]
    ("pairs below none, tested", lambda: stats.mcnemar(-1, 3), "can't be"),
    ("a quantile in percent", lambda: stats.percentile([1.0] * 30, 95, 0.05), "q must be within 0..1"),
    ("a missing latency", lambda: stats.percentile([1.0, MISSING], 0.5, 0.05), "missing"),
    ("no bootstrap", lambda: stats.compare_latencies([1.0], [1.0], 0.05, draws=0), "at least one draw"),
    ("calls below none", lambda: stats.population_stability({"a": -1}, {"a": 3}), "can't be"),
    ("no permutation", lambda: stats.population_stability({"a": 1}, {"a": 3}, permutations=0), "permutation"),
    ("no dealing", lambda: stats.two_sample(np.eye(6), np.eye(6), permutations=0), "permutation"),
    ("an alarm at nothing", lambda: stats.EDetector(0.05, alarm_at=0), "alarm"),
    ("a rate to watch that is missing", lambda: stats.EDetector(MISSING), "can't be watched"),
    ("an outcome to watch that is missing", lambda: stats.EDetector(0.05).observe(MISSING), "not in 0..1"),
    ("a missing confidence", lambda: stats.calibrated([MISSING], [0]), "a confidence is missing"),
    ("a confidence in percent", lambda: stats.calibrated([90], [0]), "a confidence must be within"),
    ("losses of others", lambda: stats.calibrated([0.9], [0, 1]), "don't belong together"),
    ("losses of others, ranked", lambda: stats.auroc([0.9], [0, 1]), "don't belong together"),
    ("no grid", lambda: stats.frozen_grid([0.5], size=0), "at least one threshold"),
    ("pairs counted below none", lambda: stats.confusion({("a", "b"): -1}), "can't be"),
    ("self-agreement in percent", lambda: stats.noise_ceiling(95), "self-agreement must be"),
    ("a share in percent", lambda: stats.noise_from_pairs([50], [], 0.05, 0.05), "an outcome must be"),
]


@pytest.mark.parametrize(("call", "said"), [each[1:] for each in ENTRIES], ids=[each[0] for each in ENTRIES])
def test_what_is_no_argument_is_told_in_words(call: Callable[[], object], said: str) -> None:
    """Neither a number that looks like an answer, nor a root finder's complaint."""
    with pytest.raises(ValueError, match=said):
        call()


def test_no_spread_is_no_certainty() -> None:
    """Items that all differ alike, and labels that all say the same, claim nothing about others."""
    alpha = stats.krippendorff_alpha([{"a": 1, "b": 2}] * 3)
    assert (alpha.low, alpha.high) == (-1.0, 1.0)
    estimate, _ = stats.ppi_mean([0, 0, 0], [0.1, 0.2, 0.3], [0.1, 0.5, 0.2], 0.05)
    assert (estimate.point, estimate.low, estimate.high) == (0.0, -math.inf, math.inf)
    alike = predicted_harm([1] * 300, [0.5] * 300, [0.5] * 900, 0.05)
    assert alike.estimate is None
    assert "all 300 labels say the same" in alike.reason
