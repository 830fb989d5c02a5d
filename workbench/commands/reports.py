"""`workbench report`: one file that says what moves, how sure that is, and why."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit, parse_share


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--task", required=True)
@click.option("--candidate", "candidate_name", required=True)
@click.option("--current-share", default="0%", show_default=True, help="Share it serves now, such as 5%.")
@common
def report(
    file: Path | None,
    task: str,
    candidate_name: str,
    current_share: str,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Write a report on a candidate to FILE (.html or .md), or print it as Markdown."""
    from workbench.report import as_markdown, gather_report, write_report

    share = parse_share(current_share)
    space, store = open_workspace(workspace)
    with store:
        found = gather_report(space, store, task, candidate_name, current_share=share)
    if file is not None:
        write_report(found, file)
    emit(found, as_json=as_json, text=as_markdown(found) if file is None else f"Wrote {file}.")
