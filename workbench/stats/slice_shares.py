"""What each slice of a task may carry, and what of the traffic moves then. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from workbench.records import Estimate, Policy, Recommendation, SliceShare
from workbench.stats import guards, ladder
from workbench.stats.evidence import Evidence, Population, SliceEvidence
from workbench.stats.harm import FEWEST_JUDGED, Harm, net, regressions, steady_point
from workbench.stats.wording import bound_sentence, measured, plural

STATUSES = ("excluded", "suspect", "unproven", "active")
"""From worst to best."""


def worst_first(slices: Iterable[SliceShare]) -> tuple[SliceShare, ...]:
    """Return slices by status, then by how much harm is proven, estimated and possible, the worst first.

    Where nobody has looked there is no estimate, and what is possible stands for it: a slice of which
    nothing differs is no worse.
    """
    return tuple(
        sorted(
            slices,
            key=lambda each: (
                STATUSES.index(each.status),
                -each.harm.low,
                -(each.harm.high if each.harm.point is None else each.harm.point),
                -each.harm.high,
                each.name,
                each.value,
            ),
        )
    )


def bounds_at_once(answer: Recommendation) -> dict[tuple[str, str], Estimate]:
    """Return the harm of each slice by (name, value), its bounds at delta / S, so that those of all S hold.

    A slice's own share rests on its own bound at delta. Whoever looks for the worst of all of them, or says
    that none is bad, makes S claims at once (Bonferroni).
    """
    return {(each["name"], each["value"]): each["harm"] for each in answer.details.get("slices_at_once", ())}


def estimate_forbids(harm: Harm, population: Population, policy: Policy) -> bool:
    """Rule 6: never up while the estimate itself, of enough judged disagreements, is above the tolerance."""
    point = steady_point(harm, population)
    return point is not None and point > policy.tolerance + ladder.EPSILON


def slice_share(each: SliceEvidence, task_share: float, policy: Policy, delta: float) -> SliceShare:
    """Rule 8: a slice stands on its own evidence and is never faster than the task."""
    population = each.population
    harm = regressions(population, delta)
    decisive = net(population, delta) if policy.harm == "net" else harm
    judged = decisive.estimate
    cap = ladder.cap_of(judged.high, policy)
    seen = guards.looked_at(replace(Evidence(), task=population), policy, cap)
    few = guards.few_clusters(decisive, population, policy)
    cap = min(cap, *(each.ceiling for each in (seen, few) if not each.ok), 1.0)
    share, tolerance = 0.0, measured(policy.tolerance)
    sentence = bound_sentence(judged, population, policy)
    if judged.low > policy.tolerance + ladder.EPSILON:
        status, reason = "excluded", f"At least {measured(judged.low)} get worse; tolerance {tolerance}."
    elif decisive.cautious is not None and decisive.cautious > policy.tolerance + ladder.EPSILON:
        status, own = "suspect", measured(decisive.cautious)
        known = f"The estimate, {own}, is above the tolerance of {tolerance}."
        reason = _unlooked(own, tolerance) if judged.point is None else known
    elif population.effective_pairs < policy.minimum_pairs - ladder.EPSILON:
        status = "unproven"
        reason = (
            f"{plural(population.compared, 'compared call')}: at least {policy.minimum_pairs} are needed."
        )
    elif estimate_forbids(decisive, population, policy):
        status, most = "unproven", measured(steady_point(decisive, population) or 0.0)
        known = (
            f"Fewer than {FEWEST_JUDGED} disagreements have been judged in order; with each open one as "
            f"harm the estimate, {most}, is above the tolerance of {tolerance}."
        )
        reason = _unlooked(most, tolerance) if judged.point is None else known
    elif cap <= 0:
        status = "unproven"
        reason = seen.message if not seen.ok else sentence
    else:
        status, share = "active", min(task_share, cap)
        reason = sentence if few.ok else f"{few.message} {sentence}"
    return SliceShare(
        name=each.name,
        value=each.value,
        traffic_share=each.traffic_share,
        n=population.compared,
        harm=harm.estimate,
        cap=cap if status == "active" else 0.0,
        share=share,
        status=status,
        reason=reason,
    )


def _unlooked(rate: str, tolerance: str) -> str:
    return (
        f"Nobody has looked at an output here: with what differs counted as harm, {rate} get worse; "
        f"tolerance {tolerance}."
    )


def effective_share(evidence: Evidence, slices: tuple[SliceShare, ...], share: float) -> float:
    """Return the share of traffic that moves when every slice gets its own share.

    Where it is known which slices overlap, a call moves at the smallest share among
    its slices. Where it is not, the slicing that lets least through is taken; traffic
    that a slicing does not name does not move.
    """
    if not slices:
        return share
    if evidence.cells:
        shares = {(each.name, each.value): each.share for each in slices}
        moved = (
            cell.traffic_share * min((shares[key] for key in cell.keys if key in shares), default=share)
            for cell in evidence.cells
        )
        rest = max(1.0 - math.fsum(cell.traffic_share for cell in evidence.cells), 0.0)
        return math.fsum(moved) + rest * share
    names = {each.name for each in slices}
    return min(
        math.fsum(each.traffic_share * each.share for each in slices if each.name == name) for name in names
    )
