"""A look into files before they are imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from workbench.access import current, requires_somewhere
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.formats import (
    AUTO,
    Draft,
    Joiner,
    OutputDraft,
    columns_with_samples,
    detect,
    log_files,
    open_source,
    propose_mapping,
)
from workbench.ingest.job import Job, check_arguments, evals_of
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import call_id, default_source
from workbench.normal import content_hash
from workbench.records import Call, Rejected
from workbench.roles import Right


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or a key of a log, with some of its values."""

    name: str
    samples: list[str]


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How one file would be read, and what says so."""

    file: str
    format: str
    because: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would read, for a look before it: the first file, and how the others are read."""

    file: str
    format: str
    because: str
    columns: list[Column]
    mapping: dict[str, str]
    needs_mapping: bool
    calls: list[Call]
    rejects: list[Rejected]
    others: list[FileFormat] = field(default_factory=list)


@requires_somewhere(Right.IMPORT)
def preview(
    workspace: Workspace,
    files: Iterable[Path | str],
    *,
    format: str = AUTO,
    task: str | None = None,
    mapping: Mapping[str, str] | None = None,
    limit: int = 20,
) -> Preview:
    """Look into files without importing them, in a process of its own as an import does.

    Args:
        workspace: Its evals say which calls belong to which task; those of tasks on which who looks has
            no right say nothing here.
        files: The first decides on format and columns; outputs of the others are joined.
        format: auto, or the name of a format.
        task: As for `import_files`.
        mapping: As for `import_files`; without one, one is suggested for tables.
        limit: How many calls and rejected records to show.

    Raises:
        UsageError: A file is no log, or the mapping does not fit it.
    """
    from workbench.ingest.children import look_into_files

    given = list(files)
    check_arguments(given, task, None, None)
    paths = log_files(given)
    actor = current()
    evals = [each for each in workspace.every_eval.values() if actor.rights(each.task)]
    job = Job(
        files=[str(each.absolute()) for each in paths],
        format=format,
        mapping=dict(mapping) if mapping else None,
        task=task,
        rules=TaskRouter(evals, task).rules,
        preview=limit,
    )
    return look_into_files(job)


def look_into(job: Job) -> Preview:
    """Do what `preview` promises, in this process.

    Args:
        job: Its `preview` says how many calls and rejected records to show.

    Raises:
        UsageError: A file is no log, or the mapping does not fit it.
    """
    paths = [Path(each) for each in job.files]
    format, task, mapping, limit = job.format, job.task, job.mapping, job.preview or 1
    columns = [Column(name, samples) for name, samples in columns_with_samples(paths[0])]
    used = dict(mapping) if mapping else {}
    why = None if used else _why_a_mapping(paths[0], format)
    needs = why is not None
    if why is not None:
        used = propose_mapping(paths[0])
        if not {"input", "messages"} & used.keys():
            return Preview(paths[0].name, "mapped", why, columns, used, needs, [], [])
    sources = [open_source(path, format, used or None) for path in paths]
    router = TaskRouter(evals_of(job.rules), task)
    drafts: list[tuple[Draft, str]] = []
    rejects: list[Rejected] = []
    outputs: dict[str, OutputDraft] = {}
    joiner = Joiner()
    for each in sorted(sources, key=lambda source: not source.early):
        name = default_source(task, each.format.name)
        held = (settled for item in islice(each.items(), 100 * limit) for settled, _ in joiner.take(item, ""))
        for item in chain(held, (settled for settled, _ in joiner.finish())):
            if isinstance(item, Draft) and len(drafts) < limit:
                drafts.append((item, name))
            elif isinstance(item, OutputDraft) and not item.adds:
                outputs.setdefault(item.native_id, item)
            elif isinstance(item, Rejected) and len(rejects) < limit:
                rejects.append(item)
    calls = [_preview_call(draft, outputs.get(draft.native_id or ""), name, router) for draft, name in drafts]
    first, *others = (
        FileFormat(path.name, each.format.name, each.because)
        for path, each in zip(paths, sources, strict=True)
    )
    return Preview(
        first.file, first.format, why or first.because, columns, used, needs, calls, rejects, others
    )


def _why_a_mapping(path: Path, format: str) -> str | None:
    """Say why a file needs a mapping; None if its format does without."""
    if format not in (AUTO, "mapped"):
        return None
    if format == "mapped":
        return "the format was given"
    try:
        detection = detect(path)
    except UsageError as error:
        if "no known log format" in error.message:
            return "its records are JSON objects of no known log format"
        if "holds requests and no answers" in error.message:
            return "its records are requests without answers"
        raise
    return detection.because if detection.format == "mapped" else None


def _preview_call(draft: Draft, late: OutputDraft | None, source: str, router: TaskRouter) -> Call:
    control = draft.control or (late.output if late else None)
    marks = [*draft.marks, *draft.control_marks, *(late.marks if late else ())]
    native_id = draft.native_id or content_hash(draft.request)
    return Call(
        call_id=call_id(source, native_id),
        source=source,
        native_id=native_id,
        task=router.task_of(draft),
        request=draft.request,
        control=control,
        occurred_at=draft.occurred_at or (late.occurred_at if late else None),
        session_id=draft.session_id,
        attributes=draft.attributes,
        marks=tuple(str(each) for each in dict.fromkeys(marks)),
        gold=draft.gold,
    )
