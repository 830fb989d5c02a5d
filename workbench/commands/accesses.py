"""`workbench access`: who read or took out the text of calls."""

from __future__ import annotations

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit


@click.command("access")
@click.option("--person", metavar="NAME", help="Only this e-mail address or name.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Entries at most.")
@common
def access_command(person: str | None, limit: int, workspace: str | None, as_json: bool) -> None:
    """List who read or exported the text of calls, newest first; never the text itself."""
    from workbench.settings import access_log

    space, store = open_workspace(workspace)
    with store:
        found = access_log(space, store, limit=limit, actor=person)
    lines = [
        f"{each.created_at:%Y-%m-%d %H:%M:%S}  {each.actor}{'' if each.signed_in else ' (this machine)'}  "
        f"{each.kind}  {each.task or '-'}  {each.calls:,} call{'' if each.calls == 1 else 's'}"
        for each in found
    ]
    emit(found, as_json=as_json, text="\n".join(lines) or "Nobody has read or exported the text of a call.")
