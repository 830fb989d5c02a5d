"""A shallow decision tree over what is known before a call, small enough to be read. Pure.

Splits follow CART (Breiman et al. 1984): the one that lowers the Gini impurity of harm
most. Leaves that would be routed alike are joined again: each one costs the others certainty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.stats import bounds

DEPTH = 3
CUTS = 32
"""A number is cut at this many of its quantiles."""

GOOD, UNSURE, POOR = "good", "unsure", "poor"

Columns = Mapping[str, NDArray[Any]]
"""One array a feature, length n: of floats (nan is not known), or of texts."""
Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a call: a number is at most `value`, or a text is `value`; or it is not.

    What is not known is not at most anything.
    """

    feature: str
    value: float | str
    holds: bool = True

    def test(self, columns: Columns) -> Bools:
        """Return which calls meet the condition."""
        column = columns[self.feature]
        met = column == self.value if isinstance(self.value, str) else column <= self.value
        return np.asarray(met if self.holds else ~met, dtype=np.bool_)


Path = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """The leaves of a tree, each as the conditions that lead to it. Every call is in one."""

    leaves: tuple[Path, ...]

    def leaf_of(self, columns: Columns) -> Places:
        """Return the number of the leaf of each call.

        Args:
            columns: The features it was grown on; values never seen are fine.
        """
        n = len(next(iter(columns.values()))) if columns else 0
        found = np.zeros(n, dtype=np.int64)
        for number, conditions in enumerate(self.leaves):
            met = np.ones(n, dtype=np.bool_)
            for each in conditions:
                met &= each.test(columns)
            found[met] = number
        return found


def grow(
    columns: Columns,
    loss: Floats,
    weight: Floats,
    *,
    tolerance: float,
    delta: float,
    least: int,
    depth: int = DEPTH,
) -> Tree:
    """Learn a tree.

    Args:
        columns: The features.
        loss: 1 for harm, 0 for none, length n.
        weight: Of each call; 0 where its loss is not known.
        tolerance: The rate of harm that a leaf may have.
        delta: Error probability with which a leaf counts as surely within it.
        least: Fewest calls of known loss on each side of a split.
        depth: Most splits on the way to a leaf.
    """
    learner = _Learner(columns, loss, weight, tolerance, delta, least)
    known = np.flatnonzero(weight > 0)
    return Tree(tuple(path for path, _ in learner.leaves(known, (), depth)))


@dataclass(frozen=True, slots=True)
class _Learner:
    columns: Columns
    loss: Floats
    weight: Floats
    tolerance: float
    delta: float
    least: int

    def leaves(self, places: Places, path: Path, depth: int) -> list[tuple[Path, str]]:
        """Return the leaves below a node, each with what its calls look like."""
        best = self._best_split(places) if depth else None
        if best is None:
            return [(path, self._kind(places))]
        met = best.test(self._at(places, best.feature))
        other = Condition(best.feature, best.value, holds=False)
        left = self.leaves(places[met], (*path, best), depth - 1)
        right = self.leaves(places[~met], (*path, other), depth - 1)
        kinds = {kind for _, kind in (*left, *right)}
        own = self._kind(places)
        # Without a good leaf there is nothing to tell apart; without a poor one, it is as good whole.
        if GOOD not in kinds or (own == GOOD and POOR not in kinds):
            return [(path, own)]
        return [*left, *right]

    def _at(self, places: Places, name: str) -> Columns:
        return {name: self.columns[name][places]}

    def _kind(self, places: Places) -> str:
        """Say what these calls look like: good, poor, or not known well enough."""
        bad, n = self._sums(places)
        if bad > self.tolerance * n:
            return POOR
        return GOOD if bounds.anytime_upper(bad, n, self.delta) <= self.tolerance else UNSURE

    def _sums(self, places: Places) -> tuple[float, float]:
        """Return harm and calls; weights are scaled to the number of calls."""
        weight = self.weight[places]
        scale = len(places) / weight.sum() if len(places) else 0.0
        return float((weight * self.loss[places]).sum() * scale), float(len(places))

    def _best_split(self, places: Places) -> Condition | None:
        best, found = 1e-9, None
        weight = self.weight[places]
        bad = weight * self.loss[places]
        whole = _impurity(float(bad.sum()), float(weight.sum()))
        for condition in self._candidates(places):
            met = condition.test(self._at(places, condition.feature))
            n = int(met.sum())
            if min(n, len(places) - n) < self.least:
                continue
            inside = _impurity(float(bad[met].sum()), float(weight[met].sum()))
            outside = _impurity(float(bad[~met].sum()), float(weight[~met].sum()))
            gain = whole - inside - outside
            if gain > best * (1 + 1e-9):
                best, found = gain, condition
        return found

    def _candidates(self, places: Places) -> Iterator[Condition]:
        for name, column in self.columns.items():
            values = column[places]
            if np.issubdtype(column.dtype, np.floating):
                known = np.sort(values[~np.isnan(values)])
                if known.size:
                    cuts = known[(np.arange(1, CUTS + 1) * known.size) // (CUTS + 1)]
                    yield from (Condition(name, float(cut)) for cut in np.unique(cuts))
            else:
                yield from (Condition(name, str(value)) for value in sorted(set(values.tolist())))


def _impurity(bad: float, n: float) -> float:
    return 2 * bad * (1 - bad / n) if n > 0 else 0.0


def in_words(conditions: Path) -> str:
    """Return the conditions of a leaf as one phrase, those of one number joined to a range."""
    if not conditions:
        return "every call"
    phrases = []
    for name in dict.fromkeys(each.feature for each in conditions):
        own = [each for each in conditions if each.feature == name]
        numbers = [each for each in own if not isinstance(each.value, str)]
        low = max((float(each.value) for each in numbers if not each.holds), default=None)
        high = min((float(each.value) for each in numbers if each.holds), default=None)
        if low is not None and high is not None:
            phrases.append(f"{name} above {_shown(low)} and at most {_shown(high)}")
        elif high is not None:
            phrases.append(f"{name} at most {_shown(high)}")
        elif low is not None:
            phrases.append(f"{name} above {_shown(low)} or not known")
        texts = [each for each in own if isinstance(each.value, str)]
        phrases += [f"{name} {'is' if each.holds else 'is not'} {each.value!r}" for each in texts]
    return ", ".join(phrases)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
