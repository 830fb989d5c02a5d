"""What is shown beside a recommendation and decides nothing: thresholds, predicted harm, latency by pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import Policy
from workbench.scoring.gathered import gather_compared
from workbench.scoring.latency_pairs import paired_latency
from workbench.scoring.predicted import predict
from workbench.scoring.thresholds import threshold_report

if TYPE_CHECKING:
    from workbench.store import Store

AT_MOST = 10_000
"""With more compared calls a recommendation is not kept waiting for what decides nothing."""


def beside(
    workspace: Workspace, store: Store, task: str, candidate: str, compared: int, policy: Policy
) -> dict[str, Any]:
    """Return what `details` of a recommendation holds besides the decision's own figures.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds everything else.
        task: The task.
        candidate: The candidate's name.
        compared: How many calls are compared.
        policy: The policy that decided.

    Returns:
        `latency` (of both models on the same calls), and up to 10,000 compared calls `predicted` and
        `thresholds`; None where there are more, or none.
    """
    found: dict[str, Any] = {
        "latency": paired_latency(workspace, store, task, candidate, policy=policy),
        "predicted": None,
        "thresholds": None,
    }
    if not 0 < compared <= AT_MOST:
        return found
    try:
        gathered = gather_compared(workspace, store, task, candidate, policy)
    except UsageError:  # Answers of batches that are still open are no evidence.
        return found
    found["predicted"] = predict(gathered)
    report = threshold_report(workspace, store, candidate, gathered)
    found["thresholds"] = {
        "signal": report.signal,
        "auroc": report.auroc,
        "informative": report.informative,
        "best": report.best,
        "control_cost_usd": report.control_cost_usd,
        "control_latency_ms": report.control_latency_ms,
        "sentence": report.sentence,
    }
    return found
