"""What a replay tells people: the report of a run, and where every replay stands."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workbench.access import may, requires_somewhere
from workbench.config import Workspace
from workbench.records import told_errors
from workbench.replay.heartbeat import read_heartbeat
from workbench.roles import Right
from workbench.store import Store
from workbench.store.replays import replays_of, tally
from workbench.store.spending import retried

STALE_S = 10.0
"""A heartbeat older than this comes from a process that is gone or stopped."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What one `replay` did.

    `planned` and `done` count calls times repeats; `answered` is what this run added.
    `state` is finished, paused (a budget is used up), incomplete, failed, or planned (a dry
    run). `retries` counts the attempts of this run that were given up and made again,
    `retried` those of the whole replay by kind. `requests` is what a dry run would send:
    a call with samples sends several.
    `marks` holds `redacted-input` where the candidate is asked redacted requests.
    Estimates are None where nothing is known to make them from. `exit_code` is that
    of the error where this candidate failed among others.
    """

    replay_id: str | None
    task: str
    candidate: str
    state: str
    calls: int
    batches: int
    planned: int
    done: int
    answered: int
    errors: dict[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
    calls_per_s: float | None = None
    tokens_per_s: float | None = None
    retries: int = 0
    retried: dict[str, int] = field(default_factory=dict)
    requests: int | None = None
    dry_run: bool = False
    estimated_seconds: float | None = None
    estimated_input_tokens: int | None = None
    estimated_output_tokens: int | None = None
    estimated_cost_usd: float | None = None
    at_log_pace: bool = False
    exit_code: int = 0
    marks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        if self.exit_code:
            lines = [f"{self.task} / {self.candidate}: {self.state}."]
        else:
            lines = self._planned_lines() if self.dry_run else self._done_lines()
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def _planned_lines(self) -> list[str]:
        left = self.planned - self.done
        sent = left if self.requests is None else self.requests
        is_read = self.estimated_input_tokens is None
        what = "outputs made elsewhere would be read" if is_read else "requests would be sent"
        lines = [f"{self.task} / {self.candidate}: {sent:,} {what}; nothing was sent."]
        if self.estimated_seconds is None and not is_read:
            lines.append("  Time: not known before this candidate has answered; try a small --limit first.")
        elif self.estimated_seconds is not None:
            known_by = "at the times of the log" if self.at_log_pace else "from earlier answers"
            lines.append(f"  Time: about {duration(self.estimated_seconds)}, {known_by}.")
        if self.estimated_input_tokens is not None and self.estimated_output_tokens is not None:
            cost = "" if self.estimated_cost_usd is None else f", about {_money(self.estimated_cost_usd)} USD"
            lines.append(
                f"  Tokens: about {self.estimated_input_tokens:,} in and "
                f"{self.estimated_output_tokens:,} out{cost}."
            )
        return lines

    def _done_lines(self) -> list[str]:
        lines = [f"{self.task} / {self.candidate}: {self.done:,} of {self.planned:,} answered, {self.state}."]
        if self.answered:
            rate = f", {self.calls_per_s:,.1f} a second" if self.calls_per_s else ""
            tokens = f", {self.tokens_per_s:,.0f} tokens a second" if self.tokens_per_s else ""
            lines.append(f"  This run: {self.answered:,} in {duration(self.seconds)}{rate}{tokens}.")
        elif self.state != "paused":
            lines.append(
                "  There was nothing left to ask: same model, prompt and parameters. --new asks again."
            )
        if self.errors:
            lines.append(f"  Errors: {told_errors(self.errors)}. They count against the candidate.")
        if self.retried:
            again = sum(self.retried.values())
            lines.append(f"  Asked again after a failure: {again:,} times ({told_errors(self.retried)}).")
        if self.cost_usd is not None:
            lines.append(f"  Cost: {self.cost_usd:.4f} USD.")
        lines.append(f"  Next: workbench compare --task {self.task} --candidate {self.candidate}")
        return lines


def _money(usd: float) -> str:
    """Return dollars with as many digits as say something."""
    return f"{usd:.2f}" if usd >= 0.1 else f"{usd:.2g}"


def duration(seconds: float) -> str:
    """Return a duration in the unit people would use."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True, slots=True)
class ReplayStatus:
    """Where a replay stands.

    `state` is running, finished, paused (its server was down, or a budget was used up;
    `note` says which, to those who may read or replay), interrupted, failed, or
    stopped (its process ended without a word; the same command goes on). `done` and
    `planned` count calls times repeats. Rates and the time left are those of the run
    that is going on, None without one.
    """

    replay_id: str
    task: str
    candidate: str
    fingerprint: str
    state: str
    planned: int
    done: int
    calls: int
    batches: int
    errors: dict[str, int]
    calls_per_s: float | None
    tokens_per_s: float | None
    eta_s: float | None
    heartbeat_age_s: float | None
    pid: int | None
    note: str
    created_at: datetime
    in_flight: int | None = None
    limit: int | None = None
    spent_usd: float | None = None
    retried: dict[str, int] = field(default_factory=dict)


@requires_somewhere(Right.SEE, Right.REPLAY)
def status(workspace: Workspace, store: Store, task: str | None = None) -> list[ReplayStatus]:
    """Return where every replay stands, oldest first.

    Args:
        workspace: Its spool holds the heartbeats.
        store: The store; parts not loaded yet show in the heartbeat's counts alone.
        task: One task's replays only.
    """
    found = []
    for row in replays_of(store, task):
        if not (may(Right.SEE, row.task) or may(Right.REPLAY, row.task)):
            continue
        # A server may quote in its error what it was asked.
        reads = may(Right.READ, row.task) or may(Right.REPLAY, row.task)
        counts = tally(store, row)
        beat = read_heartbeat(workspace.spool, row.replay_id) or {}
        age_s = max(time.time() - beat["at"], 0.0) if "at" in beat else None
        alive = age_s is not None and age_s < STALE_S and beat.get("state") == "running" and _lives(beat)
        state = "running" if alive else _resting_state(counts.last_event, counts.done, counts.planned, beat)
        errors = dict(counts.errors or {})
        if alive:
            # The heartbeat counts this run's errors, some of which may be loaded already.
            for kind, count in beat.get("errors", {}).items():
                errors[kind] = max(errors.get(kind, 0), count)
        again = retried(store, row.replay_id)
        for kind, count in (beat.get("retried") or {}).items():
            again[kind] = max(again.get(kind, 0), count)
        found.append(
            ReplayStatus(
                replay_id=row.replay_id,
                task=row.task,
                candidate=row.candidate,
                fingerprint=row.candidate_fingerprint,
                state=state,
                planned=counts.planned,
                done=min(max(counts.done, int(beat.get("done", 0))), counts.planned),
                calls=counts.calls,
                batches=counts.batches,
                errors=errors,
                calls_per_s=beat.get("calls_per_s") if alive else None,
                tokens_per_s=beat.get("tokens_per_s") if alive else None,
                eta_s=beat.get("eta_s") if alive else None,
                heartbeat_age_s=age_s,
                pid=beat.get("pid") if alive else None,
                note=str(beat.get("note") or (counts.last_detail or {}).get("message") or "")
                if state != "finished" and reads
                else "",
                created_at=row.created_at,
                in_flight=beat.get("in_flight") if alive else None,
                limit=beat.get("limit") if alive else None,
                spent_usd=beat.get("spent_usd"),
                retried=again,
            )
        )
    return found


def _lives(beat: Mapping[str, Any]) -> bool:
    """Say whether the process of a heartbeat may still run; on another host, its age decides."""
    if beat.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(beat.get("pid", 0)), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _resting_state(event: str, done: int, planned: int, beat: Mapping[str, Any]) -> str:
    if done >= planned:
        return "finished"
    said = beat.get("state")
    if event in ("started", "resumed", "checked"):
        return str(said) if said in ("paused", "interrupted", "failed") else "stopped"
    return event or "stopped"
