"""Tables of Review: what somebody has said themselves, in the words of the page they said it on."""

from __future__ import annotations

from collections.abc import Callable

from workbench import access, review
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.exporting.asked import Asked, whole
from workbench.exporting.table import EVERY, TEXT, TEXTS, TIME, Row, Table
from workbench.records import Label
from workbench.roles import Right
from workbench.store import Store, pages


def _my_labels(workspace: Workspace, store: Store, asked: Asked) -> Table:
    """Return somebody's own labels. No model's name is in it, and no side but that of the page.

    Notes and right answers go with those alone who may take text out.
    """
    asked.only("said", "reason", "find", "who")
    if not asked.task:
        raise UsageError("This table is about one task.", "Give --task.")
    workspace.eval_for(asked.task)
    who = asked.filter("who") or asked.who or access.current().name
    said, reason = asked.filter("said"), asked.filter("reason")
    names = [
        name
        for task, name in pages.replayed(store)
        if task == asked.task
        and asked.candidate in (None, name)
        and any(each.name == name for each in workspace.config.candidates)
    ]
    with_text = access.may(Right.EXPORT, asked.task)
    columns = {"created_at": TIME, "task": TEXT, "call_id": TEXT, "said": TEXT, "reasons": TEXTS}
    columns |= {"note": TEXT, "corrected": TEXT} if with_text else {}
    columns["guideline_version"] = TEXT

    def row(each: Label) -> Row:
        plain = {name: getattr(each, name) for name in columns if hasattr(each, name)}
        return plain | {"task": asked.task, "said": review.choice_made(each), "reasons": list(each.reasons)}

    found = [
        each
        for name in names
        for each in review.history(
            workspace,
            store,
            asked.task,
            name,
            who,
            choices=(said,) if said else (),
            reasons=(reason,) if reason else (),
            text=asked.filter("find"),
            limit=EVERY,
        )
    ]
    found.sort(key=lambda each: str(each.created_at), reverse=True)
    return whole(columns, map(row, found), raw=with_text)


LABEL_TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {"my-labels": _my_labels}
"""Those tables by name."""
