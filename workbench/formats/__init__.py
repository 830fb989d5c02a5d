"""Log formats: tell which one a file has, and read it as drafts of calls.

A new format is one file with one class that satisfies `Format`, and one line in the
registry; the contract test then runs over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import UsageError, did_you_mean
from workbench.formats import near_misses
from workbench.formats.azure_apim import NO_CONTENT, lacks_content
from workbench.formats.base import (
    Blank,
    Detection,
    Draft,
    Feedback,
    Format,
    Item,
    Mark,
    OutputDraft,
    Passed,
    Record,
    Unreadable,
)
from workbench.formats.containers import look, records
from workbench.formats.files import Meter, Shape, capture_losses, found_files, log_files
from workbench.formats.joining import Joiner
from workbench.formats.lines import Share, read_plain_lines
from workbench.formats.mapped import Mapped, check_columns, check_paths, suggest_mapping
from workbench.formats.openai_batch import BatchReply, OpenAIBatch
from workbench.formats.openai_chat import OpenAIChat
from workbench.formats.picking import UNPICKED, WHERE_PREFIX
from workbench.formats.plain import PlainMessage, PlainPair, draft_of
from workbench.formats.registry import FORMATS, REGISTRY, STAND_ALONE, parse_record, recognised
from workbench.normal import as_text
from workbench.records import Output, Rejected

__all__ = [
    "AUTO",
    "FORMATS",
    "READING",
    "REGISTRY",
    "UNPICKED",
    "WHERE_PREFIX",
    "BatchReply",
    "Blank",
    "Detection",
    "Draft",
    "Feedback",
    "Joiner",
    "Mark",
    "Meter",
    "OutputDraft",
    "Passed",
    "PlainMessage",
    "PlainPair",
    "Share",
    "Source",
    "capture_losses",
    "columns_with_samples",
    "detect",
    "draft_of",
    "found_files",
    "log_files",
    "open_source",
    "propose_mapping",
    "read",
    "read_outputs",
    "read_replies",
]

T = TypeVar("T")

AUTO = "auto"
READING = 5
"""Raised whenever the readers make other calls or outputs of the same bytes: by it the store knows that a
record which comes again and reads otherwise is no other record."""
_SAMPLE_RECORDS = 50
_SAMPLE_FURTHER = 5_000
_COLUMN_SAMPLE_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """A file, how it is laid out, and the format that reads it.

    `given` says that a person named the format, `early` that the file adds to the calls of
    others and is read before them.
    """

    shape: Shape
    format: Format
    because: str
    given: bool = False
    early: bool = False

    @property
    def name(self) -> str:
        """Return the name under which reports speak of the file."""
        return self.shape.name

    @property
    def alone(self) -> bool:
        """Return whether every record stands for itself: nothing has to be joined with another one."""
        return self.format.name in STAND_ALONE

    @property
    def shareable(self) -> bool:
        """Return whether several readers can share the file: lines, each of which stands for itself."""
        return self.shape.kind == "jsonl" and self.alone

    def items(self, share: Share | None = None, meter: Meter | None = None) -> Iterator[Item]:
        """Give every source record once: as a draft, a part of one, rejected or blank. Never raises on data.

        Parts are put together by a `Joiner`, over all files of an import.

        Args:
            share: Which of several readers this is.
            meter: Says how far it is.
        """
        return self._parsed(records(self.shape, share, meter))

    def plain_items(
        self, share: Share | None = None, meter: Meter | None = None
    ) -> Iterator[Item | list[PlainPair]]:
        """Give what `items` gives, but plain pairs as such, in runs, where the format is one of them."""
        if self.shape.kind == "jsonl" and isinstance(self.format, OpenAIChat):
            return self._parsed(read_plain_lines(self.shape, share, meter))
        return self.items(share, meter)

    def _parsed(self, found: Iterator[Record | T]) -> Iterator[Item | T]:
        name = self.shape.name
        for record in found:
            if isinstance(record, Record):
                yield from parse_record(self.format, record, name, given=self.given)
            else:
                yield record


def open_source(
    path: Path,
    format: str = AUTO,
    mapping: Mapping[str, str] | None = None,
    *,
    outputs_only: bool = False,
) -> Source:
    """Settle how a file is read.

    Args:
        path: The file.
        format: A name of `FORMATS`, or auto.
        mapping: Field to column or JSON path; given, the format is `mapped`.
        outputs_only: Read id and output alone.

    Raises:
        UsageError: The file is no log, its format is unknown, or the mapping does not fit it.
    """
    known = {each.name: each for each in REGISTRY}
    if format not in (AUTO, *FORMATS):
        raise UsageError(f"There is no format {format!r}.", did_you_mean(format, [AUTO, *FORMATS]))
    shape = look(path)
    if mapping:
        if format not in (AUTO, Mapped.name):
            raise UsageError(f"--map goes with the format mapped, not {format}.", "Leave one of the two out.")
        form = Mapped(mapping, outputs_only=outputs_only)
        check_columns(mapping, columns_of(shape), str(path))
        check_paths(mapping, _first_objects(shape), str(path))
        unpicked = form.picking.unpicked(_first_objects(shape))
        because = f"a mapping was given, and {unpicked}" if unpicked else "a mapping was given"
        return Source(shape, form, because, given=True)
    if format == Mapped.name:
        raise _needs_mapping(shape, outputs_only=outputs_only)
    sample = _sample(shape)
    if format != AUTO:
        _refuse_without_content(shape, sample)
        return Source(
            shape, known[format], "the format was given", given=True, early=_early(known[format], sample)
        )
    detection = _told_table(shape, sample) if shape.kind in ("csv", "parquet") else _detect(shape, sample)
    if detection is None:
        raise _needs_mapping(shape, outputs_only=outputs_only)
    found = known[detection.format]
    return Source(shape, found, detection.because, early=_early(found, sample))


def _first_objects(shape: Shape) -> Iterator[dict[str, Any]]:
    for each in islice(records(shape), _COLUMN_SAMPLE_RECORDS):
        if isinstance(each, Record) and isinstance(each.value, dict):
            yield each.value


def detect(path: Path) -> Detection:
    """Tell which format a file has, and what says so.

    Returns:
        The format; `mapped` for tables, which need a mapping to be read.

    Raises:
        UsageError: The file is no log, or no format fits.
    """
    shape = look(path)
    if shape.kind in ("csv", "parquet"):
        what = "CSV" if shape.kind == "csv" else "Parquet"
        columns = f"it is a {what} file with the columns {_listed(shape.columns)}"
        return _told_table(shape, _sample(shape)) or Detection(Mapped.name, columns)
    return _detect(shape, _sample(shape))


def read(
    paths: Iterable[Path],
    format: str = AUTO,
    mapping: Mapping[str, str] | None = None,
) -> Iterator[Item]:
    """Read files, one after the other.

    Args:
        paths: The files; each has its own format if `format` is auto.
        format: A name of `FORMATS`, or auto.
        mapping: Field to column or JSON path, for the format `mapped`.

    Returns:
        Drafts of calls, outputs to be joined, rejected and blank records, each
        with file and line. Never raises on data.

    Raises:
        UsageError: A file is no log, or the mapping does not fit it.
    """
    sources = [open_source(path, format, mapping) for path in paths]
    joiner = Joiner()
    for source in sorted(sources, key=lambda each: not each.early):
        for item in source.items():
            yield from (each for each, _ in joiner.take(item, source.format.name))
    yield from (each for each, _ in joiner.finish())


def read_outputs(
    path: Path,
    format: str = AUTO,
    mapping: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, Output] | Rejected]:
    """Read outputs that were made elsewhere, with the id of the call each belongs to.

    Args:
        path: An OpenAI Batch output file, request/response pairs, or a table with a mapping.
        format: A name of `FORMATS`, or auto.
        mapping: Must name id and output.

    Raises:
        UsageError: The file is no log, or the mapping does not fit it.
    """
    source = open_source(path, format, mapping, outputs_only=True)
    joiner = Joiner()
    held = (each for item in source.items() for each, _ in joiner.take(item, ""))
    for item in chain(held, (each for each, _ in joiner.finish())):
        if isinstance(item, Rejected):
            yield item
        elif isinstance(item, OutputDraft) and not item.adds:
            yield item.native_id, item.output
        elif isinstance(item, Draft) and item.control is not None and item.native_id:
            yield item.native_id, item.control


def read_replies(
    path: Path,
    format: str = AUTO,
    mapping: Mapping[str, str] | None = None,
) -> Iterator[tuple[int, BatchReply | Rejected]] | None:
    """Read the output file of a batch as the replies it holds, each with its line.

    Args:
        path: Written by OpenAI's Batch API or by `vllm run-batch`, or several such files
            one behind the other.
        format: A name of `FORMATS`, or auto.
        mapping: Given, the file is no batch.

    Returns:
        The replies and the lines that can't be read; None where the file has another format.

    Raises:
        UsageError: The file is no log.
    """
    source = open_source(path, format, mapping, outputs_only=True)
    form = source.format
    return _replies(source.shape, form) if isinstance(form, OpenAIBatch) else None


def _replies(shape: Shape, form: OpenAIBatch) -> Iterator[tuple[int, BatchReply | Rejected]]:
    for record in records(shape):
        if isinstance(record, Rejected):
            yield record.line, record
        elif isinstance(record, Record):
            try:
                if not isinstance(record.value, dict):
                    raise Unreadable("not a JSON object")
                reply = form.reply(record.value)
            except Unreadable as error:
                yield record.line, record.rejected(shape.name, str(error))
            else:
                if reply is not None:
                    yield record.line, replace(reply, has_nan=record.has_nan)


def columns_of(shape: Shape) -> tuple[str, ...]:
    """Return the columns of a table, or the keys seen in the first records of a JSON file."""
    if shape.columns:
        return shape.columns
    seen: dict[str, None] = {}
    for record in islice(records(shape), _COLUMN_SAMPLE_RECORDS):
        if isinstance(record, Record) and isinstance(record.value, dict):
            seen.update(dict.fromkeys(record.value))
    return tuple(seen)


def columns_with_samples(path: Path, values: int = 3) -> list[tuple[str, list[str]]]:
    """Return the columns of a table or the keys of a log, each with some values cut to 200 characters.

    Raises:
        UsageError: The file is no log.
    """
    shape = look(path)
    found: dict[str, list[str]] = {name: [] for name in shape.columns}
    for record in islice(records(shape), _SAMPLE_RECORDS):
        if isinstance(record, Record) and isinstance(record.value, dict):
            for key, value in record.value.items():
                samples = found.setdefault(key, [])
                if value not in (None, "") and len(samples) < values:
                    samples.append(as_text(value)[:200])
    return list(found.items())


def propose_mapping(path: Path) -> dict[str, str]:
    """Propose a mapping for a table or a log of an unknown format, by its first records and its columns.

    Returns:
        Field to column or JSON path.

    Raises:
        UsageError: The file is no log.
    """
    shape = look(path)
    return near_misses.propose_mapping(columns_of(shape), _sample(shape))


def _sample(shape: Shape, most: int = _SAMPLE_RECORDS) -> list[Mapping[str, Any]]:
    found = (each.value for each in islice(records(shape), most) if isinstance(each, Record))
    return [each for each in found if isinstance(each, dict)]


def _early(form: Format, sample: Sequence[Mapping[str, Any]]) -> bool:
    is_early = getattr(form, "is_early", None)
    return bool(sample) and is_early is not None and is_early(sample[0])


def _votes(sample: Sequence[Mapping[str, Any]]) -> tuple[Counter[str], dict[str, str]]:
    votes: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for value in sample:
        found = recognised(value)
        if found is not None:
            votes[found[0].name] += 1
            reasons.setdefault(found[0].name, found[1])
    return votes, reasons


def _refuse_without_content(shape: Shape, sample: Sequence[Mapping[str, Any]]) -> None:
    if sample and all(lacks_content(each) for each in sample):
        why, _, instead = NO_CONTENT.partition(" Log through")
        raise UsageError(f"{shape.path}: {why}", f"Log through{instead}.")


def _told_table(shape: Shape, sample: Sequence[Mapping[str, Any]]) -> Detection | None:
    """Tell whether a table is a known log's; one whose columns say nothing needs a mapping."""
    _refuse_without_content(shape, sample)
    votes, reasons = _votes(sample)
    if not votes:
        return None
    name, count = votes.most_common(1)[0]
    if 2 * count < len(sample):
        return None
    return Detection(name, f"{count} of the first {len(sample)} rows have {reasons[name]}")


def _detect(shape: Shape, objects: Sequence[Mapping[str, Any]]) -> Detection:
    _refuse_without_content(shape, objects)
    votes, reasons = _votes(objects)
    if not votes and objects:
        # What a log begins with may be something else: another tool's records, a heading.
        objects = _sample(shape, _SAMPLE_FURTHER)
        votes, reasons = _votes(objects)
    if votes:
        name, count = votes.most_common(1)[0]
        return Detection(name, f"{count} of the first {len(objects)} records have {reasons[name]}")
    if not objects:
        raise UsageError(f"{shape.path} holds no JSON object that can be read.", _how_to_mend(shape))
    for told in (near_misses.only_pieces, near_misses.only_answers, near_misses.only_requests):
        if (refused := told(shape.path, objects)) is not None:
            raise refused
    keys = _listed(tuple(objects[0]))
    example = near_misses.example_mapping(tuple(objects[0]), objects)
    raise UsageError(
        f"{shape.path}: no known log format; the first record has the keys {keys}.",
        near_misses.how_to_unwrap(objects[0])
        or f"Say which columns to read, for example {example}. Where it is one of the "
        "formats of docs/formats.md, --format NAME reads it and rejects what is something else.",
    )


def _how_to_mend(shape: Shape) -> str:
    first = next((each for each in records(shape) if isinstance(each, Rejected)), None)
    if first is not None and near_misses.is_python(first.snippet):
        return "It looks like what Python prints of an object. Write each call with json.dumps instead."
    return "Check that it is JSON, one object a line; --format NAME reads it anyway and lists the faults."


def _needs_mapping(shape: Shape, *, outputs_only: bool = False) -> UsageError:
    columns = columns_of(shape)
    example = near_misses.example_mapping(columns, _sample(shape))
    if outputs_only:
        guess = suggest_mapping(columns)
        pairs = (f'{field} = "{guess.get(field, "COLUMN")}"' for field in ("id", "output"))
        example = f"map = {{ {', '.join(pairs)} }} in the candidate's table"
    return UsageError(
        f"{shape.path} needs a mapping; its columns are {_listed(columns)}.",
        f"Say which columns to read, for example {example}.",
    )


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:12])
    return f"{shown} and {len(columns) - 12} more" if len(columns) > 12 else shown
