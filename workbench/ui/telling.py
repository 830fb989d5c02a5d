"""How much of an error somebody reads: messages about the set-up name models, files and addresses."""

from __future__ import annotations

import re

from workbench import access
from workbench.config import Workspace
from workbench.errors import AccessRefused, UsageError, WorkbenchError
from workbench.roles import Right
from workbench.ui import who

KNOWING = (Right.SEE, Right.READ, Right.REPLAY, Right.IMPORT, Right.OVERSEE)
"""Rights of people who meet the names of models, files and servers anyway."""
UNSAID = (
    "Something in the set-up or on the machine is wrong. What it is stands in the app's log, for whoever "
    "looks after this workbench."
)
UNSAID_BLIND = (
    "Something in the set-up of this queue or on the machine is wrong. What it is would name the model, so "
    "it stands in the app's log, for whoever looks after this workbench."
)


def may_know(task: str | None = None) -> bool:
    """Say whether who visits may read what is wrong with the set-up, also where it can't be read at all.

    Args:
        task: On which task; anywhere at all unless given.
    """
    if not access.is_guarded() and who.from_elsewhere():
        return False
    try:
        actor = access.current()
    except WorkbenchError:
        return False
    return actor.may_somewhere(*KNOWING) if task is None else any(actor.may(each, task) for each in KNOWING)


def is_harmless(error: WorkbenchError, workspace: Workspace | None) -> bool:
    """Say whether an error may be read by somebody who is not to know which models and files there are.

    Messages about what a person did are; those about the set-up, the machine or a server are not, nor is
    one that holds a name of it.

    Args:
        error: What happened.
        workspace: Whose names are looked for; None where it can't be read.
    """
    if type(error) not in (UsageError, AccessRefused):
        return False
    if type(error) is AccessRefused:
        return True
    if workspace is None:
        return False
    said = f"{error.message} {error.hint}".casefold()
    return not any(_holds(said, name.casefold()) for name in _names(workspace))


def _names(workspace: Workspace) -> set[str]:
    names = {str(workspace.root), str(workspace.store_path)}
    for each in workspace.config.candidates:
        told = (
            each.name,
            each.model,
            each.revision,
            each.base_url,
            each.outputs,
            each.api_key_env,
            each.parent,
        )
        names |= {str(name) for name in told if name}
    return names


def _holds(said: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said) is not None
