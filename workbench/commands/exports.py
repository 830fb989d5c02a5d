"""`workbench export`: what leaves the workspace as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from workbench.commands.base import common, open_workspace
from workbench.errors import UsageError
from workbench.terminal import emit, progress_listener


@click.group()
def export() -> None:
    """Write files for other programs."""


@export.command("batch")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", required=True, help="Whose calls are exported.")
@click.option("--candidate", "candidate_name", required=True, help="Who is to answer.")
@click.option("--limit", type=click.IntRange(min=1), help="Calls to export; a larger one grows the sample.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the drawn sample.")
@click.option("--new", is_flag=True, help="Draw another sample instead of growing the last.")
@click.option(
    "--missing-from",
    type=click.Path(path_type=Path),
    metavar="OUTPUTS",
    help="Only calls without an answer in this output file.",
)
@click.option(
    "--max-lines", type=click.IntRange(min=1), default=50_000, show_default=True, help="Lines of one file."
)
@click.option(
    "--max-mb", type=click.IntRange(min=1), default=200, show_default=True, help="Size of one file, in MB."
)
@common
def export_batch(
    file: Path,
    task: str,
    candidate_name: str,
    limit: int | None,
    seed: int,
    new: bool,
    missing_from: Path | None,
    max_lines: int,
    max_mb: int,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Write a candidate's requests as input of `vllm run-batch` or OpenAI's Batch API. Sends nothing."""
    from workbench.replay.batch_export import export_batch as run

    space, store = open_workspace(workspace)
    with store, progress_listener() as listener:
        report = run(
            space,
            store,
            file,
            task,
            candidate_name,
            limit=limit,
            seed=seed,
            new=new,
            missing_from=missing_from,
            max_lines=max_lines,
            max_bytes=max_mb * 1_000_000,
            listener=listener,
        )
    emit(report, as_json=as_json, text=report.text)


@export.command("ramp")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--task", help="One task; default: all.")
@click.option("--candidate", "candidate_name", help="One candidate; default: all.")
@common
def export_ramp(
    file: Path | None, task: str | None, candidate_name: str | None, workspace: str | None, as_json: bool
) -> None:
    """Write what was accepted for a gateway to FILE as JSON, or print it. A recommendation is no decision."""
    from workbench.rollout import export_ramp as run
    from workbench.rollout import write_ramp

    space, store = open_workspace(workspace)
    with store:
        found = run(space, store, task, candidate_name)
    text = found.text
    if file is not None:
        write_ramp(found, file)
        text += f"\nWrote {file}."
    emit(found, as_json=as_json, text=text)


@export.command("table")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", help="Whose rows, where the table is about one task.")
@click.option("--candidate", "candidate_name", help="Whose answers, where the table is about one candidate.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="FILTER=VALUE",
    help="Only these rows, in the words of a link to the page: verdict=mismatch. Repeatable.",
)
@click.option(
    "--form", type=click.Choice(["csv", "parquet"]), help="What the file's suffix says unless given."
)
@common
def export_table(
    name: str,
    file: Path,
    task: str | None,
    candidate_name: str | None,
    conditions: Sequence[str],
    form: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Write a table of the app whole, as CSV or Parquet.

    Tables: overview, cases, confusion, agreement, similarity, judge, slices, found-slices, slice-map,
    replays, errors, recommendation, decisions, label-moves, latencies, thresholds, my-labels, workloads,
    suitability, calls, costs, prices, imports, rejects.
    """
    from workbench.exporting import Asked
    from workbench.exporting import export_table as run

    filters = {}
    for each in conditions:
        word, equals, value = each.partition("=")
        if not equals or not word:
            raise UsageError(f"--where {each!r} has no value.", "Write it as FILTER=VALUE.")
        filters[word] = value
    space, store = open_workspace(workspace)
    with store:
        report = run(space, store, name, file, Asked(task, candidate_name, filters), form=form)
    emit(report, as_json=as_json, text=report.text)
