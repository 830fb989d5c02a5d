"""The decision log: what was accepted, what is in force, and whether the log is as it was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.access import requires, requires_somewhere
from workbench.config import Workspace
from workbench.records import Estimate, from_json
from workbench.roles import Right
from workbench.rollout.decisions import Decision, Moves, Standing, entry_hash, is_claim, standing
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.stats.wording import percent
from workbench.store import decisions as rows

if TYPE_CHECKING:
    from workbench.store import Store
    from workbench.store.labels import Reads


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A decision in the log. `intact` is False where it, or one before it, is not as it was written.

    `in_force_then` is the share that the log had in force when it was taken, 0..1.
    """

    decision: Decision
    intact: bool
    in_force_then: float = 0.0

    @property
    def claimed(self) -> bool:
        """Say whether more was said to be served than was in force: nobody had accepted that."""
        return is_claim(self.decision.current_share, self.in_force_then)

    @property
    def served_then(self) -> str:
        """Return what was served when it was taken, and what was in force where that was less."""
        said = percent(self.decision.current_share)
        return f"{said} (said; {percent(self.in_force_then)} was in force)" if self.claimed else said


@requires(Right.SEE)
def decisions(store: Store, task: str | None = None, candidate: str | None = None) -> list[LogEntry]:
    """Return accepted decisions, newest first.

    Args:
        store: Holds the log.
        task: Of one task; None for all.
        candidate: On one candidate; None for all.
    """
    everything = rows.decision_rows(store)
    broken = broken_entries(everything)
    before: dict[tuple[str, str], list[Decision]] = {}
    found = []
    for row in everything:
        if task not in (None, row["task"]) or candidate not in (None, row["candidate"]):
            continue
        made = to_decision(row)
        log = before.setdefault((made.task, made.candidate), [])
        then = standing(log, made.candidate_fingerprint, made.decided_at).share
        found.append(LogEntry(made, row["decision_id"] not in broken, then))
        log.append(made)
    return found[::-1]


@requires(Right.SEE)
def in_force(
    workspace: Workspace, store: Store, task: str, candidate: str, *, now: datetime | None = None
) -> Standing:
    """Return what is in force of a task and candidate, as it is configured now.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds the log.
        task: The task.
        candidate: The candidate's name.
        now: The present; this moment unless given.

    Raises:
        UsageError: Either is unknown, or the candidate is the control.
    """
    workspace.eval_for(task)
    refuse_control(candidate)
    workspace.candidate(candidate)
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    return standing(log_of(store, task, candidate), fingerprint, now or datetime.now(UTC))


@requires_somewhere(Right.SEE)
def shares_in_force(workspace: Workspace, store: Store) -> Callable[[str, str], float]:
    """Return what tells the share that is in force of a task and a candidate, for `scoring.overview`.

    Args:
        workspace: Names the evals and the candidates.
        store: Holds the log.
    """
    return lambda task, candidate: in_force(workspace, store, task, candidate).share


def log_of(store: Reads, task: str, candidate: str) -> list[Decision]:
    """Return the decisions on one task and candidate in order."""
    return [to_decision(row) for row in rows.decision_rows(store, task, candidate)]


def broken_entries(everything: Sequence[dict[str, Any]]) -> set[str]:
    """Return the ids of rows that are not as they were written, and of all that rest on them.

    Every row covers itself and names the one before, so that a changed row breaks itself, and one that
    was taken out breaks all after it. The newest rows can be cut off without a trace.

    Args:
        everything: All rows of the log in order.
    """
    broken: set[str] = set()
    before = ""
    for row in everything:
        if broken or row["previous_hash"] != before or entry_hash(row) != row["entry_hash"]:
            broken.add(row["decision_id"])
        before = row["entry_hash"]
    return broken


def to_decision(row: dict[str, Any]) -> Decision:
    """Return a row of the log as a record."""
    return Decision(
        **{
            **row,
            "moves": from_json(row["moves"], Moves),
            "fallback": from_json(row["fallback"], Moves),
            "harm": from_json(row["harm"], Estimate),
        }
    )
