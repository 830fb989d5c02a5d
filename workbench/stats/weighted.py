"""Bound on a mean from weighted draws, valid however often anyone looks.

A mixture of bets against "the mean is H" (Waudby-Smith and Ramdas 2024; Spertus,
Sridhar and Stark 2024): valid for queues that choose the next draw from what was
seen before, as long as each weight is share over probability and never above a
maximum that was fixed before it was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.stats.arguments import check_delta, check_effect, known_values
from workbench.stats.roots import root

BETS = 64

_CAUTION: NDArray[np.float64] = ((np.arange(BETS) + 0.5) / BETS) ** 2
"""u_j: how far each bet stays from staking everything."""


def log_evidence(
    mean: float,
    losses: NDArray[np.float64],
    counts: NDArray[np.float64],
    weight_max: float | NDArray[np.float64],
    deff: float = 1.0,
) -> float:
    """Return the log of the evidence that the true mean is below `mean`: log E(H) of `upper`.

    Source: Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 2024.

    Args:
        mean: The mean in doubt, below every `weight_max`.
        losses: Distinct values of weight times outcome, none above its `weight_max`.
        counts: How often each value was drawn.
        weight_max: The largest weight the plan allowed, of all draws or of each value.
        deff: Design effect; it divides the log of every bet, as dividing both
            counts by it does for the unweighted bound.
    """
    gain = (mean - losses) / (weight_max - mean)
    growth = np.log1p((1 - _CAUTION)[:, None] * gain[None, :]) @ counts
    growth /= deff
    # The log of the mean of exp(growth), with its largest term apart so that none overflows. Scipy's
    # logsumexp says the same in ten times the time, and one decision asks for it a thousand times.
    most = growth.max()
    return float(most + np.log(np.exp(growth - most).sum()) - math.log(BETS))


def upper(
    losses: ArrayLike,
    delta: float,
    *,
    weight_max: ArrayLike = 1.0,
    counts: ArrayLike | None = None,
    deff: float = 1.0,
    signed: bool = False,
) -> float:
    """Return the anytime upper bound on the mean of weight times outcome.

    U is the H with E(H) = 1 / delta, E(H) = mean over j of prod_t (1 + lambda_j (H - w_t y_t)),
    lambda_j = (1 - u_j) / (w_max - H), u_j = ((j + 1/2) / 64)^2 for j = 0..63: 64 gamblers of different
    caution bet that the mean is below H. A design effect takes the root of each product.
    Source: betting, Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 2024; strata
    drawn from adaptively, Spertus, Sridhar and Stark, Sequential stratified inference for the mean, 2024.

    Draws may differ in how large their weight could become, where a plan changes or where part of the
    calls is looked at: each bet is then staked by its own draw's limit, which was known before
    the draw. One limit for all that was found afterwards would choose the stakes of early draws by late ones.

    Args:
        losses: Weight times outcome of each draw (or of each distinct value).
        delta: Error probability over all looks together.
        weight_max: The largest weight the plan allowed, fixed before drawing: one for all, or one for each.
        counts: How often each value occurs; once each if left out.
        deff: Design effect.
        signed: Whether outcomes may be negative, down to minus the largest weight.

    Returns:
        The bound; without evidence the least `weight_max`, which no mean exceeds.

    Raises:
        ValueError: A loss lies outside of 0 (or minus its `weight_max`) to its `weight_max` or is missing, a
            weight or count can't be, `delta` is not inside 0..1, or `deff` is below 1.
    """
    values, limits, sizes = _checked(losses, weight_max, counts, delta, deff, signed)
    return _solved(values, limits, sizes, delta, deff)


def lower(
    losses: ArrayLike,
    delta: float,
    *,
    weight_max: ArrayLike = 1.0,
    counts: ArrayLike | None = None,
    deff: float = 1.0,
    signed: bool = False,
) -> float:
    """Return the anytime lower bound on the mean of weight times outcome.

    L = -U of the losses -w y, of which none is above 0 (or, signed, above w_max). Bets against that limit
    equal those on w_max (1 - U'), U' the bound on 1 - w y / w_max with all weights and limits 1.
    Source: Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 2024.

    The arguments, and what is refused, are those of `upper`, of which it is the mirror image; without
    evidence it is 0, or minus the least `weight_max` where outcomes may be negative. Only there does it
    depend on `weight_max`.
    """
    values, limits, sizes = _checked(losses, weight_max, counts, delta, deff, signed)
    mirrored = limits if signed else np.zeros_like(limits)
    # No loss is below 0, so that none of the mirrored ones is above it: a bet may stake all on that.
    return -_solved(np.minimum(-values, mirrored), mirrored, sizes, delta, deff, span=float(limits.max()))


def _checked(
    losses: ArrayLike,
    weight_max: ArrayLike,
    counts: ArrayLike | None,
    delta: float,
    deff: float,
    signed: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return distinct losses, their limits and how often each occurs, where all of them can be."""
    check_delta(delta)
    check_effect(deff)
    values, limits, sizes = _grouped(
        known_values(losses, "a loss"),
        known_values(weight_max, "the largest weight", least=0.0),
        None if counts is None else known_values(counts, "a count", least=0.0),
    )
    if limits.size and not (limits.min() > 0 and limits.max() < math.inf):
        raise ValueError(f"the largest weight must be above 0 and finite; it is {limits.min():g}")
    least = -limits if signed else np.zeros_like(limits)
    slack = 1e-9 * np.maximum(limits, 1.0)
    if ((values < least - slack) | (values > limits + slack)).any():
        raise ValueError(
            f"losses of {values.min():g} to {values.max():g} lie outside of what their plan allows"
        )
    return np.clip(values, least, limits), limits, sizes


def _solved(
    values: NDArray[np.float64],
    limits: NDArray[np.float64],
    sizes: NDArray[np.float64],
    delta: float,
    deff: float,
    span: float | None = None,
) -> float:
    """Return the mean at which the evidence reaches 1 / delta, or the least limit."""
    threshold = -math.log(delta)
    span = float(limits.max()) if span is None else span
    top = float(limits.min())

    def excess(mean: float) -> float:
        return log_evidence(mean, values, sizes, limits, deff) - threshold

    high = top - 1e-12 * span
    if not sizes.any() or excess(high) <= 0:
        return top
    return root(excess, min(float(values.min()), -span), high)


def size_needed(
    losses: ArrayLike,
    bound: float,
    delta: float,
    *,
    counts: ArrayLike,
    weight_max: ArrayLike = 1.0,
    deff: float = 1.0,
    limit: int = 20_000,
) -> int | None:
    """Return about how many draws like the ones seen bring the upper bound down to `bound`.

    Args:
        losses: Distinct values of weight times outcome that were seen.
        bound: The mean that the upper bound must not exceed.
        delta: Error probability.
        counts: How often each was seen.
        weight_max: The largest weight the plan allows, of all draws or of each value.
        deff: Design effect.
        limit: The most draws considered.

    Returns:
        A number of draws, or None: too close to the limit.
    """
    values, limits, sizes = _grouped(losses, weight_max, counts)
    shares = sizes / sizes.sum()
    if bound >= limits.min():
        return 1

    def proven(n: int) -> bool:
        return log_evidence(bound, values, shares * n, limits, deff) >= -math.log(delta)

    if not proven(limit):
        return None
    low, high = 0, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proven(middle) else (middle, high)
    return high


def effective_size(weights: Sequence[float]) -> float:
    """Return how many equal draws the weighted ones are worth (Kish 1965)."""
    total, squares = math.fsum(weights), math.fsum(each * each for each in weights)
    return total * total / squares if squares else 0.0


def _grouped(
    losses: ArrayLike, weight_max: ArrayLike, counts: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return distinct pairs of a loss and its limit, and how often each occurs."""
    values = np.atleast_1d(np.asarray(losses, dtype=np.float64))
    limits = np.broadcast_to(np.asarray(weight_max, dtype=np.float64), values.shape)
    sizes = np.ones_like(values) if counts is None else np.asarray(counts, dtype=np.float64)
    if not values.size:
        return np.zeros(1), np.atleast_1d(np.asarray(weight_max, dtype=np.float64))[:1], np.zeros(1)
    kept = sizes > 0
    if not kept.any():
        return np.zeros(1), limits[:1], np.zeros(1)
    pairs = np.stack([values[kept], limits[kept]])
    distinct, where = np.unique(pairs, axis=1, return_inverse=True)
    totals = np.bincount(where.reshape(-1), weights=sizes[kept], minlength=distinct.shape[1])
    return distinct[0], distinct[1], totals.astype(np.float64)
