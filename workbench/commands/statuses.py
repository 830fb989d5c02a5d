"""`workbench status`: where a workspace stands, and what to do next."""

from __future__ import annotations

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit, progress_listener


@click.command()
@common
def status(workspace: str | None, as_json: bool) -> None:
    """Say how far the way to a recommendation is done, where each task stands, and the next step."""
    from workbench.journey import journey

    space, store = open_workspace(workspace)
    with store, progress_listener() as listener:
        found = journey(space, store, listener=listener)
    emit(found, as_json=as_json, text=found.text)
