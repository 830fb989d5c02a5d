"""What every format speaks: records in, drafts of calls out, marks for what is odd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from workbench.normal import canonical_json, content_hash
from workbench.records import BATCH_PRICE, Output, Rejected, Request

SNIPPET_CHARS = 200


class Mark(StrEnum):
    """What a call remembers about what was lost or odd in its log."""

    AMBIGUOUS_TASK = "ambiguous_task"
    ATTRIBUTES_CUT = "attributes_cut"
    AUDIO = "audio"
    BAD_ARGUMENTS = "bad_arguments"
    BAD_SAMPLING_RATE = "bad_sampling_rate"
    BAD_TIME = "bad_time"
    BUILT_IN_TOOL = "built_in_tool"
    BATCH_PRICE = BATCH_PRICE
    CACHE_HIT = "cache_hit"
    CONTENT_FILTER = "content_filter"
    EMPTY_OUTPUT = "empty_output"
    ERROR = "error"
    FILE = "file"
    FINISH_LENGTH = "finish_length"
    FUTURE_TIME = "future_time"
    HISTORY_MISSING = "history_missing"
    IMAGE = "image"
    INTERNAL = "internal"
    MULTIPLE_CHOICES = "multiple_choices"
    MULTIPLE_PROMPTS = "multiple_prompts"
    NO_LATENCY = "no_latency"
    NO_OUTPUT = "no_output"
    NO_TIME = "no_time"
    NOT_RENDERED = "not_rendered"
    REDACTED = "redacted"
    REFUSAL = "refusal"
    REPAIRED_TEXT = "repaired_text"
    STREAM_NOT_REBUILT = "stream_not_rebuilt"
    TOOLS_BY_NAME = "tools_by_name"
    TRUNCATED = "truncated"
    TURNS_AFTER_ANSWER = "turns_after_answer"


class Unreadable(ValueError):
    """A record does not hold what its format needs; the message says what is missing."""


@dataclass(slots=True)
class Record:
    """One source record: a line, a row or an array item.

    `line` counts from 1; `has_nan` says that it held the word NaN, as JSON can't. `place` tells it
    apart from others of its line, such as `item 3` of a list.
    """

    line: int
    value: Any
    raw: bytes | None = None
    repaired: bool = False
    has_nan: bool = False
    place: str = ""

    def rejected(self, file: str, reason: str) -> Rejected:
        """Return this record as a rejected one."""
        raw = self.raw if self.raw is not None else canonical_json(self.value).encode()
        return reject(file, self.line, placed(self.place, reason), raw)


@dataclass(frozen=True, slots=True)
class Blank:
    """A source record without content: an empty line, a row of empty cells."""

    file: str
    line: int


@dataclass(slots=True)
class Feedback:
    """A judgement that another tool recorded about a call, a session or a trace.

    Kept under its own origin and shown beside the call; it never enters a bound, since
    nobody knows how the judged calls were drawn, nor that a person judged blind.
    """

    origin: str
    native_id: str
    target_kind: str
    target_id: str
    name: str
    value: Any = None
    kind: str = "text"
    comment: str = ""
    annotator: str = ""
    annotator_kind: str = ""
    created_at: datetime | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Passed:
    """A source record that is no call by its kind, such as the span of a tool; counted as skipped."""

    reason: str
    span: tuple[str, str | None] | None = None
    feedback: tuple[Feedback, ...] = ()
    file: str = ""
    line: int = 0
    parts: int = 0


@dataclass(slots=True)
class Part:
    """One of several source records that make up one call; `key` is what they share."""

    key: str
    data: Any
    span: tuple[str, str | None] | None = None
    file: str = ""
    line: int = 0
    size: int = 0
    form: Any = None


@dataclass(slots=True)
class Draft:
    """A call as its format reads it, before source, task and identity are settled.

    `native_id` is None where the log has none, and `content_key` then stands for what the
    record held before it was redacted; `task` is what the log itself says. `parts` counts
    the other source records that went into it, `part_key` names those that may still come.
    `span` is its own id and its parent's, where the log is a tree of spans.
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
    parts: int = 0
    part_key: str | None = None
    span: tuple[str, str | None] | None = None
    feedback: list[Feedback] = field(default_factory=list)


@dataclass(slots=True)
class OutputDraft:
    """An output whose request is another record; both carry `native_id`.

    `attributes` are added to those of the call. With `adds`, it only says tokens and model of an
    answer that is there already; `parts` counts the other source records that went into it, and
    `request` holds the messages that the model saw, where the call's own record may hold a template's
    arguments in their place; `request_marks` says what is odd about them.
    """

    native_id: str
    output: Output
    occurred_at: datetime | None = None
    marks: list[str] = field(default_factory=list)
    file: str = ""
    line: int = 0
    key_name: str = "id"
    adds: bool = False
    parts: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    request: Request | None = None
    request_marks: list[str] = field(default_factory=list)


Parsed = Draft | OutputDraft | Feedback | Passed | Part
Item = Parsed | Rejected | Blank


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


@runtime_checkable
class Splits(Protocol):
    """A format whose lines hold several source records, such as the spans of an export."""

    def split(self, value: Mapping[str, Any]) -> Sequence[Any]:
        """Return the source records of a line; each is parsed, counted and rejected by itself."""
        ...


@runtime_checkable
class Joins(Protocol):
    """A format where one call may be spread over several source records.

    `late` says why a part that comes after its call was complete adds nothing; None: it is
    assembled like one whose call came with another import.
    """

    late: str | None

    def assemble(self, parts: Sequence[Part]) -> Draft | OutputDraft:
        """Make one call of its parts, or what they say of a call that came with another import.

        Raises:
            Unreadable: They don't hold what a call needs.
        """
        ...

    def attach(self, draft: Draft, parts: Sequence[Part]) -> None:
        """Add to a call what parts that share its `part_key` say of it."""
        ...


def task_of(value: Any) -> str | None:
    """Return what a log calls a task; None where that is neither text nor a whole number."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def placed(place: str, reason: str) -> str:
    """Return why a record was rejected with where on its line it stands."""
    return f"{place}: {reason}" if place else reason


def reject(file: str, line: int, reason: str, raw: bytes) -> Rejected:
    """Return a rejected record with its hash and the start of its text."""
    snippet = raw[: 4 * SNIPPET_CHARS].decode("utf-8", "replace")[:SNIPPET_CHARS]
    return Rejected(file, line, reason, content_hash(raw), snippet.replace("\x00", "\ufffd").strip())


def display_name(path: Path) -> str:
    """Return the name under which reports speak of a file."""
    return path.name
