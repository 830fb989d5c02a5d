"""Has a task's traffic, or what the candidate makes of it, changed since it was evaluated?

The evaluation is what was imported before the candidate's first sample was drawn; live calls are those
imported since, as far as the candidate's answers to them are compared (or, for texts, labelled).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.access import requires
from workbench.config import Workspace
from workbench.embed import text_hash
from workbench.errors import UsageError
from workbench.normal import last_user_text, naive_utc
from workbench.records import Basis, Estimate, Policy, Recommendation, Request, from_json
from workbench.roles import Right
from workbench.scoring.comparing import open_embedder
from workbench.scoring.deciding import recommend
from workbench.scoring.evidence import gather
from workbench.scoring.gathered import Gathered, gather_compared
from workbench.scoring.live_outcomes import WATCHABLE, live_outcomes
from workbench.scoring.stage import stage_of
from workbench.slices import name_of, slice_values
from workbench.specs import EvalConfig, SliceRule
from workbench.stats.drift import ALARM, FOLDS, EDetector, Shift, population_stability, two_sample
from workbench.stats.evidence import SliceEvidence
from workbench.stats.reweighting import reweighted
from workbench.stats.wording import count, measured, percent, plural
from workbench.store import comparisons
from workbench.store.drift import first_replay_at, imported_after, some_calls

if TYPE_CHECKING:
    from workbench.store import Store

MIX_CALLS = 20_000
"""Calls of either window whose mix is compared."""
CONTENT_CALLS = 400
"""Calls of either window whose embeddings are compared."""
LIKELY = 0.05
"""Up to this p-value a window counts as another: for the mix over all slices together, and for content."""
USUAL = (SliceRule("language"), SliceRule("input_length"), SliceRule("model"))
"""What a mix is made of where the eval declares no slices."""


@dataclass(frozen=True, slots=True)
class MixShift:
    """How far the mix of one slice moved: population stability index and permutation p-value.

    `shifted` says that p times the number of slices is at most .05; `reweighted` is the evaluated harm by
    the new mix then, where the slice is a declared one.
    """

    slice: str
    stability: float
    p_value: float
    shifted: bool
    reweighted: Estimate | None = None


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What was found since `since` (UTC).

    `evaluated` is the rate in the evaluation; its upper bound is what the e-detector watches for a rise
    above. `live` outcomes were seen since; `evidence` is the detector's value now, `alarms` after how
    many outcomes it alarmed, each time starting anew. `content` compares embeddings of inputs, None
    where too few exist. `recommendation` is what follows at the share that was given.
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
    mix: tuple[MixShift, ...]
    content: Shift | None
    content_shifted: bool
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
        return self.content_shifted or any(each.shifted for each in self.mix)

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
        for each in self.mix:
            state = "another mix" if each.shifted else "no shift seen"
            lines.append(
                f"  Mix by {each.slice}: stability index {each.stability:.3f}, "
                f"p = {each.p_value:.3f}: {state}."
            )
            if each.reweighted is not None:
                most = measured(each.reweighted.high)
                lines.append(
                    f"    By the new mix at most {most} of calls get worse, as evaluated part by part."
                )
        if self.content is not None:
            state = "new content" if self.content_shifted else "no shift seen"
            lines.append(
                f"  Inputs: told apart in {measured(self.content.value)} (chance 50 %), "
                f"p = {self.content.p_value:.3f}: {state}."
            )
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
) -> WatchReport:
    """Watch what was imported after the evaluation for drift: in outcomes, in mix, in content.

    Outcomes are watched by the e-detector (Shin, Ramdas and Rinaldo, 2023), valid however often anyone
    looks; mix and content are tests of one look.

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
    mix = _mix(store, found.config, moment, seed, _slices(store, found)) if len(new) else ()
    content = _content(store, found.config, moment, seed) if len(new) else None
    moved = content is not None and content.p_value <= LIKELY
    if len(new) and content is None:
        notes.append(
            "Inputs are not compared: too few of both windows are embedded. "
            f"`workbench slices --task {task} --candidate {candidate}` embeds those that are compared."
        )
    alarms = tuple(detector.alarms) if detector else ()
    answer = None
    if current_share is not None:
        shifts = [f"mix by {each.slice}" for each in mix if each.shifted] + (["content"] if moved else [])
        held = (
            f"The traffic since {moment:%Y-%m-%d} is of another {' and '.join(shifts)} than what was "
            "evaluated: replay a sample of it before the share grows."
        )
        answer = recommend(
            workspace,
            store,
            task,
            candidate,
            current_share=current_share,
            policy=policy,
            drift_alarm=bool(alarms),
            held=(held,) if shifts else (),
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
        mix=mix,
        content=content,
        content_shifted=moved,
        new_calls=len(new),
        notes=tuple(notes),
        recommendation=answer,
    )


def _slices(store: Store, found: Gathered) -> Callable[[], Sequence[SliceEvidence]]:
    """Return what gives the evidence by slice; it is asked only where a mix moved."""
    return lambda: gather(store, found.config, found.fingerprint, found.policy).slices


def _mix(
    store: Store,
    config: EvalConfig,
    moment: datetime,
    seed: int,
    slices: Callable[[], Sequence[SliceEvidence]],
) -> tuple[MixShift, ...]:
    rules = config.slices or USUAL
    before = some_calls(store, config.task, moment, after=False, limit=MIX_CALLS)
    after = some_calls(store, config.task, moment, after=True, limit=MIX_CALLS)
    if not before or not after:
        return ()
    values = slice_values(rules, [*before, *after])
    found = []
    for name in dict.fromkeys(name_of(rule) for rule in rules):
        mine = values[name]
        new = Counter(mine[len(before) :])
        shift = population_stability(Counter(mine[: len(before)]), new, seed=seed)
        likely = min(shift.p_value * len(values), 1.0)
        by_new_mix = None
        if likely <= LIKELY:
            own = [each for each in slices() if each.name == name]
            by_new_mix = reweighted(own, new, config.policy.delta)
        found.append(MixShift(name, shift.value, shift.p_value, likely <= LIKELY, by_new_mix))
    return tuple(found)


def _content(store: Store, config: EvalConfig, moment: datetime, seed: int) -> Shift | None:
    """Compare the embeddings that the store holds of inputs of both windows; none is made."""
    windows = []
    for after in (False, True):
        calls = some_calls(store, config.task, moment, after=after, limit=5 * CONTENT_CALLS, requests=True)
        texts = [last_user_text(from_json(call["request"], Request).messages) for call in calls]
        windows.append(_vectors(store, config, texts))
    if min(len(each) for each in windows) < FOLDS:
        return None
    return two_sample(np.stack(windows[0]), np.stack(windows[1]), seed=seed)


def _vectors(store: Store, config: EvalConfig, texts: Sequence[str]) -> list[NDArray[np.float64]]:
    hashes = [text_hash(text) for text in texts if text.strip()]
    known = comparisons.vectors(store, open_embedder(config.embedder).model, list(dict.fromkeys(hashes)))
    return [np.asarray(known[each], dtype=np.float64) for each in hashes if each in known][:CONTENT_CALLS]
