"""Harm estimated from few labels and a prediction for every call. Shown beside the bound, never the gate.

PPI++ (Angelopoulos, Duchi and Zrnic, 2023): theta = mean of y over the labels plus
lambda (mean of f over all other calls - mean of f over the labels). lambda is tuned to the least
variance, so that a predictor without information costs nothing. The interval is a normal one: with few
labels or few harms it covers too rarely (.88 where .95 is promised, at 100 labels) and is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from workbench.records import Estimate
from workbench.stats.arguments import check_delta, check_effect

METHOD = "PPI++, normal interval"
MINIMUM_LABELS = 300
MINIMUM_HARMS = 10


@dataclass(frozen=True, slots=True)
class Predicted:
    """A prediction-powered estimate, or why there is none.

    `power` is the tuned lambda: 0 ignores the predictor, 1 trusts it as far as it goes.
    """

    estimate: Estimate | None
    power: float = 0.0
    reason: str = ""


def predicted_harm(
    outcomes: ArrayLike,
    predictions: ArrayLike,
    other_predictions: ArrayLike,
    delta: float,
    *,
    weights: ArrayLike | None = None,
    deff: float = 1.0,
) -> Predicted:
    """Return the estimate of harm where there is enough to make one from.

    theta = mean(w y) + lambda (mean(f of the others) - mean(w f)) of `ppi_mean`, refused under 300 labels
    or 10 harms, where its interval covers too rarely.
    Source: Angelopoulos, Duchi and Zrnic, PPI++: efficient prediction-powered inference, 2023; weights,
    Horvitz and Thompson, Journal of the American Statistical Association 47, 1952.

    Args:
        outcomes: 1 for a harmed call, 0 otherwise; labelled calls, length n.
        predictions: The predictor's value for the labelled calls, length n.
        other_predictions: Its value for calls without a label, length m.
        delta: Error probability of each limit.
        weights: Share over draw probability of each label, length n; 1 if left out.
        deff: Design effect, where calls come in clusters.

    Returns:
        The estimate, or the reason why there is none: under 300 labels or 10 harms, or no two outcomes that
        differ.

    Raises:
        ValueError: Lengths differ, a value is missing, `delta` is not inside 0..1, or `deff` is below 1.
    """
    check_delta(delta)
    y = np.asarray(outcomes, dtype=np.float64)
    if y.size < MINIMUM_LABELS:
        return Predicted(None, reason=f"{y.size} labels; an estimate needs {MINIMUM_LABELS}")
    if (y > 0).sum() < MINIMUM_HARMS:
        return Predicted(None, reason=f"{int((y > 0).sum())} harms; an estimate needs {MINIMUM_HARMS}")
    estimate, power = ppi_mean(y, predictions, other_predictions, delta, weights=weights, deff=deff)
    if math.isinf(estimate.high):
        return Predicted(None, reason=f"all {y.size} labels say the same; an estimate needs some that differ")
    return Predicted(estimate, power)


def ppi_mean(
    outcomes: ArrayLike,
    predictions: ArrayLike,
    other_predictions: ArrayLike,
    delta: float,
    *,
    weights: ArrayLike | None = None,
    deff: float = 1.0,
) -> tuple[Estimate, float]:
    """Return the prediction-powered mean of an outcome and the tuned lambda.

    theta = mean(w y) + lambda (mean(f of the other calls) - mean(w f)), with normal limits. There
    lambda = cov(w y, w f) / (var(w f) + n / m var(f)), cut to 0..1, makes the least of the variance
    var(w y - lambda w f) / n + lambda^2 var(f) / m, var(f) that of the other calls. Without weights this is
    the lambda of the source. Where calls come in clusters the variance is multiplied by a design effect.
    Source: Angelopoulos, Duchi and Zrnic, PPI++: efficient prediction-powered inference, 2023.

    Args:
        outcomes: Of the labelled calls, length n of at least 2.
        predictions: For the labelled calls, length n.
        other_predictions: For the calls without a label, length m; under two the labels speak alone.
        delta: Error probability of each limit.
        weights: Share over draw probability of each label, length n; 1 if left out.
        deff: Design effect (`design_effect` of the outcomes); 1 for independent calls.

    Returns:
        The estimate, its limits not cut to 0..1, and lambda. `n_effective` says how many labels alone would
        be as sure. Where the labels show no spread there is none to make limits from: they are infinite.

    Raises:
        ValueError: Lengths differ, a value is missing, there are fewer than two labels, `delta` is not
            inside 0..1, or `deff` is below 1.
    """
    check_delta(delta)
    check_effect(deff)
    y, f = np.asarray(outcomes, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    others = np.asarray(other_predictions, dtype=np.float64)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
    if y.shape != f.shape or y.shape != w.shape or y.size < 2:
        raise ValueError(
            f"{y.size} outcomes, {f.size} predictions and {w.size} weights can't be put together"
        )
    if not all(np.isfinite(each).all() for each in (y, f, w, others)):
        raise ValueError("an outcome, a prediction or a weight is missing; leave such calls out of both")
    n, m = y.size, others.size
    wy, wf = w * y, w * f
    power = _power(wy, wf, others)
    point, variance = float(wy.mean()), float(np.var(wy - power * wf, ddof=1)) / n
    if m > 1:
        point += power * float(others.mean() - wf.mean())
        variance += power**2 * float(np.var(others, ddof=1)) / m
    alone = float(np.var(wy, ddof=1)) / n
    # Labels that all say the same are not certainty, as any count of harmless calls shows.
    reach = -float(ndtri(delta)) * math.sqrt(deff * variance) if np.ptp(wy) > 0 else math.inf
    worth = (n * alone / variance if variance > 0 else float(n)) / deff
    return Estimate(point, point - reach, point + reach, 1 - delta, METHOD, n, worth), power


def _power(wy: NDArray[np.float64], wf: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    if others.size < 2:
        return 0.0
    spread = float(np.var(wf, ddof=1) + wf.size / others.size * np.var(others, ddof=1))
    together = float(np.cov(wy, wf, ddof=1)[0, 1])
    return min(max(together / spread, 0.0), 1.0) if spread > 0 else 0.0
