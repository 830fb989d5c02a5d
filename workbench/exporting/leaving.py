"""The one place that raw text passes on its way out of the workspace as a table."""

from __future__ import annotations

import logging

from workbench.config import Workspace
from workbench.store import Store

_log = logging.getLogger("workbench.exports")


def raw_text_leaves(
    workspace: Workspace, store: Store, table: str, *, task: str | None, rows: int, who: str
) -> None:
    """Note that what users or models wrote was written to a file, once it is known how much.

    Never what was written. A log of accesses belongs here: nothing with raw text gets by it.

    Args:
        workspace: Where the text comes from.
        store: The same.
        table: Name of the table.
        task: Whose calls; None for all.
        rows: How many.
        who: Who asked for it; empty where nobody has said.
    """
    _log.info(
        "%s rows of %s (task %s) left %s as a file, asked for by %s",
        rows,
        table,
        task or "all",
        workspace.root,
        who or "nobody named",
    )
