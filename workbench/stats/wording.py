"""How numbers and bounds are put into sentences."""

from __future__ import annotations

import math

from workbench.records import Basis, Estimate, Policy, Recommendation
from workbench.stats import ladder
from workbench.stats.cluster import FEW_CLUSTERS, DesignEffect
from workbench.stats.evidence import Population
from workbench.stats.harm import BY_DISAGREEMENT, BY_LABEL, BY_STRATA

MOST_DIGITS = 6
"""Decimals of a level that is all but certain."""
EXACT_DIGITS = 17
"""Digits that tell any two floats apart."""


GUARDS = {
    "uncomparable": "not comparable",
    "outcome_groups": "each kind of answer",
    "critical": "critical harm",
    "sessions": "harm by session",
    "enough_pairs": "compared calls",
    "looked": "a person's verdict",
    "clusters": "sessions and requests",
}
"""What guards look at, where their names don't say it."""


def guard(name: str) -> str:
    """Return how people read the name of a guard: by what it looks at."""
    return GUARDS.get(name, name.replace("_", " "))


def percent(rate: float) -> str:
    """Return a stage or a level as a percentage as it is set: "5 %", "2.5 %", "99.75 %"; see `measured`.

    A level below 1 never reads as certainty.
    """
    digits = next((n for n in range(2, MOST_DIGITS) if rate >= 1 or round(100 * rate, n) < 100), MOST_DIGITS)
    text = f"{100 * rate:.{digits}f}".rstrip("0").rstrip(".")
    return f"{'0' if text == '-0' else text} %"


def measured(rate: float) -> str:
    """Return a rate of calls, measured or tolerated, as tables show it, with one decimal: "6.2 %", "3.0 %".

    Stages, other shares of traffic and levels of confidence read as people set them, see `percent`.
    """
    text = f"{100 * rate:.1f}"
    return f"{'0.0' if text == '-0.0' else text} %"


def confidence(value: float) -> str:
    """Return how sure a candidate is of an answer, with three digits that count: "0.887", "0.9996".

    Below 1 it never reads as 1: more digits are shown then.
    """
    tried = [f"{value:.{n}g}" for n in range(3, EXACT_DIGITS + 1)]
    return next(text for text in tried if not value < 1 or float(text) < 1)


def count(n: float) -> str:
    """Return a count with thousands separated."""
    return f"{round(n):,}"


def a_day(calls: float) -> str:
    """Return how many calls a day are harmed: "7.7", "0.031"; below 1 with two digits that count.

    Few never read as none, and pages, reports and commands round alike.
    """
    if calls <= 0:
        return "0"
    digits = 1 if calls >= 1 else 1 - math.floor(math.log10(calls))
    return f"{calls:,.{digits}f}"


def harmed_a_day(answer: Recommendation) -> str:
    """Return the bound on harmed calls a day, at the recommended share and at a larger one that is served.

    Args:
        answer: The recommendation.

    Returns:
        One sentence, empty where nothing moves or the calls a day are not known.
    """
    said = []
    if answer.harm_per_day_at_most is not None and answer.effective_share > ladder.EPSILON:
        said.append(f"Of what moves at {percent(answer.share)}, at most {a_day(answer.harm_per_day_at_most)}")
    now = answer.details["harm_per_day_now"]
    if now is not None:
        said.append(f"at the {percent(answer.current_share)} served now, at most {a_day(now)}")
    if not said:
        return ""
    first, *others = said
    return "; ".join([f"{first[0].upper()}{first[1:]} harmed calls a day", *others]) + "."


def plural(n: float, noun: str) -> str:
    """Return a count with its noun: "1 label", "140 labels"."""
    return f"{count(n)} {noun}{'' if round(n) == 1 else 's'}"


def grounds(estimate: Estimate, population: Population) -> str:
    """Say what a bound rests on, to be put in brackets after the confidence."""
    if estimate.method == BY_STRATA:
        return "counting agreement after normalisation as doubtful, since a harmful case was found"
    if population.basis is Basis.SEMANTIC:
        return f"from {plural(estimate.n, 'label')} drawn by the queue" if estimate.n else "nothing labelled"
    settled = population.audited_disagreements > 0 and population.audited == population.compared
    if estimate.method == BY_LABEL or (estimate.method == BY_DISAGREEMENT and settled):
        lapses = population.audited_lapses
        lapsed = f" and {plural(lapses, 'lapsed item')}, counted as harm," if lapses else ""
        # Where people labelled here, too, those came first in their order.
        label = "label" if population.by_people else "imported or gold label"
        return (
            f"from {plural(population.audited_disagreements - lapses, label)}{lapsed} "
            f"on {plural(population.audited, 'audited call')}"
        )
    if estimate.method == BY_DISAGREEMENT:
        return f"worst case: every {'open ' if population.cleared else ''}disagreement counted as harm"
    return "nothing compared"


def bound_sentence(estimate: Estimate, population: Population, policy: Policy) -> str:
    """Say what an upper bound on harm, or on the balance of worse and better, means."""
    sure = f"({percent(estimate.level)} sure, {grounds(estimate, population)})"
    says = sentence_case(get_worse(estimate.high, policy))
    worse = " worse" if policy.harm == "net" and estimate.high < 0 else ""
    return f"{says} {sure}; tolerance {measured(policy.tolerance)}{worse}."


def holds_for(bound: float, policy: Policy) -> str:
    """Say for which stage an upper bound is low enough, and what the next one needs.

    Early stages put few calls at risk and allow a multiple of the tolerance; see `ladder.bound_needed`.

    Args:
        bound: Upper bound on harm, or on net harm where the policy asks for that.
        policy: Tolerance, exploration budget and ladder.
    """
    stage = ladder.cap_of(bound, policy)
    following = ladder.stage_above(stage, policy)
    if following is None:
        return f"holds for {percent(stage)}"
    needs = f"{percent(following)}, which needs at most {measured(ladder.bound_needed(following, policy))}"
    return (
        f"holds for {percent(stage)}, not yet for {needs}" if stage > 0 else f"is not low enough for {needs}"
    )


def sentence_case(text: str) -> str:
    """Return a text that begins with a capital and is otherwise as it was."""
    return f"{text[:1].upper()}{text[1:]}"


def get_worse(rate: float, policy: Policy, *, of: str = "of calls ", limit: str = "at most") -> str:
    """Say that a share of calls gets worse; under `harm = "net"`, that it does on balance.

    Args:
        rate: The share, or its bound; below 0 only on balance.
        policy: Says which of the two is meant.
        of: What the share is of, with a space behind it.
        limit: "at most", "at least" or "about".
    """
    if policy.harm != "net":
        return f"{limit} {measured(rate)} {of}get worse"
    if rate < 0:
        turned = {"at most": "at least", "at least": "at most"}.get(limit, limit)
        return f"on balance {turned} {measured(-rate)} {of}get better"
    return f"on balance {limit} {measured(rate)} {of}get worse"


def cluster_sentence(effect: DesignEffect, n: float, noun: str) -> str | None:
    """Say what clusters do to the evidence, or nothing where they do nothing."""
    if effect.value <= 1.005:
        return None
    few = (
        f", the more so with only {effect.clusters} clusters"
        if effect.clusters is not None and effect.clusters < FEW_CLUSTERS
        else ""
    )
    if effect.used == "repeated":
        return (
            f"Some calls were drawn again: {count(n)} {noun} are worth {count(n / effect.value)}, so the "
            f"confidence is approximate{few}."
        )
    return (
        f"Calls of one session or request tell less than others: {count(n)} {noun} are worth "
        f"{count(n / effect.value)} independent ones ({effect.used} design effect {effect.value:.2f}), so "
        f"the confidence is approximate{few}."
    )
