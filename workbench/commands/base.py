"""What every command has: --workspace, --json, errors for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench.config import Workspace
from workbench.terminal import find_workspace, guarded

if TYPE_CHECKING:
    from workbench.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def common(function: F) -> F:
    """Give a command what every command has: --workspace, --json, errors for people."""
    wrapped: Any = guarded(function)
    wrapped = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(wrapped)
    return click.option(  # type: ignore[no-any-return]
        "--workspace", metavar="DIR", help="The workspace folder; default: this one or the nearest above."
    )(wrapped)


def open_workspace(workspace: str | None) -> tuple[Workspace, Store]:
    """Load the workspace that a command names, or the nearest, and open its store."""
    from workbench.store import Store

    space = Workspace.load(find_workspace(workspace))
    return space, Store.open(space.store_path, spool=space.spool)
