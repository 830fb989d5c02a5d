"""Confidence as a probability, for display alone: no guarantee rests on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from workbench.stats.arguments import check_same_length, known_values

ISOTONIC_FROM = 200
"""Labels from which a step function is fitted instead of a curve with two parameters."""
_EDGE = 1e-6

Calibration = Callable[[ArrayLike], NDArray[np.float64]]


def calibrated(confidences: ArrayLike, losses: ArrayLike) -> Calibration:
    """Return what turns a confidence into the estimated chance that a call is not harmed.

    Under 200 labels Platt's curve 1 / (1 + exp(-(a logit c + b))), a >= 0, with his softened targets against
    overfitting; from 200 on isotonic regression, the non-decreasing g that makes sum (y - g(c))^2 least, by
    pooling adjacent violators, interpolated in between its steps.
    Source: Platt, Advances in Large Margin Classifiers, 1999; Zadrozny and Elkan, Knowledge Discovery and
    Data Mining, 2002.

    Args:
        confidences: Of labelled calls, 0..1, length n, without NaN.
        losses: Above 0 for a harmed call, length n.

    Raises:
        ValueError: There are no calls, lengths differ, a value is missing, or a confidence is outside 0..1.
    """
    scores = known_values(confidences, "a confidence", least=0.0, most=1.0)
    good = known_values(losses, "a loss") <= 0
    check_same_length(confidences=scores.size, losses=good.size)
    if not scores.size:
        raise ValueError("without labelled calls nothing can be calibrated")
    return _platt(scores, good) if scores.size < ISOTONIC_FROM else _isotonic(scores, good)


def _platt(scores: NDArray[np.float64], good: NDArray[np.bool_]) -> Calibration:
    right, wrong = int(good.sum()), int((~good).sum())
    targets = np.where(good, (right + 1) / (right + 2), 1 / (wrong + 2))
    x = logit(np.clip(scores, _EDGE, 1 - _EDGE))

    def loss(parameters: NDArray[np.float64]) -> float:
        z = parameters[0] * x + parameters[1]
        return float(np.sum(np.logaddexp(0, z) - targets * z))

    from scipy.optimize import minimize  # Slow to load, and rarely needed.

    # A higher confidence must never be shown as a lower chance.
    slope, shift = minimize(loss, np.array([1.0, 0.0]), bounds=[(0.0, None), (None, None)]).x

    def apply(values: ArrayLike) -> NDArray[np.float64]:
        clipped = np.clip(np.asarray(values, dtype=np.float64), _EDGE, 1 - _EDGE)
        return np.asarray(expit(slope * logit(clipped) + shift), dtype=np.float64)

    return apply


def _isotonic(scores: NDArray[np.float64], good: NDArray[np.bool_]) -> Calibration:
    from scipy.optimize import isotonic_regression  # Slow to load, and rarely needed.

    distinct, place = np.unique(scores, return_inverse=True)
    sizes = np.bincount(place).astype(np.float64)
    means = np.bincount(place, weights=good.astype(np.float64)) / sizes
    fitted = isotonic_regression(means, weights=sizes).x

    def apply(values: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(np.interp(np.asarray(values, dtype=np.float64), distinct, fitted))

    return apply
