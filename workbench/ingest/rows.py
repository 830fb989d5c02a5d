"""Drafts of calls as rows of the store: identity, hashes, language, sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from workbench import language
from workbench.formats import Draft, Feedback, Mark, OutputDraft
from workbench.ingest.routing import TaskRouter
from workbench.normal import canonical_json, content_hash, last_user_text, message_text
from workbench.records import Output, to_json

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
        self._copies: Counter[str] = Counter()

    def next_file(self) -> None:
        """Begin a file: equal rows without ids are told apart by their count within it."""
        self._copies.clear()

    def call(self, draft: Draft, source: str) -> None:
        """Stage a call."""
        request = draft.request
        request_hash = content_hash([request.messages, request.tools, request.response_format])
        output_hash = _output_hash(draft.control)
        native_id = draft.native_id
        if native_id is None:
            native_id = content_hash(
                request_hash, request.parameters, output_hash,
                [draft.occurred_at, draft.session_id, draft.attributes],
            )  # fmt: skip
            self._copies[native_id] += 1
            native_id = f"{native_id}#{self._copies[native_id]}"
        task = self._router.task_of(draft)
        attributes = _attributes(draft)
        request_json = to_json(request).decode()
        text = last_user_text(request.messages)
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
                self._sampling_rate,
                draft.model,
                language.detect(text),
                sum(len(message_text(each)) for each in request.messages),
                sum(each.role == "user" for each in request.messages),
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
    return [str(each) for each in dict.fromkeys(marks)]


def _naive(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=None) if time is not None else None
