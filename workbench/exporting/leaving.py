"""The one place that raw text passes on its way out of the workspace as a table."""

from __future__ import annotations

from workbench import access
from workbench.roles import Right
from workbench.store import Store, accesses


def may_leave(task: str | None) -> None:
    """Refuse unless who acts now may take the text of calls out.

    Args:
        task: Whose calls; None for all.

    Raises:
        AccessRefused: They may not.
    """
    access.require(Right.EXPORT, task=task)


def raw_text_leaves(store: Store, *, task: str | None, rows: int) -> None:
    """Note in the access log that what users or models wrote leaves, before it does. Never what was written.

    Args:
        store: Where the text comes from.
        task: Whose calls; None for all.
        rows: How many.

    Raises:
        EnvironmentalError: It can't be noted, so it must not leave.
    """
    accesses.exported(store, accesses.Kind.EXPORT_TABLE, task, rows)
