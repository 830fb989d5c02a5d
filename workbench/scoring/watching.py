"""Has a task's traffic, or what the candidate makes of it, changed since it was evaluated?

The evaluation is what was imported before the candidate's first sample was drawn; live calls are those
imported since, as far as the candidate's answers to them are compared (or, for texts, labelled).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from workbench import access
from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.normal import naive_utc
from workbench.progress import Listener, silent
from workbench.records import Basis, Estimate, Policy, Recommendation
from workbench.roles import Right
from workbench.scoring.deciding import recommend
from workbench.scoring.evidence import gather
from workbench.scoring.gathered import Gathered, gather_compared
from workbench.scoring.live_outcomes import WATCHABLE, live_outcomes
from workbench.scoring.stage import stage_of
from workbench.scoring.traffic_check import TrafficCheck, check_traffic, keep, standing_check
from workbench.stats.drift import ALARM, EDetector
from workbench.stats.wording import count, measured, percent, plural
from workbench.store.drift import first_replay_at, imported_after

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What was found since `since` (UTC).

    `evaluated` is the rate in the evaluation; its upper bound is what the e-detector watches for a rise
    above. `live` outcomes were seen since; `evidence` is the detector's value now, `alarms` after how
    many outcomes it alarmed, each time starting anew. `check` sets the traffic imported after the
    evaluation against the evaluated. `recommendation` is what follows at the share that was given.
    """

    task: str
    candidate: str
    basis: Basis
    since: datetime
    evaluated: Estimate
    live: int
    live_bad: int
    evidence: float
    alarm_at: float
    alarms: tuple[int, ...]
    check: TrafficCheck
    new_calls: int
    notes: tuple[str, ...]
    recommendation: Recommendation | None = None

    @property
    def alarmed(self) -> bool:
        """Return whether outcomes got worse than evaluated."""
        return bool(self.alarms)

    @property
    def shifted(self) -> bool:
        """Return whether the traffic is of another mix or content."""
        return bool(self.check.moved)

    @property
    def text(self) -> str:
        """Return the report as lines."""
        what = "harmed" if self.basis is Basis.SEMANTIC else "differing"
        lines = [
            f"{self.task}, {self.candidate}: {plural(self.new_calls, 'call')} imported since "
            f"{self.since:%Y-%m-%d %H:%M} UTC, {plural(self.live, 'outcome')} known, {count(self.live_bad)} "
            f"{what}; evaluated: at most {measured(self.evaluated.high)}."
        ]
        if self.alarmed:
            after = ", ".join(count(each) for each in self.alarms)
            lines.append(f"  ALARM after {after} outcomes: it got worse than it was evaluated.")
        elif self.live:
            lines.append(f"  No alarm: evidence {self.evidence:,.3g} of {self.alarm_at:,.0f}.")
        lines += [f"  {line}" for line in self.check.lines]
        lines += [f"  {note}" for note in self.notes]
        if self.recommendation is not None:
            answer = self.recommendation
            lines.append(f"  {answer.action} {percent(answer.share)}: {answer.binding_reason}")
        return "\n".join(lines)


@requires(Right.SEE)
def watch(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    since: datetime | None = None,
    current_share: float | None = None,
    policy: Policy | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> WatchReport:
    """Watch what was imported after the evaluation for drift: in outcomes, in mix, in content.

    Outcomes are watched by the e-detector (Shin, Ramdas and Rinaldo, 2023); mix and content by tests that
    share one error probability: both are valid however often anyone looks. What a look at mix and content
    found is kept and counts in every recommendation until another refutes it (`held`), unless a beginning or
    a seed is given, or whoever looks may not replay the task.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds calls, comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        since: Imports after this are live. Unless given, when the candidate's first sample was drawn, or
            when its share last fell by the log of decisions: with that the detector starts anew.
        current_share: The share that the candidate serves, 0..1: an alarm takes it one stage down, and
            another mix or content keeps it from growing. What is in force unless given; without either
            nothing is recommended.
        policy: Another policy than the eval's own.
        seed: Of the permutations.
        listener: Hears how many inputs are embedded.

    Raises:
        UsageError: Task or candidate is unknown, no batch is compared, or nothing was evaluated before.
    """
    found = gather_compared(workspace, store, task, candidate, policy)
    stage = stage_of(store, task, candidate, found.fingerprint, datetime.now(UTC))
    if current_share is None and stage.share > 0:
        current_share = stage.share
    evaluated_at = first_replay_at(store, task, found.fingerprint) if since is None else naive_utc(since)
    moment = evaluated_at
    if moment is not None and since is None and stage.lowered_at is not None:
        moment = max(moment, naive_utc(stage.lowered_at))
    if moment is None or evaluated_at is None:
        raise UsageError(f"Nothing of {candidate!r} on {task!r} was replayed yet.", "Replay it first.")
    new = imported_after(store, task, moment)
    order = {call_id: place for place, call_id in enumerate(new["call_id"])}
    live = found.frame["call_id"].isin(order.keys()).to_numpy(dtype=np.bool_)
    later = live
    if evaluated_at < moment:
        since_then = imported_after(store, task, evaluated_at)["call_id"]
        later = found.frame["call_id"].isin(since_then).to_numpy(dtype=np.bool_)
    if later.all():
        raise UsageError(
            f"Everything that is compared was imported after {evaluated_at:%Y-%m-%d %H:%M} UTC.",
            "There is no evaluation to compare with: give a later --since.",
        )
    known = live_outcomes(found, ~later, live, order)
    evaluated, outcomes = known.evaluated, known.live
    notes: list[str] = []
    detector = None
    if evaluated.high < WATCHABLE:
        detector = EDetector(known.p0)
        detector.run(outcomes)
    else:
        notes.append("The evaluation bounds nothing yet, so there is nothing to rise above: it needs labels.")
    if not len(new):
        notes.append("No call was imported since: import newer logs, and replay a sample of them.")
    elif not outcomes:
        what = "labelled" if found.basis is Basis.SEMANTIC else "replayed and compared"
        notes.append(f"None of the new calls is {what} yet: outcomes can't be watched.")
    # Another seed or beginning would be a way to look until it looks good.
    kept = since is None and seed == 0 and access.may(Right.REPLAY, task)
    check = _looked(
        store, found, evaluated_at, standing=since is None, kept=kept, seed=seed, listener=listener
    )
    notes += check.notes
    alarms = tuple(detector.alarms) if detector else ()
    answer = None
    if current_share is not None:
        answer = recommend(
            workspace,
            store,
            task,
            candidate,
            current_share=current_share,
            policy=policy,
            drift_alarm=bool(alarms),
            check=None if kept else check,
        )
    return WatchReport(
        task=task,
        candidate=candidate,
        basis=found.basis,
        since=moment.replace(tzinfo=UTC),
        evaluated=evaluated,
        live=len(outcomes),
        live_bad=int(sum(each > 0 for each in outcomes)),
        evidence=detector.value if detector else 0.0,
        alarm_at=ALARM,
        alarms=alarms,
        check=check,
        new_calls=len(new),
        notes=tuple(notes),
        recommendation=answer,
    )


def _looked(
    store: Store,
    found: Gathered,
    moment: datetime,
    *,
    standing: bool,
    kept: bool,
    seed: int,
    listener: Listener,
) -> TrafficCheck:
    """Look at mix and content; once more where somebody kept another look meanwhile."""
    task, fingerprint = found.config.task, found.fingerprint
    while True:
        before = standing_check(store, task, fingerprint) if standing else None
        check = check_traffic(
            store,
            found.config,
            fingerprint,
            moment,
            compared=found.frame["call_id"].tolist(),
            slices=lambda: gather(store, found.config, fingerprint, found.policy).slices,
            standing=before,
            seed=seed,
            listener=listener,
        )
        if not kept or keep(store, task, fingerprint, check, before):
            return check
