"""How numbers and bounds are put into sentences."""

from __future__ import annotations

from workbench.records import Basis, Estimate, Policy
from workbench.stats.cluster import FEW_CLUSTERS, DesignEffect
from workbench.stats.evidence import Population
from workbench.stats.harm import BY_DISAGREEMENT, BY_LABEL, BY_STRATA


def percent(rate: float) -> str:
    """Return a stage or a level as a percentage with at most one decimal: "2.5 %", "5 %"; see `measured`."""
    text = f"{100 * rate:.1f}".removesuffix(".0")
    return f"{'0' if text == '-0' else text} %"


def measured(rate: float) -> str:
    """Return a rate of calls, measured or tolerated, as tables show it, with one decimal: "6.2 %", "3.0 %".

    Stages, other shares of traffic and levels of confidence read as people set them, see `percent`.
    """
    text = f"{100 * rate:.1f}"
    return f"{'0.0' if text == '-0.0' else text} %"


def count(n: float) -> str:
    """Return a count with thousands separated."""
    return f"{round(n):,}"


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
        return (
            f"from {plural(population.audited_disagreements - lapses, 'label')}{lapsed} "
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
        f"Calls come in clusters: {count(n)} {noun} are worth {count(n / effect.value)} "
        f"({effect.used} design effect {effect.value:.2f}), so the confidence is approximate{few}."
    )
