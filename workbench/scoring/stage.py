"""Where a candidate's roll-out stands, by the log of decisions: its share, since when, and what was compared.

A stage begins when the share in force becomes another one: with a decision, or when an override ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import ramp
from workbench.access import requires
from workbench.normal import naive_utc
from workbench.records import Verdict
from workbench.roles import Right
from workbench.scoring.columns import agreeing
from workbench.stats.ladder import EPSILON
from workbench.store.compared import evidence_frame
from workbench.store.decisions import decision_rows
from workbench.store.labels import Scope
from workbench.store.live import live_replay_of

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Stage:
    """The share in force of a candidate as it is configured (0..1), and times in UTC.

    `entered_at` is when that share came into force, `lowered_at` when a share last gave way to a smaller
    one, `serving_since` since when the candidate has had any without a break. None where it never was so.
    `without_override` is the share that will hold once the override ends that holds this one above the
    recommended; None without such a one.
    """

    share: float = 0.0
    entered_at: datetime | None = None
    lowered_at: datetime | None = None
    serving_since: datetime | None = None
    without_override: float | None = None


def stage_of(store: Store, task: str, candidate: str, fingerprint: str, now: datetime) -> Stage:
    """Return where a roll-out stands.

    Args:
        store: Holds the log of decisions.
        task: The task.
        candidate: The candidate's name.
        fingerprint: Its fingerprint: a decision on another configuration is in force no more.
        now: The present.
    """
    stage = Stage()
    for moment, share, without in _shares(decision_rows(store, task, candidate), fingerprint, now):
        stage = replace(_after(stage, moment, share), without_override=without)
    return stage


@requires(Right.SEE)
def has_lasted(store: Store, task: str, candidate: str, fingerprint: str, days: float, now: datetime) -> bool:
    """Say whether the present stage has lasted so many days: what a clock alone changes of a decision."""
    entered = stage_of(store, task, candidate, fingerprint, now).entered_at
    return entered is not None and (now - entered).total_seconds() >= days * 86_400


def _shares(
    log: Sequence[Mapping[str, Any]], fingerprint: str, now: datetime
) -> list[tuple[datetime, float, float | None]]:
    """Return each share that came into force: when, and what holds without its override; in order."""
    found: list[tuple[datetime, float, float | None]] = []
    for place, row in enumerate(log):
        if row["candidate_fingerprint"] != fingerprint:
            found.append((row["decided_at"], 0.0, None))
            continue
        share, end = float(row["share"]), row["expires_at"]
        raised = end is not None and share > row["recommended_share"] + EPSILON
        after = float(json.loads(row["fallback"])["share"])
        found.append((row["decided_at"], share, after if raised else None))
        until = log[place + 1]["decided_at"] if place + 1 < len(log) else now
        if end is not None and end <= until:
            found.append((end, after, None))
    return found


def _after(stage: Stage, moment: datetime, share: float) -> Stage:
    if abs(share - stage.share) <= EPSILON:
        return stage
    since = None if share <= EPSILON else stage.serving_since or moment
    lowered = moment if share < stage.share else stage.lowered_at
    return Stage(share, moment, lowered, since)


def state_of(stage: Stage, share: float, live_compared: int, now: datetime) -> ramp.State:
    """Return the state that the rule asks for.

    Args:
        stage: Where the log of decisions says that the roll-out stands.
        share: The share that is served now, 0..1. Where it is not the one in force, nobody knows since when.
        live_compared: Live calls compared since the stage was entered.
        now: The present.
    """
    state = ramp.State(share=share, without_override=stage.without_override)
    if share <= EPSILON or stage.entered_at is None or abs(share - stage.share) > EPSILON:
        return state
    days = max((now - stage.entered_at).total_seconds(), 0.0) / 86_400
    return replace(
        state,
        days_in_stage=days,
        live_compared=live_compared,
        entered_at=stage.entered_at.astimezone(UTC),
    )


def live_compared(store: Store, scope: Scope, stage: Stage, wanted: Collection[str] = ()) -> tuple[int, int]:
    """Return how many calls that the candidate served in this stage are compared, and how many of them agree.

    Args:
        store: Holds the comparisons.
        scope: Task, fingerprint and evaluator version.
        stage: The stage.
        wanted: Large columns that whoever asks reads of the same frame anyway, which is then read once.
    """
    replay = live_replay_of(store, scope.task, scope.fingerprint)
    if replay is None or stage.entered_at is None:
        return 0, 0
    frame = evidence_frame(store, *scope.params, wanted=wanted)
    mine = (frame["replay_id"] == replay.replay_id) & (frame["verdict"] != Verdict.UNCOMPARABLE.value)
    entered = np.datetime64(naive_utc(stage.entered_at))
    mine &= frame["occurred_at"].to_numpy() >= entered
    return int(mine.sum()), int((mine & agreeing(frame)).sum())
