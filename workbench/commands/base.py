"""What every command has: --workspace, --json, errors for people."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench import access
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.roles import all_rights
from workbench.terminal import find_workspace, guarded

if TYPE_CHECKING:
    from workbench.store import Store

F = TypeVar("F", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A finite number in a range: `nan` is in every range, since no bound excludes it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or refuse what is none."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found


POSITIVE = Number(min=0, min_open=True)


def common(function: F) -> F:
    """Give a command what every command has: --workspace, --json, errors for people."""
    wrapped: Any = guarded(_named(function))
    wrapped = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(wrapped)
    return click.option(  # type: ignore[no-any-return]
        "--workspace", metavar="DIR", help="The workspace folder; default: this one or the nearest above."
    )(wrapped)


def _named(function: F) -> F:
    """Let a command act as whoever runs it; one that the app started, as the person it did so for."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        email = os.environ.get(access.ACTING_FOR)
        if email is None:
            access.run_as(all_rights(access.local_name()))
        else:
            config = Workspace.load(find_workspace(kwargs.get("workspace"))).config
            if config.sign_in is None:
                raise UsageError(
                    f"This command was started for {email}, and nobody signs in here any more.",
                    "Start the app anew.",
                )
            access.run_as(config.access.actor(email, verified=access.VERIFIED in os.environ))
        return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def open_workspace(
    workspace: str | None, *, memory_mb: int | None = None, task: str | None = None
) -> tuple[Workspace, Store]:
    """Load the workspace that a command names, or the nearest, and open its store.

    Args:
        workspace: Its folder.
        memory_mb: What the database may take, and more where calls are long.
        task: The one task that the command is about, where it reads no eval but that one's: what is
            wrong with another is no reason not to work, if it says that it is another's.
    """
    space = load_workspace(workspace)
    if task is not None:
        space = replace(space, tolerant=True)
        space.check_tasks_are_told()
    return space, open_store(space, memory_mb=memory_mb)


def load_workspace(workspace: str | None) -> Workspace:
    """Load the workspace that a command names, or the nearest, and act as whoever runs it.

    Args:
        workspace: Its folder.
    """
    space = Workspace.load(find_workspace(workspace))
    if access.ACTING_FOR not in os.environ:
        from workbench.local_name import local_name

        access.run_as(all_rights(local_name(space)))
    return space


def open_store(space: Workspace, *, memory_mb: int | None = None, grows: bool = True) -> Store:
    """Open the store of a workspace.

    Args:
        space: The workspace.
        memory_mb: What the database may take.
        grows: Whether it may take more where calls are long; see `Store.make_room`.
    """
    from workbench.store import Store

    return Store.open(space.store_path, spool=space.spool, memory_mb=memory_mb, grows=grows)
