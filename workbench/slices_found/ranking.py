"""Which slices are worst, and the longest input that stays within tolerance. Pure.

All claims of one look are made together: with S slices and one limit each bound has the
error probability delta / (S + 1). The slices come from inputs alone, and each bound holds
however often anyone looks, as long as the slices stay the same; more calls can move the
limits of lengths and clusters, and then the claim is that of the look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.records import Basis, Estimate, Policy
from workbench.stats import bounds
from workbench.stats.evidence import Population, SliceEvidence
from workbench.stats.harm import net, regressions
from workbench.stats.ladder import EPSILON
from workbench.stats.wording import get_worse, measured, percent, plural, sentence_case

GRID = 20
"""Input lengths are tried at this many quantiles."""
STARTS = 3
SEVERAL_STARTS = 200
"""With so many calls there are three starts."""
AT_MOST = "input length at most"
STATUSES = ("bad", "suspect", "unproven", "fine")


@dataclass(frozen=True, slots=True)
class FoundSlice:
    """One value of a slicing that was found.

    `status` is bad (harm above the tolerance is proven), suspect (the estimate is above
    it), unproven or fine (within tolerance); `harm` has the corrected bounds. It is net
    harm where the policy asks for that. `differing` counts its calls that differ.
    """

    name: str
    value: str
    calls: int
    traffic_share: float
    harm: Estimate
    status: str
    sentence: str
    differing: int = 0


@dataclass(frozen=True, slots=True)
class LengthLimit:
    """Calls with an input of at most `chars` characters stay within tolerance.

    `tried` is how many lengths were tested.
    """

    chars: int
    traffic_share: float
    harm: Estimate
    tried: int
    sentence: str


def ranked(slices: Sequence[SliceEvidence], policy: Policy) -> tuple[FoundSlice, ...]:
    """Return slices with bounds corrected for how many there are, the worst first.

    Where nobody has looked there is no estimate of harm, and how many differ stands for it.

    Args:
        slices: Every slice that is looked at, the unremarkable ones included.
        policy: Tolerance, level and kind of harm.
    """
    delta = policy.delta / (len(slices) + 1)
    found = [_judged(each, policy, delta) for each in slices]
    return tuple(
        sorted(
            found,
            key=lambda each: (
                STATUSES.index(each.status),
                -each.harm.low,
                -(each.harm.point if each.harm.point is not None else each.differing / max(each.calls, 1)),
                -each.harm.high,
                each.name,
                each.value,
            ),
        )
    )


def _judged(each: SliceEvidence, policy: Policy, delta: float) -> FoundSlice:
    harm = harm_of(each.population, policy, delta)
    limit, sure = policy.tolerance, f"{percent(1 - delta)} sure of each; "
    if harm.low > limit + EPSILON:
        status, says = "bad", get_worse(harm.low, policy, limit="at least")
    elif harm.point is not None and harm.point > limit + EPSILON:
        status, says, sure = "suspect", get_worse(harm.point, policy, limit="about"), ""
    elif harm.high > limit + EPSILON:
        status, says = "unproven", get_worse(harm.high, policy)
    else:
        status, says = "fine", get_worse(harm.high, policy)
    calls = plural(each.population.compared, "call")
    return FoundSlice(
        name=each.name,
        value=each.value,
        calls=each.population.compared,
        traffic_share=each.traffic_share,
        harm=harm,
        status=status,
        differing=each.population.disagreements,
        sentence=f"{sentence_case(says)} where {each.name} is {each.value!r} ({sure}{calls}).",
    )


def harm_of(population: Population, policy: Policy, delta: float) -> Estimate:
    """Return the harm of a set of calls, or its net harm where the policy asks for that."""
    return (net if policy.harm == "net" else regressions)(population, delta).estimate


def length_limits(lengths: Sequence[int | None]) -> tuple[int, ...]:
    """Return the lengths to try, ascending: 20 quantiles of the lengths that are known."""
    known = sorted(each for each in lengths if each is not None)
    if not known:
        return ()
    n = len(known)
    return tuple(sorted({known[math.ceil(n * part / GRID) - 1] for part in range(1, GRID + 1)}))


def length_keys(length: int | None, limits: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """Return the limits that a call stays within, as slices of `audit.from_rows`."""
    if length is None:
        return ()
    return tuple((AT_MOST, str(limit)) for limit in limits if length <= limit)


def longest_within(
    parts: Mapping[int, SliceEvidence], policy: Policy, *, claims: int = 0
) -> LengthLimit | None:
    """Return the longest input for which calls up to that length stay within tolerance.

    Fixed-sequence testing (Angelopoulos et al. 2021): from short to long, until a bound
    first exceeds the tolerance, so that the error probability is not divided by the number
    of lengths. Lengths with fewer calls than a clean sample needs are skipped, which looks
    at no outcome. The shortest ones hold few calls, where one harm ends the sequence; with
    200 calls there are three starts, each at a third of the error probability. The claim
    is that of one look, since with more calls the sequences begin elsewhere.

    Args:
        parts: The calls up to each length of the grid.
        policy: Tolerance, level and kind of harm.
        claims: How many other claims are made on the same data.
    """
    order = sorted(parts)
    delta = policy.delta / (claims + 1)
    passed = furthest_within([parts[chars].population for chars in order], policy, delta)
    if passed is None:
        return None
    chars, share = order[passed.place], parts[order[passed.place]].traffic_share
    sentence = (
        f"Inputs of at most {chars:,} characters ({measured(share)} of calls): "
        f"{get_worse(passed.harm.high, policy, of='')} ({percent(1 - delta)} sure)."
    )
    return LengthLimit(chars, share, passed.harm, passed.tried, sentence)


@dataclass(frozen=True, slots=True)
class Passed:
    """The last of a sequence of claims that holds, its harm, and how many were tested."""

    place: int
    harm: Estimate
    tried: int


def furthest_within(sequence: Sequence[Population], policy: Policy, delta: float) -> Passed | None:
    """Return the furthest of growing sets of calls that is proven to be within tolerance.

    See `longest_within`; None where not one is.

    Args:
        sequence: From cautious to permissive.
        policy: Tolerance and kind of harm.
        delta: Error probability of the whole sequence.
    """
    sizes = [_size(each) for each in sequence]
    starts = STARTS if max(sizes, default=0) >= SEVERAL_STARTS else 1
    each_delta = delta / starts
    needed = bounds.calls_needed(0, policy.tolerance, each_delta) or math.inf
    grid = [place for place, size in enumerate(sizes) if size >= needed]
    harms: dict[int, Estimate] = {}
    best: int | None = None
    for start in sorted({len(grid) * number // starts for number in range(starts)}):
        for place in grid[start:]:
            harms[place] = harms.get(place) or harm_of(sequence[place], policy, each_delta)
            if harms[place].high > policy.tolerance + EPSILON:
                break
            best = place if best is None else max(best, place)
    return None if best is None else Passed(best, harms[best], len(harms))


def _size(population: Population) -> int:
    return len(population.draws) if population.basis is Basis.SEMANTIC else population.compared
