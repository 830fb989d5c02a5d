"""What every format speaks: records in, drafts of calls out, marks for what is odd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from workbench.normal import canonical_json, content_hash
from workbench.records import Output, Rejected, Request

SNIPPET_CHARS = 200


class Mark(StrEnum):
    """What a call remembers about what was lost or odd in its log."""

    AMBIGUOUS_TASK = "ambiguous_task"
    ATTRIBUTES_CUT = "attributes_cut"
    AUDIO = "audio"
    BAD_ARGUMENTS = "bad_arguments"
    BAD_TIME = "bad_time"
    CACHE_HIT = "cache_hit"
    CONTENT_FILTER = "content_filter"
    EMPTY_OUTPUT = "empty_output"
    ERROR = "error"
    FILE = "file"
    FINISH_LENGTH = "finish_length"
    HISTORY_MISSING = "history_missing"
    IMAGE = "image"
    INTERNAL = "internal"
    MULTIPLE_CHOICES = "multiple_choices"
    NO_LATENCY = "no_latency"
    NO_OUTPUT = "no_output"
    NO_TIME = "no_time"
    REDACTED = "redacted"
    REFUSAL = "refusal"
    REPAIRED_TEXT = "repaired_text"
    STREAM_NOT_REBUILT = "stream_not_rebuilt"
    TRUNCATED = "truncated"


class Unreadable(ValueError):
    """A record does not hold what its format needs; the message says what is missing."""


@dataclass(slots=True)
class Record:
    """One source record: a line, a row or an array item. `line` counts from 1."""

    line: int
    value: Any
    raw: bytes | None = None
    repaired: bool = False

    def rejected(self, file: str, reason: str) -> Rejected:
        """Return this record as a rejected one."""
        raw = self.raw if self.raw is not None else canonical_json(self.value).encode()
        return reject(file, self.line, reason, raw)


@dataclass(frozen=True, slots=True)
class Blank:
    """A source record without content: an empty line, a row of empty cells."""

    file: str
    line: int


@dataclass(slots=True)
class Draft:
    """A call as its format reads it, before source, task and identity are settled.

    `native_id` is None where the log has none, and `content_key` then stands for what the
    record held before it was redacted; `task` is what the log itself says.
    """

    request: Request
    native_id: str | None = None
    content_key: str | None = None
    control: Output | None = None
    occurred_at: datetime | None = None
    session_id: str | None = None
    served_by: str | None = None
    model: str | None = None
    task: str | None = None
    gold: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)
    control_marks: list[str] = field(default_factory=list)
    file: str = ""
    line: int = 0


@dataclass(slots=True)
class OutputDraft:
    """An output whose request is another record; both carry `native_id`."""

    native_id: str
    output: Output
    occurred_at: datetime | None = None
    marks: list[str] = field(default_factory=list)
    file: str = ""
    line: int = 0
    key_name: str = "id"


Parsed = Draft | OutputDraft
Item = Draft | OutputDraft | Rejected | Blank


@dataclass(frozen=True, slots=True)
class Detection:
    """Which format a file has and what in the file says so."""

    format: str
    because: str


class Format(Protocol):
    """A log format. One class in one file, named in the registry of `formats`."""

    name: str
    title: str

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say what makes a record this format, as the end of "it has ..."; None if it isn't."""
        ...

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one record.

        Raises:
            Unreadable: The record lacks what a call needs.
        """
        ...


def reject(file: str, line: int, reason: str, raw: bytes) -> Rejected:
    """Return a rejected record with its hash and the start of its text."""
    snippet = raw[: 4 * SNIPPET_CHARS].decode("utf-8", "replace")[:SNIPPET_CHARS]
    return Rejected(file, line, reason, content_hash(raw), snippet.replace("\x00", "\ufffd").strip())


def display_name(path: Path) -> str:
    """Return the name under which reports speak of a file."""
    return path.name
