"""OTLP JSON exports of GenAI spans; messages in the span, in its events or in log records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Draft, Parsed, Part, Passed, Unreadable
from workbench.formats.drafts import feedback, id_of
from workbench.formats.genai import holds_messages, is_content_event, is_model_span, read_genai
from workbench.formats.openinference import annotation_labels, is_openinference, read_openinference
from workbench.formats.spans import LogEvent, Span, is_otlp, is_span, read_log, read_span, split_spans
from workbench.normal import as_number, as_text, to_utc

_EVALUATION = "gen_ai.evaluation.result"


class OtlpGenAI:
    """Export requests, one a line, or spans as an SDK writes them."""

    name = "otlp_genai"
    title = "OpenTelemetry exports with GenAI spans and logs"
    late = "a log record whose messages stand in its span already"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is an export request, or a span with GenAI attributes."""
        if is_otlp(value):
            return "resourceSpans" if "resourceSpans" in value else "resourceLogs"
        if is_span(value):
            span = read_span(value)
            if span is not None and any(key.startswith(("gen_ai.", "ai.")) for key in span.attributes):
                return "a span with gen_ai attributes"
        return None

    def split(self, value: Mapping[str, Any]) -> Sequence[Any]:
        """Return the spans and log records of an export request."""
        return split_spans(value)

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one span or log record.

        Raises:
            Unreadable: It has no id, or its messages can't be read.
        """
        if "log" in value and "span" not in value:
            return [_log(value)]
        span = read_span(value)
        if span is None:
            raise Unreadable("the span has no trace and span id")
        if is_openinference(span):
            return read_openinference(span)
        labels = annotation_labels(value, span)
        if not is_model_span(span):
            return [Passed("a span that is no call of a model", span.place, tuple(labels))]
        if not holds_messages(span):
            return [Part(span.native_id, dict(value), span.place, size=2_000)]
        draft = read_genai(span)
        draft.part_key = span.native_id
        draft.feedback = labels
        return [draft]

    def attach(self, draft: Draft, parts: Sequence[Part]) -> None:
        """Log records beside a span that holds its messages repeat them."""

    def assemble(self, parts: Sequence[Part]) -> Draft:
        """Put a span and its log records together.

        Raises:
            Unreadable: Nothing of them holds messages.
        """
        span: Span | None = None
        logs: list[LogEvent] = []
        for part in parts:
            if "log" in part.data:
                event = read_log(part.data)
                if event is not None:
                    logs.append(event)
            else:
                span = span or read_span(part.data)
        logs.sort(key=lambda event: as_number(event.time) or 0.0)
        if span is None:
            if not logs:
                raise Unreadable("the log record belongs to no span")
            # Without the span neither end nor duration is known; the messages are all the same.
            span = Span(logs[0].trace_id, logs[0].span_id, attributes={}, resource=logs[0].resource)
        return read_genai(span, logs)


def _log(value: Mapping[str, Any]) -> Parsed:
    event = read_log(value)
    if event is None:
        return Passed("a log record outside any span")
    if event.name == _EVALUATION:
        attributes = event.attributes
        score = attributes.get("gen_ai.evaluation.score.value")
        label = attributes.get("gen_ai.evaluation.score.label")
        return feedback(
            "otlp_genai",
            target_kind="call",
            target_id=f"{event.trace_id}:{event.span_id}",
            name=attributes.get("gen_ai.evaluation.name"),
            value=score if score is not None else label,
            comment=attributes.get("gen_ai.evaluation.explanation"),
            time=to_utc(event.time),
            attributes={"label": label} if label is not None and score is not None else None,
        )
    if not is_content_event(event.name):
        return Passed(f"a log record named {as_text(event.name)[:60] or 'nothing'}, without messages")
    size = len(as_text(value))
    return Part(id_of(f"{event.trace_id}:{event.span_id}") or "", dict(value), size=size)
