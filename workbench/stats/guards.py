"""The rules that limit traffic, each as one finding.

`ceiling` is the largest share a finding allows, `advance` whether the share may grow,
`stop` whether harm is proven, `collect` whether there is too little evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.records import Basis, Estimate, Guard, Policy
from workbench.stats import bounds
from workbench.stats.evidence import GROUP_MINIMUM, Evidence, OutcomeGroup
from workbench.stats.harm import Harm, regressions
from workbench.stats.ladder import CEILING, EPSILON, floor_stage, stage_below
from workbench.stats.wording import count, percent, plural

UNSEEN_CAP = 0.25
"""Largest share of a structural task whose outputs nobody has looked at."""
COLLAPSED = 0.5
"""A group whose agreement is provably below this has been given up by the candidate."""
WEAK = 0.8
"""A group whose agreement is estimated below this needs labels."""
WEAK_CAP = 0.05
CRITICAL_CAP = 0.10
"""Largest share without a bound on critical harm."""
WEEK_CAP = 0.10
"""Largest share before the evidence spans enough days."""
KAPPA_WARNING = 0.4
AGREEMENT_WARNING = 0.9


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says."""

    name: str
    ok: bool
    message: str
    ceiling: float = 1.0
    advance: bool = True
    stop: bool = False
    collect: bool = False

    @property
    def guard(self) -> Guard:
        """Return the finding as it is shown."""
        return Guard(self.name, self.ok, self.message)


def invalid_outputs(evidence: Evidence, policy: Policy, delta: float) -> Finding:
    """Rule 1: too many outputs are errors or break their contract."""
    rate = invalid_rate(evidence, delta)
    n = evidence.task.compared
    seen = f"{count(evidence.invalid)} of {plural(n, 'candidate output')} {_are(evidence.invalid)} invalid"
    if rate.low > policy.maximum_invalid + EPSILON:
        return Finding(
            "invalid_outputs",
            False,
            f"{seen}: at least {percent(rate.low)} are ({percent(rate.level)} sure), "
            f"{percent(policy.maximum_invalid)} is the most allowed.",
            ceiling=0.0,
            advance=False,
        )
    return Finding("invalid_outputs", True, f"{seen}.")


def invalid_rate(evidence: Evidence, delta: float) -> Estimate:
    """Return the rate of invalid candidate outputs."""
    task = evidence.task
    return bounds.anytime(evidence.invalid, task.compared, delta, deff=task.disagreement_effect.value)


def uncomparable_calls(evidence: Evidence, policy: Policy) -> Finding:
    """Hold where too many controls are errors, truncated, refused or not what the eval describes."""
    total = evidence.task.compared + evidence.uncomparable
    share = evidence.uncomparable / total if total else 0.0
    seen = (
        f"{count(evidence.uncomparable)} of {plural(total, 'call')} can't be compared, because the "
        f"frontier's own output is an error, truncated, refused or not what the eval describes"
    )
    if share > policy.maximum_uncomparable + EPSILON:
        return Finding(
            "uncomparable",
            False,
            f"{seen} ({percent(share)}; {percent(policy.maximum_uncomparable)} is the most allowed).",
            advance=False,
        )
    return Finding("uncomparable", True, f"{seen}.")


def proven_harm(judged: Estimate, policy: Policy) -> Finding:
    """Rule 2: harm above the tolerance is proven."""
    what = "on balance " if policy.harm == "net" else ""
    if judged.low > policy.tolerance + EPSILON:
        return Finding(
            "proven_harm",
            False,
            f"At least {percent(judged.low)} of calls get worse {what}({percent(judged.level)} sure); "
            f"tolerance {percent(policy.tolerance)}.",
            ceiling=0.0,
            advance=False,
            stop=True,
        )
    return Finding("proven_harm", True, f"Harm above {percent(policy.tolerance)} is not proven.")


def drift(evidence: Evidence, policy: Policy, current: float) -> Finding:
    """Rule 2: an alarm of the drift detector takes one stage back, once."""
    if not evidence.drift_alarm:
        return Finding("drift", True, "No drift alarm.")
    return Finding(
        "drift",
        False,
        "The drift detector has alarmed: live outputs differ from the evaluated ones. One stage down; "
        "a new window for advancing opens.",
        ceiling=stage_below(current, policy),
        advance=False,
    )


def consistent_batches(harm: Harm) -> Finding:
    """Hold where the labelled calls contradict the later ones."""
    if harm.consistent:
        return Finding("batches", True, "The batches agree with each other.")
    return Finding(
        "batches",
        False,
        f"The labelled calls show at least {percent(harm.estimate.low)} harm, all calls at most "
        f"{percent(harm.estimate.high)}: the batches differ. Find out what changed between them.",
        advance=False,
    )


def outcome_groups(evidence: Evidence, policy: Policy, delta: float) -> Finding:
    """Rule 9: the candidate must not give up any answer of the frontier."""
    collapsed = [group for group in evidence.groups if is_collapsed(group, delta)]
    if collapsed:
        worst = min(collapsed, key=lambda group: (group.agreements / max(group.n, 1), group.name))
        others = len(collapsed) - 1
        more = f" The same goes for {plural(others, 'other answer')}." if others else ""
        return Finding("outcome_groups", False, _collapse_sentence(worst) + more, ceiling=0.0, advance=False)
    weak = [group for group in evidence.groups if _is_weak(group, policy, delta)]
    if weak:
        worst = min(weak, key=lambda group: (group.agreements / group.n, group.name))
        return Finding(
            "outcome_groups",
            False,
            f"The candidate agrees on {_named(worst)} in {count(worst.agreements)} of "
            f"{plural(worst.n, 'case')}: at most {percent(WEAK_CAP)} until labels bound the harm there below "
            f"{percent(CEILING * policy.tolerance)}.",
            ceiling=floor_stage(WEAK_CAP, policy),
        )
    seen = [group for group in evidence.groups if group.n >= GROUP_MINIMUM]
    if not seen:
        return Finding("outcome_groups", True, f"No outcome group has {GROUP_MINIMUM} calls yet.")
    return Finding("outcome_groups", True, "The candidate still gives every answer the frontier gives.")


def group_agreement(group: OutcomeGroup, delta: float) -> Estimate:
    """Return how often the candidate agrees within an outcome group."""
    effect = group.population.disagreement_effect.value
    return bounds.anytime(group.agreements, group.n, delta, deff=effect)


def is_collapsed(group: OutcomeGroup, delta: float) -> bool:
    """Say whether the candidate has stopped giving an answer, now or earlier in this window."""
    if group.latched:
        return True
    return group.n >= GROUP_MINIMUM and group_agreement(group, delta).high < COLLAPSED - EPSILON


def _is_weak(group: OutcomeGroup, policy: Policy, delta: float) -> bool:
    if group.n < GROUP_MINIMUM or group.agreements / group.n >= WEAK - EPSILON:
        return False
    if not group.population.looked:
        return True
    bound = regressions(group.population, delta).estimate.high
    return bound >= CEILING * policy.tolerance - EPSILON


def _named(group: OutcomeGroup) -> str:
    return f"{'label' if group.kind == 'label' else 'field'} {group.name!r}"


def _collapse_sentence(group: OutcomeGroup) -> str:
    cases = f"in {count(group.agreements)} of {plural(group.n, 'case')}"
    if group.kind == "label":
        return (
            f"The candidate has stopped giving the answer {group.name!r}: where the frontier gives label "
            f"{group.name!r}, the candidate gives it {cases}."
        )
    return (
        f"The candidate has stopped filling field {group.name!r}: it agrees with the frontier there {cases}."
    )


def kappa_warning(evidence: Evidence) -> str | None:
    """Warn where agreement is high because one answer is common."""
    task = evidence.task
    if evidence.kappa is None or not task.compared:
        return None
    agreement = 1 - task.disagreements / task.compared
    if evidence.kappa >= KAPPA_WARNING or agreement <= AGREEMENT_WARNING:
        return None
    return (
        f"Agreement is {percent(agreement)}, but kappa only {evidence.kappa:.2f}: most of it comes from one "
        f"common answer. Look at the rare ones."
    )


def critical_harm(evidence: Evidence, policy: Policy, delta: float) -> Finding:
    """Rule 10: critical harm has its own, smaller tolerance."""
    limit = policy.critical_tolerance
    if limit is None:
        return Finding("critical", True, "No tolerance for critical harm is set.")
    rate = critical_rate(evidence, delta)
    if rate is None:
        return Finding(
            "critical",
            False,
            f"Critical harm has not been measured: at most {percent(CRITICAL_CAP)} until it is.",
            ceiling=floor_stage(CRITICAL_CAP, policy),
        )
    if rate.low > limit + EPSILON:
        return Finding(
            "critical",
            False,
            f"At least {percent(rate.low)} of calls get critically worse ({percent(rate.level)} sure); "
            f"{percent(limit)} is tolerated.",
            ceiling=0.0,
            advance=False,
            stop=True,
        )
    seen = f"At most {percent(rate.high)} of calls get critically worse ({percent(rate.level)} sure)"
    if rate.high <= limit + EPSILON:
        return Finding("critical", True, f"{seen}; {percent(limit)} is tolerated.")
    if rate.high <= CEILING * limit + EPSILON:
        below = stage_below(policy.ladder[-1], policy)
        message = f"{seen}; above {percent(below)} of traffic needs at most {percent(limit)}."
        return Finding("critical", False, message, ceiling=below)
    message = f"{seen}; above {percent(CRITICAL_CAP)} of traffic needs at most {percent(CEILING * limit)}."
    return Finding("critical", False, message, ceiling=floor_stage(CRITICAL_CAP, policy))


def critical_rate(evidence: Evidence, delta: float) -> Estimate | None:
    """Return the rate of critical harm over all calls, or None where it was not measured."""
    if evidence.critical is None:
        return None
    return regressions(evidence.critical, delta).estimate


def latency(evidence: Evidence, policy: Policy) -> Finding:
    """Rule 11: the candidate must be fast enough at production rate."""
    limit = policy.latency_p95_ms
    if limit is None:
        return Finding("latency", True, "No limit for latency is set.")
    measured = evidence.latency_p95_ms
    if measured is None:
        return Finding(
            "latency",
            False,
            f"Latency at production rate has not been measured; the policy allows {count(limit)} ms (p95).",
            advance=False,
        )
    if not math.isfinite(measured.high):
        return _unbounded_latency(measured, limit)
    seen = f"95 % of answers come within {count(measured.high)} ms at production rate (upper end)"
    if measured.high > limit * (1 + EPSILON):
        message = f"{seen}; the policy allows {count(limit)} ms."
        return Finding("latency", False, message, ceiling=0.0, advance=False)
    return Finding("latency", True, f"{seen}; the policy allows {count(limit)} ms.")


def _unbounded_latency(measured: Estimate, limit: float) -> Finding:
    """Say why a measured 95th percentile has no upper end: no answers, or too few calls."""
    allowed = f"the policy allows {count(limit)} ms (p95)."
    if measured.low > limit:
        message = f"Surely slower than {count(measured.low)} ms (p95) at production rate; {allowed}"
        return Finding("latency", False, message, ceiling=0.0, advance=False)
    if measured.point is not None and not math.isfinite(measured.point):
        message = f"5 % or more of {plural(measured.n, 'call')} got no answer at production rate; {allowed}"
        return Finding("latency", False, message, ceiling=0.0, advance=False)
    return Finding(
        "latency",
        False,
        f"{plural(measured.n, 'call')} at production rate are too few for an upper end of latency; {allowed}",
        advance=False,
    )


def enough_pairs(evidence: Evidence, policy: Policy) -> Finding:
    """Rule 3: too few compared pairs to say anything."""
    task = evidence.task
    if task.effective_pairs < policy.minimum_pairs - EPSILON:
        worth = (
            f" (worth {count(task.effective_pairs)} independent ones)"
            if task.disagreement_effect.value > 1.005
            else ""
        )
        message = (
            f"{plural(task.compared, 'compared call')}{worth}: at least {policy.minimum_pairs} are needed."
        )
        return Finding("enough_pairs", False, message, advance=False, collect=True)
    return Finding("enough_pairs", True, f"{plural(task.compared, 'compared call')}.")


def looked_at(evidence: Evidence, policy: Policy, evidence_cap: float) -> Finding:
    """Rule 5: somebody must have looked at an output."""
    task = evidence.task
    if task.looked:
        return Finding("looked", True, f"{plural(task.looked, 'verdict')} on record.")
    if task.basis is Basis.SEMANTIC:
        message = (
            "Nobody has looked at an output: similar texts can mean the opposite, so similarity moves no "
            "traffic until people have labelled."
        )
        return Finding("looked", False, message, ceiling=0.0)
    ceiling = floor_stage(UNSEEN_CAP, policy)
    message = f"Nobody has looked at an output: at most {percent(ceiling)} until somebody has."
    return Finding("looked", evidence_cap <= ceiling + EPSILON, message, ceiling=ceiling)


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
