"""What evidence is missing for the next stage, as numbers and as sentences."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from workbench.records import Basis, Policy
from workbench.stats import bounds, weighted
from workbench.stats.ahead import fewest_clean
from workbench.stats.evidence import Lack, Population
from workbench.stats.harm import Harm, net, regressions
from workbench.stats.ladder import EPSILON, bound_needed, stage_above
from workbench.stats.rows import Differing
from workbench.stats.wording import count, measured, percent, plural

PLANNED_WEIGHT_MAX = 1.25
"""Largest weight of the queue's plan, for tasks where nothing has been drawn yet."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What the first stage above the cap takes.

    `labels` and `calls` are totals, those already there included; None where unknown. `clean` is how few
    more labels on disagreements in order would do if none of them is harmful, None where no number does or
    it is not known; `labels` are never fewer.
    `at_least` says that `labels` holds only if none of them is harmful. `too_close`
    says that the estimate is so near to the limit that 20,000 calls would not do.
    `lack` is the kind of what `sentence` asks for.
    """

    stage: float | None = None
    bound: float | None = None
    labels: int | None = None
    labels_done: int = 0
    calls: int | None = None
    clean: int | None = None
    at_least: bool = False
    too_close: bool = False
    sentence: str = ""
    lack: Lack = Lack.LABELS


def missing_for_next(
    population: Population,
    judged: Harm,
    cap: float,
    policy: Policy,
    delta: float,
    differing: Differing | None = None,
) -> Missing:
    """Return what the first stage above the cap takes.

    Args:
        population: Evidence about the task.
        judged: Its harm, or its net harm where the policy asks for that.
        cap: The share that the evidence supports now.
        policy: Tolerance, ladder and kind of harm.
        delta: Error probability.
        differing: Where the disagreements stand, which makes the number of clean labels exact.
    """
    stage = stage_above(cap, policy)
    if stage is None or not population.compared:
        return Missing()
    bound = min(bound_needed(stage, policy), 1.0)
    semantic = population.basis is Basis.SEMANTIC
    done = len(population.draws) if semantic else population.looked
    if judged.estimate.high <= bound + EPSILON:
        if population.by_people:
            return Missing(stage, bound, labels=done, labels_done=done)
        sentence = f"One verdict by a person, on any output, to go beyond {percent(cap)}."
        return Missing(stage, bound, labels=max(done, 1), labels_done=done, sentence=sentence)
    measure = net if policy.harm == "net" else regressions
    clean = fewest_clean(
        population, differing, lambda other: measure(other, delta).estimate.high <= bound + EPSILON
    )
    hard = Missing(stage, bound, labels_done=done, clean=clean, too_close=True, lack=Lack.CANDIDATE)
    point = judged.cautious or 0.0
    if point > policy.tolerance + EPSILON and population.looked:
        sentence = (
            f"More labels will hardly help: the estimate, {measured(point)}, is above the tolerance of "
            f"{measured(policy.tolerance)}{_against(stage, clean)}."
        )
        return replace(hard, sentence=sentence)
    size = _size(population, judged, bound, policy, delta)
    hopeful = size is None and not population.looked
    if hopeful:
        size = bounds.size_needed(0.0, bound, delta, deff=population.harm_effect.value)
    harmless = point <= 0 and clean is not None
    if harmless:
        # Nothing is known to be harmful: what the labels reach is known, the size was for an even spread.
        size = population.compared
    if size is None:
        near = f"the estimate is {measured(point)}, and " if population.looked else ""
        sentence = (
            f"Too close to the limit: {near}{percent(stage)} of traffic needs an upper bound of "
            f"{measured(bound)}{'' if near else ', more than so many clean calls could prove'}"
            f"{_against(stage, clean)}."
        )
        return replace(hard, sentence=sentence)
    rate = 1.0 if semantic else population.disagreements / population.compared
    labels = max(0 if harmless else math.ceil(size * rate - EPSILON), done + (clean or 0))
    at_least = hopeful or harmless or (not population.looked and point <= 0 and (semantic or rate > 0))
    found = Missing(
        stage,
        bound,
        labels=labels,
        labels_done=done,
        calls=size,
        clean=clean,
        at_least=at_least,
        lack=Lack.CALLS if _no_label_would_do(population, labels, done, size) else Lack.LABELS,
    )
    goal = f"to reach {percent(stage)}"
    return replace(found, sentence=_sentence(population, found, labels, size, goal, point))


def _against(stage: float, clean: int | None) -> str:
    """Say what it would take against the odds."""
    if clean is None:
        return ""
    return f"; it would take {plural(clean, 'more label')} without harm to reach {percent(stage)}"


def _size(population: Population, judged: Harm, bound: float, policy: Policy, delta: float) -> int | None:
    """Return how many audited calls, or draws, bring the upper bound down to `bound`."""
    deff = population.harm_effect.value
    by_net = policy.harm == "net"
    if population.basis is Basis.SEMANTIC:
        outcomes = [each.outcome if by_net else float(each.outcome > 0) for each in population.draws]
        losses = [each.weight * outcome for each, outcome in zip(population.draws, outcomes, strict=True)]
        counted = Counter(zip(losses, population.ceilings, strict=True)) or Counter(
            [(0.0, PLANNED_WEIGHT_MAX)]
        )
        values, limits = zip(*counted, strict=True)
        counts = list(counted.values())
        return weighted.size_needed(values, bound, delta, counts=counts, weight_max=limits, deff=deff)
    if by_net:
        n, worse, better = population.audited, population.harms, population.audited_better
        by = judged.by_disagreement
        if not n or (by and judged.cautious == by.point):
            n = population.compared
            worse = population.disagreements - population.cleared
            better = population.cleared_better
        sizes = [worse, n - worse - better, better]
        return weighted.size_needed([1.0, 0.5, 0.0], (bound + 1) / 2, delta, counts=sizes, deff=deff)
    return bounds.size_needed(judged.cautious or 0.0, bound, delta, deff=deff)


def _no_label_would_do(population: Population, labels: int, done: int, size: int) -> bool:
    """Say whether enough of a structural comparison is labelled, and only more calls would help."""
    return population.basis is Basis.STRUCTURAL and labels <= done and size > population.compared


def _sentence(population: Population, found: Missing, labels: int, size: int, goal: str, point: float) -> str:
    done = found.labels_done
    given = f" ({count(done)} done)" if done else ""
    more = size - population.compared
    calls = f"about {plural(more, 'more compared call')}" if more > 0 else ""
    end = f", and {calls}" if calls else ""
    if population.basis is Basis.SEMANTIC:
        start = "At least about" if found.at_least else "About"
        clean = ", if none of them is harmful" if found.at_least else ""
        return f"{start} {plural(labels, 'label')} drawn by the queue {goal}{given}{clean}{end}."
    if _no_label_would_do(population, labels, done, size):
        return f"{calls[0].upper()}{calls[1:]} {goal}."
    if found.at_least:
        start = f"{'About' if found.clean else 'At least about'} {plural(labels - done, 'more label')}"
        if done:
            return f"{start} on disagreements, in order, {goal}, if none of them is harmful{end}."
        return (
            f"Labels on the disagreements, in order: without them each of the "
            f"{count(population.disagreements)} counts as harm. {start} {goal}, if none of them is "
            f"harmful{end}."
        )
    expected = f", at the harm found so far ({measured(point)})" if point > 0 else ""
    return f"About {plural(labels, 'label')} on disagreements, in order, {goal}{given}{expected}{end}."
