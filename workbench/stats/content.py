"""Is newer traffic of the content of the evaluated: can a classifier tell the two apart by embeddings?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import hypergeom

from workbench.stats.arguments import check_delta
from workbench.stats.permuted import Shift, check_permutations, most_dealt, p_value

FOLDS = 5
MOST_LEARNT = 20_000
"""Permutations at most: about five seconds for 400 embeddings of either window."""
USUAL_SHARE = 0.95
"""Of the evaluated calls, what scores like them: a live call beyond is told apart."""


def two_sample(
    before: ArrayLike,
    after: ArrayLike,
    *,
    seed: int = 0,
    permutations: int = 199,
    level: float | None = None,
) -> Shift:
    """Return how well a classifier tells live calls from evaluated ones by their embeddings.

    Classifier two-sample test: the balanced accuracy (TPR + TNR) / 2, in 5-fold cross-validation, of the
    linear discriminant w = S^-1 (m_live - m_before), S the covariance halfway shrunk to a multiple of the
    identity; .5 is chance. p = (1 + #(dealt >= found)) / (1 + permutations), the windows dealt anew in the
    same folds, since guesses of one fold are not independent. With a level, as many are dealt as tell p from
    it, and no more once twenty are above: p = 20 / dealt. A level below what 20,000 permutations tell is met
    by Fisher's exact test: each half of the calls is guessed by what the other half taught, and
    p = 2 min(p_1, p_2).
    Source: Lopez-Paz and Oquab, International Conference on Learning Representations, 2017; the p-value,
    Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010; ended early, Besag
    and Clifford, Biometrika 78, 1991; Fisher, The Design of Experiments, 1935.

    Args:
        before: Embeddings of evaluated calls, n x d.
        after: Embeddings of live calls, m x d.
        seed: Of folds and permutations.
        permutations: How often the windows are dealt anew, where no level is given.
        level: What p will be set against, 0..1; fixed before the windows were seen.

    Raises:
        ValueError: A window holds fewer calls than folds, the dimensions differ, a value is missing, nothing
            is dealt anew, or the level is none.
    """
    check_permutations(permutations)
    points, live = _windows(before, after)
    dice = np.random.default_rng(seed)
    folds = np.array_split(dice.permutation(len(points)), FOLDS)
    found = float(_accuracies(points, live[None, :], folds)[0])
    most = permutations if level is None else most_dealt(level, MOST_LEARNT)
    if not most:
        return Shift(found, _fisher(points, live, dice))

    def above(times: int) -> NDArray[np.bool_]:
        dealt = dice.permuted(np.tile(live, (times, 1)), axis=1)
        return np.asarray(_accuracies(points, dealt, folds) >= found - 1e-12)

    return Shift(found, p_value(above, most, ends_early=level is not None))


def told_limits(accuracy: float, n: int, m: int, delta: float) -> tuple[float, float]:
    """Return limits of the share of calls that the classifiers of `two_sample` place otherwise.

    L = d - t and U = d + t, with d = 2 accuracy - 1 = TPR + TNR - 1 and t = sqrt(5 (1/n + 1/m) ln(1/delta) /
    2): within a fold the guesses are independent, between the five nothing is asked of them. At least L of
    the calls are of other content then; that no more than U are, other classifiers might refute.
    Source: Hoeffding, Journal of the American Statistical Association 58, 1963.

    Args:
        accuracy: The balanced accuracy, 0..1.
        n: Evaluated calls.
        m: Live calls.
        delta: Error probability of each limit, 0..1.

    Returns:
        The limits, 0..1.

    Raises:
        ValueError: A window is empty, the accuracy is none, or `delta` is no error probability.
    """
    check_delta(delta)
    if not 0 <= accuracy <= 1 or min(n, m) < 1:
        raise ValueError(f"no accuracy of two windows: {accuracy:g} of {n} and {m} calls")
    moved = 2 * accuracy - 1
    chance = math.sqrt(FOLDS * (1 / n + 1 / m) * math.log(1 / delta) / 2)
    return max(moved - chance, 0.0), max(min(moved + chance, 1.0), 0.0)


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


def _fisher(points: NDArray[np.float64], live: NDArray[np.bool_], dice: np.random.Generator) -> float:
    """Return the p-value of guesses, each half of either window guessed by what the others taught."""
    dealt = [np.array_split(dice.permutation(np.flatnonzero(live == side)), 2) for side in (False, True)]
    halves = [np.concatenate(pair) for pair in zip(*dealt, strict=True)]
    least = 1.0
    for taught, asked in (halves, halves[::-1]):
        train, marks = points[taught], live[taught]
        middles = [train[marks == side].mean(axis=0) for side in (False, True)]
        direction = np.linalg.solve(_shrunk(train), middles[1] - middles[0])
        guess = points[asked] @ direction > (middles[0] + middles[1]) / 2 @ direction
        right = int((guess & live[asked]).sum())
        own = hypergeom.sf(right - 1, asked.size, int(live[asked].sum()), int(guess.sum()))
        least = min(least, float(own))
    return min(2 * least, 1.0)


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
