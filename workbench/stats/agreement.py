"""Agreement beyond chance: of two answers to the same calls, and among the people who label.

Chance-corrected coefficients explain, they never gate: kappa falls where one answer is common
(Feinstein and Cicchetti 1990), which is why Gwet's AC1 stands beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from workbench.records import Estimate
from workbench.stats import bounds
from workbench.stats.arguments import check_counts, check_delta

COHEN = "Cohen's kappa, jackknife"
GWET = "Gwet's AC1, jackknife"
KRIPPENDORFF = "Krippendorff's alpha, bootstrap over items"
LOW_AGREEMENT = 0.6
"""Below this the bound on harm measures the reviewers, not the model."""
DRAWS = 1_000

Category = TypeVar("Category", bound=Hashable)
Chance = Callable[[NDArray[np.float64]], float]


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each answer of one side met each answer of the other; `categories` orders both."""

    categories: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def n(self) -> int:
        """Return the number of pairs."""
        return sum(map(sum, self.counts))


def confusion(pairs: Mapping[tuple[str, str], int]) -> Confusion:
    """Return the full table of how often each pair of answers occurred.

    c[i][j] = pairs in which the control said i and the candidate j, answers in alphabetical order.
    Source: contingency tables, Pearson, On the theory of contingency, 1904.

    Args:
        pairs: Count by (answer of the control, answer of the candidate).

    Raises:
        ValueError: A count is negative or missing.
    """
    for times in pairs.values():
        check_counts(0, times)
    categories = tuple(sorted({each for pair in pairs for each in pair}))
    counts = tuple(tuple(int(pairs.get((row, column), 0)) for column in categories) for row in categories)
    return Confusion(categories, counts)


def agreement_by_label(
    table: Confusion, delta: float, effects: Mapping[str, float] | None = None
) -> dict[str, Estimate]:
    """Return how often the candidate agrees, for each answer of the control, with anytime limits.

    a_i = c[i][i] / sum_j c[i][j], the recall of answer i were the control the truth; limits of `anytime`.
    Source: Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 2024, for the limits.

    Args:
        table: Rows are the control's answers.
        delta: Error probability of each limit.
        effects: Design effect by answer; 1 where it is left out.

    Returns:
        Agreement, 0..1, by answer of the control; answers that it never gave are left out.
    """
    found = {}
    for place, category in enumerate(table.categories):
        n = sum(table.counts[place])
        if n:
            deff = (effects or {}).get(category, 1.0)
            found[category] = bounds.anytime(table.counts[place][place], n, delta, deff=deff)
    return found


def cohen_kappa(table: Confusion, delta: float = 0.025) -> Estimate:
    """Return Cohen's kappa (p - e) / (1 - e): p observed agreement, e = sum of products of margins.

    Source: Cohen, Educational and Psychological Measurement 20, 1960. Limits by the jackknife over
    pairs (Fleiss and Davies 1982), so no better than approximate in small tables. Where all pairs agree the
    jackknife sees no spread: the lower limit is then that of the agreement (Clopper and Pearson 1934), e
    held. Where it sees none though pairs differ, nothing is claimed.

    Args:
        table: Counts of pairs of answers.
        delta: Error probability of each limit.

    Returns:
        The coefficient, -1..1; its point is None without pairs, or where chance alone explains everything.
    """
    return _jackknifed(table, delta, COHEN, _chance_kappa)


def gwet_ac1(table: Confusion, delta: float = 0.025) -> Estimate:
    """Return Gwet's AC1 (p - e) / (1 - e) with e = sum of m (1 - m) / (k - 1), m the mean margin.

    Source: Gwet, British Journal of Mathematical and Statistical Psychology 61, 2008. It stays high where
    one answer is common and both sides mostly give it. k is the number of categories of the table. Limits
    as for Cohen's kappa.

    Args:
        table: Counts of pairs of answers.
        delta: Error probability of each limit.

    Returns:
        The coefficient, -1..1; its point is None without pairs, or with one category alone.
    """
    return _jackknifed(table, delta, GWET, _chance_ac1)


def _chance_kappa(counts: NDArray[np.float64]) -> float:
    n = counts.sum()
    return float(counts.sum(axis=1) @ counts.sum(axis=0)) / float(n * n)


def _chance_ac1(counts: NDArray[np.float64]) -> float:
    mean = (counts.sum(axis=1) + counts.sum(axis=0)) / (2 * counts.sum())
    return float((mean * (1 - mean)).sum()) / (mean.size - 1) if mean.size > 1 else 1.0


def _corrected(counts: NDArray[np.float64], chance: Chance) -> float:
    if not counts.sum():
        return math.nan
    expected = chance(counts)
    agreed = float(np.trace(counts) / counts.sum())
    return (agreed - expected) / (1 - expected) if expected < 1 - 1e-12 else math.nan


def _jackknifed(table: Confusion, delta: float, method: str, chance: Chance) -> Estimate:
    check_delta(delta)
    k = len(table.categories)
    counts = np.asarray(table.counts, dtype=np.float64).reshape(k, k)
    n = int(counts.sum())
    point = _corrected(counts, chance)
    if n < 3 or math.isnan(point):
        return Estimate(None if math.isnan(point) else point, -1.0, 1.0, 1 - delta, method, n, float(n))
    values, weights = [], []
    for row, column in zip(*np.nonzero(counts), strict=True):
        counts[row, column] -= 1
        value = _corrected(counts, chance)
        counts[row, column] += 1
        values.append(point if math.isnan(value) else value)
        weights.append(counts[row, column])
    # Pairs in one cell leave the same table behind: each cell counts as often as it holds pairs.
    pseudo = n * point - (n - 1) * np.asarray(values)
    mean = float(np.average(pseudo, weights=weights))
    variance = float(np.average((pseudo - mean) ** 2, weights=weights)) / (n - 1)
    if variance < 1e-15:
        # Every pair left out tells the same: no spread to see, which is not the same as certainty.
        slack = bounds.exact_upper(0, n, delta) / (1 - chance(counts)) if np.trace(counts) == n else 2.0
        return Estimate(point, max(1 - slack, -1.0), 1.0, 1 - delta, method, n, float(n))
    reach = -float(ndtri(delta)) * math.sqrt(variance)
    return Estimate(point, max(point - reach, -1.0), min(point + reach, 1.0), 1 - delta, method, n, float(n))


def krippendorff_alpha(
    ratings: Sequence[Mapping[Any, Category]], delta: float = 0.025, seed: int = 0
) -> Estimate:
    """Return Krippendorff's alpha for names of categories, any number of raters, gaps allowed.

    alpha = 1 - D_o / D_e. D_o is the share of differing pairs of ratings within items, each item's pairs
    weighted by 1 / (m - 1) for its m ratings; D_e that among all ratings of such items, drawn without putting
    back.
    Source: Krippendorff, Content Analysis, section 11.3, 2004. Limits by a bootstrap over items, seed fixed.
    Where no item shows a disagreement every draw says 1: the lower limit is then 1 - U / D_e, U the upper
    limit on the share of items that would (Clopper and Pearson 1934). Where items disagree and all draws say
    the same there is no spread to see, and nothing is claimed.

    Args:
        ratings: For each item the rating of each annotator who rated it; items with fewer than two are
            left out.
        delta: Error probability of each limit.
        seed: Of the bootstrap.

    Returns:
        The coefficient; its point is None without two ratings of one item, or where all ratings are one.

    Raises:
        ValueError: `delta` is not inside 0..1.
    """
    check_delta(delta)
    items = [list(each.values()) for each in ratings if len(each) >= 2]
    categories = {
        value: place for place, value in enumerate(dict.fromkeys(v for each in items for v in each))
    }
    table = np.zeros((len(items), max(len(categories), 1)))
    for place, values in enumerate(items):
        for value, times in Counter(values).items():
            table[place, categories[value]] = times
    point = _alpha(table) if len(items) else math.nan
    n = len(items)
    if math.isnan(point) or n < 3:
        return Estimate(None if math.isnan(point) else point, -1.0, 1.0, 1 - delta, KRIPPENDORFF, n, float(n))
    if point >= 1:
        low = max(1 - bounds.exact_upper(0, n, delta) / _expected(table), -1.0)
        return Estimate(point, low, 1.0, 1 - delta, KRIPPENDORFF, n, float(n))
    dice = np.random.default_rng(seed)
    drawn = np.asarray([_alpha(table[dice.integers(0, n, n)]) for _ in range(DRAWS)])
    # A draw of one category alone has no disagreement to explain.
    drawn = np.where(np.isnan(drawn), 1.0, drawn)
    low, high = np.quantile(drawn, (delta, 1 - delta))
    if np.ptp(drawn) < 1e-12:
        low, high = -1.0, 1.0
    return Estimate(
        point, float(min(low, point)), float(max(high, point)), 1 - delta, KRIPPENDORFF, n, float(n)
    )


def _expected(table: NDArray[np.float64]) -> float:
    margins, total = table.sum(axis=0), float(table.sum())
    return 1 - float((margins * (margins - 1)).sum()) / (total * (total - 1))


def _alpha(table: NDArray[np.float64]) -> float:
    sizes = table.sum(axis=1)
    differing = sizes - (table * (table - 1)).sum(axis=1) / (sizes - 1)
    observed, expected = float(differing.sum() / sizes.sum()), _expected(table)
    return 1 - observed / expected if expected > 1e-12 else math.nan


def pairwise_kappa(
    ratings: Sequence[Mapping[str, str]], delta: float = 0.025
) -> dict[tuple[str, str], Estimate]:
    """Return Cohen's kappa of every two annotators who rated items in common.

    kappa = (p - e) / (1 - e) of each pair, over the items that both rated; limits as for `cohen_kappa`.
    Source: Cohen, Educational and Psychological Measurement 20, 1960; by pairs of more than two raters,
    Light, Psychological Bulletin 76, 1971.

    Args:
        ratings: For each item the rating of each annotator who rated it.
        delta: Error probability of each limit.

    Returns:
        The coefficient by pair of annotators, names in order; n is the number of items both rated.
    """
    counts: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
    for each in ratings:
        for first, second in combinations(sorted(each), 2):
            counts.setdefault((first, second), Counter())[each[first], each[second]] += 1
    return {pair: cohen_kappa(confusion(found), delta) for pair, found in sorted(counts.items())}
