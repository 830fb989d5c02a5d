"""What a report says, gathered from the store: figures and hashes, and no text of any call."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.access import requires
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.records import Policy
from workbench.roles import Right
from workbench.rollout import LogEntry, Standing, decisions, in_force
from workbench.scoring import OverviewRow, overview_row, with_remarks
from workbench.scoring.considered import consider
from workbench.store import reports as rows
from workbench.store.calls import in_utc
from workbench.store.comparisons import volume

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file that calls of the task came from, by its content.

    `calls` are those of its import, which read `files` files.
    """

    name: str
    sha256: str
    source: str
    calls: int
    files: int = 1


@dataclass(frozen=True, slots=True)
class ReplayFact:
    """One run of the candidate over a sample."""

    replay_id: str
    created_at: datetime
    planned: int
    answered: int
    seed: int


@dataclass(frozen=True, slots=True)
class LabelFact:
    """How many standing labels there are of one origin and guideline version.

    `people` counts the names that stand with them: of imported ones, those that the file gave.
    """

    source: str
    guideline_version: str | None
    labels: int
    people: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report shows.

    `evidence_hash` changes whenever evidence, policy or recommendation do, and is the one by which a
    share is accepted. `accepted` is what is in force, `decisions` the log, newest first.
    """

    made_at: datetime
    row: OverviewRow
    policy: Policy
    description: str
    candidate: dict[str, Any]
    evaluator_version: str
    guideline_version: str
    first_at: datetime | None
    last_at: datetime | None
    verdicts: dict[str, int]
    log_files: tuple[LogFile, ...]
    replays: tuple[ReplayFact, ...]
    labels: tuple[LabelFact, ...]
    evidence_hash: str
    accepted: Standing
    decisions: tuple[LogEntry, ...]


@requires(Right.SEE)
def gather_report(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    current_share: float | None = None,
    now: datetime | None = None,
) -> Report:
    """Gather a report on a candidate for a task.

    Args:
        workspace: Names evals, candidates and prices.
        store: Holds everything else.
        task: The task.
        candidate: The candidate's name.
        current_share: Share that it serves now, 0..1; what is in force unless given.
        now: When the report is made; this moment unless given.

    Raises:
        UsageError: Either is unknown, or nothing was replayed or compared.
    """
    held = in_force(workspace, store, task, candidate, now=now)
    current_share = held.share if current_share is None else current_share
    row = overview_row(workspace, store, task, candidate, current_share=current_share)
    decision = with_remarks(workspace, store, task, row.fingerprint, row.recommendation)
    row = replace(row, recommendation=decision)
    config = workspace.eval_for(task)
    version = evaluator_version(config)
    spec = workspace.candidate(candidate)
    log = volume(store, task, config.exclude_marks)
    replays = tuple(ReplayFact(**_dated(each)) for each in rows.replays(store, task, row.fingerprint))
    labels = tuple(LabelFact(**each) for each in rows.labels(store, task, row.fingerprint))
    files = tuple(
        LogFile(each["name"], each["sha256"], found["source"], found["calls"], len(read))
        for found in rows.manifests(store, task)
        for read in [json.loads(found["files"])]
        for each in read
    )
    verdicts = rows.verdicts(store, task, row.fingerprint, version)
    present = now or datetime.now(UTC)
    made = consider(workspace, store, task, candidate, current_share=current_share)
    return Report(
        made_at=present,
        row=row,
        policy=config.policy,
        description=config.description,
        candidate={
            "engine": spec.engine,
            "model": spec.model,
            "revision": spec.revision,
            "zone": spec.effective_zone,
            "fingerprint": row.fingerprint,
            "parent": spec.parent,
        },
        evaluator_version=version,
        guideline_version=config.guideline_version,
        first_at=in_utc(log["first"]),
        last_at=in_utc(log["last"]),
        verdicts=verdicts,
        log_files=files,
        replays=replays,
        labels=labels,
        evidence_hash=made.evidence_hash,
        accepted=held,
        decisions=tuple(decisions(store, task, candidate)),
    )


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"created_at": in_utc(row["created_at"])}
