"""What pages read: small, paged queries. No function here returns more rows than a page shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench import access
from workbench.access import requires, requires_somewhere
from workbench.records import UNASSIGNED
from workbench.roles import Right
from workbench.store import accesses
from workbench.store.conflicting import not_in_conflict
from workbench.store.labels import task_of_replay

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Freshness:
    """How much there is, and when something last happened. Times are UTC without a zone.

    `tasks` counts no calls without a task.
    """

    calls: int
    tasks: int
    last_call_at: datetime | None
    last_replay_at: datetime | None
    last_label_at: datetime | None


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many usable calls a task has, and their dates."""

    task: str
    calls: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Import:
    """One import, newest first. `report` is the import report as plain data."""

    manifest_id: str
    created_at: datetime
    source: str
    task: str | None
    format: str
    files: tuple[str, ...]
    report: dict[str, Any]


@requires_somewhere(*Right)
def freshness(store: Store, *, without: tuple[str, ...] = ()) -> Freshness:
    """Return how much the store holds and when something last happened.

    Args:
        store: Where to read.
        without: Candidates whose replays and labels are left out: those that were made up.
    """
    row = store.rows(
        # Without the view, which joins every answer.
        f"""WITH usable AS (SELECT task FROM calls c WHERE {not_in_conflict(store, "c")})
           SELECT (SELECT count(*) FROM usable) AS calls,
                  (SELECT count(DISTINCT task) FROM usable WHERE task <> ?) AS tasks,
                  (SELECT max(occurred_at) FROM calls) AS last_call_at,
                  (SELECT max(created_at) FROM replay_events WHERE replay_id NOT IN
                     (SELECT replay_id FROM replays WHERE list_contains(?::VARCHAR[], candidate)))
                     AS last_replay_at,
                  (SELECT max(l.created_at) FROM labels l LEFT JOIN replays r USING (replay_id)
                   WHERE l.verdict IS NOT NULL AND l.source <> 'gold'
                     AND NOT coalesce(list_contains(?::VARCHAR[], r.candidate), false)) AS last_label_at""",  # noqa: S608 - fixed text
        (UNASSIGNED, list(without), list(without)),
    )[0]
    if not access.may(Right.SEE):
        # Who sees some tasks alone learns nothing of how much there is of the others, and when.
        mine = tasks(store)
        named = [each for each in mine if each.task != UNASSIGNED]
        row = {
            "calls": sum(each.calls for each in mine),
            "tasks": len(named),
            **_dates_of(store, [each for each in mine if access.may(Right.SEE, each.task)], without),
        }
    return Freshness(**row)


def _dates_of(
    store: Store, mine: Sequence[TaskCount], without: tuple[str, ...]
) -> dict[str, datetime | None]:
    """Return when something last happened in some tasks; see `freshness`."""
    found = store.rows(
        """WITH own AS (SELECT replay_id FROM replays
                       WHERE list_contains(?::VARCHAR[], task) AND NOT list_contains(?::VARCHAR[], candidate))
           SELECT (SELECT max(created_at) FROM replay_events JOIN own USING (replay_id)) AS last_replay_at,
                  (SELECT max(l.created_at) FROM labels l JOIN own USING (replay_id)
                   WHERE l.verdict IS NOT NULL AND l.source <> 'gold') AS last_label_at""",
        ([each.task for each in mine], list(without)),
    )[0]
    times = [each.last_at for each in mine if each.last_at is not None]
    return {"last_call_at": max(times, default=None), **found}


@requires_somewhere(*Right)
def tasks(store: Store) -> list[TaskCount]:
    """Return every task with its calls, the largest first."""
    found = store.rows(
        # Without the view, which joins every answer.
        f"""SELECT c.task, count(*) AS calls, min(c.occurred_at) AS first_at, max(c.occurred_at) AS last_at
           FROM calls c WHERE {not_in_conflict(store, "c")}
           GROUP BY c.task ORDER BY calls DESC, c.task"""  # noqa: S608 - fixed text
    )
    actor = access.current()
    return [TaskCount(**row) for row in found if actor.rights(row["task"])]


@requires(Right.SEE, Right.REPLAY, Right.LABEL)
def controls(store: Store, task: str) -> int:
    """Return how many usable calls of a task hold a frontier answer."""
    # A call has one at most: where there are as many as calls, which of them have one need not be asked.
    answered = store.value(
        "SELECT (SELECT count(*) FROM calls) = (SELECT count(*) FROM frontier_outputs) AS whole"
    )
    usable = f"SELECT count(*) FROM calls c WHERE c.task = ? AND {not_in_conflict(store, 'c')}"  # noqa: S608 - fixed text
    # By number twice as fast as by text.
    held = "AND hash(c.call_id) IN (SELECT hash(call_id) FROM frontier_outputs)"
    return int(store.value(usable if answered else f"{usable} {held}", (task,)))


@requires_somewhere(*Right)
def replayed(store: Store) -> list[tuple[str, str]]:
    """Return every task and candidate name that a replay was planned for, in order."""
    found = store.rows("SELECT DISTINCT task, candidate FROM replays ORDER BY task, candidate")
    actor = access.current()
    return [(row["task"], row["candidate"]) for row in found if actor.rights(row["task"])]


@requires_somewhere(Right.IMPORT)
def imports(store: Store, limit: int = 20) -> list[Import]:
    """Return the newest imports, of the tasks that the asker may import to."""
    actor = access.current()
    found = store.rows(
        """SELECT manifest_id, created_at, source, task, format, files, report
           FROM manifests ORDER BY seq DESC LIMIT ?""",
        [limit],
    )
    return [
        Import(
            manifest_id=row["manifest_id"],
            created_at=row["created_at"],
            source=row["source"],
            task=row["task"],
            format=row["format"],
            files=tuple(str(each.get("name", "")) for each in json.loads(row["files"])),
            report=json.loads(row["report"]),
        )
        for row in found
        if actor.may(Right.IMPORT, row["task"])
    ]


@requires(Right.IMPORT, task=None)
def rejects(store: Store, manifest_id: str, limit: int = 10_000) -> list[dict[str, Any]]:
    """Return the rejected records of one import, in the order of its files and lines."""
    found = store.rows(
        """SELECT file, line, reason, snippet FROM rejects
           WHERE manifest_id = ? ORDER BY file, line LIMIT ?""",
        [manifest_id, limit],
    )
    lines = [f"{row['file']}:{row['line']}" for row in found]
    accesses.viewed(store, accesses.Kind.REJECTS, None, lines)
    return found


@requires(Right.SEE, Right.REPLAY, task=lambda given: task_of_replay(given["store"], given["replay_id"]))
def checks(store: Store, replay_id: str) -> dict[str, tuple[str, str]]:
    """Return what the checks before a replay found: state and message by name, or nothing.

    A server may quote in its error what it was asked: whoever may neither read nor replay gets no message.
    """
    detail = store.value(
        "SELECT detail FROM replay_events WHERE replay_id = ? AND event = 'checked' "
        "ORDER BY seq DESC LIMIT 1",
        (replay_id,),
    )
    task = task_of_replay(store, replay_id)
    reads = access.may(Right.READ, task) or access.may(Right.REPLAY, task)
    found = json.loads(detail or "{}").items()
    return {name: (state, message if reads else "") for name, (state, message) in found}


@requires(Right.SEE, Right.REPLAY, task=lambda given: task_of_replay(given["store"], given["replay_id"]))
def budget(store: Store, replay_id: str) -> dict[str, float]:
    """Return what the last run of a replay was allowed: `usd`, `minutes`, or nothing."""
    detail = store.value(
        "SELECT detail FROM replay_events WHERE replay_id = ? AND event IN ('started', 'resumed') "
        "ORDER BY seq DESC LIMIT 1",
        (replay_id,),
    )
    found = json.loads(detail or "{}").get("budget") or {}
    return {name: float(most) for name, most in found.items() if most is not None}


@requires(Right.SEE)
def latency_runs(store: Store, task: str, fingerprint: str, limit: int = 12) -> list[tuple[datetime, str]]:
    """Return the newest latency probes of a candidate: when, and the report as JSON."""
    rows = store.rows(
        "SELECT created_at, report FROM latency_probes "
        "WHERE task = ? AND candidate_fingerprint = ? ORDER BY seq DESC LIMIT ?",
        (task, fingerprint, limit),
    )
    return [(row["created_at"], row["report"]) for row in rows]
