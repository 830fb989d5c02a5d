"""One import, from files to a committed manifest.

accepted + joined + rejected + skipped + conflicts + blank = records, always. An import
is invisible until its manifest is committed; the same file again adds nothing.
"""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench import language
from workbench.access import requires
from workbench.config import Workspace
from workbench.formats import AUTO, found_files
from workbench.ingest.children import Readers, read_files, readers_for
from workbench.ingest.job import Count, Job, Look, Secret, check_arguments
from workbench.ingest.redacting import Redaction, check_treatment, redaction_of
from workbench.ingest.report import REJECTS_KEPT, REJECTS_SHOWN, ImportReport, reject_reason
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import Renumber
from workbench.ingest.served import accepted_models, attributed, names_of
from workbench.ingest.storing import Storing, is_long
from workbench.progress import Listener, Progress, silent
from workbench.records import Rejected, to_json
from workbench.roles import Right

if TYPE_CHECKING:
    from workbench.ingest.rereading import Hashed
    from workbench.store import Store, Writer
    from workbench.store.imported_labels import LoadedLabels
    from workbench.store.imports import Loaded
    from workbench.store.rereading import ReadBefore


@requires(Right.IMPORT)
def import_files(
    workspace: Workspace,
    store: Store | Callable[[], Store],
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
    readers: Readers | None = None,
) -> ImportReport:
    """Import call logs.

    Args:
        workspace: Its evals say which calls belong to which task.
        store: Where the calls go, or what opens it: it is then opened while the files are read.
        files: Files, folders or patterns, read in this order; a Batch output may come before
            its input.
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
        readers: Reading processes that were started before, for these files; see `readers_for`.

    Returns:
        The counts of every source record, and what the accepted calls hold.

    Raises:
        UsageError: An argument or a file is wrong; nothing is imported.
    """
    given = list(files)
    check_arguments(given, task, source, sampling_rate)
    found = found_files(given)
    paths = [path for path, _ in found]
    with contextlib.ExitStack() as stack:
        readers = readers or stack.enter_context(readers_for(paths, redact_model=redact_model))
        from workbench.ingest.rereading import Rereading, hashed
        from workbench.store.staging import Staging

        opened: Callable[[], Store] = functools.cache(store if callable(store) else lambda: store)
        spool = workspace.spool if callable(store) else store.spool

        router = TaskRouter(workspace.every_eval.values(), task)
        redaction = redaction_of(workspace) if redact or redact_model else None
        background = ThreadPoolExecutor(1)
        stack.callback(background.shutdown, wait=False, cancel_futures=True)
        hashes: dict[str, Future[Hashed]] = {}

        def looked(looks: Sequence[Look]) -> None:
            background.submit(language.prepare)
            check_treatment(opened(), [each.source for each in looks], redaction)
            accepted.update(accepted_models(workspace, opened()))
            sizes = Rereading(opened(), job, redaction).sizes
            for each in looks:
                sought = sizes if each.shareable else ()
                hashes[each.path] = background.submit(hashed, Path(each.path), sought)

        report = ImportReport(manifest_id=f"import-{uuid.uuid4().hex[:12]}", task=task, dry_run=dry_run)
        accepted: dict[str, list[tuple[str, str]]] = {}
        staging = stack.enter_context(
            Staging(
                spool,
                report.manifest_id or "",
                language.languages_of,
                lambda part: attributed(part, accepted),
            )
        )
        candidates, served_as = names_of(workspace)
        job = Job(
            files=[str(each.absolute()) for each in paths],
            format=format,
            mapping=dict(mapping) if mapping else None,
            task=task,
            source=source,
            sampling_rate=sampling_rate,
            rules=router.rules,
            folder=str(staging.folder),
            found=[str(path.absolute()) for path, named in found if not named],
            secret=None if redaction is None else Secret(redaction.key.hex(), redact_model),
            candidates=candidates,
            served_as=served_as,
        )
        storing = stack.enter_context(
            Storing(
                opened,
                staging,
                report.manifest_id or "",
                wanted=callable(store) and not dry_run,
                gives_way=is_long(paths),
            )
        )

        def reading(name: str, done: int, total: int | None) -> None:
            shown = name if redaction is None else redaction.text(name)
            listener(Progress("reading", done, total, "records", shown))
            storing.reached(done, total)

        looks, count = read_files(job, looked, reading, staging.add, readers, storing.settled)
        rejects = _describe(report, looks, count, redaction, hashes)
        now = datetime.now(UTC)
        from workbench.store import imported_labels, imports
        from workbench.store.early import ToJudge

        def rest(writer: Writer, loaded: Loaded) -> None:
            added = imported_labels.load_staged(
                writer,
                staging.labels,
                report.manifest_id or "",
                limit=max(REJECTS_KEPT - len(rejects), 0),
            )
            _complete(report, loaded, added, rejects)
            if redaction is not None:
                report.redacted = dict(sorted(count.redacted.items(), key=lambda pair: -pair[1]))
            if dry_run:
                raise _DryRun
            imports.append_rejects(writer, report.manifest_id or "", rejects)
            imports.append_manifest(writer, _manifest(report, job, now, redaction))
            background.submit(staging.discard)  # While the store commits, which takes as long.

        def tick(done: int) -> None:
            listener(Progress("storing", done, staging.rows, "records"))

        def read_before() -> ReadBefore:
            found = {path: each.result() for path, each in hashes.items()}
            return Rereading(opened(), job, redaction).before(looks, found)

        def rest_of_new(writer: Writer, loaded: Loaded) -> None:
            # Loaded early, no row was judged by what older versions read.
            if any(each.stored for each in read_before().files):
                raise ToJudge
            rest(writer, loaded)

        prices = workspace.model_prices()
        staging.complete(Renumber() if count.unnamed else None)
        if storing.finish(prices, rest_of_new, tick):
            tick(staging.rows)
            return report
        opened().make_room(staging.longest_run())
        try:
            with opened().writing() as writer:
                loaded = imports.load_staged(
                    writer,
                    staging,
                    report.manifest_id or "",
                    now,
                    orphan_limit=max(REJECTS_KEPT - len(rejects), 0),
                    tick=tick,
                    prices=prices,
                    before=read_before(),
                )
                rest(writer, loaded)
        except _DryRun:
            report.manifest_id = None
    return report


class _DryRun(Exception):
    """Leaves the transaction without a commit."""


def _describe(
    report: ImportReport,
    looks: Sequence[Look],
    count: Count,
    redaction: Redaction | None,
    hashes: Mapping[str, Future[Hashed]],
) -> list[Rejected]:
    """Put into a report what was read, and return the rejected records."""
    report.source = ", ".join(sorted({each.source for each in looks}))
    report.format = ", ".join(sorted({each.format for each in looks}))
    hidden = (lambda text: text) if redaction is None else redaction.text
    report.unrecognised = [{"name": hidden(name), "reason": hidden(why)} for name, why in count.unrecognised]
    report.capture_lost = count.capture_lost
    report.renamed_tasks = {hidden(name): hidden(task) for name, task in sorted(count.renamed.items())}
    report.records, report.blank, report.rejected = sum(count.records), count.blank, count.rejected
    report.skipped = count.passed
    report.reject_reasons, report.skip_reasons = dict(count.reasons), dict(count.skip_reasons)
    for look, records in zip(looks, count.records, strict=True):
        report.files.append(
            {
                "name": hidden(look.name),
                "bytes": look.bytes,
                "sha256": hashes[look.path].result().sha256,
                "format": look.format,
                "because": hidden(look.because),
                "records": records,
            }
        )
    return [each for _, each in count.rejects[:REJECTS_KEPT]]


def _complete(report: ImportReport, loaded: Loaded, labels: LoadedLabels, rejects: list[Rejected]) -> None:
    parts = loaded.parts
    report.accepted = loaded.counts.get("accepted", 0)
    # The parts of a new call joined it; those of a call that is known already are known, too.
    report.joined = sum(loaded.counts.get(each, 0) for each in ("joined", "added"))
    report.joined += sum(parts.get(each, 0) for each in ("accepted", "joined", "added"))
    report.joined += labels.records.get("new", 0)
    report.skipped += sum(loaded.counts.get(each, 0) + parts.get(each, 0) for each in ("skipped", "held"))
    report.skipped += labels.records.get("known", 0)
    report.conflicts = loaded.counts.get("conflict", 0) + parts.get("conflict", 0)
    report.conflicts += labels.records.get("conflict", 0)
    report.labels, report.labels_without_call = labels.names, labels.without_call
    rejects.extend(labels.conflicts)
    report.rejected += loaded.rejected
    if loaded.rejected:
        reason = reject_reason(loaded.rejects[0].reason) if loaded.rejects else "no request with this id"
        report.reject_reasons[reason] = report.reject_reasons.get(reason, 0) + loaded.rejected
    rejects.extend(loaded.rejects)
    report.rejects = rejects[:REJECTS_SHOWN]
    report.keep_rejects(rejects)
    report.reject_reasons = dict(sorted(report.reject_reasons.items(), key=lambda pair: -pair[1]))
    costs = loaded.costs
    report.cost_usd, report.unpriced, report.priced_as = costs.usd, costs.unpriced, costs.priced_as
    report.as_logged, report.logged_usd, report.logged_costs = costs.as_logged, costs.logged_usd, costs.logged
    report.batched = costs.batched
    for name in ("gold", "marks", "tokens", "models", "languages", "tasks", "served", "first_at", "last_at"):
        setattr(report, name, getattr(loaded, name))
    report.open_conflicts, report.unrendered = loaded.open_conflicts, loaded.unrendered
    report.prompts_waiting = loaded.prompts_waiting
    report.read_otherwise, report.held = loaded.read_otherwise, loaded.held
    report.rates_left, report.conflicts_within = loaded.rates_left, loaded.conflicts_within


def _manifest(report: ImportReport, job: Job, now: datetime, redaction: Redaction | None) -> dict[str, Any]:
    from workbench.ingest.rereading import reading_of

    return {
        "manifest_id": report.manifest_id,
        "created_at": now,
        "task": report.task,
        "source": report.source,
        "format": report.format,
        "files": msgspec.json.encode(report.files).decode(),
        "sampling_rate": job.sampling_rate,
        "report": to_json(report).decode(),
        "redaction": None if redaction is None else redaction.described,
        **reading_of(job),
    }
