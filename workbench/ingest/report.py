"""What one import did, for people and for programs."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from workbench.access import requires
from workbench.errors import UsageError
from workbench.formats import UNPICKED, Mark
from workbench.normal import neutralise_cell
from workbench.records import UNASSIGNED, Rejected, as_builtins
from workbench.roles import Right

if TYPE_CHECKING:
    from workbench.store import Store

_QUOTED = re.compile(r"'[^']*'|\d+")
_PLACE = re.compile(r"item \d+(?:, part \d+)?: ")

NAMES_SHOWN = 12
REJECTS_SHOWN = 50
REJECTS_KEPT = 10_000
"""Rejected records stored per import; all are counted."""
MANY_REPAIRED = 3
MANY_REPAIRED_SHARE = 0.01
"""From so many, and above such a share of the new records, repaired text is no accident of single records."""


class _WithRejects:
    """Rejected records that are no field: a report is stored and shown with the first ones alone."""

    __slots__ = ("rejects_kept",)
    rejects_kept: list[Rejected]

    def __post_init__(self) -> None:
        self.keep_rejects([])

    def keep_rejects(self, rejects: list[Rejected]) -> None:
        """Take all rejected records that are kept, for `write_rejects`."""
        self.rejects_kept = rejects


@dataclass(slots=True)
class ImportReport(_WithRejects):
    """What one import did. The six counts add up to `records`.

    `cost_usd` is what the answers with tokens and a price cost, by the price table, and what the log says
    of others (`as_logged` counts these by model); None where there are none. `unpriced` counts by model
    the answers that it leaves out. `logged_usd` is what the log says of `logged_costs` answers in all;
    `batched` answers were reckoned at the price's `batch_discount`.
    `priced_as` names, by model, the entry of the price table that stood in: the same name without
    the date of the snapshot.
    `unrecognised` are files of a folder or pattern that are no logs, by name and reason;
    `capture_lost` counts by reason the calls that capture could not write beside these logs.
    `renamed_tasks` are tasks that the log calls by what is no name, each with the name it has here.
    `unrendered` counts, by the earlier import that brought them, calls that got their tokens now and
    whose prompt would have come along in one import. `prompts_waiting` counts prompts that came now, for
    calls that were stored with a template's arguments: each waits as a conflict.
    `read_otherwise` counts, by the earlier import that brought them, conflicts that are no two records but
    one, which an older version of the program read otherwise; `held` counts skipped records which stand
    there under the ids that another reading gave them. `rates_left` counts, by the earlier import that
    brought them, known calls that keep their sampling rate, or none, though they came with another.
    `conflicts_within` are calls whose id stands in this very log more than once, with other content.
    `served` counts, by candidate, new calls that it served itself: their answers are no frontier's.
    `labels` counts new imported labels by name, `skip_reasons` the records that are no
    calls by their kind; the other skipped ones were known.
    """

    records: int = 0
    accepted: int = 0
    joined: int = 0
    rejected: int = 0
    skipped: int = 0
    conflicts: int = 0
    blank: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    manifest_id: str | None = None
    task: str | None = None
    source: str = ""
    format: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)
    reject_reasons: dict[str, int] = field(default_factory=dict)
    skip_reasons: dict[str, int] = field(default_factory=dict)
    rejects: list[Rejected] = field(default_factory=list)
    gold: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    labels_without_call: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    unpriced: dict[str, int] = field(default_factory=dict)
    priced_as: dict[str, str] = field(default_factory=dict)
    as_logged: dict[str, int] = field(default_factory=dict)
    logged_usd: float = 0.0
    logged_costs: int = 0
    batched: int = 0
    models: dict[str, int] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None
    languages: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    open_conflicts: int = 0
    unrecognised: list[dict[str, str]] = field(default_factory=list)
    capture_lost: dict[str, int] = field(default_factory=dict)
    renamed_tasks: dict[str, str] = field(default_factory=dict)
    redacted: dict[str, int] | None = None
    unrendered: dict[str, int] = field(default_factory=dict)
    prompts_waiting: int = 0
    read_otherwise: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    rates_left: dict[str, int] = field(default_factory=dict)
    conflicts_within: int = 0
    dry_run: bool = False

    @property
    def found(self) -> dict[str, str]:
        """Return what the accepted records hold, in words by name: time span, models, tokens, cost."""
        told: dict[str, str] = {}
        if self.first_at is not None and self.last_at is not None:
            told["time"] = f"{self.first_at:%Y-%m-%d %H:%M} to {self.last_at:%Y-%m-%d %H:%M} UTC"
        if self.models:
            told["models"] = _listed(self.models, NAMES_SHOWN)
        if any(self.tokens.values()):
            told["tokens"] = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in self.tokens.items())
        if self.cost_usd is not None or self.unpriced:
            cost = "not known" if self.cost_usd is None else f"{self.cost_usd:,.4f} USD"
            if self.priced_as:
                told_as = ", ".join(f"{model} as {name}" for model, name in self.priced_as.items())
                cost += f"; priced {told_as}"
            if self.batched:
                cost += f"; {self.batched:,} at the price of a batch"
            if self.as_logged:
                cost += f"; without a price, as the log says: {_listed(self.as_logged, NAMES_SHOWN)}"
            if self.logged_costs > sum(self.as_logged.values()):
                cost += f"; the log itself says {self.logged_usd:,.4f} USD of {self.logged_costs:,} answers"
            if self.unpriced:
                cost += f"; left out, no price or no tokens: {_listed(self.unpriced, NAMES_SHOWN)}"
            told["cost"] = cost
        if self.languages:
            told["languages"] = _listed(self.languages, NAMES_SHOWN)
        if self.served:
            told["served by"] = (
                f"{_listed(self.served, NAMES_SHOWN)} (a candidate's own answers; `workbench replay --live` "
                "asks the frontier for some of them)"
            )
        return told

    @property
    def others_in_conflict(self) -> int:
        """Return how many conflicts are of two records, not of two readings of one."""
        return self.conflicts - sum(self.read_otherwise.values())

    @property
    def repaired(self) -> str:
        """Return a warning where so many records had to be repaired that the file itself seems damaged."""
        count, new = self.marks.get(Mark.REPAIRED_TEXT, 0), self.accepted + self.joined
        if count < MANY_REPAIRED or count <= new * MANY_REPAIRED_SHARE:
            return ""
        back = (
            f"take this import back (workbench import --undo {self.manifest_id}), "
            if self.manifest_id
            else ""
        )
        return (
            f"{count:,} of {new:,} new records held what can't be stored, such as bytes that are not UTF-8; "
            f"\ufffd stands in its place. Look at some of them. If letters are lost, {back}save the log as "
            "UTF-8 and import that file."
        )

    @property
    def unread(self) -> str:
        """Return what to try where no record at all could be read."""
        unpicked = [each["because"] for each in self.files if UNPICKED in each["because"]]
        if unpicked and sum(self.skip_reasons.values()) + self.blank == self.records:
            why = unpicked[0][unpicked[0].index(UNPICKED) :]
            return f"{why}. Ask for one of these (--where), or leave the condition out."
        # Outputs of a batch without their requests are read: what they lack is another file.
        told = self.format in ("mapped", "openai_batch")
        if told or not self.rejected or self.rejected + self.blank < self.records:
            return ""
        return (
            f"all records were rejected as {self.format}. If this is another log, name its format "
            "(--format), or say where request and answer stand, for example "
            "--map input=request --map output=response."
        )

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        lines = [_headline(self)]
        counts = ("accepted", "joined", "rejected", "skipped", "conflicts", "blank")
        lines.append("  " + ", ".join(f"{name} {getattr(self, name):,}" for name in counts))
        if self.unread:
            lines.append(f"  NOTHING READ: {self.unread}")
        if self.unrecognised:
            more = len(self.unrecognised) - NAMES_SHOWN
            lines.append(f"  not recognised, left out: {len(self.unrecognised):,} files")
            lines += [f"    {each['name']}: {each['reason']}" for each in self.unrecognised[:NAMES_SHOWN]]
            lines += [f"    and {more} more"] if more > 0 else []
        if self.capture_lost:
            lines.append(
                f"  capture lost: {_listed(self.capture_lost)} (calls that never reached these logs: what "
                "they were is not known)"
            )
        lines += [f"  READ OTHERWISE: {each}" for each in told_readings(self)]
        if self.others_in_conflict:
            lines.append(
                f"  CONFLICTS: {self.others_in_conflict:,} records carry the id of another call but differ "
                "from it. Both sides are kept out of every comparison until that is resolved."
            )
            lines += [f"    {each}" for each in told_conflicts(self)]
        if self.marks:
            lines.append("  marks: " + _listed(self.marks))
        if self.repaired:
            lines.append(f"  REPAIRED: {self.repaired}")
        lines += [f"  TIME NOT KNOWN: {each}" for each in told_times(self)]
        lines += [f"  {each}" for each in told_unrendered(self)]
        lines += [f"  RATE NOT TAKEN: {each}" for each in told_rates(self)]
        if self.redacted is not None:
            found = _listed({kind.lower(): count for kind, count in self.redacted.items()}) or "nothing"
            lines.append(f"  redacted: {found} (it detects and does not guarantee)")
        if self.reject_reasons:
            lines.append("  rejected because:")
            lines += [f"    {count:,} x {reason}" for reason, count in told_reasons(self)[:10]]
        lines += [f"    {each.file}:{each.line}: {each.reason}" for each in self.rejects[:5]]
        if self.skip_reasons:
            lines.append("  passed over: " + _listed(self.skip_reasons))
        lines += [f"  {name}: {told}" for name, told in self.found.items()]
        if self.labels:
            lines.append(
                "  imported labels: " + _listed(self.labels) + " (shown beside their calls, never in a bound)"
            )
        if self.labels_without_call:
            lines.append(f"  {self.labels_without_call:,} of them name a call that is not here (yet).")
        if self.tasks:
            lines.append("  tasks: " + _listed(self.tasks))
        if self.gold:
            lines.append(
                f"  gold answers: {self.gold:,} new; the next `workbench compare` makes labels of them."
            )
        if self.renamed_tasks:
            lines.append(f"  {told_renamed(self.renamed_tasks)}")
        if self.tasks.get(UNASSIGNED):
            lines.append(
                "  Calls without a task: see what they are with `workbench profile`, say --task, "
                "or give an eval.toml a [match] table."
            )
        return "\n".join(lines)


@requires(Right.IMPORT, task=lambda given: given["report"].task)
def write_rejects(store: Store, report: ImportReport, path: Path) -> int:
    """Write the rejected records of an import to a CSV file.

    Cells that a spreadsheet would run as a formula begin with an apostrophe.

    Returns:
        How many rows were written, `REJECTS_KEPT` at most; the file says where there are more.

    Raises:
        UsageError: The file can't be written; the import itself holds.
    """
    rows = _rejects_taken_out(store, report)
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            _write_rows(rows, file, report.rejected)
    except OSError as error:
        raise UsageError(
            f"{path}: the rejected records can't be written there: {error.strerror or error}.",
            "The import itself is done. Name another file with --rejects and import again: nothing doubles.",
        ) from error
    return len(rows)


@requires(Right.IMPORT, task=lambda given: given["report"].task)
def rejects_csv(store: Store, report: ImportReport) -> bytes:
    """Return what `write_rejects` writes, for a browser; noted as an export when it is made.

    Args:
        store: Where the import went.
        report: What it said.
    """
    file = io.StringIO(newline="")
    _write_rows(_rejects_taken_out(store, report), file, report.rejected)
    return file.getvalue().encode()


def _rejects_taken_out(store: Store, report: ImportReport) -> Sequence[Mapping[str, Any]]:
    """Return the rejected records of an import, after noting that they are taken out.

    They are the report's own: a dry run stores none, and an import none that were stored before.
    """
    from workbench.store import accesses

    found = sorted(report.rejects_kept[:REJECTS_KEPT], key=lambda each: (each.file, each.line))
    accesses.exported(store, accesses.Kind.EXPORT_REJECTS, report.task, len(found))
    return [as_builtins(each) for each in found]


def _write_rows(rows: Sequence[Mapping[str, Any]], file: TextIO, rejected: int) -> None:
    names = ("file", "line", "reason", "content_hash", "snippet")
    writer = csv.writer(file)
    writer.writerow(names)
    writer.writerows([neutralise_cell(str(row[name])) for name in names] for row in rows)
    if rejected > len(rows):
        # The file says so itself: it is passed on without its report.
        writer.writerow(["", "", f"{rejected - len(rows):,} more rejected records are not kept", "", ""])


def told_renamed(renamed: Mapping[str, str]) -> str:
    """Return in words which tasks of a log have other names here, and which of them have one in common."""
    told = [f"{name[:60]!r} is {task}" for name, task in list(renamed.items())[:NAMES_SHOWN]]
    more = len(renamed) - len(told)
    often = [task for task, count in Counter(renamed.values()).items() if count > 1]
    said = (
        "Tasks whose names can't stand in a path: " + ", ".join(told) + (f" and {more} more" if more else "")
    )
    return said + (f". Several became one: {', '.join(often[:NAMES_SHOWN])}" if often else "")


def reject_reason(text: str) -> str:
    """Return a reason without what differs from record to record, so that equal ones are counted together."""
    return _QUOTED.sub("…", _PLACE.sub("", text, count=1) if _PLACE.match(text) else text)


def told_reasons(report: ImportReport) -> list[tuple[str, int]]:
    """Return why records were rejected and how many, in whole words where what was left out is known."""
    known: dict[str, dict[str, None]] = {}
    for each in report.rejects_kept or report.rejects:
        reason = each.reason if not _PLACE.match(each.reason) else _PLACE.sub("", each.reason, count=1)
        known.setdefault(reject_reason(each.reason), {})[reason] = None
    told = []
    for reason, count in report.reject_reasons.items():
        first = next(iter(known.get(reason, ())), reason)
        # Only where all of them are kept is it certain that they say the same.
        alone = len(known.get(reason, ())) == 1 and report.rejected <= REJECTS_KEPT
        told.append((first if alone or first == reason else f"{reason}, such as: {first}", count))
    return told


def told_times(report: ImportReport) -> list[str]:
    """Say in words how many calls have no time though the log gives one, and what to look at."""
    lines = []
    if ahead := report.marks.get(Mark.FUTURE_TIME):
        lines.append(
            f"{ahead:,} {_are(ahead)} dated after this import and {_count(ahead)} without a time. "
            "Look at the clock of what wrote the log, and at what its field of the time holds."
        )
    if unread := report.marks.get(Mark.BAD_TIME):
        lines.append(
            f"{unread:,} {_are(unread)} dated by what can't be read for certain and {_count(unread)} without "
            "a time. Dates such as 2026-11-30T09:00:00Z are read, and seconds since 1970; of 09/10/2026 "
            "nobody knows the month."
        )
    return lines


def _are(count: int) -> str:
    return "call is" if count == 1 else "calls are"


def _count(count: int) -> str:
    return "counts as a call" if count == 1 else "count as calls"


def _listed(counts: Mapping[str, int], most: int | None = None) -> str:
    shown = [f"{name or 'unknown'} {count:,}" for name, count in list(counts.items())[:most]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def told_conflicts(report: ImportReport) -> list[str]:
    """Say in words what to do about conflicts: where another export has the same ids, and for corrections."""
    back, brought = "", ""
    if report.manifest_id:
        back = f"workbench import --undo {report.manifest_id}, then "
        brought = f" --import {report.manifest_id}"
    again = "begin anew in each batch" if "openai_batch" in report.format else "were used before"
    lines = []
    if report.conflicts_within:
        lines.append(
            f"{report.conflicts_within:,} ids stand in this very log more than once, with other content. Do "
            f"they begin anew in it? {back}cut it there, and import each piece with a --source of its own."
        )
    return [
        *lines,
        f"Is it another export, whose ids {again}? {back}import it with a name of its own: --source NAME.",
        "Was the log corrected? See both sides with workbench conflicts list, and say which is right: "
        f"workbench conflicts resolve --keep arrived{brought} (or stored).",
        "Neither, and the stored calls are of an earlier version of the workbench? It may have read tools, "
        f"instructions or other parts otherwise: workbench conflicts resolve --keep arrived{brought}",
    ]


def told_readings(report: ImportReport) -> list[str]:
    """Say in words which records an older version of the program read otherwise, and what to do."""
    lines = []
    if count := sum(report.read_otherwise.values()):
        lines.append(
            f"{count:,} of the conflicts are records that an older version of the workbench has imported "
            f"({', '.join(report.read_otherwise)}); this one reads them otherwise. They are out of use until "
            "you take the new readings, all at once: workbench conflicts resolve --keep arrived --reread "
            "(--keep stored keeps the old ones)."
        )
    for manifest, count in report.held.items():
        lines.append(
            f"{count:,} records are skipped: an older version read them under other ids, or not at all, and "
            "those it read would stand there twice. To have all of them as this version reads them: "
            f"workbench import --undo {manifest}, then import the file again."
        )
    return lines


def told_rates(report: ImportReport) -> list[str]:
    """Say in words which known calls did not take the sampling rate they came with, and what to do."""
    return [
        f"{count:,} calls are known already and keep the sampling rate they have, or none. To give them this "
        f"one: workbench import --undo {manifest}, then import the log again; or set calls_per_day in the "
        "task's eval.toml."
        for manifest, count in report.rates_left.items()
    ]


def told_unrendered(report: ImportReport) -> list[str]:
    """Say in words which file is missing for the prompts, or that it came too late for them."""
    lines = []
    bare = report.marks.get(Mark.NOT_RENDERED)
    if bare:
        lines.append(
            f"{bare:,} calls hold the arguments of a template, not the prompt that the model saw. It is in "
            "TensorZero's ModelInference rows: import that file and this one together."
        )
    if report.prompts_waiting:
        lines.append(
            f"{report.prompts_waiting:,} calls were stored with the arguments of a template, and the prompt "
            "that the model saw came now. They are out of use until you take it (or keep what is stored): "
            f"workbench conflicts resolve --keep arrived --import {report.manifest_id or 'MANIFEST'}"
        )
    for manifest, count in report.unrendered.items():
        lines.append(
            f"{count:,} calls got their tokens, but keep a template's arguments for a prompt. For the "
            f"prompts: workbench import --undo {manifest}, then import its files and these together."
        )
    return lines


def _headline(report: ImportReport) -> str:
    what = "Would import" if report.dry_run else "Imported"
    names = ", ".join(each["name"] for each in report.files)
    return f"{what} {names} as {report.format} into source {report.source}: {report.records:,} records."
