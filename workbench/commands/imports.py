"""`workbench import` and `workbench conflicts`: logs in, and mistakes mended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from workbench.commands.base import common, load_workspace, open_store, open_workspace
from workbench.errors import UsageError
from workbench.terminal import emit, parse_mapping, parse_sampling_rate, progress_listener

if TYPE_CHECKING:
    from workbench.store import Store

LOADING_MB = 512
"""What the database may take while a log is loaded or taken back: all processes together stay below 1 GB,
unless calls are so long that it needs more."""

GOES_WITH_ALL = ("listing", "undo", "workspace", "as_json")


@click.command("import")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "format_name", default="auto", help="auto, or the name of a format.")
@click.option("--task", help="Task of every call in the files.")
@click.option("--source", help="Name of the export; tells two exports with the same ids apart.")
@click.option("--map", "pairs", multiple=True, metavar="FIELD=PATH", help="Column or JSON path of a field.")
@click.option(
    "--where",
    multiple=True,
    metavar="PATH=VALUE",
    help="With --map: only records that hold this there, such as type=llm or type='llm|chat'.",
)
@click.option("--sampling-rate", help="Share of traffic that was logged, such as 10% or 0.1.")
@click.option(
    "--redact", is_flag=True, help="Replace e-mail, phone, card, IBAN, IP and keys by placeholders."
)
@click.option("--redact-model", metavar="MODEL", help="A spaCy model that finds names too; needs Presidio.")
@click.option("--dry-run", is_flag=True, help="Read and report; store nothing.")
@click.option(
    "--memory-mb",
    type=click.IntRange(64, 1_048_576),
    help=f"What the database may take at most. Without it {LOADING_MB}, and more where calls are long.",
)
@click.option("--rejects", type=click.Path(path_type=Path), help="Write rejected records to this CSV file.")
@click.option("--list", "listing", is_flag=True, help="List the imports that stand, newest first.")
@click.option("--undo", metavar="MANIFEST", help="Take an import back: its calls go, and its rejects.")
@click.option(
    "--with-evidence", is_flag=True, help="With --undo: also what candidates answered and people labelled."
)
@common
def import_(
    files: tuple[Path, ...],
    format_name: str,
    task: str | None,
    source: str | None,
    pairs: tuple[str, ...],
    where: tuple[str, ...],
    sampling_rate: str | None,
    redact: bool,
    redact_model: str | None,
    dry_run: bool,
    memory_mb: int | None,
    rejects: Path | None,
    listing: bool,
    undo: str | None,
    with_evidence: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Import call logs: files, folders or patterns. The same file again adds nothing."""
    if sum((bool(files), listing, undo is not None)) != 1:
        raise UsageError(
            "Say what to do: FILES to import, --list, or --undo MANIFEST.", "See workbench import --help."
        )
    _refuse_idle(bool(files), undo is not None)
    if listing:
        _list(workspace, as_json)
        return
    if undo is not None:
        _undo(undo, with_evidence, workspace, as_json)
        return
    from workbench.ingest import readers_for

    with contextlib.ExitStack() as stack:
        readers = stack.enter_context(readers_for(files, redact_model=redact_model))
        # They take their time to start; what this process needs is loaded meanwhile.
        from workbench.ingest import import_files, write_rejects

        space = load_workspace(workspace)
        store: Store | None = None

        def opened() -> Store:
            nonlocal store
            store = store or stack.enter_context(
                open_store(space, memory_mb=memory_mb or LOADING_MB, grows=memory_mb is None)
            )
            return store

        listener = stack.enter_context(progress_listener())
        stack.enter_context(_more_memory())
        report = import_files(
            space,
            opened,
            files,
            format=format_name,
            task=task,
            source=source,
            mapping=_mapping(pairs, where),
            sampling_rate=parse_sampling_rate(sampling_rate),
            redact=redact,
            redact_model=redact_model,
            dry_run=dry_run,
            listener=listener,
            readers=readers,
        )
        if rejects is not None:
            write_rejects(opened(), report, rejects)
    emit(report, as_json=as_json, text=report.text)


def _refuse_idle(imports: bool, undoes: bool) -> None:
    """Refuse options that would do nothing: what somebody wrote is meant to count.

    Raises:
        UsageError: An option goes with another thing to do.
    """
    context = click.get_current_context()
    written = [
        each
        for each in context.command.params
        if isinstance(each, click.Option)
        and each.name not in GOES_WITH_ALL
        and context.get_parameter_source(str(each.name)) is ParameterSource.COMMANDLINE
    ]
    for each in written:
        option = each.opts[0]
        if each.name == "with_evidence" and not undoes:
            raise UsageError(f"{option} goes with --undo alone.", "Leave it out.")
        if each.name != "with_evidence" and not imports:
            raise UsageError(f"{option} goes with FILES to import.", "Leave it out.")


def _mapping(pairs: tuple[str, ...], where: tuple[str, ...]) -> dict[str, str] | None:
    """Read `--map` and `--where` as one mapping.

    Raises:
        UsageError: One is not written so, or there are conditions alone.
    """
    from workbench.formats import WHERE_PREFIX

    mapping = parse_mapping(pairs)
    if where and not mapping:
        raise UsageError(
            "--where says which rows are calls, and there is no --map.",
            "Say what holds what: --map input=COLUMN.",
        )
    wanted = parse_mapping(where, "--where", "PATH=VALUE", "--where type=llm")
    for path in wanted:
        if WHERE_PREFIX + path in mapping:
            raise UsageError(f"--where names {path!r}, and so does --map.", "Keep one.")
    return mapping | {WHERE_PREFIX + path: value for path, value in wanted.items()} or None


@contextlib.contextmanager
def _more_memory() -> Iterator[None]:
    """Say how the database gets more memory where it needs more than it may take."""
    from workbench.store import MemoryShort

    try:
        yield
    except MemoryShort as error:
        given = click.get_current_context().params["memory_mb"]
        more = f"--memory-mb {max(4096, 2 * (given or 0))}"
        hint = (
            "Nothing of it was stored, and what was there is kept. Where calls hold hundreds of kilobytes "
            f"each, let the database take more, as far as this machine has it: {more}."
        )
        raise MemoryShort(error.message, hint) from error


def _list(workspace: str | None, as_json: bool) -> None:
    from workbench.ingest import list_imports

    _, store = open_workspace(workspace)
    with store:
        found = list_imports(store)
    lines = [
        f"{each.manifest_id}  {each.created_at:%Y-%m-%d %H:%M}  {each.accepted:>9,} calls  "
        f"{each.source}: {', '.join(each.files)}"
        for each in found
    ]
    emit(found, as_json=as_json, text="\n".join(lines) or "Nothing has been imported.")


def _undo(manifest_id: str, with_evidence: bool, workspace: str | None, as_json: bool) -> None:
    from workbench.ingest import undo_import

    _, store = open_workspace(workspace, memory_mb=LOADING_MB)
    with store:
        report = undo_import(store, manifest_id, with_evidence=with_evidence)
    emit(report, as_json=as_json, text=report.text)


@click.group("conflicts")
def conflicts() -> None:
    """Calls that two imports tell differently: kept out of use until one version is right."""


@conflicts.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@common
def conflicts_list(limit: int, workspace: str | None, as_json: bool) -> None:
    """List open conflicts: the stored call, what arrived, and what differs."""
    from workbench.ingest import conflicts as find

    _, store = open_workspace(workspace)
    with store:
        found = find(store, limit=limit)
    lines = []
    for each in found:
        lines.append(
            f"{each.call_id}  {each.stored.source} {each.stored.native_id}: different "
            f"{' and '.join(each.differs) or 'parts'}  ({each.file}:{each.line} of {each.manifest_id}"
            f"{', the same record as an older version had read otherwise' if each.reread else ''})"
        )
        lines += [
            f"    {side:<7}  {said}"
            for side, said in zip(("stored", "arrived"), each.both_sides, strict=True)
        ]
    emit(found, as_json=as_json, text="\n".join(lines) or "No call is in conflict.")


@conflicts.command("resolve")
@click.argument("calls", nargs=-1)
@click.option("--keep", type=click.Choice(["stored", "arrived"]), required=True, help="The right version.")
@click.option("--import", "manifest_id", metavar="MANIFEST", help="All conflicts that this import brought.")
@click.option("--all", "everything", is_flag=True, help="All open conflicts.")
@click.option(
    "--reread", is_flag=True, help="All records that an older version of this program had read otherwise."
)
@common
def conflicts_resolve(
    calls: tuple[str, ...],
    keep: str,
    manifest_id: str | None,
    everything: bool,
    reread: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Say which version of CALLS is right: the stored one, or the one that arrived later."""
    if not calls and manifest_id is None and not everything and not reread:
        raise UsageError("Say which conflicts.", "Name calls, or use --import MANIFEST, --reread or --all.")
    from workbench.ingest import resolve_conflicts

    _, store = open_workspace(workspace)
    with store:
        report = resolve_conflicts(
            store, keep, call_ids=calls or None, manifest_id=manifest_id, reread=reread
        )
    emit(report, as_json=as_json, text=report.text)
