"""What whoever works at this machine is called, where nobody signs in."""

from __future__ import annotations

import os
from pathlib import Path

from workbench import access
from workbench.access import MAX_NAME_CHARS, requires
from workbench.config import CONFIG_NAME, Workspace
from workbench.errors import UsageError
from workbench.roles import Right
from workbench.writing import replace_text


def name_file(workspace: Workspace) -> Path:
    """Return the file that holds what whoever works at this machine wants to be called."""
    return workspace.store_path.with_name(workspace.store_path.name + ".name")


def local_name(workspace: Workspace) -> str:
    """Return the name of whoever works at this machine: WORKBENCH_NAME, the one set, or the login name."""
    if os.environ.get(access.NAME_VARIABLE, "").strip():
        return access.local_name()
    try:
        kept = name_file(workspace).read_text(encoding="utf-8")[:MAX_NAME_CHARS].strip()
    except (OSError, ValueError):
        kept = ""
    return kept if kept and kept.isprintable() else access.local_name()


@requires(Right.OVERSEE, task=None)
def set_local_name(workspace: Workspace, name: str) -> str:
    """Keep what whoever works at this machine wants to be called.

    Args:
        workspace: Where it is kept; people who sign in have their own names.
        name: Up to 80 characters; empty for the login name again.

    Returns:
        The name that counts from now on.

    Raises:
        UsageError: It is too long or holds what can't be shown, or people sign in here.
    """
    cleaned = name.strip()
    if workspace.config.sign_in is not None:
        raise UsageError(
            "People sign in here, and are called by their address.", f"See {workspace.root / CONFIG_NAME}."
        )
    if len(cleaned) > MAX_NAME_CHARS or not cleaned.isprintable():
        raise UsageError(
            "This can't be a name in the access log.", f"Use up to {MAX_NAME_CHARS} characters of one line."
        )
    if cleaned:
        replace_text(name_file(workspace), cleaned)
    else:
        name_file(workspace).unlink(missing_ok=True)
    return local_name(workspace)
