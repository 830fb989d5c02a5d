"""The recommendation: evidence gathered, the rule applied, and what has to be said beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from workbench import ramp
from workbench.access import requires
from workbench.config import Workspace
from workbench.records import Policy, Recommendation
from workbench.roles import Right
from workbench.scoring.evidence import evidence, gather_begun
from workbench.scoring.retirement import leaving
from workbench.scoring.stricter import decide
from workbench.scoring.targets import fingerprint_of
from workbench.specs import CONTROL, EvalConfig
from workbench.store import comparisons as rows

if TYPE_CHECKING:
    from workbench.store import Store


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
    held: tuple[str, ...] = (),
) -> Recommendation:
    """Say how much of a task's traffic may move to a candidate.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        current_share: Share the candidate has now, 0..1. How long it has had it and
            what came of it is not known here, so a live share is never raised.
        policy: Another policy than the eval's own, for what-if questions.
        today: For what leaves the market; today in UTC unless given.
        drift_alarm: Whether the drift detector alarmed (see `watching.watch`).
        held: More reasons why the share must not grow.

    Raises:
        UsageError: The task or the candidate is unknown, or it is the control.
    """
    # What stands beside a decision is built on this module.
    from workbench.scoring.beside import beside

    chosen = policy or workspace.eval_for(task).policy
    found = evidence(workspace, store, task, candidate, policy=chosen)
    found = replace(found, drift_alarm=drift_alarm, held=(*found.held, *held))
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    state = ramp.State(share=current_share)
    answer = decided(store, workspace.eval_for(task), fingerprint, found, chosen, state)
    more = beside(workspace, store, task, candidate, found.task.compared, chosen)
    answer = replace(answer, details={**answer.details, **more})
    return with_remarks(workspace, store, task, fingerprint, answer, today)


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


def decided(
    store: Store,
    config: EvalConfig,
    fingerprint: str,
    found: ramp.Evidence,
    policy: Policy,
    state: ramp.State,
) -> Recommendation:
    """Return the decision on evidence that `gather` returned, held where a stricter reading holds it."""

    def begun() -> tuple[ramp.Evidence, int] | None:
        if not rows.has_begun(store, config.task, fingerprint):
            return None
        return gather_begun(store, config, fingerprint, policy, found)

    tried = rows.candidates_tried(store, config.task, fingerprint, CONTROL)
    return decide(found, policy, state, begun, tried)
