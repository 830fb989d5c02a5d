"""`workbench slices`: where a candidate does worst, and a rule that keeps such calls away from it."""

from __future__ import annotations

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit, progress_listener


@click.command()
@click.option("--task", required=True, help="Whose calls are looked at.")
@click.option("--candidate", "candidate_name", required=True, help="Whose answers.")
@click.option("--rule", is_flag=True, help="Learn a rule for routing instead, and prove it on other calls.")
@click.option(
    "--similar/--no-similar", default=True, show_default=True, help="Group similar inputs, by embeddings."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of clusters and halves.")
@common
def slices(
    task: str,
    candidate_name: str,
    rule: bool,
    similar: bool,
    seed: int,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Find the slices of a task in which a candidate does worst, without anyone declaring them."""
    from workbench.scoring.found import found_slices, routing_rule

    space, store = open_workspace(workspace)
    with store, progress_listener() as listener:
        report = (
            routing_rule(space, store, task, candidate_name, seed=seed)
            if rule
            else found_slices(
                space, store, task, candidate_name, similar=similar, seed=seed, listener=listener
            )
        )
    emit(report, as_json=as_json, text=report.text)
