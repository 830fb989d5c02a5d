"""Labels in as files: CSV, JSONL, Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.formats.base import Record, display_name
from workbench.formats.containers import look, records
from workbench.ingest.treated import treatment_of
from workbench.review.argilla import RECORDS
from workbench.review.gold import label_from_gold
from workbench.review.imported_gold import import_gold
from workbench.review.imported_verdicts import VerdictRows
from workbench.review.returning import import_answers, program_behind
from workbench.review.states import Clock, fingerprint_of, utc_now
from workbench.review.tallying import LabelReport, Tally
from workbench.roles import Right
from workbench.store import Store
from workbench.store import labels as rows

FIELDS = (
    "id",
    "gold",
    "verdict",
    "annotator",
    "reasons",
    "note",
    "corrected",
    "draw_probability",
    "time",
)
"""What a mapping may name. A column of the same name is taken where the mapping names none."""


@requires(Right.IMPORT)
def import_labels(
    workspace: Workspace,
    store: Store,
    file: Path | str,
    *,
    task: str,
    candidate: str | None = None,
    mapping: Mapping[str, str] | None = None,
    now: Clock = utc_now,
) -> LabelReport:
    """Import people's verdicts, or gold answers, from CSV, JSONL or Parquet.

    A file of exported annotations from Label Studio, or the folder or records of an Argilla
    dataset, is known by its shape: labels on items that `hand_over` wrote are the queue's own.
    Other imported verdicts are stored and shown; a bound takes them in only under the
    conditions that `scoring` checks. The same file again adds nothing. A file that
    `export_labels` wrote is known by its label ids.

    Args:
        workspace: Names the eval and the candidate.
        store: Where they go.
        file: The file; compressed with gzip or zstd, too.
        task: The task.
        candidate: The candidate the verdicts are about. May be left out for gold
            answers, and where only one candidate was replayed.
        mapping: Field to column: id (native id or call id), verdict, annotator,
            reasons, note, corrected, draw_probability, time; or gold.
        now: The clock.

    Raises:
        UsageError: The file, a column, the task or the candidate is not there.
    """
    path = Path(file)
    workspace.eval_for(task)
    if path.is_dir():
        path = path / RECORDS
    shape = look(path)
    treatment = treatment_of(workspace, store, task)
    tally = Tally(treatment)
    if program := program_behind(shape):
        return import_answers(workspace, store, program, shape, task, tally, treatment, now=now)
    columns = shape.columns or _first_keys(path)
    where = _columns(columns, dict(mapping or {}), display_name(path))
    items = records(shape)
    if "verdict" not in where:
        import_gold(store, task, shape.name, items, where, tally, now, treatment)
        made = label_from_gold(workspace, store, task, candidate, now=now)
        return tally.report(shape.name, "gold", made)
    fingerprint = _fingerprint(workspace, store, task, candidate)
    VerdictRows(store, task, fingerprint, shape.name, where, columns, tally, now, treatment).run(items)
    return tally.report(shape.name, "verdicts")


def _first_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of the first objects of a JSON file, which has no header."""
    keys: dict[str, None] = {}
    for index, item in enumerate(records(look(path))):
        if isinstance(item, Record) and isinstance(item.value, dict):
            keys |= dict.fromkeys(item.value)
        if index >= 100:
            break
    return tuple(keys)


def _columns(columns: tuple[str, ...], mapping: dict[str, str], file: str) -> dict[str, str]:
    for name, column in mapping.items():
        if name not in FIELDS:
            raise UsageError(f"{name!r} is no field of a label.", did_you_mean(name, FIELDS))
        if column not in columns:
            raise UsageError(f"{file} has no column {column!r}.", did_you_mean(column, columns))
    where = {name: name for name in FIELDS if name in columns} | mapping
    if "time" not in where and "created_at" in columns:
        where["time"] = "created_at"
    if "id" not in where and "call_id" in columns:
        where["id"] = "call_id"
    if "id" not in where:
        raise UsageError(f"{file} has no column `id`.", f"Name it: --map id=COLUMN. {_listed(columns)}")
    if "gold" in mapping and "verdict" not in mapping:
        where.pop("verdict", None)
    if "verdict" not in where and "gold" not in where:
        raise UsageError(
            f"{file} has neither verdicts nor gold answers.",
            f"Name the column: --map verdict=COLUMN or --map gold=COLUMN. {_listed(columns)}",
        )
    return where


def _listed(columns: tuple[str, ...]) -> str:
    shown = ", ".join(columns[:20])
    return f"It has: {shown}{', ...' if len(columns) > 20 else ''}." if columns else ""


def _fingerprint(workspace: Workspace, store: Store, task: str, candidate: str | None) -> str:
    if candidate is not None:
        return fingerprint_of(workspace, store, candidate)
    replayed = rows.candidates_replayed(store, task)
    if len(replayed) == 1:
        return replayed[0]
    if not replayed:
        raise UsageError(
            f"Task {task!r} has no replay to label.", f"Run `workbench replay --task {task}` first."
        )
    raise UsageError(
        f"Task {task!r} was replayed through {len(replayed)} candidates.",
        "Say which one the verdicts are about: --candidate NAME.",
    )
