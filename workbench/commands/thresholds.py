"""`workbench thresholds`: from which confidence on a candidate may answer alone."""

from __future__ import annotations

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit


@click.command()
@click.option("--task", required=True, help="Whose calls are looked at.")
@click.option("--candidate", "candidate_name", required=True, help="Whose confidence.")
@click.option(
    "--signal", help="label_margin, token_quantile or sample_agreement; the first that most answers have."
)
@click.option(
    "--budget-mode",
    is_flag=True,
    help="Bound the share of all calls that are routed and harmed, not the harm among the routed.",
)
@click.option(
    "--planned-labels",
    type=click.IntRange(min=20),
    help="Labels (or compared calls) there will be in all, fixed before the first look.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the two halves.")
@common
def thresholds(
    task: str,
    candidate_name: str,
    signal: str | None,
    budget_mode: bool,
    planned_labels: int | None,
    seed: int,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Find the lowest confidence from which a candidate's answers are proven to be good enough."""
    from workbench.scoring.thresholds import thresholds as run

    space, store = open_workspace(workspace)
    with store:
        report = run(
            space,
            store,
            task,
            candidate_name,
            signal=signal,
            budget_mode=budget_mode,
            planned_labels=planned_labels,
            seed=seed,
        )
    emit(report, as_json=as_json, text=report.text)
