"""`workbench label import|export|gold`: labels, items and right answers as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands.base import Number, common, open_workspace
from workbench.terminal import emit, parse_mapping

TABLES = ("csv", "jsonl", "parquet")
PROGRAMS = ("argilla", "label-studio")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", required=True)
@click.option(
    "--candidate",
    "candidate_name",
    help="Whom verdicts are about; needed where several answered the task. Gold answers serve all.",
)
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="id with verdict (annotator, reasons, note, corrected, draw_probability, time), or id with gold.",
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
    """Import verdicts or gold answers (CSV, JSONL, Parquet), or answers from Argilla or Label Studio.

    A verdict is candidate_better, control_better, equal or both_bad. Rows that can't be taken are
    listed with their line and the reason; the others come in.
    """
    from workbench.review import import_labels

    space, store = open_workspace(workspace)
    with store:
        mapping = parse_mapping(pairs) or None
        report = import_labels(space, store, file, task=task, candidate=candidate_name, mapping=mapping)
    emit(report, as_json=as_json, text=report.text)


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task")
@click.option("--candidate", "candidate_name")
@click.option(
    "--to",
    type=click.Choice([*TABLES, *PROGRAMS]),
    help="Labels as a table; or items for another program, into the folder FILE.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Items to draw for another program.",
)
@click.option(
    "--days",
    type=Number(min=0, max=365, min_open=True),
    default=14.0,
    show_default=True,
    help="How long they may take.",
)
@click.option("--again", is_flag=True, help="Write the items that are out once more instead of drawing.")
@common
def label_export(
    file: Path,
    task: str | None,
    candidate_name: str | None,
    to: str | None,
    limit: int,
    days: float,
    again: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Write labels with their provenance to FILE, or items for Argilla or Label Studio into a folder.

    Files only: nothing is sent anywhere.
    """
    from workbench.review import export_labels, hand_over

    if to in PROGRAMS and not (task and candidate_name):
        raise click.UsageError("Items for another program need --task and --candidate.")
    space, store = open_workspace(workspace)
    with store:
        if to in PROGRAMS and task and candidate_name:
            report = hand_over(
                space, store, task, candidate_name, file, to=to or "", limit=limit, days=days, again=again
            )
            emit(report, as_json=as_json, text=report.text)
            return
        count = export_labels(space, store, file, task=task, candidate=candidate_name, form=to)
    emit({"labels": count, "file": str(file)}, as_json=as_json, text=f"Wrote {count:,} labels to {file}.")


@click.command("gold")
@click.option("--task", required=True)
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="Default: gold.jsonl in the eval's folder."
)
@click.option(
    "--training", type=click.Path(path_type=Path), help="Write them to this file, too, as chats to train on."
)
@common
def label_gold(
    task: str, path: Path | None, training: Path | None, workspace: str | None, as_json: bool
) -> None:
    """Write the right answers that labels gave to evals/TASK/gold.jsonl, and label by them."""
    from workbench.review import label_from_gold, write_gold_set, write_training_set

    space, store = open_workspace(workspace)
    with store:
        report = write_gold_set(space, store, task, path)
        made = label_from_gold(space, store, task)
        chats = write_training_set(space, store, task, training) if training else None
    text = report.text + (f" They gave {made:,} labels." if made else "")
    document: dict[str, Any] = {
        "path": report.path,
        "answers": report.answers,
        "origins": report.origins,
        "labels": made,
    }
    if chats is not None:
        document["training"] = {"path": chats.path, "chats": chats.answers}
        if chats.answers:
            text += f"\nWrote {chats.answers:,} chats to train on to {chats.path}."
            text += "\nA model trained on them must be evaluated on other calls."
    emit(document, as_json=as_json, text=text)


COMMANDS = (label_import, label_export, label_gold)
