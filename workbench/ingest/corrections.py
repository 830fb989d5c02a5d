"""Taking an import back, and saying which of two versions of a call is right."""

from __future__ import annotations

import getpass
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench import language
from workbench.access import requires
from workbench.errors import UsageError
from workbench.formats import Draft, OutputDraft
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import RowMaker
from workbench.normal import canonical_json, last_user_text, message_text
from workbench.parts import SCHEMA
from workbench.records import Call, Output, told_error
from workbench.roles import Right

if TYPE_CHECKING:
    from workbench.store import Store

KEPT_SIDES = ("stored", "arrived")
CHARS_BEFORE, CHARS_BEHIND = 30, 90
"""Shown of two versions before and behind the place where they part."""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One import that stands."""

    manifest_id: str
    created_at: datetime
    task: str | None
    source: str
    format: str
    files: list[str]
    records: int
    accepted: int


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What taking an import back removed: rows by table; and how many calls hold an earlier version again."""

    manifest_id: str
    removed: dict[str, int] = field(default_factory=dict)
    restored: int = 0

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        names = {name: name.replace("_", " ") for name in self.removed}
        ordered = sorted(self.removed.items(), key=lambda pair: pair[0] != "calls")
        rows = ", ".join(
            f"{n:,} {names[name].removesuffix('s') if n == 1 else names[name]}" for name, n in ordered
        )
        again = ""
        if self.restored == 1:
            again = " 1 call is again as an earlier import brought it."
        elif self.restored:
            again = f" {self.restored:,} calls are again as earlier imports brought them."
        return f"Took {self.manifest_id} back: removed {rows or 'nothing'}.{again}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A record that carries the id of a stored call but differs from it. Both are kept out of use.

    `reread` says that it is the same record, which an older version of the program had read otherwise.
    """

    call_id: str
    manifest_id: str
    file: str
    line: int
    differs: list[str]
    stored: Call
    arrived: Call
    observations: int
    labels: int
    reread: bool = False

    @property
    def both_sides(self) -> tuple[str, str]:
        """Return what the stored call and the arrived one say, each in a line around where they part."""
        one, other = (_told(each, self.differs) for each in (self.stored, self.arrived))
        same = next(
            (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
        )
        return _around(one, same), _around(other, same)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What resolving conflicts did. `refused` names the calls that stay as they were, and why."""

    resolved: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    compared_anew: int = 0

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        lines = [f"Resolved {self.resolved:,} calls."]
        if self.compared_anew:
            lines.append(
                f"{self.compared_anew:,} of them had been compared; run `workbench replay` and "
                "`workbench compare` again."
            )
        lines += [f"  {call}: {why}" for call, why in list(self.refused.items())[:20]]
        return "\n".join(lines)


@requires(Right.IMPORT, Right.SEE, task=None)
def list_imports(store: Store, *, limit: int = 100) -> list[ImportRow]:
    """Return the imports that stand, newest first."""
    from workbench.store.calls import manifest_rows

    return [
        ImportRow(
            manifest_id=row["manifest_id"],
            created_at=row["created_at"].replace(tzinfo=UTC),
            task=row["task"],
            source=row["source"],
            format=row["format"],
            files=[each["name"] for each in row["files"]],
            records=row["report"]["records"],
            accepted=row["report"]["accepted"],
        )
        for row in manifest_rows(store, limit=limit)
    ]


@requires(Right.IMPORT, task=None)
def undo_import(store: Store, manifest_id: str, *, with_evidence: bool = False) -> UndoReport:
    """Take an import back: its calls, outputs, conflicts and rejected records.

    Where its version of a call had won a conflict, the version that was given up stands again.

    Args:
        store: Where it lies.
        manifest_id: The import, as its report and `list_imports` name it.
        with_evidence: Whether answers of candidates and labels of people that rest on its calls
            go too; without it nothing is removed where there are any.

    Raises:
        UsageError: There is no such import, it was taken back before, or something rests on it.
    """
    from workbench.store import corrections, replaced

    # What was answered already rests on the import, too, and goes with it.
    store.absorb()
    with store.writing() as writer:
        if corrections.manifest(store, manifest_id) is None:
            at = corrections.undone(store, manifest_id)
            if at is not None:
                raise UsageError(f"The import {manifest_id} was taken back on {at:%Y-%m-%d %H:%M} UTC.", "")
            raise UsageError(
                f"There is no import {manifest_id!r}.",
                "List them: workbench import --list",
            )
        rests = corrections.resting(writer, manifest_id)
        if any(rests.values()) and not with_evidence:
            raise UsageError(
                f"{rests['observations']:,} answers of candidates and {rests['labels']:,} labels rest on "
                f"calls of {manifest_id}; nothing was removed.",
                "Export the labels first (workbench label export FILE); then add --with-evidence, and they "
                "go too.",
            )
        lost = replaced.unrecorded(writer, manifest_id)
        if lost:
            raise UsageError(
                f"{lost:,} calls hold the version of {manifest_id} since a conflict was resolved, and what "
                "they were before is not on record as rows; nothing was removed.",
                "Leave the import, or import all logs anew into a new workspace.",
            )
        removed, restored = corrections.take_back(writer, manifest_id, _person(), _now())
    return UndoReport(manifest_id, removed, restored)


@requires(Right.IMPORT, task=None)
def conflicts(
    store: Store, *, call_id: str | None = None, limit: int = 100, offset: int = 0
) -> list[Conflict]:
    """Return open conflicts in the order of import, with what differs.

    Args:
        store: Where to read.
        call_id: Only this call's.
        limit: How many at most.
        offset: How many to pass over.
    """
    from workbench.store import accesses, corrections

    only = None if call_id is None else [call_id]
    rows = corrections.open_conflicts(store, call_ids=only, limit=limit, offset=offset)
    accesses.viewed(store, accesses.Kind.IMPORTS, None, [row["call_id"] for row in rows])
    return [
        Conflict(
            call_id=row["call_id"],
            manifest_id=row["manifest_id"],
            file=row["file"],
            line=row["line"],
            differs=_differences(row["stored"], row["arrived"]),
            stored=row["stored"],
            arrived=row["arrived"],
            observations=row["resting"]["observations"],
            labels=row["resting"]["labels"],
            reread=row["read_before"] is not None,
        )
        for row in rows
    ]


@requires(Right.IMPORT, Right.SEE, task=None)
def conflict_count(store: Store) -> tuple[int, int]:
    """Return how many conflicting records are open, and how many of them are stored ones read otherwise."""
    from workbench.store import corrections

    return corrections.count_conflicts(store)


@requires(Right.IMPORT, task=None)
def resolve_conflicts(
    store: Store,
    keep: str,
    *,
    call_ids: Sequence[str] | None = None,
    manifest_id: str | None = None,
    reread: bool = False,
) -> Resolution:
    """Say which version of calls is right; they are used again from then on.

    What is given up stays readable in the store, and is passed over when it is imported again.

    Args:
        store: Where the conflicts lie.
        keep: `stored` for the version that was there first, `arrived` for the other one.
        call_ids: Of which calls; None for all, or for all that one import brought.
        manifest_id: Only conflicts of this import.
        reread: Only records that an older version of the program had read otherwise; of several new
            readings the last one.

    Returns:
        How many were resolved. A call with labels keeps its stored version: people judged
        that one. So does one for which several different versions arrived.

    Raises:
        UsageError: `keep` is neither side, or a call is in no conflict.
    """
    from workbench.store import corrections, replaced

    if keep not in KEPT_SIDES:
        raise UsageError(f"{keep!r} is no side of a conflict.", "Use stored or arrived.")
    in_conflict = corrections.conflicting_ids(store, manifest_id, reread=reread)
    wanted = in_conflict if call_ids is None else list(dict.fromkeys(call_ids))
    unknown = sorted(set(wanted) - set(in_conflict))
    if unknown:
        raise UsageError(f"The call {unknown[0]!r} is in no conflict.", "List them: workbench conflicts list")
    person, now = _person(), _now()
    if keep == "stored":
        with store.writing() as writer:
            corrections.keep_stored(writer, wanted, person, now, reread=reread)
        return Resolution(len(wanted))
    refused: dict[str, str] = {}
    resolved = compared = 0
    # What rests on the old version is counted; answers to the old request that come later are dropped then.
    store.absorb()
    with store.writing() as writer:
        for at in range(0, len(wanted), replaced.AT_ONCE):
            some = wanted[at : at + replaced.AT_ONCE]
            versions = defaultdict(list)
            for row in corrections.open_conflicts(store, call_ids=some, limit=None):
                versions[row["call_id"]].append(row)
            taken = []
            for each in some:
                rows = versions[each]
                if not rows:
                    continue  # Someone else resolved it meanwhile.
                others = reread and not all(row["read_before"] for row in rows)
                newest = rows[-1]["manifest_id"] if reread else None
                rows = [row for row in rows if (manifest_id or newest) in (None, row["manifest_id"])]
                columns = _version(rows)
                if rows[0]["resting"]["labels"]:
                    refused[each] = "people labelled the stored version; keep that one"
                elif others:
                    refused[each] = "another record has its id, too; say which is right of this call alone"
                elif columns is None:
                    refused[each] = f"{len(rows)} different versions arrived; name their import"
                else:
                    row, known = rows[0], [row["content_hash"] for row in rows]
                    taken.append(
                        corrections.Taken(
                            each, known, row["manifest_id"], columns, row["read_before"], row["unanswered"]
                        )
                    )
                    compared += bool(row["resting"]["observations"])
            corrections.take_arrived(writer, taken, person, now)
            resolved += len(taken)
    return Resolution(resolved, refused, compared)


def _version(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the one version that arrived, by column; None where there are several.

    What was asked and what was answered may have come by two records of an import, as in batches.
    """
    from workbench.store.corrections import STAGED_OUTPUT

    if len(rows) > 2 or len({row["manifest_id"] for row in rows}) > 1:
        return None
    asked, *answers = sorted(
        (_columns(row["arrived"]) for row in rows), key=lambda columns: columns["request"] is None
    )
    for answer in answers:
        if asked["request"] is None or asked["output"] is not None or answer["request"] is not None:
            return None
        asked |= {name: answer[name] for name in STAGED_OUTPUT}
    return asked


def _differences(stored: Call, arrived: Call) -> list[str]:
    found = []
    if arrived.request.messages:
        pairs = (
            ("messages", stored.request.messages, arrived.request.messages),
            ("tools", stored.request.tools, arrived.request.tools),
            ("response format", stored.request.response_format, arrived.request.response_format),
        )
        found += [name for name, one, other in pairs if one != other]
    one, other = stored.control or Output(), arrived.control or Output()
    if one.text != other.text:
        found.append("text")
    if [(each.name, each.arguments) for each in one.tool_calls] != [
        (each.name, each.arguments) for each in other.tool_calls
    ]:
        found.append("tool calls")
    if (one.error and one.error.kind) != (other.error and other.error.kind):
        found.append("error")
    return found


def _told(call: Call, differs: Sequence[str]) -> str:
    """Return what a call says in the parts that differ, in one line."""
    request, output = call.request, call.control or Output()
    parts: dict[str, Callable[[], str]] = {
        "messages": lambda: " ".join(f"{each.role}: {message_text(each)}" for each in request.messages),
        "tools": lambda: canonical_json(request.tools),
        "response format": lambda: canonical_json(request.response_format),
        "text": lambda: "no answer" if output.text is None else output.text,
        "tool calls": lambda: canonical_json([[each.name, each.arguments] for each in output.tool_calls]),
        "error": lambda: told_error(output.error.kind) if output.error else "no error",
    }
    return " ".join(" | ".join(parts[each]() for each in differs).split())


def _around(text: str, place: int) -> str:
    """Return a text, cut to what stands before and behind a place in it."""
    start, end = max(0, place - CHARS_BEFORE), place + CHARS_BEHIND
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def _columns(call: Call) -> dict[str, Any]:
    """Return the staged row of a call that arrived, by column; without a request where it had none."""
    rows: list[tuple[Any, ...]] = []
    maker = RowMaker(
        lambda row, _, long: rows.append((*row, *(None if each is None else each.decode() for each in long))),
        TaskRouter([], call.task or None),
        call.sampling_rate,
    )
    if call.request.messages:
        draft = Draft(
            request=call.request,
            native_id=call.native_id,
            control=call.control,
            occurred_at=call.occurred_at,
            session_id=call.session_id,
            served_by=call.served_by,
            model=call.control.model if call.control else None,
            attributes=call.attributes,
            marks=list(call.marks),
        )
        maker.call(draft, call.source)
    else:
        maker.output(OutputDraft(call.native_id, call.control or Output()), call.source)
    found = dict(zip(SCHEMA.names, rows[0], strict=True))
    found["language"] = (
        language.detect(last_user_text(call.request.messages)) if call.request.messages else None
    )
    return found


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
