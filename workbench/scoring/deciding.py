"""The recommendation: evidence gathered, the rule applied, and what has to be said beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from workbench.access import requires
from workbench.config import Workspace
from workbench.records import Policy, Recommendation
from workbench.roles import Right
from workbench.scoring.considered import consider, decided
from workbench.scoring.retirement import leaving
from workbench.store import comparisons as rows

if TYPE_CHECKING:
    from workbench.scoring.traffic_check import TrafficCheck
    from workbench.store import Store

__all__ = ["decided", "recommend", "with_remarks"]


@requires(Right.SEE)
def recommend(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    current_share: float = 0.0,
    policy: Policy | None = None,
    today: date | None = None,
    drift_alarm: bool = False,
    check: TrafficCheck | None = None,
    now: datetime | None = None,
) -> Recommendation:
    """Say how much of a task's traffic may move to a candidate.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        current_share: Share the candidate has now, 0..1. Since when is known where it is the one in
            force by the log of decisions; elsewhere it is never raised.
        policy: Another policy than the eval's own, for what-if questions.
        today: For what leaves the market; today in UTC unless given.
        drift_alarm: Whether the drift detector alarmed (see `watching.watch`).
        check: A check of newly imported traffic that is not kept; it counts beside the newest that was.
        now: The present, to which a stage has lasted; this moment unless given.

    Raises:
        UsageError: The task or the candidate is unknown, or it is the control.
    """
    # What stands beside a decision is built on this module.
    from workbench.scoring.beside import beside

    made = consider(
        workspace,
        store,
        task,
        candidate,
        current_share=current_share,
        policy=policy,
        drift_alarm=drift_alarm,
        check=check,
        now=now,
    )
    more = beside(workspace, store, task, candidate, made.evidence.task.compared, made.policy)
    known = {"evidence_hash": made.evidence_hash, "policy_version": made.policy_version}
    answer = replace(made.recommendation, details={**made.recommendation.details, **more, **known})
    return with_remarks(workspace, store, task, made.fingerprint, answer, today)


def with_remarks(
    workspace: Workspace,
    store: Store,
    task: str,
    fingerprint: str,
    answer: Recommendation,
    today: date | None = None,
) -> Recommendation:
    """Return a decision with what has to be said beside it, and changes nothing of it.

    Args:
        workspace: Names models that leave the market.
        store: Holds log, floors and replays.
        task: The task.
        fingerprint: The candidate's.
        answer: What `decided` returned.
        today: For what leaves the market; today in UTC unless given.
    """
    answer = _told_of_redaction(store, task, fingerprint, answer)
    warnings = tuple(each.text for each in leaving(workspace, store, today, task=task))
    return replace(answer, missing=(*answer.missing, *warnings)) if warnings else answer


def _told_of_redaction(store: Store, task: str, fingerprint: str, answer: Recommendation) -> Recommendation:
    """Say that a candidate was asked redacted requests, where the frontier had seen everything."""
    redacted, calls = rows.redacted_share(store, task, fingerprint)
    if not redacted:
        return answer
    reason = (
        f"redacted-input: in {redacted:,} of {calls:,} replayed calls the candidate saw placeholders where "
        "the frontier had seen personal data. It may do better or worse on live traffic."
    )
    details = answer.details | {"redacted_input": {"calls": redacted, "of": calls}}
    return replace(answer, reasons=(*answer.reasons, reason), details=details)
