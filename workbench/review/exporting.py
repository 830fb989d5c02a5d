"""Labels out as files: CSV, JSONL, Parquet."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.normal import csv_cell
from workbench.review.gold_sets import write_whole
from workbench.review.states import fingerprint_of
from workbench.roles import Right
from workbench.store import Store, accesses
from workbench.store import labels as rows

COLUMNS = (
    "label_id",
    "id",
    "call_id",
    "replay_id",
    "task",
    "candidate",
    "verdict",
    "annotator",
    "reasons",
    "note",
    "corrected",
    "control_right",
    "candidate_right",
    "control_wrong",
    "candidate_wrong",
    "source",
    "skipped",
    "shown_order",
    "draw_id",
    "plan",
    "position",
    "stratum",
    "stratum_share",
    "draw_probability",
    "weight",
    "weight_max",
    "evaluator_version",
    "guideline_version",
    "guidelines",
    "drawn_at",
    "created_at",
)
"""The columns of an exported file, in order."""


@requires(Right.EXPORT)
def export_labels(
    workspace: Workspace,
    store: Store,
    path: Path | str,
    *,
    task: str | None = None,
    candidate: str | None = None,
    form: str | None = None,
) -> int:
    """Write standing labels and skips with all that is known of how they came about.

    The file appears complete or not at all. In CSV, texts that a spreadsheet would
    run as a formula start with an apostrophe; `import_labels` takes it off again.

    Args:
        workspace: Names the candidate.
        store: Where the labels are.
        path: Where to write: .csv, .jsonl or .parquet.
        task: Only this task's; None for all.
        candidate: Only this candidate's; None for all.
        form: csv, jsonl or parquet; what the suffix says unless given.

    Returns:
        How many labels were written.

    Raises:
        UsageError: The suffix is another one, the task or candidate is not known, or the
            file can't be written.
    """
    target = Path(path)
    writers = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
    suffix = f".{form}" if form else target.suffix.lower()
    if suffix not in writers:
        raise UsageError(
            f"{target}: can't write {target.suffix or 'a file without a suffix'}.",
            "Use .csv, .jsonl or .parquet.",
        )
    if task is not None:
        workspace.eval_for(task)
    fingerprint = fingerprint_of(workspace, store, candidate) if candidate else None
    found = rows.export_rows(store, task, fingerprint)
    _fill_in(workspace, found)
    accesses.exported(store, accesses.Kind.EXPORT_LABELS, task, len({row["call_id"] for row in found}))
    content = io.BytesIO()
    writers[suffix](content, found)
    write_whole(target, content.getvalue())
    return len(found)


def _fill_in(workspace: Workspace, found: list[dict[str, Any]]) -> None:
    """Give labels from before guidelines were kept the text that stands, where it is of their version."""
    for row in found:
        config = workspace.every_eval.get(row["task"])
        if row["guidelines"] is None and config and row["guideline_version"] == config.guideline_version:
            row["guidelines"] = config.guidelines


def _write_csv(file: Any, found: list[dict[str, Any]]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([csv_cell(row[name]) for name in COLUMNS] for row in found)
    text.flush()
    text.detach()


def _write_jsonl(file: Any, found: list[dict[str, Any]]) -> None:
    for row in found:
        file.write(msgspec.json.encode({name: row[name] for name in COLUMNS}) + b"\n")


_STAMP = pa.timestamp("us", tz="UTC")
_TYPES = {
    "reasons": pa.list_(pa.string()),
    "skipped": pa.bool_(),
    "control_right": pa.bool_(),
    "candidate_right": pa.bool_(),
    "control_wrong": pa.list_(pa.string()),
    "candidate_wrong": pa.list_(pa.string()),
    "position": pa.int64(),
    "stratum_share": pa.float64(),
    "draw_probability": pa.float64(),
    "weight": pa.float64(),
    "weight_max": pa.float64(),
    "drawn_at": _STAMP,
    "created_at": _STAMP,
}


def _write_parquet(file: Any, found: list[dict[str, Any]]) -> None:
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
    plain = [{name: row[name] for name in COLUMNS} for row in found]
    pq.write_table(pa.Table.from_pylist(plain, schema=schema), file)
