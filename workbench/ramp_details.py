"""The figures that a recommendation shows beside its decision."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from workbench.records import Basis, Policy
from workbench.stats import bounds, guards, noise
from workbench.stats.evidence import Evidence, Population
from workbench.stats.harm import Harm, regressions
from workbench.stats.missing import Missing
from workbench.stats.sessions import session_rate


def rates(population: Population) -> tuple[float | None, float | None]:
    """Return the share of calls that get worse and that get better, as labelled."""
    if not population.looked:
        return None, None
    if population.basis is Basis.SEMANTIC:
        n = len(population.draws)
        if not n:
            return None, None
        worse = math.fsum(each.weight for each in population.draws if each.outcome > 0)
        better = math.fsum(each.weight for each in population.draws if each.outcome < 0)
        return min(worse / n, 1.0), min(better / n, 1.0)
    if not population.audited:
        return None, None
    return population.harms / population.audited, population.audited_better / population.audited


def details_of(
    evidence: Evidence,
    policy: Policy,
    delta: float,
    harm: Harm,
    balance: Harm,
    evidence_cap: float,
    missing: Missing,
) -> dict[str, Any]:
    """Return the `details` of a recommendation: the figures behind it, by name.

    Args:
        evidence: What is known.
        policy: What the team accepts.
        delta: The part of the error level that each bound may use.
        harm: The bound on regressions.
        balance: The bound on balance.
        evidence_cap: The share that the bound supports, before other limits.
        missing: What the next stage lacks.
    """
    task = evidence.task
    deff = task.disagreement_effect.value
    total = task.compared + evidence.uncomparable
    several = len(evidence.slices)
    worse, better = rates(task)
    self_agreement = evidence.noise.point if evidence.noise else None
    return {
        "bounds": {
            "harm_by_disagreement": harm.by_disagreement,
            "harm_by_label": harm.by_label,
            "net_by_disagreement": balance.by_disagreement,
            "net_by_label": balance.by_label,
        },
        "agreement": bounds.anytime(task.compared - task.disagreements, task.compared, delta, deff=deff),
        "invalid": guards.invalid_rate(evidence, delta),
        "critical": guards.critical_rate(evidence, delta),
        "sessions": _sessions(evidence, delta),
        "worse": worse,
        "better": better,
        "compared": task.compared,
        "disagreements": task.disagreements,
        "audited": task.audited,
        "cleared": task.cleared,
        "looked": task.looked,
        "uncomparable_share": evidence.uncomparable / total if total else 0.0,
        "ignored_share": evidence.ignored / task.compared if task.compared else 0.0,
        "revoked": task.revoked,
        "evidence_cap": evidence_cap,
        "next_stage": missing.stage,
        "next_bound": missing.bound,
        "labels_needed": missing.labels,
        "labels_done": missing.labels_done,
        "calls_needed": missing.calls,
        "too_close": missing.too_close,
        "disagreement_effect": task.disagreement_effect,
        "harm_effect": task.harm_effect,
        "kappa": evidence.kappa,
        "noise": evidence.noise,
        "noise_ceiling": None if self_agreement is None else noise.ceiling(self_agreement),
        "groups": [
            {
                "kind": group.kind,
                "name": group.name,
                "n": group.n,
                "agreements": group.agreements,
                "agreement": guards.group_agreement(group, delta),
                "collapsed": guards.is_collapsed(group, delta),
                "critical": group.critical,
                "harm": regressions(group.population, delta).estimate,
            }
            for group in evidence.groups
        ],
        "slices_at_once": [
            {
                "name": each.name,
                "value": each.value,
                "harm": regressions(each.population, delta / several).estimate,
            }
            for each in evidence.slices
        ],
        "delta": delta,
    }


def _sessions(evidence: Evidence, delta: float) -> dict[str, Any] | None:
    """Show harm by session wherever a session has more than one call, gated or not."""
    found = evidence.sessions
    if found is None or not found.several:
        return None
    return {
        "n": found.n,
        "several": found.several,
        "unseen": found.unseen,
        "longest": found.longest,
        "harm": session_rate(found, delta),
        "harm_seen": session_rate(replace(found, unseen=0, doubted=found.seen), delta)
        if found.seen.basis is Basis.STRUCTURAL
        else None,
    }
