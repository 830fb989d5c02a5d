"""The decision: how much traffic may move, how sure that is, and what is missing for more.

Pure: the same evidence gives the same answer. Traffic is never moved on agreement
but on an upper bound on harm, the share of calls for which a reviewer says that the
frontier's output was better. Guards outrank bounds; missing evidence is its own
answer, never a pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from workbench.ramp_checks import check_evidence, check_policy, check_state
from workbench.ramp_details import details_of, rates
from workbench.records import Action, Basis, Policy, Recommendation
from workbench.stats import guards, ladder, noise
from workbench.stats.cluster import FEW_CLUSTERS
from workbench.stats.evidence import (
    Evidence,
    Lack,
    OutcomeGroup,
    Population,
    SliceCell,
    SliceEvidence,
    WeightedOutcome,
)
from workbench.stats.guards import Finding
from workbench.stats.harm import (
    BY_LABEL,
    BY_STRATA,
    FEWEST_JUDGED,
    Harm,
    net,
    regressions,
    steady_point,
)
from workbench.stats.missing import Missing, missing_for_next
from workbench.stats.slice_shares import effective_share, estimate_forbids, slice_share, worst_first
from workbench.stats.wording import bound_sentence, cluster_sentence, count, measured, percent, plural

__all__ = [
    "Evidence",
    "Lack",
    "OutcomeGroup",
    "Population",
    "SliceCell",
    "SliceEvidence",
    "State",
    "WeightedOutcome",
    "recommend",
]


MOVES_ONLY = ("drift", "override")
"""Findings that limit the share to move, and not what the evidence supports."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the roll-out stands: present share (0..1) and what happened since it began.

    `days_in_stage` and `live_compared` (live calls compared since the stage was
    entered) are None where nobody kept them: then the share does not advance.
    `entered_at` (UTC) is told instead of the days where it is known, so that what is said
    stays the same from one hour to the next. `without_override` is the share that holds once
    the override ends that raised `share` above the recommended one; None without such a one.
    """

    share: float = 0.0
    days_in_stage: float | None = None
    live_compared: int | None = None
    entered_at: datetime | None = None
    without_override: float | None = None

    @property
    def accepted(self) -> float:
        """Return the share that was accepted as recommended, 0..1: what a growing one grows from."""
        return self.share if self.without_override is None else min(self.share, self.without_override)


@dataclass(frozen=True, slots=True)
class Step:
    """What a decision comes to: the action, the share that may move, and what the evidence supports."""

    action: Action
    share: float
    cap: float


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A decision with what it was made from; the words for it are not found yet."""

    step: Step
    delta: float
    harm: Harm
    balance: Harm
    judged: Harm
    evidence_cap: float
    blocking: list[Finding]
    findings: list[Finding]
    above_estimate: bool


def step_of(evidence: Evidence, policy: Policy, state: State | None = None) -> Step:
    """Say what `recommend` comes to, in half the time: without slices, reasons and what is missing.

    Args:
        evidence: What is known.
        policy: What the team accepts.
        state: Where the roll-out stands; None is no live traffic yet.

    Raises:
        ValueError: A number of any of them can't be.
    """
    return _weigh(evidence, policy, state or State()).step


def _weigh(evidence: Evidence, policy: Policy, state: State) -> _Weighed:
    check_policy(policy)
    check_evidence(evidence)
    check_state(state)
    current = state.share
    delta = policy.delta / max(evidence.candidates, 1)
    harm, balance = regressions(evidence.task, delta), net(evidence.task, delta)
    judged = balance if policy.harm == "net" else harm
    evidence_cap = ladder.cap_of(judged.estimate.high, policy)

    blocking = [
        guards.invalid_outputs(evidence, policy, delta),
        guards.uncomparable_calls(evidence, policy),
        guards.proven_harm(judged.estimate, policy),
        guards.drift(evidence, policy, current),
        guards.outcome_groups(evidence, policy, delta),
        guards.critical_harm(evidence, policy, delta),
        guards.session_harm(evidence, policy, delta),
        guards.latency(evidence, policy),
        guards.consistent_batches(judged),
        guards.enough_pairs(evidence, policy),
        guards.looked_at(evidence, policy, evidence_cap),
        guards.few_clusters(judged, evidence.task, policy),
        *(Finding("held", False, each, advance=False) for each in evidence.held),
        *_overridden(evidence, policy, state),
    ]
    limited = [each for each in blocking if not each.ok]
    # A drift alarm and an override move the share; what the evidence supports stays as it is.
    cap = min([evidence_cap, *(each.ceiling for each in limited if each.name not in MOVES_ONLY)])
    ceiling = min([cap, *(each.ceiling for each in limited)])
    pacing = [] if ceiling < current else _pacing(evidence, policy, state, ceiling)
    above_estimate = estimate_forbids(judged, evidence.task, policy)
    findings = [*blocking, *pacing]

    advance = all(each.ok or each.advance for each in findings) and not above_estimate
    following = ladder.stage_above(current, policy)
    share = current
    if ceiling < current - ladder.EPSILON:
        share = ceiling
    elif advance and following is not None and following <= ceiling + ladder.EPSILON:
        share = following
    return _Weighed(
        Step(_action(share, current, limited), share, cap),
        delta,
        harm,
        balance,
        judged,
        evidence_cap,
        blocking,
        findings,
        above_estimate,
    )


def recommend(evidence: Evidence, policy: Policy, state: State | None = None) -> Recommendation:
    """Say how much of a task's traffic may move to a candidate.

    Args:
        evidence: What is known (see `workbench.stats.audit.from_rows`).
        policy: What the team accepts.
        state: Where the roll-out stands; None is no live traffic yet.

    Returns:
        Action, share, the cap that the evidence supports, both bounds, every reason
        in order (guards first) and what is missing for the next stage.

    Raises:
        ValueError: A number of evidence, policy or state can't be, as where a rate is given in percent.
    """
    state = state or State()
    weighed = _weigh(evidence, policy, state)
    delta, harm, balance, judged = weighed.delta, weighed.harm, weighed.balance, weighed.judged
    evidence_cap, findings, above_estimate = weighed.evidence_cap, weighed.findings, weighed.above_estimate
    share, cap, current = weighed.step.share, weighed.step.cap, state.share

    slices = worst_first(slice_share(each, share, policy, delta) for each in evidence.slices)
    unseen = next(each for each in weighed.blocking if each.name == "looked")
    reached = evidence_cap if unseen.ok else min(evidence_cap, unseen.ceiling)
    missing = missing_for_next(evidence.task, judged, reached, policy, delta, evidence.differing)
    lacking = _missing(evidence, policy, state, findings, missing, above_estimate)
    if _is_shut(findings):
        missing = replace(missing, labels=None)
    reasons, binding, following_reasons = _reasons(
        evidence, policy, findings, judged, cap, share, current, above_estimate, missing
    )
    moving = effective_share(evidence, slices, share)
    return Recommendation(
        action=weighed.step.action,
        share=share,
        cap=cap,
        current_share=current,
        effective_share=moving,
        harm=harm.estimate,
        net=balance.estimate,
        basis=evidence.task.basis,
        binding_reason=reasons[0],
        reasons=tuple(reasons),
        missing=tuple(sentence for _, sentence in lacking),
        harm_per_day_at_most=_harm_per_day(evidence.calls_per_day, moving, share, harm.estimate.high),
        slices=slices,
        guards=tuple(each.guard for each in findings),
        details=details_of(evidence, policy, delta, harm, balance, evidence_cap, missing)
        | {
            "binding_reasons": binding,
            "next_reasons": following_reasons,
            "missing_kinds": tuple(kind.value for kind, _ in lacking),
            # Slices may have been let through on older evidence, so that nothing is taken off for them.
            "harm_per_day_now": None
            if current <= share + ladder.EPSILON
            else _harm_per_day(evidence.calls_per_day, current, current, harm.estimate.high),
        },
    )


def _harm_per_day(volume: float | None, moving: float, share: float, high: float) -> float | None:
    """Return a bound on the calls a day that move and get worse: V min(m, s U).

    No call moves with more than the task's share s, so of V calls at most s U V move and get worse,
    whichever slices are held back; m U V would be too little where those are the harmless ones. No more
    than m V move at all.
    """
    return None if volume is None else volume * min(moving, share * max(high, 0.0))


def _action(share: float, current: float, limited: list[Finding]) -> Action:
    if share < current:
        return Action.STEP_DOWN if share > 0 else Action.ROLLBACK
    if any(each.stop for each in limited):
        return Action.STOP
    if share > current:
        return Action.RAMP
    return Action.COLLECT if any(each.collect for each in limited) else Action.HOLD


def _overridden(evidence: Evidence, policy: Policy, state: State) -> list[Finding]:
    """An override is no stage: no more is recommended than would be from the share that holds without it."""
    if state.accepted >= state.share - ladder.EPSILON:
        return []
    # The alarm is about what is served, and is counted from there.
    calm = replace(evidence, drift_alarm=False)
    reached = step_of(calm, policy, replace(state, share=state.accepted, without_override=None)).share
    held, accepted, following = percent(state.share), percent(state.accepted), percent(reached)
    if reached > state.share + ladder.EPSILON:
        return [Finding("override", True, f"{following} is the next stage without the override, too.")]
    message = f"An override holds {held}, and is no stage on the ladder: without it {accepted} is in force"
    if reached >= state.share - ladder.EPSILON:
        message += f". By now {held} is the next stage from there: accept it as recommended."
    else:
        message += f", and {following} is the next stage." if reached > state.accepted else "."
    return [Finding("override", False, message, ceiling=reached, advance=False)]


def _pacing(evidence: Evidence, policy: Policy, state: State, ceiling: float) -> list[Finding]:
    """Rules 7 and 12: one stage at a time, and no week taken for a day."""
    following = ladder.stage_above(state.share, policy)
    if following is None or following > ceiling + ladder.EPSILON:
        return []
    found = []
    if state.share > 0:
        days, live = state.days_in_stage, state.live_compared
        needs = (
            f"an advance needs {policy.minimum_live_calls} compared live calls and "
            f"{_days(policy.minimum_days_in_stage)} in the stage"
        )
        if days is None or live is None:
            message = f"How long traffic has been at {percent(state.share)} is not known: {needs}."
            found.append(Finding("stage", False, message, advance=False))
        else:
            ok = live >= policy.minimum_live_calls and days >= policy.minimum_days_in_stage - ladder.EPSILON
            calls = plural(live, "compared live call")
            message = (
                f"{calls} and {_days(days)} in the stage; {needs}."
                if state.entered_at is None
                else f"{calls} since the stage began on {_moment(state.entered_at)}; {needs}."
            )
            found.append(Finding("stage", ok, message, advance=ok))
    if following > guards.WEEK_CAP + ladder.EPSILON:
        needed = policy.minimum_days_of_traffic
        ok = evidence.days is not None and evidence.days >= needed - ladder.EPSILON
        spans = (
            "It is not known how many days the evidence spans"
            if evidence.days is None
            else f"The evidence spans {_days(evidence.days)}"
        )
        message = f"{spans}; above {percent(guards.WEEK_CAP)} of traffic needs {_days(needed)}."
        found.append(Finding("days_of_traffic", ok, message, advance=ok))
    return found


def _reasons(
    evidence: Evidence,
    policy: Policy,
    findings: list[Finding],
    judged: Harm,
    cap: float,
    share: float,
    current: float,
    above_estimate: bool,
    missing: Missing,
) -> tuple[list[str], int, int]:
    """Return the reasons in order, how many decide now, and how many after them would hold the share next."""
    task, estimate = evidence.task, judged.estimate
    following = ladder.stage_above(current, policy) or policy.ladder[-1]
    failing = [each for each in findings if not each.ok]
    first = [each for each in failing if not each.advance or each.ceiling < following - ladder.EPSILON]
    later = [each for each in failing if each not in first]
    sentence = bound_sentence(estimate, task, policy)
    reasons = [each.message for each in first]
    support = _support(judged, task, policy, cap, share, current, above_estimate)
    reasons.append(f"{sentence} {support}")
    if missing.too_close and cap <= current + ladder.EPSILON:
        reasons.append(missing.sentence)
    binding = len(reasons)
    reasons += [each.message for each in later]
    worse, better = rates(task)
    if worse is not None and better is not None:
        reasons.append(f"As labelled: {measured(worse)} worse, {measured(better)} better.")
    if evidence.ignored:
        part = evidence.ignored / task.compared
        reasons.append(
            f"{measured(part)} of calls differ only in what the eval ignores; they count as agreement."
        )
    warning = guards.kappa_warning(evidence)
    if warning:
        reasons.append(warning)
    semantic = task.basis is Basis.SEMANTIC
    # What clusters cost is said of the calls that the bound rests on.
    if semantic or estimate.method in (BY_LABEL, BY_STRATA):
        audited = len(task.draws) if semantic else task.audited
        clustered = cluster_sentence(task.harm_effect, audited, "audited calls")
    else:
        clustered = cluster_sentence(task.disagreement_effect, task.compared, "compared calls")
    if clustered:
        reasons.append(clustered)
    if evidence.noise is not None and evidence.noise.point is not None:
        agreement = 1 - task.disagreements / task.compared if task.compared else None
        reasons.append(noise.sentence(evidence.noise, agreement, structural=not semantic))
    if share >= policy.ladder[-1]:
        kept = percent(policy.frontier_reserve)
        reasons.append(f"Keep {kept} of traffic on the frontier, so that drift is seen.")
    return reasons, binding, len(later)


def _support(
    judged: Harm,
    task: Population,
    policy: Policy,
    cap: float,
    share: float,
    current: float,
    above_estimate: bool,
) -> str:
    supported = ladder.cap_of(judged.estimate.high, policy)
    if supported <= 0:
        return f"Live traffic needs at most {measured(ladder.CEILING * policy.tolerance)}."
    text = f"Evidence supports up to {percent(supported)}"
    if above_estimate:
        point, most = judged.estimate.point, measured(steady_point(judged, task) or 0.0)
        if point is None:
            return (
                f"{text}, but nobody has looked at what differs: counted as harm it is {most}, above the "
                f"tolerance, so the share does not grow."
            )
        if point <= policy.tolerance + ladder.EPSILON:
            return (
                f"{text}, but fewer than {FEWEST_JUDGED} disagreements have been judged in order, and with "
                f"each open one as harm the estimate is {most}, so the share does not grow."
            )
        own = measured(point)
        return f"{text}, but the estimate itself, {own}, is above the tolerance, so the share does not grow."
    if cap < supported:
        text += f", other limits {percent(cap)}"
    return f"{text}; one stage at a time." if share > current else f"{text}."


def _missing(
    evidence: Evidence,
    policy: Policy,
    state: State,
    findings: list[Finding],
    missing: Missing,
    above_estimate: bool,
) -> list[tuple[Lack, str]]:
    """Return what is missing for more traffic: of which kind each is, and in words."""
    task = evidence.task
    failing = {each.name for each in findings if not each.ok}
    lines: list[tuple[Lack, str]] = []
    if "enough_pairs" in failing:
        short = policy.minimum_pairs - task.effective_pairs
        more = math.ceil(short * task.disagreement_effect.value - ladder.EPSILON)
        others = (
            ", from other sessions and with other requests" if task.disagreement_effect.value > 1.005 else ""
        )
        lines.append((Lack.CALLS, f"{plural(more, 'more compared call')}{others}."))
    if "clusters" in failing:
        others = "Compared calls from other sessions, with other requests"
        lines.append((Lack.CALLS, f"{others}: from {FEW_CLUSTERS} clusters at least."))
    if "latency" in failing:
        measured = evidence.latency_p95_ms
        if measured is None:
            lines.append((Lack.LATENCY, "A measurement of latency at production rate."))
        elif not math.isfinite(measured.high):
            lines.append((Lack.LATENCY, "A measurement of latency with more calls."))
    if "critical" in failing and evidence.critical is None:
        lines.append((Lack.MEASUREMENT, "A measurement of critical harm."))
    if "sessions" in failing:
        lines.append(_missing_sessions(evidence))
    if "stage" in failing:
        live = policy.minimum_live_calls - (state.live_compared or 0)
        days = policy.minimum_days_in_stage - (state.days_in_stage or 0.0)
        if live > 0:
            lines.append((Lack.LIVE, f"{plural(live, 'more compared live call')} in this stage."))
        if days > ladder.EPSILON and state.entered_at is not None:
            end = state.entered_at + timedelta(days=policy.minimum_days_in_stage)
            lines.append((Lack.TIME, f"Time: this stage lasts until {_moment(end)} at least."))
        elif days > ladder.EPSILON:
            lines.append((Lack.TIME, f"{_days(days)} more in this stage."))
    if "days_of_traffic" in failing:
        short = policy.minimum_days_of_traffic - (evidence.days or 0.0)
        sentence = (
            "Times of the calls, to see how many days the evidence spans."
            if evidence.days is None
            else f"Evidence from {_days(short)} more of traffic."
        )
        lines.append((Lack.TIME, sentence))
    if "outcome_groups" in failing:
        lines.append(guards.missing_for_groups(evidence, policy, policy.delta / max(evidence.candidates, 1)))
    few = "enough_pairs" in failing and task.basis is Basis.STRUCTURAL
    if _is_shut(findings):
        return [(kind, sentence) for kind, sentence in lines if kind is not Lack.LABELS]
    judged = task.audited_disagreements - task.audited_lapses
    if above_estimate and judged < FEWEST_JUDGED and task.basis is Basis.STRUCTURAL and not few:
        needed = min(FEWEST_JUDGED, task.disagreements) - judged
        sentence = f"{plural(needed, 'more disagreement')} judged in order, before the share may rise."
        lines.append((Lack.LABELS, sentence))
    if missing.sentence and not few:
        lines.append((missing.lack, missing.sentence))
    return lines


def _is_shut(findings: list[Finding]) -> bool:
    """Say whether a rule that no label changes allows no traffic at all."""
    return any(
        not each.ok and each.ceiling <= 0 and each.name not in ("looked", *MOVES_ONLY) for each in findings
    )


def _missing_sessions(evidence: Evidence) -> tuple[Lack, str]:
    found = evidence.sessions
    if found is None:
        return Lack.MEASUREMENT, "A measurement of harm by session."
    if found.unseen:
        noun = "sessions" if found.unseen > 1 else "session"
        return Lack.CALLS, f"The calls not compared yet of {count(found.unseen)} {noun}."
    return Lack.LABELS, "More compared sessions, or labels on their disagreements."


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _days(days: float) -> str:
    rounded = math.floor(days * 10 + 1e-6) / 10
    text = count(rounded) if float(rounded).is_integer() else f"{rounded:.1f}"
    return f"{text} {'day' if rounded == 1 else 'days'}"
