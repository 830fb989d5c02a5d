"""`workbench replay`: ask candidates what the frontier model was asked."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit, progress_listener


@click.command()
@click.option("--task", required=True)
@click.option("--candidate", "candidate_name", required=True)
@click.option("--limit", type=click.IntRange(min=1), help="Calls to replay; a larger one grows the sample.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Requests in flight at most.")
@click.option("--repeats", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the drawn sample.")
@click.option("--new", is_flag=True, help="Start another replay instead of going on with the last.")
@click.option("--dry-run", is_flag=True, help="Estimate time and cost; send nothing.")
@common
def replay(
    task: str,
    candidate_name: str,
    workspace: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Send a task's recorded requests to a candidate. The same command again resumes."""
    from workbench.replay import replay as run

    space, store = open_workspace(workspace)
    with store, progress_listener() as listener:
        report = run(space, store, task, candidate_name, listener=listener, **options)
    emit(report, as_json=as_json, text=report.text)
