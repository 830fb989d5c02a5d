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
from workbench.formats import AUTO, Blank, Draft, OutputDraft, Source, open_source
from workbench.formats.base import Item
from workbench.ingest.redacting import Redaction, check_treatment, redaction_of
from workbench.ingest.report import REJECTS_KEPT, REJECTS_SHOWN, ImportReport
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import RowMaker, default_source
from workbench.progress import Listener, Progress, silent
from workbench.records import Rejected, to_json

if TYPE_CHECKING:
    from workbench.store import Store
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
    redact: bool = False,
    redact_model: str | None = None,
    dry_run: bool = False,
    listener: Listener = silent,
) -> ImportReport:
    """Import call logs.

    Args:
        workspace: Its evals say which calls belong to which task.
        store: Where the calls go.
        files: Read in this order; a Batch output may come before its input.
        format: auto, or the name of a format.
        task: Of every call; else the evals' rules and the log's own metadata decide.
        source: Name of the export; task and format unless given.
        mapping: Field to column or JSON path, for tables.
        sampling_rate: Share of traffic that was logged, 0 to 1; None if unknown. A rate that a
            record itself carries goes before.
        redact: Replace personal data by placeholders before anything is stored.
        redact_model: A spaCy model by which names are redacted too; implies `redact`.
        dry_run: Whether to count only.
        listener: Is told where it stands.

    Returns:
        The counts of every source record, and what the accepted calls hold.

    Raises:
        UsageError: An argument or a file is wrong; nothing is imported.
    """
    from workbench.store import imports
    from workbench.store.staging import Staging

    paths = [Path(each) for each in files]
    check_arguments(paths, task, source, sampling_rate)
    sources = [open_source(path, format, mapping) for path in paths]
    names = {each.format.name: source or default_source(task, each.format.name) for each in sources}
    redaction = redaction_of(workspace, redact_model) if redact or redact_model else None
    check_treatment(store, list(names.values()), redaction)
    report = ImportReport(
        manifest_id=f"import-{uuid.uuid4().hex[:12]}",
        task=task,
        source=", ".join(sorted(set(names.values()))),
        format=", ".join(sorted({each.format.name for each in sources})),
        dry_run=dry_run,
    )
    router = TaskRouter(workspace.evals.values(), task)
    rejects: list[Rejected] = []
    with Staging(store.spool, report.manifest_id or "") as staging:
        maker = RowMaker(staging.add, router, sampling_rate)
        for each in sources:
            _read_file(each, names[each.format.name], maker, report, rejects, listener, redaction)
        staging.flush()
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
                _complete(report, loaded, rejects)
                if redaction is not None:
                    report.redacted = dict(redaction.found.most_common())
                if dry_run:
                    raise _DryRun
                imports.append_rejects(writer, report.manifest_id or "", rejects)
                imports.append_manifest(writer, _manifest(report, sampling_rate, now, redaction))
        except _DryRun:
            report.manifest_id = None
    return report


class _DryRun(Exception):
    """Leaves the transaction without a commit."""


def _read_file(
    source: Source,
    source_name: str,
    maker: RowMaker,
    report: ImportReport,
    rejects: list[Rejected],
    listener: Listener,
    redaction: Redaction | None,
) -> None:
    maker.next_file()
    before = report.records
    for item in source.items():
        report.records += 1
        item = item if redaction is None else redaction(item)
        _take(item, source_name, maker, report, rejects)
        if report.records % _REPORT_EVERY == 0:
            listener(Progress("reading", report.records, None, "records", source.name))
    listener(Progress("reading", report.records, None, "records", source.name))
    path = source.shape.path
    report.files.append(
        {
            "name": source.name if redaction is None else redaction.text(source.name),
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
    elif isinstance(item, OutputDraft):
        maker.output(item, source_name)
    elif isinstance(item, Blank):
        report.blank += 1
    else:
        report.rejected += 1
        reason = _QUOTED.sub("…", item.reason)
        if len(report.reject_reasons) < 100 or reason in report.reject_reasons:
            report.reject_reasons[reason] = report.reject_reasons.get(reason, 0) + 1
        else:
            report.reject_reasons["other"] = report.reject_reasons.get("other", 0) + 1
        if len(rejects) < REJECTS_KEPT:
            rejects.append(item)


def _complete(report: ImportReport, loaded: Loaded, rejects: list[Rejected]) -> None:
    report.accepted = loaded.counts.get("accepted", 0)
    report.joined = loaded.counts.get("joined", 0)
    report.skipped = loaded.counts.get("skipped", 0)
    report.conflicts = loaded.counts.get("conflict", 0)
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


def _manifest(
    report: ImportReport, sampling_rate: float | None, now: datetime, redaction: Redaction | None
) -> dict[str, Any]:
    return {
        "manifest_id": report.manifest_id,
        "created_at": now,
        "task": report.task,
        "source": report.source,
        "format": report.format,
        "files": msgspec.json.encode(report.files).decode(),
        "sampling_rate": sampling_rate,
        "report": to_json(report).decode(),
        "redaction": None if redaction is None else redaction.described,
    }


def check_arguments(
    paths: Sequence[Path], task: str | None, source: str | None, sampling_rate: float | None
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
