"""The rules that limit traffic, each as one finding.

`ceiling` is the largest share a finding allows, `advance` whether the share may grow,
`stop` whether harm is proven, `collect` whether there is too little evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from workbench.records import Basis, Estimate, Guard, Policy
from workbench.stats import bounds
from workbench.stats.cluster import FEW_CLUSTERS, DesignEffect
from workbench.stats.evidence import GROUP_MINIMUM, Evidence, Lack, OutcomeGroup, Population
from workbench.stats.harm import Harm, regressions
from workbench.stats.ladder import CEILING, EPSILON, cap_of, floor_stage, stage_below
from workbench.stats.sessions import session_rate
from workbench.stats.wording import count, measured, percent, plural

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
CLUSTER_CAP = 0.10
"""Largest share on calls of fewer than `FEW_CLUSTERS` clusters."""
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
            f"{seen}: at least {measured(rate.low)} are ({percent(rate.level)} sure), "
            f"{measured(policy.maximum_invalid)} is the most allowed.",
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
            f"{seen} ({measured(share)}; {measured(policy.maximum_uncomparable)} is the most allowed).",
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
            f"At least {measured(judged.low)} of calls get worse {what}({percent(judged.level)} sure); "
            f"tolerance {measured(policy.tolerance)}.",
            ceiling=0.0,
            advance=False,
            stop=True,
        )
    return Finding("proven_harm", True, f"Harm above {measured(policy.tolerance)} is not proven.")


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
    """Hold where the labelled calls contradict the later ones.

    More harm among the later ones must not end that, so failures and verdicts there count as harmless here.
    """
    if harm.contradiction is None:
        return Finding("batches", True, "The batches agree with each other.")
    low, high = harm.contradiction
    estimate = harm.estimate
    message = (
        f"The labelled calls show at least {measured(low)} harm, all calls at most {measured(high)} if what "
        f"failed, lapsed or was judged further on is left out, since more of that must not let the share "
        f"grow: the batches may differ. Find out what changed between them, or judge on in order."
    )
    if estimate.low > estimate.high:
        message = (
            f"The labelled calls show at least {measured(estimate.low)} harm, all calls at most "
            f"{measured(estimate.high)}: the batches differ. Find out what changed between them."
        )
    return Finding("batches", False, message, advance=False)


def outcome_groups(evidence: Evidence, policy: Policy, delta: float) -> Finding:
    """Rule 9: the candidate must not give up any answer of the frontier."""
    collapsed = [group for group in evidence.groups if is_collapsed(group, delta)]
    if collapsed:
        worst = min(collapsed, key=lambda group: (group.agreements / max(group.n, 1), group.name))
        others = len(collapsed) - 1
        more = f" The same goes for {plural(others, 'other answer')}." if others else ""
        return Finding("outcome_groups", False, _collapse_sentence(worst) + more, ceiling=0.0, advance=False)
    weak = [group for group in evidence.groups if _is_weak(group, policy, delta)]
    limit = measured(CEILING * policy.tolerance)
    if weak:
        worst = min(weak, key=lambda group: (not group.critical, group.agreements / group.n, group.name))
        return Finding(
            "outcome_groups",
            False,
            f"The candidate agrees on {_named(worst)} in {count(worst.agreements)} of "
            f"{plural(worst.n, 'case')}: at most {percent(WEAK_CAP)} until labels bound the harm there below "
            f"{limit}.",
            ceiling=floor_stage(WEAK_CAP, policy),
        )
    few = [group for group in evidence.groups if group.critical and not _is_bounded(group, policy, delta)]
    if few:
        least = min(few, key=lambda group: (group.n, group.name))
        return Finding(
            "outcome_groups",
            False,
            f"{plural(least.n, 'compared call')} with {_named(least)}, which the eval marks as critical: at "
            f"most {percent(CRITICAL_CAP)} until there are enough to bound the harm there below {limit}.",
            ceiling=floor_stage(CRITICAL_CAP, policy),
        )
    different = [group for group in evidence.groups if group.critical and group.agreements < group.n]
    shown = "".join(
        f" {_named(group)[0].upper()}{_named(group)[1:]}: {count(group.n - group.agreements)} of "
        f"{plural(group.n, 'case')} {'differs' if group.n - group.agreements == 1 else 'differ'}."
        for group in different
    )
    seen = [group for group in evidence.groups if group.n >= GROUP_MINIMUM]
    if not seen:
        message = f"No outcome group has {GROUP_MINIMUM} calls yet.{shown}"
        return Finding("outcome_groups", True, message)
    message = f"The candidate still gives every answer the frontier gives.{shown}"
    return Finding("outcome_groups", True, message)


def missing_for_groups(evidence: Evidence, policy: Policy, delta: float) -> tuple[Lack, str]:
    """Say what the outcome groups that block are waiting for: of which kind it is, and in words."""
    collapsed = [group for group in evidence.groups if is_collapsed(group, delta)]
    if collapsed:
        names = ", ".join(f"{group.kind} {group.name!r}" for group in collapsed)
        return Lack.CANDIDATE, f"A candidate that gets {names} right, compared in a new evidence window."
    if any(_is_weak(group, policy, delta) for group in evidence.groups):
        return Lack.LABELS, "Labels on the disagreements of the groups where the candidate agrees least."
    few = [group for group in evidence.groups if group.critical and not _is_bounded(group, policy, delta)]
    return Lack.CALLS, f"More compared calls with {', '.join(_named(group) for group in few)}."


def group_agreement(group: OutcomeGroup, delta: float) -> Estimate:
    """Return how often the candidate agrees within an outcome group."""
    effect = group.population.disagreement_effect.value
    return bounds.anytime(group.agreements, group.n, delta, deff=effect)


def is_collapsed(group: OutcomeGroup, delta: float) -> bool:
    """Say whether the candidate has stopped giving an answer, now or earlier in this window."""
    if group.latched:
        return True
    enough = group.critical or group.n >= GROUP_MINIMUM
    return enough and group_agreement(group, delta).high < COLLAPSED - EPSILON


def _is_weak(group: OutcomeGroup, policy: Policy, delta: float) -> bool:
    """Say whether a group is held low: agreement is poor or, where it is critical, not whole.

    For a critical group one disagreement is enough, of however few calls, as long as it is
    not labelled harmless and the harm within the group is not bounded.
    """
    if group.critical:
        standing = group.n - group.agreements - group.population.cleared
        if standing > 0 and not _is_bounded(group, policy, delta):
            return True
    if group.n < GROUP_MINIMUM or group.agreements / group.n >= WEAK - EPSILON:
        return False
    if not group.population.looked:
        return True
    return not _is_bounded(group, policy, delta)


def _is_bounded(group: OutcomeGroup, policy: Policy, delta: float) -> bool:
    bound = regressions(group.population, delta).estimate.high
    return bound < CEILING * policy.tolerance - EPSILON


def _named(group: OutcomeGroup) -> str:
    return f"{group.kind} {group.name!r}"


def _collapse_sentence(group: OutcomeGroup) -> str:
    cases = f"in {count(group.agreements)} of {plural(group.n, 'case')}"
    if group.kind == "label":
        return (
            f"The candidate has stopped giving the answer {group.name!r}: where the frontier gives label "
            f"{group.name!r}, the candidate gives it {cases}."
        )
    return f"The candidate does not fill field {group.name!r} as the frontier does: it agrees there {cases}."


def kappa_warning(evidence: Evidence) -> str | None:
    """Warn where agreement is high because one answer is common."""
    task = evidence.task
    if evidence.kappa is None or not task.compared:
        return None
    agreement = 1 - task.disagreements / task.compared
    if evidence.kappa >= KAPPA_WARNING or agreement <= AGREEMENT_WARNING:
        return None
    return (
        f"Agreement is {measured(agreement)}, but beyond chance (kappa, at most 1) it is only "
        f"{evidence.kappa:.2f}: most of it comes from one common answer. Look at the rare ones."
    )


def critical_harm(evidence: Evidence, policy: Policy, delta: float) -> Finding:
    """Rule 10: critical harm has its own, smaller tolerance."""
    return _own_tolerance(
        "critical",
        "critical harm",
        "of calls get critically worse",
        policy.critical_tolerance,
        critical_rate(evidence, delta),
        policy,
    )


def session_harm(evidence: Evidence, policy: Policy, delta: float) -> Finding:
    """Rule 10 for sessions: where the policy says so, few sessions may hold a harmed call."""
    found = evidence.sessions
    finding = _own_tolerance(
        "sessions",
        "harm by session",
        "of sessions hold a call that gets worse",
        policy.session_tolerance,
        None if found is None else session_rate(found, delta),
        policy,
    )
    if finding.ok or finding.stop or found is None or not found.unseen:
        return finding
    have = "has" if found.unseen == 1 else "have"
    unseen = (
        f"{count(found.unseen)} of {plural(found.n, 'session')} {have} calls that were not compared and "
        f"{'counts' if found.unseen == 1 else 'count'} as harmed"
    )
    return replace(finding, message=f"{finding.message} {unseen}.")


def _own_tolerance(
    name: str, what: str, happens: str, limit: float | None, rate: Estimate | None, policy: Policy
) -> Finding:
    if limit is None:
        return Finding(name, True, f"No tolerance for {what} is set.")
    low_stage = floor_stage(CRITICAL_CAP, policy)
    if rate is None:
        message = (
            f"{what[0].upper()}{what[1:]} has not been measured: at most {percent(CRITICAL_CAP)} until it is."
        )
        return Finding(name, False, message, ceiling=low_stage)
    sure, tolerated = f"({percent(rate.level)} sure)", f"{measured(limit)} is tolerated."
    if rate.low > limit + EPSILON:
        message = f"At least {measured(rate.low)} {happens} {sure}; {tolerated}"
        return Finding(name, False, message, ceiling=0.0, advance=False, stop=True)
    seen = f"At most {measured(rate.high)} {happens} {sure}"
    if rate.high <= limit + EPSILON:
        return Finding(name, True, f"{seen}; {tolerated}")
    if rate.high <= CEILING * limit + EPSILON:
        below = stage_below(policy.ladder[-1], policy)
        message = f"{seen}; above {percent(below)} of traffic needs at most {measured(limit)}."
        return Finding(name, False, message, ceiling=below)
    message = f"{seen}; above {percent(CRITICAL_CAP)} of traffic needs at most {measured(CEILING * limit)}."
    return Finding(name, False, message, ceiling=low_stage)


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
    if measured.n <= 0 or not math.isfinite(measured.high):
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
    """Rule 5: somebody must have looked at an output, here; a gold answer or an import is no look."""
    task = evidence.task
    if task.by_people:
        return Finding("looked", True, f"{plural(task.by_people, 'verdict')} on record.")
    nobody = "Nobody has looked at an output"
    if task.unseen:
        comes = "comes" if task.unseen == 1 else "come"
        nobody += f" here, {plural(task.unseen, 'verdict')} {comes} from an import or a known right answer"
    if task.basis is Basis.SEMANTIC:
        message = (
            f"{nobody}: similar texts can mean the opposite, so similarity moves no traffic until people "
            "have labelled."
        )
        return Finding("looked", False, message, ceiling=0.0)
    ceiling = floor_stage(UNSEEN_CAP, policy)
    message = f"{nobody}: at most {percent(ceiling)} until somebody has."
    return Finding("looked", evidence_cap <= ceiling + EPSILON, message, ceiling=ceiling)


def few_clusters(judged: Harm, task: Population, policy: Policy) -> Finding:
    """Rule 4, where calls come in clusters: a few of them are not the traffic, however many calls they hold.

    Where nothing is bad, only the planned correlation within a cluster is known, and by it four sessions of
    any length could prove 5 %. The bound that rests on all calls is enough, where those come from enough.
    """
    least = ceiling = floor_stage(CLUSTER_CAP, policy)
    effect = task.harm_effect
    if task.basis is Basis.STRUCTURAL:
        every = judged.by_disagreement
        if _few(task.disagreement_effect):
            effect = task.disagreement_effect
        elif every is not None and not task.revoked:
            ceiling = max(least, cap_of(every.high, policy))
    if not _few(effect):
        return Finding("clusters", True, "The evidence comes from enough sessions and requests.")
    message = (
        f"The evidence comes from {plural(effect.clusters or 0, 'cluster')} of calls, those of one session "
        f"or with one request: above {percent(least)} of traffic needs {FEW_CLUSTERS}."
    )
    return Finding("clusters", cap_of(judged.estimate.high, policy) <= ceiling + EPSILON, message, ceiling)


def _few(effect: DesignEffect) -> bool:
    return effect.clusters is not None and effect.clusters < FEW_CLUSTERS and effect.planned > 1 + EPSILON


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
