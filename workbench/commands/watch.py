"""`workbench watch`: has anything changed since a candidate was evaluated?"""

from __future__ import annotations

from datetime import datetime

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit, parse_share, progress_listener


@click.command()
@click.option("--task", required=True, help="Whose new calls are looked at.")
@click.option("--candidate", "candidate_name", required=True, help="Whose evaluation.")
@click.option(
    "--since",
    type=click.DateTime(),
    help="Imports after this (UTC) are new; default: since the first sample, or the last fall of the share.",
)
@click.option("--current-share", help="Share it serves now, such as 5%; default: what is in force.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the permutations."
)
@common
def watch(
    task: str,
    candidate_name: str,
    since: datetime | None,
    current_share: str | None,
    seed: int,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Look for drift in what was imported after the evaluation: outcomes, mix, content.

    What it finds of mix and content counts in every recommendation until the newer calls carry the share or
    a look at enough calls shows that it is gone; with --since or --seed it is only shown.
    """
    from workbench.scoring.watching import watch as run

    share = None if current_share is None else parse_share(current_share)
    space, store = open_workspace(workspace)
    with store, progress_listener() as listener:
        report = run(
            space,
            store,
            task,
            candidate_name,
            since=since,
            current_share=share,
            seed=seed,
            listener=listener,
        )
    emit(report, as_json=as_json, text=report.text)
