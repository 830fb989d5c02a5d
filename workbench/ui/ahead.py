"""What the next key needs, read while the reviewer reads the item in front of them."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from workbench import access, priority, review
from workbench.errors import WorkbenchError
from workbench.ui.session import Here

_workers = ThreadPoolExecutor(1, thread_name_prefix="review-ahead")
_running: dict[tuple[str, str, str], Future[None]] = {}
_log = logging.getLogger(__name__)


def prepare(here: Here, task: str, candidate: str) -> None:
    """Read a queue ahead; a forecast that is due is made beside the page, and gives way to each key.

    Args:
        here: The workspace and its store.
        task: The task.
        candidate: The candidate's name.
    """
    try:
        due = review.prepare(here.workspace, here.store, task, candidate, renew=False)
    except WorkbenchError as error:
        # Nothing is lost: whatever was not read ahead is read when the key comes.
        _log.debug("Nothing was read ahead: %s", error)
        return
    if not due:
        return
    key = (str(here.store.path), task, candidate)
    known = _running.get(key)
    if known is None or known.done():
        _running[key] = _workers.submit(access.carried(_renew), here, task, candidate)


def _renew(here: Here, task: str, candidate: str) -> None:
    try:
        with priority.background():
            review.prepare(here.workspace, here.store, task, candidate)
    except WorkbenchError as error:
        _log.debug("No forecast was made: %s", error)
