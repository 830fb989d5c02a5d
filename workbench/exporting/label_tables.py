"""Tables of Review: what somebody has said themselves, in the words of the page they said it on."""

from __future__ import annotations

from collections.abc import Callable

from workbench import access, review
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.exporting.asked import Asked, whole
from workbench.exporting.table import EVERY, TEXT, TEXTS, TIME, WHOLE, YES, Row, Table
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
    who = _who(asked)
    said, reason = asked.filter("said"), asked.filter("reason")
    names = _candidates(workspace, store, asked)
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


def _conflicts(workspace: Workspace, store: Store, asked: Asked) -> Table:
    """Return the pairs on which people differ, as the page lists them: not what anybody said, no model."""
    asked.only("who")
    if not asked.task:
        raise UsageError("This table is about one task.", "Give --task.")
    workspace.eval_for(asked.task)
    columns = {"task": TEXT, "call_id": TEXT, "native_id": TEXT, "votes": WHOLE, "own": YES, "barred": TEXT}
    return whole(
        columns,
        (
            {name: getattr(each, name) for name in columns if hasattr(each, name)} | {"task": asked.task}
            for name in _candidates(workspace, store, asked)
            for each in review.conflicts(workspace, store, asked.task, name, _who(asked))
        ),
        # The id of a call is what its log says.
        raw=True,
    )


def _who(asked: Asked) -> str:
    """Return whose labels they are, or who asks."""
    return asked.filter("who") or asked.who or access.current().name


def _candidates(workspace: Workspace, store: Store, asked: Asked) -> list[str]:
    """Return the candidates of a task that were replayed, or the one that is asked for."""
    return [
        name
        for task, name in pages.replayed(store)
        if task == asked.task
        and asked.candidate in (None, name)
        and any(each.name == name for each in workspace.config.candidates)
    ]


LABEL_TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {
    "my-labels": _my_labels,
    "conflicts": _conflicts,
}
"""Those tables by name."""
