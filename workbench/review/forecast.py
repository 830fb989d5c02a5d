"""How far the labelling is, in terms of the decision it serves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import WorkbenchError
from workbench.records import SliceShare
from workbench.review.items import ReviewProgress
from workbench.review.states import APART_SOURCES, NEW_CONTENT, PICKED, scope_of
from workbench.roles import Right
from workbench.store import Store
from workbench.store import labels as rows
from workbench.store.labels import Scope
from workbench.store.traffic_checks import check_to_aim_at, newest_check

Focus = tuple[str, str]
"""A slice: its name and its value; or new content and the id of the check that named its calls."""

UNCOUNTED = APART_SOURCES | {PICKED}
"""Sources whose labels bring nobody nearer to the next share."""

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
    foci: tuple[Focus, ...] = ()


_forecasts: dict[tuple[str, Scope], _Forecast] = {}
_lock = Lock()


@requires(Right.LABEL, Right.SEE)
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
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    scope: Scope,
    *,
    reviewed: int | None = None,
) -> ReviewProgress:
    """Return the progress of a queue.

    The forecast is kept for a minute or ten labels, so that handing out an item
    stays fast whatever the size of the evidence.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        scope: What the queue is about.
        reviewed: How many pairs are reviewed, by whoever knows; the last forecast does then,
            however old it is, and somebody calls `refresh` later.
    """
    known, reviewed = _current(workspace, store, task, candidate, scope, reviewed)
    return describe(known.done + reviewed - known.reviewed, known.needed, known.next_share)


def foci_of(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    scope: Scope,
    *,
    reviewed: int | None = None,
) -> tuple[Focus, ...]:
    """Return what the queue aims at: new content while some is found, and the slice that blocks.

    Where there are two, each has its part of the draws. The arguments are those of `progress_of`.
    """
    return _current(workspace, store, task, candidate, scope, reviewed)[0].foci


def refresh(
    workspace: Workspace, store: Store, task: str, candidate: str, scope: Scope, reviewed: int
) -> None:
    """Make the forecast again if it is too old; the arguments are those of `progress_of`."""
    if is_due(store, scope, reviewed):
        with _lock:
            _forecasts.pop((str(store.path), scope), None)
        _current(workspace, store, task, candidate, scope, None)


def is_due(store: Store, scope: Scope, reviewed: int) -> bool:
    """Say whether the forecast of a queue is too old, or was never made."""
    with _lock:
        known = _forecasts.get((str(store.path), scope))
    return known is None or not _is_fresh(known, reviewed)


def _is_fresh(known: _Forecast, reviewed: int) -> bool:
    age_s = time.monotonic() - known.made_at_s
    return age_s < STALE_AFTER_S and 0 <= reviewed - known.reviewed < STALE_AFTER_LABELS


def _current(
    workspace: Workspace, store: Store, task: str, candidate: str, scope: Scope, given: int | None
) -> tuple[_Forecast, int]:
    """Return a forecast that is fresh enough, or any where the count is given; and how many are reviewed."""
    reviewed = rows.count_reviewed(store, scope, UNCOUNTED) if given is None else given
    key = (str(store.path), scope)
    with _lock:
        known = _forecasts.get(key)
    if known is None or (given is None and not _is_fresh(known, reviewed)):
        done, needed, share, foci = _forecast(workspace, store, task, candidate)
        done = reviewed if done is None else done
        known = _Forecast(reviewed, time.monotonic(), done, needed, share, foci)
        with _lock:
            _forecasts[key] = known
    return known, reviewed


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
) -> tuple[int | None, int | None, float | None, tuple[Focus, ...]]:
    """Ask the decision for labels done, labels needed in all, the share they would support, and the aims."""
    from workbench import scoring

    try:
        answer = scoring.recommend(workspace, store, task, candidate)
    except WorkbenchError:
        # Nothing to recommend from yet is no reason to keep a reviewer from labelling.
        return None, None, None, ()
    done, needed, stage = (answer.details.get(key) for key in ("labels_done", "labels_needed", "next_stage"))
    named = newest_content(store, scope_of(workspace, store, task, candidate))
    content = None if named is None else (NEW_CONTENT, named)
    aims = (content, blocking_slice(answer.slices, stage))
    return done, needed, stage, tuple(each for each in aims if each is not None)


def newest_content(store: Store, scope: Scope) -> str | None:
    """Return the check whose calls of new content are to be drawn, or None where the newest finds none.

    A check names only what none before it did, so that what draws were aimed at never changes.
    """
    newest = newest_check(store, scope.task, scope.fingerprint)
    if newest is None or not newest["content_moved"]:
        return None
    return check_to_aim_at(store, scope)


def blocking_slice(slices: Sequence[SliceShare], stage: float | None) -> Focus | None:
    """Return the slice with the most traffic that could not carry the next stage for want of evidence.

    A slice that is proven bad is excluded: more labels would not help it.

    Args:
        slices: As the decision has them.
        stage: The next share, 0..1; None where there is none.
    """
    if stage is None:
        return None
    waiting = [each for each in slices if each.status != "excluded" and each.cap < stage - 1e-9]
    if not waiting:
        return None
    worst = max(waiting, key=lambda each: (each.traffic_share, each.name, each.value))
    return worst.name, worst.value
