"""Harm of a population: how many calls get worse, with bounds, and the net of worse and better."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.records import Basis, Estimate
from workbench.stats import bounds, weighted
from workbench.stats.arguments import check_delta
from workbench.stats.evidence import Population

BY_DISAGREEMENT = "anytime, every open disagreement counted as harm"
BY_LABEL = "anytime, labelled in audit order"
BY_STRATA = "anytime, three strata"
BY_DRAW = "anytime betting, drawn by the queue"
UNKNOWN = "no evidence"
FEWEST_JUDGED = 20
"""Disagreements that people must have judged in order before their rate of harm lets a share rise."""


@dataclass(frozen=True, slots=True)
class Harm:
    """The bounds of one population.

    `estimate` is the answer; `by_disagreement` and `by_label` are the two bounds it
    is the smaller of, None where there is no such bound.
    The point of `estimate` is None until somebody has looked; `cautious` is what it would be
    with every lapse and, where it is less, every open disagreement taken as it counts in the bounds.
    `contradiction` holds two rates where the calls judged in order show more harm than all calls can: the
    lower bound, and the upper one that it exceeds. That one takes every failure and every verdict or lapse
    past the audited calls as harmless: with them counted, more harm there would end the contradiction and
    let the share rise.
    """

    estimate: Estimate
    by_disagreement: Estimate | None = None
    by_label: Estimate | None = None
    contradiction: tuple[float, float] | None = None
    cautious: float | None = None


def steady_point(harm: Harm, population: Population) -> float | None:
    """Return the estimate of harm on which a share may rise, or None without evidence.

    A handful of harmless disagreements is no rate: where a third of them are harmful, the first three still
    hold none in 30 % of cases. Until `FEWEST_JUDGED` have been judged in order, every
    open one counts as harm, (D - cleared) / N, or by net harm as worse. The bounds need no such minimum.

    Args:
        harm: Of the population, either kind.
        population: The evidence that it comes from.
    """
    point, worst = harm.cautious, harm.by_disagreement
    if point is None or worst is None or worst.point is None:
        return point
    judged = population.audited_disagreements - population.audited_lapses
    return point if judged >= FEWEST_JUDGED else max(point, worst.point)


def regressions(population: Population, delta: float) -> Harm:
    """Return the share of calls that get worse.

    Structural: U = min(U(D - cleared, N), U(harms, audited)), both of `anytime_upper` at `delta`. The
    evidence E falls with every further bad call, so that both bounds cross one and the same process and
    nothing is halved; L = L(harms, audited), and the point is the smaller of both rates. Where people called
    an answer worse that agrees after normalisation: U = sum_h W_h U_h over the strata that are not identical,
    each at delta / 2 (Bonferroni), never below the one before. Semantic: the bounds on mean(w y) of
    `weighted_upper` and `weighted_lower`.
    Source: Robbins, Annals of Mathematical Statistics 41, 1970; Waudby-Smith and Ramdas, Journal of the
    Royal Statistical Society B 86, 2024; strata drawn from adaptively, Spertus, Sridhar and Stark, 2024.

    Args:
        population: The evidence.
        delta: Error probability of each bound, over all looks together.

    Raises:
        ValueError: `delta` is not inside 0..1.
    """
    check_delta(delta)
    return _as_known(_regressions(population, delta), population)


def _regressions(population: Population, delta: float) -> Harm:
    if population.basis is Basis.SEMANTIC:
        return _drawn(population, delta)
    deff, half = population.harm_effect.value, delta / 2

    def everywhere(worse: int, better: int) -> Estimate:
        del better
        return bounds.anytime(worse, population.compared, delta, deff=population.disagreement_effect.value)

    def among_differing(worse: int, better: int) -> Estimate:
        del better
        return bounds.anytime(worse, population.disagreements, half, deff=deff)

    disagreement = everywhere(population.disagreements - population.cleared, population.cleared_better)
    label = bounds.anytime(population.harms, population.audited, delta, deff=deff)
    harm = _smaller(disagreement, label, delta, population, everywhere)
    if not population.revoked:
        return harm
    share_normalised, share_disagreeing = _shares(population)
    normalised = bounds.anytime(population.normalised_harms, population.normalised_labelled, half, deff=deff)
    disagreeing = _smaller(
        among_differing(population.disagreements - population.cleared, population.cleared_better),
        bounds.anytime(population.harms, population.audited_disagreements, half, deff=deff),
        half,
        population,
        among_differing,
    )
    return _stratified(harm, normalised, disagreeing, share_normalised, share_disagreeing, population, deff)


def highs_of_regressions(populations: Sequence[Population], delta: float) -> list[float]:
    """Return the upper bound that `regressions` gives for each of many structural populations.

    Args:
        populations: Structural evidence.
        delta: Error probability of each bound, over all looks together.
    """
    if any(each.basis is not Basis.STRUCTURAL or each.revoked for each in populations):
        return [regressions(each, delta).estimate.high for each in populations]
    counts = np.asarray(
        [
            (
                (each.disagreements - each.cleared) / each.disagreement_effect.value,
                each.compared / each.disagreement_effect.value,
                each.harms / each.harm_effect.value,
                each.audited / each.harm_effect.value,
                each.audit_begun,
            )
            for each in populations
        ],
        dtype=np.float64,
    ).reshape(-1, 5)
    disagreement = bounds.anytime_uppers(counts[:, 0], counts[:, 1], delta)
    label = bounds.anytime_uppers(counts[:, 2], counts[:, 3], delta)
    high = np.where(counts[:, 4] > 0, np.minimum(label, disagreement), disagreement)
    found: list[float] = high.tolist()
    return found


def net(population: Population, delta: float) -> Harm:
    """Return the share of calls that get worse minus the share that get better.

    y = +1 where a call gets worse, -1 where it gets better, 0 otherwise. Structural: U_net = 2 U(x) - 1 with
    U the bound of `weighted_upper` on the mean of x = (y + 1) / 2, L_net alike. As with regressions,
    both the audited calls and all calls with every open disagreement counted as worse
    bound the same process from above, so neither is halved. Semantic: the signed bounds on mean(w y).
    Source: betting on a bounded mean, Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B
    86, 2024.

    Args:
        population: The evidence.
        delta: Error probability of each bound, over all looks together.

    Raises:
        ValueError: `delta` is not inside 0..1.
    """
    check_delta(delta)
    return _as_known(_net(population, delta), population)


def _net(population: Population, delta: float) -> Harm:
    if population.basis is Basis.SEMANTIC:
        return _drawn_net(population, delta)
    deff, half = population.harm_effect.value, delta / 2

    def everywhere(worse: int, better: int) -> Estimate:
        every = population.disagreement_effect.value
        return _balance(worse, better, population.compared, delta, every, BY_DISAGREEMENT)

    def among_differing(worse: int, better: int) -> Estimate:
        return _balance(worse, better, population.disagreements, half, deff, BY_STRATA)

    disagreement = everywhere(population.disagreements - population.cleared, population.cleared_better)
    label = _balance(population.harms, population.audited_better, population.audited, delta, deff, BY_LABEL)
    harm = _smaller(disagreement, label, delta, population, everywhere, widest=-1.0)
    if not population.revoked:
        return harm
    share_normalised, share_disagreeing = _shares(population)
    normalised = _balance(
        population.normalised_harms, 0, population.normalised_labelled, half, deff, BY_STRATA
    )
    disagreeing = _smaller(
        among_differing(population.disagreements - population.cleared, population.cleared_better),
        _balance(
            population.harms,
            population.audited_better,
            population.audited_disagreements,
            half,
            deff,
            BY_STRATA,
        ),
        half,
        population,
        among_differing,
        widest=-1.0,
    )
    return _stratified(harm, normalised, disagreeing, share_normalised, share_disagreeing, population, deff)


def _as_known(harm: Harm, population: Population) -> Harm:
    """Leave the point out where nobody has looked and something is there to look at.

    The agreements that happen to stand before the first disagreement say nothing of harm among the
    disagreements, and a disagreement is not harm.
    """
    cautious = harm.estimate.point
    nothing_open = population.basis is Basis.STRUCTURAL and not population.disagreements
    if population.looked or (nothing_open and not population.revoked):
        return replace(harm, cautious=cautious)
    return replace(
        harm,
        estimate=replace(harm.estimate, point=None),
        by_label=None if harm.by_label is None else replace(harm.by_label, point=None),
        cautious=cautious,
    )


def _smaller(
    disagreement: Estimate,
    label: Estimate,
    delta: float,
    population: Population,
    of_all: Callable[[int, int], Estimate],
    *,
    widest: float = 0.0,
) -> Harm:
    """Return the smaller of both bounds, and whether the lower one is above what all calls can show.

    Args:
        disagreement: With every open disagreement counted as harm.
        label: Of those judged in order.
        delta: Error probability of each bound.
        population: The evidence.
        of_all: Bounds the calls that `disagreement` is about, with so many worse and so many better.
        widest: The lowest that a lower bound can be.
    """
    points = [each.point for each in (label, disagreement) if each.point is not None]
    begun = population.audit_begun
    binding = label if begun and label.high < disagreement.high else disagreement
    low = max(label.low, widest)
    estimate = Estimate(
        # The smaller rate, but what is proven is no less than it, where the batches differ.
        point=max(min(points), low) if points else None,
        low=low,
        high=binding.high,
        level=1 - delta,
        method=UNKNOWN if not points else BY_LABEL if binding is label else BY_DISAGREEMENT,
        n=binding.n,
        n_effective=binding.n_effective,
    )
    worse, better = population.calmest
    n = disagreement.n
    # A bound is never below its own rate, which is known at once.
    known = not n or low <= (worse - (better if widest < 0 else 0)) / n
    against = low if known else of_all(worse, better).high
    return Harm(estimate, disagreement, label, contradiction=(low, against) if low > against else None)


def _shares(population: Population) -> tuple[float, float]:
    n = population.compared
    return population.normalised / n, population.disagreements / n


def _stratified(
    before: Harm,
    normalised: Estimate,
    differing: Harm,
    share_normalised: float,
    share_disagreeing: float,
    population: Population,
    deff: float,
) -> Harm:
    """Join the strata; never more favourable than before the revocation."""
    was, disagreeing = before.estimate, differing.estimate

    def joined(first: float | None, second: float | None) -> float:
        worst = (1.0 if first is None else first, 1.0 if second is None else second)
        return math.fsum((share_normalised * worst[0], share_disagreeing * worst[1]))

    n = population.normalised_labelled + population.audited_disagreements
    low = max(joined(normalised.low, disagreeing.low), was.low)
    estimate = Estimate(
        point=max(joined(normalised.point, disagreeing.point), _or(was.point, -1.0), low),
        low=low,
        high=min(1.0, max(joined(normalised.high, disagreeing.high), was.high)),
        level=was.level,
        method=BY_STRATA,
        n=n,
        n_effective=n / deff,
    )
    # No stratum's own bounds cross, so that the joined ones cross only where one of these two does.
    return Harm(
        estimate,
        before.by_disagreement,
        before.by_label,
        contradiction=before.contradiction or differing.contradiction,
    )


def _drawn(population: Population, delta: float) -> Harm:
    losses = [each.weight * float(each.outcome > 0) for each in population.draws]
    estimate = _within(_weighted(losses, population, delta), 0.0)
    return Harm(estimate, by_label=estimate)


def _drawn_net(population: Population, delta: float) -> Harm:
    # Weight times outcome is bounded as a whole, not the outcome before weighting: equal
    # pairs then add no noise.
    losses = [each.weight * each.outcome for each in population.draws]
    estimate = _within(_weighted(losses, population, delta, signed=True), -1.0)
    return Harm(estimate, by_label=estimate)


def _within(estimate: Estimate, least: float) -> Estimate:
    """Return an estimate cut to what a share can be: weighted means of few draws go beyond it."""
    low, high = (min(max(each, least), 1.0) for each in (estimate.low, estimate.high))
    point = estimate.point
    return replace(estimate, low=low, high=high, point=None if point is None else min(max(point, least), 1.0))


def _weighted(losses: list[float], population: Population, delta: float, *, signed: bool = False) -> Estimate:
    deff = population.harm_effect.value
    counted = Counter(zip(losses, population.ceilings, strict=True))
    n = len(losses)
    low, high = -1.0 if signed else 0.0, 1.0
    if n:
        values, limits = zip(*counted, strict=True)
        counts = list(counted.values())
        low = weighted.lower(values, delta, weight_max=limits, counts=counts, deff=deff, signed=signed)
        high = weighted.upper(values, delta, weight_max=limits, counts=counts, deff=deff, signed=signed)
    return Estimate(
        point=math.fsum(losses) / n if n else None,
        low=low,
        high=high,
        level=1 - delta,
        method=BY_DRAW if n else UNKNOWN,
        n=n,
        n_effective=weighted.effective_size([each.weight for each in population.draws]) / deff,
    )


def _balance(worse: int, better: int, n: int, delta: float, deff: float, method: str) -> Estimate:
    values, counts = [1.0, 0.5, 0.0], [worse, n - worse - better, better]
    return Estimate(
        point=(worse - better) / n if n else None,
        low=2 * weighted.lower(values, delta, counts=counts, deff=deff) - 1 if n else -1.0,
        high=2 * weighted.upper(values, delta, counts=counts, deff=deff) - 1 if n else 1.0,
        level=1 - delta,
        method=method,
        n=n,
        n_effective=n / deff,
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
