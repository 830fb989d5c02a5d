"""Has live traffic become another than the evaluated one: in its outcomes, its mix, its content.

The e-detector (Shin, Ramdas and Rinaldo 2023) may be looked at after every call; the two others are
tests of one window against another, with permutation p-values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.stats.arguments import check_counts

FACTORS = (1.5, 2.0, 3.0, 5.0)
"""Rates that are looked out for, as multiples of the evaluated one."""
MOST = 0.999
ALARM = 10_000.0
"""At this value the detector alarms: without drift on average once in so many calls at the earliest."""
PERMUTATIONS = 999
FOLDS = 5
USUAL_SHARE = 0.95
"""Of the evaluated calls, what scores like them: a live call beyond is told apart."""


@dataclass(slots=True)
class EDetector:
    """Watch the rate of a live outcome for a rise above the evaluated one.

    For each p1 in 1.5, 2, 3, 5 times p0: M = (1 + M) L with L = (p1/p0)^x ((1-p1)/(1-p0))^(1-x); the mean
    of the four is watched. Under any rate up to p0 each L has a mean of at most 1, so that calls
    until a false alarm are at least the threshold on average.
    Source: Shin, Ramdas and Rinaldo, New England Journal of Statistics in Data Science, 2023; each M is
    the procedure of Shiryaev, 1963, and Roberts, 1966.

    Args:
        p0: The anytime upper bound on the same rate from the evaluation, in 0..1.
        alarm_at: The value that alarms.

    Raises:
        ValueError: p0 is not inside 0..1: 1 leaves nothing to rise to. Or `alarm_at` is below 1, which the
            first calls would reach.
    """

    p0: float
    alarm_at: float = ALARM
    calls: int = 0
    alarms: list[int] = field(default_factory=list)
    _rise: NDArray[np.float64] = field(init=False, repr=False)
    _fall: NDArray[np.float64] = field(init=False, repr=False)
    _values: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.p0 < MOST:
            raise ValueError(f"a rate of {self.p0:g} can't be watched for a rise")
        if not self.alarm_at >= 1:
            raise ValueError(f"an alarm at {self.alarm_at:g} would be raised by nothing")
        rates = np.minimum(np.asarray(FACTORS) * self.p0, MOST)
        self._rise, self._fall = np.log(rates / self.p0), np.log((1 - rates) / (1 - self.p0))
        self._values = np.zeros(len(FACTORS))

    @property
    def value(self) -> float:
        """Return the evidence for a rise so far."""
        return float(self._values.mean())

    def observe(self, outcome: float) -> bool:
        """Take the next call; return whether it alarms. After an alarm the detector starts anew.

        Args:
            outcome: 0..1, 1 for a disagreement or a harmed call.

        Raises:
            ValueError: The outcome is missing or outside 0..1.
        """
        if not 0 <= outcome <= 1:
            raise ValueError(f"an outcome of {outcome:g} is not in 0..1")
        self.calls += 1
        self._values = (1 + self._values) * np.exp(self._rise * outcome + self._fall * (1 - outcome))
        if self.value < self.alarm_at:
            return False
        self.alarms.append(self.calls)
        self._values = np.zeros(len(FACTORS))
        return True

    def run(self, outcomes: Iterable[float]) -> list[int]:
        """Take many calls; return after how many the detector alarmed, counted from its start."""
        before = len(self.alarms)
        for outcome in outcomes:
            self.observe(float(outcome))
        return self.alarms[before:]


@dataclass(frozen=True, slots=True)
class Shift:
    """How far two windows differ, and how often chance alone makes them differ as much."""

    value: float
    p_value: float


def population_stability(
    before: Mapping[str, int], after: Mapping[str, int], *, seed: int = 0, permutations: int = PERMUTATIONS
) -> Shift:
    """Return the population stability index of two mixes, with a permutation p-value.

    Sum over values of (a - b) ln(a / b), a and b their shares with half a call added to each value, so
    that a value seen on one side alone stays finite; p = (1 + #(permuted >= found)) / (1 + permutations).
    Source: the symmetric divergence, Jeffreys, Proceedings of the Royal Society A 186, 1946, which scorecards
    call stability index, Siddiqi, Credit Risk Scorecards, 2006; the p-value, Phipson and Smyth, Statistical
    Applications in Genetics and Molecular Biology 9, 2010.

    Args:
        before: Calls by slice value in the evaluated window.
        after: The same, live.
        seed: Of the permutations.
        permutations: How often all calls are dealt anew to both windows.

    Raises:
        ValueError: A window is empty, a count is negative, or nothing is dealt anew.
    """
    for times in (*before.values(), *after.values()):
        check_counts(0, times)
    _check_permutations(permutations)
    names = sorted(before.keys() | after.keys())
    first = np.asarray([before.get(name, 0) for name in names], dtype=np.int64)
    second = np.asarray([after.get(name, 0) for name in names], dtype=np.int64)
    if not first.sum() or not second.sum():
        raise ValueError("a window without calls can't be compared")
    found = float(_stability(first[None, :], second[None, :])[0])
    dealt = np.random.default_rng(seed).multivariate_hypergeometric(
        first + second, int(first.sum()), permutations
    )
    others = _stability(dealt, first + second - dealt)
    return Shift(found, float((1 + (others >= found - 1e-12).sum()) / (1 + permutations)))


def moved_share(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Return the share of calls that stand in another value than they would by the old mix.

    Total variation distance d = sum over values of max(b - a, 0), a and b their shares before and after. By
    so much the mean of anything in 0..1 can change at most, if it stays the same within each value.
    Source: Levin and Peres, Markov Chains and Mixing Times, 2017, section 4.1.

    Args:
        before: Calls by slice value in the evaluated window.
        after: The same, live.

    Returns:
        0..1; as measured, which is above 0 for two samples of one mix, too.

    Raises:
        ValueError: A window is empty, or a count is negative.
    """
    for times in (*before.values(), *after.values()):
        check_counts(0, times)
    old, new = sum(before.values()), sum(after.values())
    if not old or not new:
        raise ValueError("a window without calls can't be compared")
    return sum(max(n / new - before.get(name, 0) / old, 0.0) for name, n in after.items())


def _check_permutations(permutations: int) -> None:
    if permutations < 1:
        raise ValueError(f"a p-value needs at least one permutation; there are {permutations}")


def _stability(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    a, b = first + 0.5, second + 0.5
    a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
    return np.asarray(((a - b) * np.log(a / b)).sum(axis=1), dtype=np.float64)


def two_sample(before: ArrayLike, after: ArrayLike, *, seed: int = 0, permutations: int = 199) -> Shift:
    """Return how well a classifier tells live calls from evaluated ones by their embeddings.

    Classifier two-sample test: the balanced accuracy (TPR + TNR) / 2, in 5-fold cross-validation, of the
    linear discriminant w = S^-1 (m_live - m_before), S the covariance halfway shrunk to a multiple of the
    identity; .5 is chance. p = (1 + #(dealt >= found)) / (1 + permutations), the windows dealt anew in the
    same folds, since guesses of one fold are not independent.
    Source: Lopez-Paz and Oquab, International Conference on Learning Representations, 2017; the p-value,
    Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010.

    Args:
        before: Embeddings of evaluated calls, n x d.
        after: Embeddings of live calls, m x d.
        seed: Of folds and permutations.
        permutations: How often the windows are dealt anew.

    Raises:
        ValueError: A window holds fewer calls than folds, the dimensions differ, a value is missing, or
            nothing is dealt anew.
    """
    _check_permutations(permutations)
    points, live = _windows(before, after)
    dice = np.random.default_rng(seed)
    folds = np.array_split(dice.permutation(len(points)), FOLDS)
    dealt = dice.permuted(np.tile(live, (permutations, 1)), axis=1)
    found = _accuracies(points, np.vstack([live, dealt]), folds)
    above = int((found[1:] >= found[0] - 1e-12).sum())
    return Shift(float(found[0]), (1 + above) / (1 + permutations))


def told_apart(before: ArrayLike, after: ArrayLike, *, seed: int = 0) -> NDArray[np.bool_]:
    """Return which live calls a classifier tells from evaluated ones by their embeddings.

    In 5-fold cross-validation, the linear discriminant w of `two_sample` scores the calls x that it was not
    learnt on: z = w (x - m) / s, m and s the mean and the deviation along w of the evaluated calls that it
    was learnt on. Told apart is what scores above 95 % of the evaluated ones; where nothing is new that is
    one in twenty.
    Source: the classifier of Lopez-Paz and Oquab, International Conference on Learning Representations, 2017.

    Args:
        before: Embeddings of evaluated calls, n x d.
        after: Embeddings of live calls, m x d.
        seed: Of the folds.

    Returns:
        Marks, m.

    Raises:
        ValueError: As for `two_sample`.
    """
    points, live = _windows(before, after)
    dice = np.random.default_rng(seed)
    scores = np.zeros(len(points))
    # Either window is dealt to the folds by itself, so that none lacks one of them.
    dealt = [np.array_split(dice.permutation(np.flatnonzero(live == side)), FOLDS) for side in (False, True)]
    for mine in (np.concatenate(pair) for pair in zip(*dealt, strict=True)):
        train, marks = np.delete(points, mine, axis=0), np.delete(live, mine)
        middle = train[~marks].mean(axis=0)
        direction = np.linalg.solve(_shrunk(train), train[marks].mean(axis=0) - middle)
        spread = float(((train[~marks] - middle) @ direction).std())
        scores[mine] = (points[mine] - middle) @ direction / max(spread, 1e-12)
    limit = np.quantile(scores[~live], USUAL_SHARE)
    return np.asarray(scores[live] > limit, dtype=np.bool_)


def _windows(before: ArrayLike, after: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the embeddings of both windows, and which of them are live."""
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"embeddings of shape {first.shape} and {second.shape} can't be compared")
    if min(len(first), len(second)) < FOLDS:
        raise ValueError(f"each window needs at least {FOLDS} calls")
    points = np.concatenate([first, second])
    if not np.isfinite(points).all():
        raise ValueError("an embedding has a value that is missing or infinite")
    return points, np.arange(len(points)) >= len(first)


def _shrunk(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance, halfway shrunk to a multiple of the identity."""
    spread = np.cov(points, rowvar=False).reshape(points.shape[1], -1)
    identity = np.eye(len(spread)) * max(float(np.trace(spread)) / len(spread), 1e-12)
    return np.asarray(0.5 * spread + 0.5 * identity, dtype=np.float64)


def _accuracies(
    points: NDArray[np.float64], marks: NDArray[np.bool_], folds: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return the balanced accuracy for each row of `marks`, which says what counts as live.

    The covariance of a fold knows nothing of the marks: all rows share it.
    """
    right, seen = np.zeros((2, len(marks))), np.zeros((2, len(marks)))
    for fold in folds:
        train, there = np.delete(points, fold, axis=0), np.delete(marks, fold, axis=1)
        live = there.sum(axis=1)
        both = (live > 0) & (live < len(train))
        total = there.astype(np.float64) @ train
        lives = total / np.maximum(live, 1)[:, None]
        others = (train.sum(axis=0) - total) / np.maximum(len(train) - live, 1)[:, None]
        direction = np.linalg.solve(_shrunk(train), (lives - others).T)
        middle = ((lives + others) / 2 * direction.T).sum(axis=1)
        guess = points[fold] @ direction > middle
        here = marks[:, fold].T
        for which, (mine, told) in enumerate(((here & both, guess), (~here & both, ~guess))):
            seen[which] += mine.sum(axis=0)
            right[which] += (mine & told).sum(axis=0)
    return np.asarray((right / np.maximum(seen, 1)).mean(axis=0), dtype=np.float64)
