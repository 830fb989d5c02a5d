"""From stored rows to the evidence that the decision rests on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench import ramp
from workbench.access import requires
from workbench.compare import basis, evaluator_version
from workbench.config import Workspace
from workbench.records import DATED_SHARE, Basis, Estimate, EvalKind, Policy, Verdict, to_json
from workbench.review import DrawState, EffectiveVerdict, Plan, State, draw_states, effective_verdicts
from workbench.review.states import NEW_CONTENT, UNRESOLVED, utc_now
from workbench.roles import Right
from workbench.sampling import WEIGHT_MAX
from workbench.scoring.columns import AGREES, agreeing, calls_of, confirmations, judged
from workbench.scoring.groups import (
    critical_groups,
    critical_labels,
    field_agreement,
    guarded_fields,
    latched_groups,
)
from workbench.scoring.noise import floor_of
from workbench.scoring.sliced import sliced
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.specs import CONTROL, EvalConfig
from workbench.stats.audit import AuditRow, DrawRow, from_calls
from workbench.stats.calls import Calls
from workbench.stats.ladder import EPSILON
from workbench.stats.looks import level_of_look
from workbench.stats.percentiles import percentile
from workbench.stats.rows import Differing, Places
from workbench.stats.wording import measured
from workbench.store import comparisons as rows
from workbench.store.alongside import alongside
from workbench.store.compared import NO_SESSION, comparable, evidence_frame, places, session_calls
from workbench.store.probes import newest_probe
from workbench.store.remembered import remembered
from workbench.store.traffic_checks import calls_named

if TYPE_CHECKING:
    from workbench.store import Store

DAY_S = 86_400.0
EVIDENCE_BYTES = 200_000
"""What evidence takes in memory, about, without its disagreements."""
DAY_SHARE = 0.1
"""Of the mean of a week's busiest days: what makes a day's calls a day's traffic."""


@requires(Right.SEE)
def evidence(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    policy: Policy | None = None,
    without: Collection[str] = (),
    moment: datetime | None = None,
) -> ramp.Evidence:
    """Gather all that is known of a candidate on a task.

    Every replay of the candidate as it is configured now is pooled; a call counts
    once, in its earliest closed batch, under the eval as it stands.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        policy: Another policy than the eval's own, for what-if questions.
        without: Ids of labels that are left out, as if they had never been given.
        moment: When leases are looked at; now unless given.

    Raises:
        UsageError: The task or the candidate is unknown.
    """
    config = workspace.eval_for(task)
    refuse_control(candidate)
    workspace.candidate(candidate)
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    serving = workspace.serving(workspace.candidate(candidate))
    looking = Looking(without, moment)
    return gather(store, config, fingerprint, policy or config.policy, serving, looking)


@dataclass(frozen=True, slots=True)
class Looking:
    """How labels are looked at: without some of them, at a moment other than now."""

    without: Collection[str] = ()
    moment: datetime | None = None

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment or utc_now()


@requires(Right.READ)
def differing_calls(workspace: Workspace, store: Store, task: str, candidate: str) -> tuple[Calls, Places]:
    """Return the compared calls that differ, in audit order, with what people said of them, as columns.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.

    Returns:
        The calls, and where each stands among all compared calls (from 0, ascending).

    Raises:
        UsageError: The task or the candidate is unknown.
    """
    workspace.candidate(candidate)
    config = workspace.eval_for(task)
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    scope = (store, task, fingerprint, evaluator_version(config))
    frame = evidence_frame(*scope, wanted=wanted_of(config))
    compared = comparable(frame)
    where = np.flatnonzero(~agreeing(compared))
    differing = compared.iloc[where].reset_index(drop=True)
    verdicts, states = effective_verdicts(*scope), draw_states(*scope)
    places_of = places(store, differing, judged(verdicts, states))
    return calls_of(config, differing, verdicts, states, places_of), where


def gather_begun(
    store: Store, config: EvalConfig, fingerprint: str, policy: Policy, found: ramp.Evidence
) -> tuple[ramp.Evidence, int]:
    """Return the evidence as it would be with the answers of batches that are not closed.

    Of two answers to a call the worse counts: asking again must not mend the first.

    Args:
        store: Holds the comparisons.
        config: The eval.
        fingerprint: The candidate's.
        policy: What the team accepts.
        found: The evidence without them.

    Returns:
        The evidence, and how many calls of open batches are in it.
    """
    scope = (store, config.task, fingerprint, evaluator_version(config))
    closed = evidence_frame(*scope, wanted=wanted_of(config))
    opened = evidence_frame(*scope, wanted=wanted_of(config), begun=True)
    agreeing = closed.loc[closed["verdict"].isin(AGREES), "call_seq"]
    worse = opened["call_seq"].isin(agreeing) & (opened["verdict"] == Verdict.MISMATCH.value)
    opened = opened[worse | ~opened["call_seq"].isin(closed["call_seq"])]
    after = int(closed["batch_order"].max()) + 1 if len(closed) else 0
    opened = opened.assign(batch_order=opened["batch_order"] + after)
    # Both stand in audit order, and the batches of the second come after those of the first.
    frame = pd.concat([closed[~closed["call_seq"].isin(opened["call_seq"])], opened], ignore_index=True)
    verdicts, states = effective_verdicts(*scope), draw_states(*scope)
    other = _evidence_of(store, config, scope, frame, policy, verdicts, states)
    return replace(other, latency_p95_ms=found.latency_p95_ms, held=found.held), len(opened)


def gather(
    store: Store,
    config: EvalConfig,
    fingerprint: str,
    policy: Policy,
    serving: str | None = None,
    looking: Looking | None = None,
) -> ramp.Evidence:
    """Return the evidence of one fingerprint under one eval; latency is that of what serves it now."""
    scope = (store, config.task, fingerprint, evaluator_version(config))
    looking = looking or Looking()
    states = draw_states(*scope, now=looking.now, without=looking.without)

    def made() -> ramp.Evidence:
        tried = partial(rows.candidates_tried, store, config.task, fingerprint, CONTROL)
        with alongside(store, partial(sliced, store, config), partial(effective_verdicts, *scope), tried):
            frame = evidence_frame(*scope, wanted=wanted_of(config))
            verdicts = effective_verdicts(*scope, without=looking.without)
            return _evidence_of(store, config, scope, frame, policy, verdicts, states)

    if looking.without:
        found = made()
    else:
        # What draws stand for changes with the clock, too.
        question = ("evidence", *scope[1:], to_json(config), policy, hash(tuple(states)))
        found = remembered(store, question, made, _memory_of)
    return replace(
        found,
        latency_p95_ms=measured_latency(store, config.task, fingerprint, policy, serving),
        held=_unseen(rows.held_out_share(store, config.task, fingerprint), policy),
    )


def _memory_of(found: ramp.Evidence) -> int:
    return EVIDENCE_BYTES + (found.differing.nbytes if found.differing else 0)


def _unseen(share: float, policy: Policy) -> tuple[str, ...]:
    """Say that too many calls were never evaluated, because they are like the candidate's examples."""
    if share <= policy.maximum_uncomparable + EPSILON:
        return ()
    most = measured(policy.maximum_uncomparable)
    return (
        f"{measured(share)} of the calls are like the candidate's examples and were held out, so nothing is "
        f"known about them; {most} is the most allowed. Show other examples.",
    )


def _evidence_of(
    store: Store,
    config: EvalConfig,
    scope: tuple[Store, str, str, str],
    frame: pd.DataFrame,
    policy: Policy,
    verdicts: Mapping[tuple[str, str], EffectiveVerdict],
    states: Sequence[DrawState],
) -> ramp.Evidence:
    compared = comparable(frame)
    slices = sliced(store, config)
    sessions = _session_calls(store, config, frame)
    calls, draws, weight_max = weighed(store, config, scope, compared, verdicts, states, sessions)
    volume = rows.volume(store, config.task, config.exclude_marks)
    critical = critical_groups(config)
    semantic = basis(config) is Basis.SEMANTIC
    found = from_calls(
        calls,
        basis=basis(config),
        draws=draws if semantic else (),
        weight_max=weight_max,
        icc=policy.icc,
        uncomparable=len(frame) - len(compared),
        days=span_days(compared["occurred_at"], policy.minimum_days_of_traffic),
        traffic=slices.traffic() if slices else None,
        calls_per_day=calls_per_day(config, volume),
        critical_marked=bool(config.critical_labels) or any(rule.critical for rule in config.fields),
        critical_groups=critical,
        latched=latched_groups(calls, policy, critical),
        noise=floor.agreement if (floor := floor_of(store, config)) else None,
    )
    return found if semantic else replace(found, differing=Differing.of(calls.table))


def weighed(
    store: Store,
    config: EvalConfig,
    scope: tuple[Store, str, str, str],
    compared: pd.DataFrame,
    verdicts: Mapping[tuple[str, str], EffectiveVerdict],
    states: Sequence[DrawState],
    session_calls: pd.Series[Any] | None = None,
) -> tuple[Calls, list[DrawRow], float]:
    """Return compared calls as columns, the queue's draws, and the largest weight of its plan."""
    draws, weight_max = draw_rows(states, aims_of(store, scope[1:3], states))
    aimed = frozenset[str]().union(*(draw.aimed_at for draw in draws if draw.aimed_at))
    at = places(store, compared, judged(verdicts, states) | aimed)
    slices = sliced(store, config)
    calls = calls_of(config, compared, verdicts, states, at, slices, session_calls)
    return calls, draws, weight_max


def audit_rows(
    config: EvalConfig,
    frame: pd.DataFrame,
    verdicts: Mapping[tuple[str, str], EffectiveVerdict],
    states: Iterable[DrawState],
    slices: Mapping[str, tuple[tuple[str, str], ...]],
) -> list[AuditRow]:
    """Return compared calls as the evidence builders take them.

    Args:
        config: The eval.
        frame: Rows of `evidence_frame` with `FOR_ROWS` and without the uncomparable ones.
        verdicts: What people said, by (replay, call).
        states: Every draw of the queue.
        slices: (name, value) of every slice by call id.
    """
    lapsed, confirmed = confirmations(verdicts, states)
    required = guarded_fields(config)
    found: list[AuditRow] = []
    for row in zip(*(_plain(frame[name]) for name in _TAKEN), strict=True):
        (
            replay_id,
            call_id,
            batch,
            verdict,
            identical,
            invalid,
            group,
            other,
            parts,
            session,
            request,
        ) = row
        pair = (replay_id, call_id)
        effective = verdicts.get(pair)
        agrees = verdict in AGREES
        per_field, grave_field = field_agreement(parts, required, invalid=bool(invalid))
        per_label, grave_label = critical_labels(config, group, None if invalid else other)
        found.append(
            AuditRow(
                call_id=call_id,
                batch=int(batch),
                audit_key=f"{len(found):016x}",  # Rows stand in audit order.
                agrees=agrees,
                identical=bool(identical),
                invalid=bool(invalid),
                ignored=verdict == Verdict.IGNORED.value,
                session=None if session == NO_SESSION else str(session),
                request_hash=str(request),
                verdict=effective.verdict if effective else None,
                lapsed=pair in lapsed,
                picked=effective is not None and not effective.counted,
                elsewhere=effective is not None and effective.elsewhere,
                confirmed=pair in confirmed,
                critical=grave_field or (not agrees and grave_label),
                critical_reason=effective is not None and effective.critical,
                control_group=group,
                candidate_group=other,
                slices=slices.get(call_id, ()),
                fields=per_field,
                labels=per_label,
            )
        )
    return found


_TAKEN = (
    "replay_id",
    "call_id",
    "batch_order",
    "verdict",
    "identical",
    "invalid",
    "control_group",
    "candidate_group",
    "parts",
    "session",
    "request",
)
FOR_ROWS = ("call_id", "parts")
"""What `audit_rows` needs of an `evidence_frame` beside its usual columns."""


def wanted_of(config: EvalConfig) -> tuple[str, ...]:
    """Return which large columns of an `evidence_frame` the evidence of an eval is computed from."""
    return ("parts",) if config.kind is EvalKind.FIELDS else ()


def aims_of(
    store: Store, of: tuple[str, str], states: Iterable[DrawState]
) -> dict[tuple[str, str], frozenset[str]]:
    """Return the calls that draws were aimed at, by their focus, where that is no slice.

    Args:
        store: Holds the checks that named them.
        of: Task and fingerprint.
        states: Every draw of the queue.
    """
    if not any(each.focus and each.focus[0] == NEW_CONTENT for each in states):
        return {}
    return {(NEW_CONTENT, name): calls for name, calls in calls_named(store, *of).items()}


def draw_rows(
    states: Iterable[DrawState], aims: Mapping[tuple[str, str], frozenset[str]] | None = None
) -> tuple[list[DrawRow], float]:
    """Return the queue's draws in order, and the largest weight that its plan allows.

    Args:
        states: Every draw of the queue.
        aims: What `aims_of` returns; needed for claims about a part of the calls.
    """
    found = []
    largest = WEIGHT_MAX
    for state in states:
        if state.plan is not Plan.MIX:
            continue
        largest = max(largest, state.weight_max)
        found.append(
            DrawRow(
                call_id=state.call_id,
                weight=state.weight,
                verdict=state.verdict if state.state is State.LABELLED else None,
                lapsed=state.state in UNRESOLVED,
                critical_reason=state.effective is not None and state.effective.critical,
                focus=state.focus,
                batches=state.batches,
                aimed_at=(aims or {}).get(state.focus) if state.focus else None,
            )
        )
    return found, largest


def span_days(times: pd.Series[Any], week: float = 7.0) -> float | None:
    """Return of how many days' traffic the calls are: from the first to the last, thin days left out.

    The rule that asks for it keeps a weekday from being taken for a week, so that most calls must not come
    from one day however many others there are. A day is one of 24 hours, counted from the first call; it
    counts where it holds at least `DAY_SHARE` of the mean of the busiest days that make up a week: a
    weekend of a tenth of a weekday's calls does, one stray call beside hundreds does not. A log that
    is thin every day has all its days.

    Args:
        times: When the calls were made.
        week: How many days the rule asks for.

    Returns:
        Days; None without two times, or where most calls have none: a few don't speak for the rest.
    """
    known = pd.to_datetime(times.dropna(), utc=True)
    if len(known) < max(2.0, DATED_SHARE * len(times)):
        return None
    since = (known - known.min()).dt.total_seconds() / DAY_S
    by_day = since.floordiv(1).value_counts()
    busiest = by_day.nlargest(max(int(week), 1))
    return float(min(since.max(), (by_day >= DAY_SHARE * busiest.mean()).sum()))


def calls_per_day(config: EvalConfig, volume: Mapping[str, Any]) -> float | None:
    """Return a task's calls a day: as the eval states, or as its log shows.

    From the log it is the mean of the last 28 days that its exports cover, days without calls too, every
    call divided by its sampling rate; None where a rate or the times of most calls are not known, or less
    than a day is covered. Calls without a time are taken to be spread as those with one.

    Args:
        config: The eval.
        volume: What `store.comparisons.volume` returns.
    """
    if config.calls_per_day is not None:
        return config.calls_per_day
    calls, dated = volume["calls"], volume["calls"] - volume["undated"]
    if volume["a_day"] is None or volume["days"] < 1 or dated < DATED_SHARE * calls:
        return None
    return float(volume["a_day"] * calls / dated)


def measured_latency(
    store: Store, task: str, fingerprint: str, policy: Policy, serving: str | None = None
) -> Estimate | None:
    """Return what `probed_latency` does, or None where the policy sets no limit on latency."""
    if policy.latency_p95_ms is None:
        return None
    return probed_latency(store, task, fingerprint, policy, serving)


def probed_latency(
    store: Store, task: str, fingerprint: str, policy: Policy, serving: str | None = None
) -> Estimate | None:
    """Return the 95th percentile of latency at production's pace in ms, with its limits.

    Only a probe says: a replay asks as fast as the server answers. Calls that got no
    answer are infinitely slow. None where no probe at production's pace or faster was made of
    the candidate as it is configured and served now.

    The newest probe says, so the k-th has the error probability delta / (k (k + 1)): these
    add up to delta however often somebody measures until it looks good.

    Args:
        store: Holds the probes.
        task: The task.
        fingerprint: The candidate's.
        policy: Its level is that of the limits, over all probes together.
        serving: Hash of what serves it now; None takes any.
    """
    probe = newest_probe(store, task, fingerprint, least_speed=1.0, serving=serving)
    if probe is None:
        return None
    return percentile(probe.latencies_ms, 0.95, level_of_look(probe.place, policy.delta))


def _session_calls(store: Store, config: EvalConfig, frame: pd.DataFrame) -> pd.Series[Any]:
    """Return how many calls of each session could be compared; what can't be stands outside."""
    if (frame["session"] == NO_SESSION).all():
        return pd.Series(dtype=np.int64)
    outside = frame.loc[frame["verdict"] == Verdict.UNCOMPARABLE.value, "call_seq"].tolist()
    return session_calls(store, config.task, outside)


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return a column as a list with None where a value is missing."""
    values = column.astype(object)
    return list(values.where(values.notna(), None))
