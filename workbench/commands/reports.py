"""`workbench report`: one file that says what moves, how sure that is, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.commands.base import common, open_workspace
from workbench.errors import UsageError
from workbench.terminal import emit, parse_share, progress_listener

if TYPE_CHECKING:
    from workbench.report import PortfolioReport, Report


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--task", help="Which task; with --candidate.")
@click.option("--candidate", "candidate_name", help="Which candidate; with --task.")
@click.option("--portfolio", is_flag=True, help="Report on all tasks together instead.")
@click.option("--current-share", help="Share it serves now, such as 5%; default: what is in force.")
@common
def report(
    file: Path | None,
    task: str | None,
    candidate_name: str | None,
    portfolio: bool,
    current_share: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Write a report on a candidate, or on all tasks, to FILE (.html or .md), or print it as Markdown."""
    from workbench.report import (
        as_markdown,
        gather_portfolio,
        gather_report,
        portfolio_markdown,
        write_report,
    )

    found: Report | PortfolioReport
    if portfolio:
        if task or candidate_name or current_share is not None:
            raise UsageError(
                "--portfolio is about all tasks.", "Leave --task, --candidate and --current-share out."
            )
        space, store = open_workspace(workspace)
        with store, progress_listener() as listener:
            found = gather_portfolio(space, store, listener=listener)
        text = portfolio_markdown(found)
    else:
        if not task or not candidate_name:
            raise UsageError(
                "A report is about a task and a candidate.", "Give --task and --candidate, or --portfolio."
            )
        share = None if current_share is None else parse_share(current_share)
        space, store = open_workspace(workspace)
        with store:
            found = gather_report(space, store, task, candidate_name, current_share=share)
        text = as_markdown(found)
    if file is not None:
        write_report(found, file)
    emit(found, as_json=as_json, text=text if file is None else f"Wrote {file}.")
