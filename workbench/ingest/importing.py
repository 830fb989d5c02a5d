"""One import, from files to a committed manifest.

accepted + joined + rejected + skipped + conflicts + blank = records, always. An import
is invisible until its manifest is committed; the same file again adds nothing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.checks import NAME_PATTERN
from workbench.config import Workspace, file_hash
from workbench.errors import UsageError
from workbench.formats import (
    AUTO,
    Blank,
    Draft,
    Feedback,
    Joiner,
    OutputDraft,
    Passed,
    Source,
    log_files,
    open_source,
)
from workbench.formats.base import Item
from workbench.ingest.report import REJECTS_KEPT, REJECTS_SHOWN, ImportReport
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import RowMaker, default_source
from workbench.progress import Listener, Progress, silent
from workbench.records import Rejected, to_json

if TYPE_CHECKING:
    from workbench.store import Store
    from workbench.store.imported_labels import LoadedLabels
    from workbench.store.imports import Loaded

_REPORT_EVERY = 2_000
_QUOTED = re.compile(r"'[^']*'|\d+")


def import_files(
    workspace: Workspace,
    store: Store,
    files: Iterable[Path | str],
    *,
    format: str = AUTO,
    task: str | None = None,
    source: str | None = None,
    mapping: Mapping[str, str] | None = None,
    sampling_rate: float | None = None,
    dry_run: bool = False,
    listener: Listener = silent,
) -> ImportReport:
    """Import call logs.

    Args:
        workspace: Its evals say which calls belong to which task.
        store: Where the calls go.
        files: Files, folders or patterns, read in this order; a Batch output may come before
            its input.
        format: auto, or the name of a format.
        task: Of every call; else the evals' rules and the log's own metadata decide.
        source: Name of the export; task and format unless given.
        mapping: Field to column or JSON path, for tables.
        sampling_rate: Share of traffic that was logged, 0 to 1; None if unknown.
        dry_run: Whether to count only.
        listener: Is told where it stands.

    Returns:
        The counts of every source record, and what the accepted calls hold.

    Raises:
        UsageError: An argument or a file is wrong; nothing is imported.
    """
    from workbench.store import imported_labels, imports
    from workbench.store.staging import Staging

    names_given = list(files)
    check_arguments(names_given, task, source, sampling_rate)
    sources = open_sources(names_given, format, mapping)
    names = {each.format.name: source or default_source(task, each.format.name) for each in sources}
    report = ImportReport(
        manifest_id=f"import-{uuid.uuid4().hex[:12]}",
        task=task,
        source=", ".join(sorted(set(names.values()))),
        format=", ".join(sorted({each.format.name for each in sources})),
        dry_run=dry_run,
    )
    router = TaskRouter(workspace.evals.values(), task)
    rejects: list[Rejected] = []
    with (
        Staging(store.spool, report.manifest_id or "") as staging,
        Staging(store.spool, "", imported_labels.STAGED, inside=staging) as labels,
    ):
        maker = RowMaker(staging.add, router, sampling_rate, add_label=labels.add)
        joiner = Joiner()
        for each in sources:
            _read_file(each, names[each.format.name], joiner, maker, report, rejects, listener)
        for item, name in joiner.finish():
            _take(item, name, maker, report, rejects)
        staging.flush()
        labels.flush()
        now = datetime.now(UTC)

        def tick(done: int) -> None:
            listener(Progress("storing", done, staging.rows, "records"))

        try:
            with store.writing() as writer:
                loaded = imports.load_staged(
                    writer,
                    staging,
                    report.manifest_id or "",
                    now,
                    orphan_limit=max(REJECTS_KEPT - len(rejects), 0),
                    tick=tick,
                )
                added = imported_labels.load_staged(
                    writer, labels, report.manifest_id or "", limit=max(REJECTS_KEPT - len(rejects), 0)
                )
                _complete(report, loaded, added, rejects)
                if dry_run:
                    raise _DryRun
                imports.append_rejects(writer, report.manifest_id or "", rejects)
                imports.append_manifest(writer, _manifest(report, sampling_rate, now))
        except _DryRun:
            report.manifest_id = None
    return report


class _DryRun(Exception):
    """Leaves the transaction without a commit."""


def _read_file(
    source: Source,
    source_name: str,
    joiner: Joiner,
    maker: RowMaker,
    report: ImportReport,
    rejects: list[Rejected],
    listener: Listener,
) -> None:
    maker.next_file()
    before = report.records
    for item in source.items():
        report.records += 1 + (item.parts if isinstance(item, Draft | Passed) else 0)
        for settled, name in joiner.take(item, source_name):
            _take(settled, name, maker, report, rejects)
        if report.records % _REPORT_EVERY == 0:
            listener(Progress("reading", report.records, None, "records", source.name))
    listener(Progress("reading", report.records, None, "records", source.name))
    path = source.shape.path
    report.files.append(
        {
            "name": source.name,
            "bytes": path.stat().st_size,
            "sha256": file_hash(path),
            "format": source.format.name,
            "because": source.because,
            "records": report.records - before,
        }
    )


def _take(
    item: Item, source_name: str, maker: RowMaker, report: ImportReport, rejects: list[Rejected]
) -> None:
    if isinstance(item, Draft):
        maker.call(item, source_name)
        for label in item.feedback:
            maker.label(label, source_name, is_record=False)
    elif isinstance(item, OutputDraft):
        maker.output(item, source_name)
    elif isinstance(item, Feedback):
        maker.label(item, source_name, is_record=True)
    elif isinstance(item, Passed):
        report.skipped += 1 + item.parts
        report.skip_reasons[item.reason] = report.skip_reasons.get(item.reason, 0) + 1 + item.parts
        for label in item.feedback:
            maker.label(label, source_name, is_record=False)
    elif isinstance(item, Blank):
        report.blank += 1
    elif isinstance(item, Rejected):
        report.rejected += 1
        reason = _QUOTED.sub("…", item.reason)
        if len(report.reject_reasons) < 100 or reason in report.reject_reasons:
            report.reject_reasons[reason] = report.reject_reasons.get(reason, 0) + 1
        else:
            report.reject_reasons["other"] = report.reject_reasons.get("other", 0) + 1
        if len(rejects) < REJECTS_KEPT:
            rejects.append(item)


def _complete(report: ImportReport, loaded: Loaded, labels: LoadedLabels, rejects: list[Rejected]) -> None:
    parts = loaded.parts
    report.accepted = loaded.counts.get("accepted", 0)
    # The parts of a new call joined it; those of a call that is known already are known, too.
    report.joined = loaded.counts.get("joined", 0) + parts.get("accepted", 0) + parts.get("joined", 0)
    report.joined += labels.records.get("new", 0)
    report.skipped += loaded.counts.get("skipped", 0) + parts.get("skipped", 0)
    report.skipped += labels.records.get("known", 0)
    report.conflicts = loaded.counts.get("conflict", 0) + parts.get("conflict", 0)
    report.conflicts += labels.records.get("conflict", 0)
    report.labels, report.labels_without_call = labels.names, labels.without_call
    rejects.extend(labels.conflicts)
    report.rejected += loaded.rejected
    if loaded.rejected:
        reason = _QUOTED.sub("…", loaded.rejects[0].reason) if loaded.rejects else "no request with this id"
        report.reject_reasons[reason] = report.reject_reasons.get(reason, 0) + loaded.rejected
    rejects.extend(loaded.rejects)
    report.rejects = rejects[:REJECTS_SHOWN]
    report.reject_reasons = dict(sorted(report.reject_reasons.items(), key=lambda pair: -pair[1]))
    for name in ("gold", "marks", "tokens", "models", "languages", "tasks", "first_at", "last_at"):
        setattr(report, name, getattr(loaded, name))
    report.open_conflicts = loaded.open_conflicts


def _manifest(report: ImportReport, sampling_rate: float | None, now: datetime) -> dict[str, Any]:
    return {
        "manifest_id": report.manifest_id,
        "created_at": now,
        "task": report.task,
        "source": report.source,
        "format": report.format,
        "files": msgspec.json.encode(report.files).decode(),
        "sampling_rate": sampling_rate,
        "report": to_json(report).decode(),
    }


def open_sources(names: Sequence[Path | str], format: str, mapping: Mapping[str, str] | None) -> list[Source]:
    """Settle how every file is read; those that add to the calls of others come first.

    Raises:
        UsageError: A name stands for no file, or a file is no log.
    """
    sources = [open_source(path, format, mapping) for path in log_files(names)]
    return sorted(sources, key=lambda each: not each.early)


def check_arguments(
    paths: Sequence[Path | str], task: str | None, source: str | None, sampling_rate: float | None
) -> None:
    """Check what a person typed.

    Raises:
        UsageError: An argument is wrong.
    """
    if not paths:
        raise UsageError("No file to import.", "Name at least one file.")
    if task is not None and not NAME_PATTERN.fullmatch(task):
        raise UsageError(f"{task!r} is no name for a task.", "Use letters, digits, dot, dash, underscore.")
    if source is not None and (not source.strip() or len(source) > 200 or not source.isprintable()):
        raise UsageError(f"{source[:50]!r} is no name for a source.", "Use a short name such as `prod-eu`.")
    if sampling_rate is not None and not 0 < sampling_rate <= 1:
        raise UsageError(
            f"The sampling rate {sampling_rate} is not a share of traffic.", "Use 10% or 0.1, up to 100%."
        )
