"""How far the labelling is, in terms of the decision it serves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock

from workbench.config import Workspace
from workbench.errors import WorkbenchError
from workbench.review.items import ReviewProgress
from workbench.review.states import scope_of
from workbench.store import Store
from workbench.store import labels as rows
from workbench.store.labels import Scope

STALE_AFTER_S = 60.0
STALE_AFTER_LABELS = 10
"""The forecast behind a progress line is made again after this long, or this many labels."""


@dataclass(frozen=True, slots=True)
class _Forecast:
    """What the decision said when it was last asked; `reviewed` is what the store counted then."""

    reviewed: int
    made_at_s: float
    done: int
    needed: int | None
    next_share: float | None


_forecasts: dict[tuple[str, Scope], _Forecast] = {}
_lock = Lock()


def progress(workspace: Workspace, store: Store, task: str, candidate: str) -> ReviewProgress:
    """Return how many pairs are labelled, and how many it takes for the next share.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    return progress_of(workspace, store, task, candidate, scope_of(workspace, store, task, candidate))


def progress_of(
    workspace: Workspace, store: Store, task: str, candidate: str, scope: Scope
) -> ReviewProgress:
    """Return the progress of a queue.

    The forecast is kept for a minute or ten labels, so that handing out an item
    stays fast whatever the size of the evidence.
    """
    reviewed = rows.count_reviewed(store, scope)
    key = (str(store.path), scope)
    with _lock:
        known = _forecasts.get(key)
    fresh = (
        known is not None
        and time.monotonic() - known.made_at_s < STALE_AFTER_S
        and 0 <= reviewed - known.reviewed < STALE_AFTER_LABELS
    )
    if known is None or not fresh:
        done, needed, share = _forecast(workspace, store, task, candidate)
        known = _Forecast(reviewed, time.monotonic(), reviewed if done is None else done, needed, share)
        with _lock:
            _forecasts[key] = known
    return describe(known.done + reviewed - known.reviewed, known.needed, known.next_share)


def describe(labelled: int, needed: int | None, next_share: float | None) -> ReviewProgress:
    """Put progress into words.

    Args:
        labelled: Labels so far.
        needed: Labels in all for the next share; None where it can't be said.
        next_share: The share they would support, 0..1.
    """
    if needed is None or next_share is None or needed <= labelled:
        noun = "label" if labelled == 1 else "labels"
        return ReviewProgress(labelled, None, next_share, f"{labelled:,} {noun} so far")
    share = f"{100 * next_share:.4g} %"
    return ReviewProgress(
        labelled, needed, next_share, f"{labelled:,} of about {needed:,} labels to reach {share}"
    )


def _forecast(
    workspace: Workspace, store: Store, task: str, candidate: str
) -> tuple[int | None, int | None, float | None]:
    """Ask the decision for labels done, labels needed in all, and the share they would support."""
    from workbench import scoring

    try:
        details = scoring.recommend(workspace, store, task, candidate).details
    except WorkbenchError:
        # Nothing to recommend from yet is no reason to keep a reviewer from labelling.
        return None, None, None
    return details.get("labels_done"), details.get("labels_needed"), details.get("next_stage")
