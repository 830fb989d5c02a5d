"""`workbench judge`: ask a third model which of two answers is better."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.base import POSITIVE, common, open_workspace
from workbench.terminal import emit, progress_listener


@click.command()
@click.option("--task", required=True, help="Whose pairs; its eval.toml names the judge.")
@click.option("--candidate", "candidate_name", required=True, help="Whose answers are judged.")
@click.option("--limit", type=click.IntRange(min=1), help="Pairs in all; a larger one asks for more.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Requests in flight at most.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of asking.")
@click.option("--dry-run", is_flag=True, help="Estimate requests and cost; send nothing.")
@click.option(
    "--budget-usd",
    type=POSITIVE,
    help="Pause when the judge has cost this much on this candidate, by the price table.",
)
@click.option("--budget-minutes", type=POSITIVE, help="Pause after so many minutes.")
@common
def judge(task: str, candidate_name: str, workspace: str | None, as_json: bool, **options: Any) -> None:
    """Ask a judge for pairs of answers, blind and in both orders. It explains, and moves no traffic."""
    from workbench.replay.judge import judge as run

    space, store = open_workspace(workspace)
    with store, progress_listener() as listener:
        report = run(space, store, task, candidate_name, **options, listener=listener)
    emit(report, as_json=as_json, text=report.text)
    if report.exit_code:
        raise SystemExit(report.exit_code)
