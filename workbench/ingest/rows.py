"""Drafts of calls as rows of the store: identity, hashes, language, sizes."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from workbench import language
from workbench.formats import Draft, Feedback, Mark, OutputDraft
from workbench.ingest.captured import take_capture
from workbench.ingest.routing import TaskRouter
from workbench.normal import canonical_json, content_hash, message_text
from workbench.records import Output, Request, to_json

MAX_ATTRIBUTE_CHARS = 2_000
"""A column of a table longer than this that no field names is left out, and marked."""


def call_id(source: str, native_id: str) -> str:
    """Return the identity of a call: a hash of its source and its id there."""
    return content_hash("call", source, native_id)


def default_source(task: str | None, format_name: str) -> str:
    """Return the name of an export that nobody named."""
    return f"{task}/{format_name}" if task else format_name


class RowMaker:
    """Turns drafts into staged rows: identity, task, language, sizes and hashes.

    Args:
        add: Takes a row and its size in bytes.
        router: Decides on the task.
        sampling_rate: Share of traffic that was logged.
        add_label: Takes the row of an imported label and its size in bytes.
    """

    def __init__(
        self, add: Any, router: TaskRouter, sampling_rate: float | None, *, add_label: Any = None
    ) -> None:
        self._add, self._router, self._sampling_rate = add, router, sampling_rate
        self._add_label = add_label
        self.unnamed = False
        """Whether a row had no id; `Renumber` has to tell equal ones apart."""

    def call(self, draft: Draft, source: str) -> None:
        """Stage a call."""
        sampling_rate = take_capture(draft, self._sampling_rate)
        request = draft.request
        request_hash = _request_hash(request)
        output_hash = _output_hash(draft.control)
        native_id = draft.native_id
        if native_id is None:
            native_id = draft.content_key or content_hash(
                request_hash, request.parameters, output_hash,
                [draft.occurred_at, draft.session_id, draft.attributes],
            )  # fmt: skip
            self.unnamed = True
        task = self._router.task_of(draft)
        attributes = _attributes(draft)
        request_json = to_json(request).decode()
        text, chars, turns = "", 0, 0
        for message in request.messages:
            said = message_text(message)
            chars += len(said)
            if message.role == "user":
                text = said
                turns += 1
        control = _control_columns(draft.control, draft.control_marks)
        self._add(
            (
                "call",
                call_id(source, native_id),
                source,
                native_id,
                task,
                _naive(draft.occurred_at),
                draft.session_id,
                draft.served_by,
                sampling_rate,
                draft.model,
                text[: language.HEAD_CHARS],  # Languages are told for a whole part at once.
                chars,
                turns,
                len(request.tools),
                request_hash,
                content_hash(request_hash, output_hash),
                request_json,
                attributes,
                _texts(draft.marks),
                control[0],
                output_hash,
                *control[1:],
                draft.gold,
                draft.file,
                draft.line,
                "id",
                draft.native_id is None,
                draft.parts,
            ),
            len(request_json) + len(control[0] or "") + len(attributes) + 400,
        )

    def output(self, draft: OutputDraft, source: str) -> None:
        """Stage an output that joins a call."""
        output_hash = _output_hash(draft.output)
        control = _control_columns(draft.output, draft.marks)
        self._add(
            (
                "output",
                call_id(source, draft.native_id),
                source,
                draft.native_id,
                None,
                _naive(draft.occurred_at),
                None,
                None,
                None,
                draft.output.model,
                None,
                None,
                None,
                None,
                "",
                content_hash("output", output_hash),
                None,
                None,
                None,
                control[0],
                output_hash,
                *control[1:],
                None,
                draft.file,
                draft.line,
                draft.key_name,
                False,
                0,
            ),
            len(control[0] or "") + 300,
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


def _request_hash(request: Request) -> str:
    """Return the hash of what was asked; parameters are not part of it."""
    asked = [request.messages, request.tools, request.response_format]
    if not (request.tools or request.response_format):
        said = request.messages
        if all(isinstance(each.content, str | None) and not each.tool_calls for each in said):
            # Text alone: no number is written in two ways, so nothing has to be searched for it.
            with contextlib.suppress(UnicodeEncodeError):
                return content_hash(msgspec.json.encode(asked, order="deterministic"))
    return content_hash(asked)


def _output_hash(output: Output | None) -> str:
    """Return the hash of what evidence rests on: text, tool calls and the kind of error."""
    if output is None:
        return ""
    calls = [[each.name, each.arguments] for each in output.tool_calls]
    return content_hash([output.text, calls, output.error.kind if output.error else None])


def _control_columns(output: Output | None, marks: Sequence[str]) -> tuple[Any, ...]:
    if output is None:
        return (None,) * 7 + (_texts(marks),)
    usage = output.usage
    return (
        to_json(output).decode(),
        output.text,
        output.error.kind.value if output.error else None,
        output.latency_ms,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        _texts(marks),
    )


def _attributes(draft: Draft) -> str:
    kept = dict(draft.attributes)
    for key, value in draft.rest.items():
        if isinstance(value, str) and len(value) > MAX_ATTRIBUTE_CHARS:
            if Mark.ATTRIBUTES_CUT not in draft.marks:
                draft.marks.append(Mark.ATTRIBUTES_CUT)
            continue
        kept.setdefault(key, value)
    return msgspec.json.encode(kept).decode()


def _texts(marks: Sequence[str]) -> list[str]:
    return [str(each) for each in dict.fromkeys(marks)] if marks else []


def _naive(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=None) if time is not None else None
