"""From which confidence on a candidate may answer, so that the risk is proven and not just observed.

"The lowest threshold whose observed error is within tolerance" is picked because it looks good, and breaks
its promise in a third of all runs and more. Fixed-sequence testing keeps it: a grid that was frozen without
looking at labels is walked from cautious to permissive, and the walk ends at the first threshold that can't
be proven (Angelopoulos, Bates, Candes, Jordan and Lei, Learn then Test, 2021; the sequence: Maurer, Hothorn
and Lehmacher 1995). Budget mode bounds the share of all calls that are routed and harmed (Bates,
Angelopoulos, Lei, Malik and Jordan, Distribution-free risk-controlling prediction sets, 2021).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.records import Estimate
from workbench.stats import bounds
from workbench.stats.arguments import check_delta, check_effect, check_rate, check_same_length
from workbench.stats.wording import confidence, measured, percent

GRID = 20
THREE_STARTS_FROM = 200
"""Labels from which three starting points are worth the third of the error that each gets."""
STARTS = (0.0, 1 / 3, 2 / 3)
"""Where in the grid the three walks start."""
SHARES = (1 / 4, 1 / 2, 4 / 5)
"""Where they start without a plan: at the first thresholds that route so much."""
UNINFORMATIVE = 0.55
"""Up to this AUROC the confidence says nothing about harm."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold: calls with at least this confidence go to the candidate.

    `routed` is their share of the unlabelled calls, `risk` the harm among them (in budget mode: among all
    calls), `proven` whether that is within tolerance by fixed-sequence testing, and `tested` whether the
    walk came there. Cost and latency are the means of the blend; None where they are not known.
    """

    confidence: float
    routed: float
    risk: Estimate
    proven: bool = False
    tested: bool = False
    cost_usd: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ThresholdTable:
    """All thresholds, most cautious first. `best` is the lowest proven one, None where nothing is proven.

    `auroc` is the chance that a harmed call has the lower confidence; None without both kinds of calls.
    """

    rows: tuple[Threshold, ...]
    best: Threshold | None
    tolerance: float
    auroc: float | None
    starts: int
    budget_mode: bool

    @property
    def sentence(self) -> str:
        """Return the answer in words."""
        if self.auroc is not None and self.auroc <= UNINFORMATIVE:
            lead = (
                "Confidence carries no information about harm: a harmed call has the lower one in "
                f"{percent(round(self.auroc, 2))} of pairs (AUROC; chance gives 50 %). "
            )
        else:
            lead = ""
        if self.best is None:
            return f"{lead}No threshold is proven to keep harm within {measured(self.tolerance)}."
        what = "of all calls are routed and harmed" if self.budget_mode else "of the routed calls get worse"
        return (
            f"{lead}At confidence {confidence(self.best.confidence)} and above, "
            f"{measured(self.best.routed)} of calls go to the candidate and at most "
            f"{measured(self.best.risk.high)} {what} ({percent(self.best.risk.level)} sure)."
        )


def frozen_grid(confidences: ArrayLike, size: int = GRID) -> tuple[float, ...]:
    """Return thresholds at equal steps of the unlabelled confidences, most cautious first.

    t_k = the (1 + floor((m - 1) k / size))-th smallest of the m confidences, k = 0..size - 1: an observed
    value each time, and the lowest of all is among them.
    Source: a grid that no label had a part in, Angelopoulos, Bates, Candes, Jordan and Lei, Annals of
    Applied Statistics 19, 2025 (preprint 2021).

    Args:
        confidences: Of calls without labels, 0..1; NaN where there is none.
        size: Thresholds at most; equal ones are kept once.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"a grid needs at least one threshold; {size} are asked for")
    known = _known(confidences)
    if not known.size:
        return ()
    steps = np.quantile(known, np.arange(size) / size, method="lower")
    return tuple(sorted({float(each) for each in steps}, reverse=True))


def learn_then_test(
    confidences: ArrayLike,
    losses: ArrayLike,
    unlabelled: ArrayLike,
    *,
    tolerance: float,
    delta: float,
    grid: Sequence[float] | None = None,
    method: str = bounds.ANYTIME,
    starts: int = 1,
    planned_labels: int | None = None,
    budget_mode: bool = False,
    deff: float = 1.0,
    costs_usd: tuple[ArrayLike, ArrayLike] | None = None,
    latencies_ms: tuple[ArrayLike, ArrayLike] | None = None,
) -> ThresholdTable:
    """Return which thresholds are proven to keep the risk within tolerance.

    From cautious to permissive t is proven while U(harms_t, n_t) <= tolerance, over the calls with a
    confidence of at least t, at delta / starts; the walk ends at the first t that fails, which is why no
    further correction is due. Budget mode: U(harms_t, n) <= tolerance, over all n calls.
    Source: Angelopoulos, Bates, Candes, Jordan and Lei, Learn then Test, Annals of Applied Statistics 19,
    2025 (preprint 2021); the fixed sequence, Maurer, Hothorn and Lehmacher, 1995; budget mode, Bates,
    Angelopoulos, Lei, Malik and Jordan, Journal of the ACM 68, 2021.

    Calls without a confidence (NaN) are never routed; where they have a label they count in budget mode
    as not routed.

    Args:
        confidences: Of the labelled calls, length n; none of them may have chosen the grid by its label.
        losses: 1 where the call was harmed (or differs, for a structural task), 0 otherwise; length n. The
            anytime bound takes anything in 0..1.
        unlabelled: Confidences of all calls the threshold is for, length m; they make grid and shares.
        tolerance: Largest risk that is accepted, 0..1.
        delta: Error probability of the whole answer.
        grid: Thresholds, frozen before anybody looked at labels; 20 quantiles of `unlabelled` if left out.
        method: `anytime`, or `exact` for one look.
        starts: 1, or 3 with delta / 3 each, from 200 labels (or planned labels) on.
        planned_labels: How many labels there will be, fixed before the first look. The walk then starts
            where so many would be enough, at every look in the same place, so that an anytime answer holds
            however often anyone looks. Without it the start follows the labels there are: one look.
        budget_mode: Bound P(confidence >= t and harm) over all calls instead of the harm among the routed.
        deff: Design effect that counts are divided by.
        costs_usd: Of the candidate and of the control: what a call costs, or the cost of each of the m
            calls. A call with less confidence than the threshold has cost both.
        latencies_ms: The same of latency: a typical one, or that of each of the m calls; a call that either
            has no latency for (NaN) is left out of the mean.

    Returns:
        A row for each threshold of the grid, most cautious first, and the lowest one that is proven.

    Raises:
        ValueError: Lengths differ, a loss is missing or outside 0..1 (for `exact`: neither 0 nor 1), the
            method is another, three starts are asked for with too few labels, the tolerance is outside 0..1,
            `delta` not inside, or `deff` below 1.
    """
    check_rate(tolerance, "tolerance")
    check_delta(delta)
    check_effect(deff)
    scores, harmed = np.asarray(confidences, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if scores.shape != harmed.shape:
        raise ValueError(f"{scores.size} confidences and {harmed.size} losses don't belong together")
    if method not in (bounds.ANYTIME, bounds.EXACT):
        raise ValueError(f"no bound is called {method!r}; there are {bounds.ANYTIME!r} and {bounds.EXACT!r}")
    if not ((harmed >= 0) & (harmed <= 1)).all():
        raise ValueError("each loss must be known and within 0..1: a missing one proves nothing")
    if method == bounds.EXACT and not np.isin(harmed, (0, 1)).all():
        raise ValueError("the exact bound counts: each loss must be 0 or 1")
    labels = scores.size if planned_labels is None else planned_labels
    if starts not in (1, 3) or (starts == 3 and labels < THREE_STARTS_FROM):
        raise ValueError(f"{starts} starting points need {THREE_STARTS_FROM} labels; there are {labels}")
    steps = tuple(sorted(grid, reverse=True)) if grid is not None else frozen_grid(unlabelled)
    bound = bounds.exact if method == bounds.EXACT else bounds.anytime
    least = bounds.calls_needed(0, tolerance, delta / starts, method=method) or math.inf
    pool = np.asarray(unlabelled, dtype=np.float64)
    costs, latencies = of_each(costs_usd, pool.size), of_each(latencies_ms, pool.size)
    rows = []
    for step in steps:
        routed = float(np.mean(pool >= step)) if pool.size else 0.0
        chosen = scores >= step
        n = scores.size if budget_mode else int(chosen.sum())
        risk = bound(float(harmed[chosen].sum()), n, delta / starts, deff=deff)
        rows.append(
            Threshold(
                step,
                routed,
                risk,
                cost_usd=blend(costs, pool >= step),
                latency_ms=blend(latencies, pool >= step),
            )
        )
    counts = [
        row.risk.n if planned_labels is None else planned_labels * (1.0 if budget_mode else row.routed)
        for row in rows
    ]
    # Which thresholds have too few calls is known without labels: leaving them out costs nothing.
    usable = [place for place, n in enumerate(counts) if n >= least * deff - 1e-9]
    begins = [usable[int(start * len(usable))] for start in STARTS[:starts]] if usable else []
    rows = walked(rows, tolerance, begins, skipped=set(range(len(rows))) - set(usable))
    best = lowest_proven(rows)
    return ThresholdTable(tuple(rows), best, tolerance, auroc(scores, harmed), starts, budget_mode)


def walked(
    rows: Sequence[Threshold], tolerance: float, begins: Iterable[int], *, skipped: Collection[int] = ()
) -> list[Threshold]:
    """Walk from each starting point to permissive thresholds until one can't be proven.

    Args:
        rows: Most cautious first; their `risk` is bounded at delta over the number of starting points.
        tolerance: Largest risk that is accepted.
        begins: Where the walks start, chosen without a look at losses.
        skipped: Rows that no walk tests, chosen likewise.

    Returns:
        The rows, with what was tested and proven.
    """
    proven: set[int] = set()
    tested: set[int] = set()
    for begin in begins:
        for place in range(begin, len(rows)):
            if place in skipped:
                continue
            tested.add(place)
            # Asked this way round, a bound that is not a number proves nothing.
            if not rows[place].risk.high <= tolerance + 1e-9:
                break
            proven.add(place)
    return [
        Threshold(
            row.confidence,
            row.routed,
            row.risk,
            place in proven,
            place in tested,
            row.cost_usd,
            row.latency_ms,
        )
        for place, row in enumerate(rows)
    ]


def lowest_proven(rows: Iterable[Threshold]) -> Threshold | None:
    """Return the lowest threshold that is proven, None where none is."""
    return min((row for row in rows if row.proven), key=lambda row: row.confidence, default=None)


def starting_places(routed: Sequence[float], shares: Sequence[float] = SHARES) -> tuple[int, ...]:
    """Return where walks start that need no plan of how many labels there will be.

    The places are fixed by the shares of calls that a frozen grid routes, so that they are the same at
    every look, and answers with anytime bounds hold however often anyone looks.

    Args:
        routed: Share of calls at each threshold of the grid, most cautious first, frozen with it.
        shares: A walk starts at the first threshold that routes at least so much.

    Returns:
        Each place once, ascending.
    """
    slack = 1e-9
    found = {
        next((place for place, share in enumerate(routed) if share >= wanted - slack), None)
        for wanted in shares
    }
    return tuple(sorted(place for place in found if place is not None))


def auroc(confidences: ArrayLike, losses: ArrayLike) -> float | None:
    """Return the chance that a harmed call has a lower confidence than one that is not; ties count half.

    A = (w + t / 2) / (b g): of the pairs of one of b harmed calls with one of g others, w where the harmed
    one has the lower confidence and t with equal ones. None without both kinds.
    Source: Mann and Whitney, Annals of Mathematical Statistics 18, 1947; Hanley and McNeil, Radiology 143,
    1982.

    Args:
        confidences: Of each call; NaN leaves a call out.
        losses: Above 0 for a harmed call, same length; NaN leaves a call out.

    Raises:
        ValueError: Lengths differ.
    """
    scores, found = np.asarray(confidences, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    check_same_length(confidences=scores.size, losses=found.size)
    known = ~(np.isnan(scores) | np.isnan(found))
    scores, harmed = scores[known], found[known] > 0
    bad, good = int(harmed.sum()), int((~harmed).sum())
    if not bad or not good:
        return None
    fine, asked = np.sort(scores[~harmed]), scores[harmed]
    up_to, below = np.searchsorted(fine, asked, "right"), np.searchsorted(fine, asked, "left")
    return float(((good - up_to) + (up_to - below) / 2).sum() / (bad * good))


def is_for_tuning(call_id: str, seed: int = 0) -> bool:
    """Say whether a call belongs to the half on which a threshold is tuned; the other half reports it.

    It does where SHA-256("threshold", seed, call) mod 2 = 0, by the first byte: a coin that falls the same
    way each time.
    Source: splitting the data, Cox, Biometrika 62, 1975.

    Args:
        call_id: The call; the same one always falls into the same half.
        seed: Of the split.
    """
    return hashlib.sha256(f"threshold\0{seed}\0{call_id}".encode()).digest()[0] % 2 == 0


def _known(values: ArrayLike) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    return found[~np.isnan(found)]


def of_each(pair: tuple[ArrayLike, ArrayLike] | None, calls: int) -> tuple[Floats, Floats] | None:
    """Return what candidate and control take for each call, where one number may stand for all."""
    if pair is None:
        return None
    candidate, control = (np.asarray(each, dtype=np.float64) for each in pair)
    for each in (candidate, control):
        if each.shape not in ((), (calls,)):
            raise ValueError(f"{each.size} costs or latencies and {calls} calls don't belong together")
    return np.broadcast_to(candidate, calls), np.broadcast_to(control, calls)


def blend(pair: tuple[Floats, Floats] | None, routed: NDArray[np.bool_]) -> float | None:
    """Return the mean over all calls; a call whose confidence is too low has been asked of both.

    Args:
        pair: What candidate and control take for each of m calls, NaN where it is not known; None without.
        routed: Which of the m calls go to the candidate alone.
    """
    if pair is None:
        return None
    candidate, control = pair
    # The same calls at every threshold, so that the rows can be compared.
    known = ~(np.isnan(candidate) | np.isnan(control))
    taken = candidate + np.where(routed, 0.0, control)
    return float(taken[known].mean()) if known.any() else None
