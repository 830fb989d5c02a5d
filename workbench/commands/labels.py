"""`workbench label`: what people said of the outputs."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit, parse_mapping


@click.group()
def label() -> None:
    """What people said of the outputs."""


@label.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", required=True)
@click.option(
    "--candidate", "candidate_name", help="Needed for verdicts; gold answers serve every candidate."
)
@click.option(
    "--map", "pairs", multiple=True, metavar="FIELD=PATH", help="id, verdict, annotator, ... or gold."
)
@common
def label_import(
    file: Path,
    task: str,
    candidate_name: str | None,
    pairs: tuple[str, ...],
    workspace: str | None,
    as_json: bool,
) -> None:
    """Import verdicts of people, or gold answers, from CSV, JSONL or Parquet."""
    from workbench.review import import_labels

    space, store = open_workspace(workspace)
    with store:
        mapping = parse_mapping(pairs) or None
        report = import_labels(space, store, file, task=task, candidate=candidate_name, mapping=mapping)
    emit(report, as_json=as_json, text=report.text)


@label.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task")
@click.option("--candidate", "candidate_name")
@common
def label_export(
    file: Path, task: str | None, candidate_name: str | None, workspace: str | None, as_json: bool
) -> None:
    """Write labels with their provenance to FILE (.csv, .jsonl or .parquet)."""
    from workbench.review import export_labels

    space, store = open_workspace(workspace)
    with store:
        count = export_labels(space, store, file, task=task, candidate=candidate_name)
    emit({"labels": count, "file": str(file)}, as_json=as_json, text=f"Wrote {count:,} labels to {file}.")
