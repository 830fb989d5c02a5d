"""Drafts of calls as rows of the store: identity, hashes, language, sizes."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from workbench import language
from workbench.formats import Draft, Feedback, Mark, OutputDraft
from workbench.hashing import hashed
from workbench.ingest.captured import take_capture
from workbench.ingest.routing import TaskRouter
from workbench.ingest.served import ServedBy
from workbench.ingest.times import latest_time, past
from workbench.normal import canonical_json, content_hash, message_text
from workbench.records import Output, Request, to_json

MAX_ATTRIBUTE_CHARS = 2_000
"""A column of a table longer than this that no field names is left out, and marked."""


_encode = msgspec.json.Encoder().encode


def call_id(source: str, native_id: str) -> str:
    """Return the identity of a call: a hash of its source and its id there."""
    data = native_id.encode("utf-8", "surrogatepass")
    return hashed(b"%b%d:%b" % (_call_prefix(source), len(data), data))


@functools.lru_cache(maxsize=64)
def _call_prefix(source: str) -> bytes:
    """Return what `content_hash("call", source, ...)` hashes before the id."""
    data = source.encode("utf-8", "surrogatepass")
    return b"4:call%d:%b" % (len(data), data)


def default_source(task: str | None, format_name: str) -> str:
    """Return the name of an export that nobody named."""
    return f"{task}/{format_name}" if task else format_name


class RowMaker:
    """Turns drafts into staged rows: identity, task, language, sizes and hashes.

    Args:
        add: Takes a row, its size in bytes and its long texts.
        router: Decides on the task.
        sampling_rate: Share of traffic that was logged.
        add_label: Takes the row of an imported label and its size in bytes.
        served: Tells which candidate served a call; None where there is none.
    """

    def __init__(
        self,
        add: Any,
        router: TaskRouter,
        sampling_rate: float | None,
        *,
        add_label: Any = None,
        served: ServedBy | None = None,
    ) -> None:
        self._add, self._router, self._sampling_rate = add, router, sampling_rate
        self._add_label, self._served = add_label, served
        self._latest = latest_time()
        self.unnamed = False
        """Whether a row had no id; `Renumber` has to tell equal ones apart."""

    def call(self, draft: Draft, source: str) -> None:
        """Stage a call."""
        sampling_rate = take_capture(draft, self._sampling_rate)
        request = draft.request
        text, chars, turns, plain = _said(request)
        request_json, request_hash = _request_texts(request, plain=plain)
        output_hash = _output_hash(draft.control)
        native_id = draft.native_id
        if native_id is None:
            native_id = draft.content_key or content_hash(
                request_hash, request.parameters, output_hash,
                [draft.occurred_at, draft.session_id, draft.attributes],
            )  # fmt: skip
            self.unnamed = True
        occurred_at = past(draft.occurred_at, self._latest, draft.marks)
        task = self._router.task_of(draft)
        served_by = draft.served_by
        if served_by is None and self._served is not None:
            answered_by = draft.control.model if draft.control is not None else None
            served_by = self._served(draft.attributes, draft.model or answered_by)
        attributes = _attributes(draft)
        words = language.encoded_wording(text)
        control = _control_columns(draft.control, draft.control_marks)
        self._add(
            (
                "call",
                call_id(source, native_id),
                source,
                native_id,
                task,
                occurred_at,
                draft.session_id,
                served_by,
                sampling_rate,
                draft.model,
                chars,
                turns,
                len(request.tools),
                request_hash,
                _content_hash(request_hash, output_hash),
                attributes,
                _texts(draft.marks),
                output_hash,
                *control[1:],
                draft.gold,
                draft.file,
                draft.line,
                None if draft.control is None else draft.control.model,
                "id",
                draft.native_id is None,
                draft.parts,
            ),
            len(request_json) + len(control[0] or b"") + len(attributes) + 400,
            # Languages are told for a whole part at once.
            (words, request_json, control[0]),
        )

    def output(self, draft: OutputDraft, source: str) -> None:
        """Stage an output that joins a call."""
        output_hash = _output_hash(draft.output)
        occurred_at = past(draft.occurred_at, self._latest, draft.marks)
        control = _control_columns(draft.output, draft.marks)
        request = None if draft.request is None else to_json(draft.request)
        self._add(
            (
                "addition" if draft.adds else "output",
                call_id(source, draft.native_id),
                source,
                draft.native_id,
                None,
                occurred_at,
                None,
                None,
                None,
                draft.output.model,
                None,
                None,
                None,
                "",
                content_hash("output", output_hash),
                _encode(draft.attributes).decode() if draft.attributes else None,
                _texts(draft.request_marks),
                output_hash,
                *control[1:],
                None,
                draft.file,
                draft.line,
                draft.output.model,
                draft.key_name,
                False,
                draft.parts,
            ),
            len(control[0] or b"") + len(request or b"") + 300,
            (None, request, control[0]),
        )

    def label(self, draft: Feedback, source: str, *, is_record: bool) -> None:
        """Stage an imported label.

        Args:
            draft: The label.
            source: Of the export it comes from.
            is_record: Whether it is a source record by itself, not a field of a call's record.
        """
        value = canonical_json(draft.value)
        attributes = msgspec.json.encode(draft.attributes).decode()
        says = content_hash(
            draft.target_kind, draft.target_id, draft.name, draft.kind, value, draft.comment, draft.annotator
        )
        self._add_label(
            (
                content_hash("imported label", source, draft.origin, draft.native_id),
                is_record,
                source,
                draft.origin,
                draft.native_id,
                draft.target_kind,
                draft.target_id,
                draft.name,
                draft.kind,
                value,
                draft.comment,
                draft.annotator,
                draft.annotator_kind,
                attributes,
                says,
                _naive(draft.created_at),
                draft.file,
                draft.line,
            ),
            len(value) + len(draft.comment) + len(attributes) + 300,
        )


class Renumber:
    """Tells equal rows without ids apart by their count within a file, over all of its parts in order."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._copies: Counter[str] = Counter()

    def __call__(self, file: int, table: pa.Table) -> pa.Table:
        """Return a part with the final ids; parts come in order.

        Args:
            file: Number of the file that the part is from.
            table: The part.
        """
        if file != self._file:
            self._file = file
            self._copies.clear()
        columns = ("unnamed", "native_id", "call_id", "source")
        unnamed, native, calls, sources = (table.column(name).to_pylist() for name in columns)
        for row in (row for row, bare in enumerate(unnamed) if bare):
            self._copies[native[row]] += 1
            native[row] = f"{native[row]}#{self._copies[native[row]]}"
            calls[row] = call_id(sources[row], native[row])
        for name, values in (("native_id", native), ("call_id", calls)):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place), pa.array(values, pa.string()))
        return table


def _said(request: Request) -> tuple[str, int, int, bool]:
    """Return the last user's text, all characters, the user's turns, and whether there is text alone."""
    text, chars, turns = "", 0, 0
    plain = request.response_format is None and not request.tools
    for message in request.messages:
        said = message.content
        if not isinstance(said, str):
            plain = plain and said is None
            said = message_text(message)
        plain = plain and not message.tool_calls
        chars += len(said)
        if message.role == "user":
            text = said
            turns += 1
    return text, chars, turns, plain


def _request_texts(request: Request, *, plain: bool) -> tuple[bytes, str]:
    """Return a request as JSON and the hash of what was asked; parameters are not part of the hash.

    Args:
        request: The request.
        plain: Whether it is text alone. Then no number is written in two ways, nothing has to be
            searched for one, and the messages are encoded once for both.
    """
    if not plain:
        return to_json(request), content_hash([request.messages, request.tools, request.response_format])
    messages = _encode(request.messages)
    whole = b'{"messages":%b,"tools":[],"response_format":null,"parameters":%b}' % (
        messages,
        _encode(request.parameters),
    )
    asked = b"%d:[%b,[],null]" % (len(messages) + 10, messages)
    return whole, hashed(asked)


def _output_hash(output: Output | None) -> str:
    """Return the hash of what evidence rests on: text, tool calls and the kind of error."""
    if output is None:
        return ""
    if not output.tool_calls:
        # Text alone, as for requests.
        said = _encode([output.text, (), output.error.kind if output.error else None])
        return hashed(b"%d:%b" % (len(said), said))
    calls = [[each.name, each.arguments] for each in output.tool_calls]
    return content_hash([output.text, calls, output.error.kind if output.error else None])


def _content_hash(request_hash: str, output_hash: str) -> str:
    """Return `content_hash` of two hashes, of which the second may be empty."""
    said = f"32:{request_hash}{len(output_hash)}:{output_hash}".encode()
    return hashed(said)


def _control_columns(output: Output | None, marks: Sequence[str]) -> tuple[Any, ...]:
    if output is None:
        return (None,) * 8 + (_texts(marks),)
    usage = output.usage
    return (
        to_json(output),
        output.text,
        output.error.kind.value if output.error else None,
        output.latency_ms,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.cost_usd,
        _texts(marks),
    )


def _attributes(draft: Draft) -> str:
    if not draft.rest:
        return _encode(draft.attributes).decode()
    kept = dict(draft.attributes)
    for key, value in draft.rest.items():
        if isinstance(value, str) and len(value) > MAX_ATTRIBUTE_CHARS:
            if Mark.ATTRIBUTES_CUT not in draft.marks:
                draft.marks.append(Mark.ATTRIBUTES_CUT)
            continue
        kept.setdefault(key, value)
    return _encode(kept).decode()


def _texts(marks: Sequence[str]) -> list[str]:
    return [str(each) for each in dict.fromkeys(marks)] if marks else []


def _naive(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=None) if time is not None else None
