"""Spans and log records of OpenTelemetry in one form, whichever exporter wrote them.

OTLP JSON (attributes as key/value pairs), the SDKs' own JSON (attributes as an object),
and exports that nest attributes by the dots of their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.formats.drafts import as_list, as_mapping, id_of
from workbench.normal import as_text, decode_nested

_MAX_DEPTH = 12
MAX_ATTRIBUTE_CHARS = 2_000


@dataclass(slots=True)
class Span:
    """A span; times as the exporter writes them, attribute names with dots."""

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str = ""
    start: Any = None
    end: Any = None
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def native_id(self) -> str:
        """Return the identity of the span."""
        return f"{self.trace_id}:{self.span_id}"

    @property
    def place(self) -> tuple[str, str | None]:
        """Return its identity and its parent's."""
        return self.native_id, f"{self.trace_id}:{self.parent_id}" if self.parent_id else None


@dataclass(slots=True)
class LogEvent:
    """A log record that belongs to a span."""

    trace_id: str
    span_id: str
    name: str
    time: Any
    attributes: dict[str, Any]
    body: Any
    resource: dict[str, Any]


def is_otlp(value: Mapping[str, Any]) -> bool:
    """Tell whether a line is an export request of spans or of logs."""
    return isinstance(value.get("resourceSpans"), list) or isinstance(value.get("resourceLogs"), list)


def is_span(value: Mapping[str, Any]) -> bool:
    """Tell whether a line is one span as an SDK or a tracing tool writes it."""
    context = value.get("context", value.get("spanContext", value.get("span_context")))
    named = isinstance(context, dict) or (
        "span_id" in value or "spanId" in value or "context.span_id" in value
    )
    attributed = "attributes" in value or any(as_text(key).startswith("attributes.") for key in value)
    return named and attributed


def split_spans(value: Mapping[str, Any]) -> list[Any]:
    """Return the spans and log records of an export request, each with its resource."""
    if not is_otlp(value):
        return [value]
    units: list[Any] = []
    for outer, middle, inner, name in (
        ("resourceSpans", ("scopeSpans", "instrumentationLibrarySpans"), "spans", "span"),
        ("resourceLogs", ("scopeLogs", "instrumentationLibraryLogs"), "logRecords", "log"),
    ):
        for resource in as_list(value.get(outer)):
            holder = as_mapping(resource)
            attributes = as_mapping(holder.get("resource")).get("attributes")
            for key in middle:
                for scope in as_list(holder.get(key)):
                    units += [
                        {name: each, "resource": attributes} for each in as_list(as_mapping(scope).get(inner))
                    ]
    return units


def any_value(value: Any, depth: int = 0) -> Any:
    """Return what an OTLP value holds; other values as they are."""
    if not isinstance(value, dict) or depth > _MAX_DEPTH:
        return value
    if len(value) == 1:
        ((key, item),) = value.items()
        if key in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
            return item
        if key == "intValue":
            try:
                return int(item)
            except (TypeError, ValueError):
                return item
        if key == "arrayValue":
            return [any_value(each, depth + 1) for each in as_list(as_mapping(item).get("values"))]
        if key == "kvlistValue":
            return attributes_of(as_mapping(item).get("values"), depth + 1)
    return value


def attributes_of(value: Any, depth: int = 0) -> dict[str, Any]:
    """Return attributes as a flat object, from key/value pairs or from nested objects."""
    if isinstance(value, list):
        found: dict[str, Any] = {}
        for each in value:
            if isinstance(each, dict) and isinstance(key := each.get("key"), str):
                found[key] = any_value(each.get("value"), depth)
        return found
    flat: dict[str, Any] = {}
    _flatten(as_mapping(value), "", flat, 0)
    return flat


def _flatten(value: Mapping[str, Any], prefix: str, into: dict[str, Any], depth: int) -> None:
    """Join nested names by dots; lists of objects are numbered as in flat attributes."""
    for key, item in value.items():
        name = f"{prefix}{as_text(key)}"
        into[name] = item
        if depth < _MAX_DEPTH and isinstance(item, dict) and item:
            _flatten(item, f"{name}.", into, depth + 1)
        elif depth < _MAX_DEPTH and isinstance(item, list) and any(isinstance(each, dict) for each in item):
            for index, each in enumerate(item):
                if isinstance(each, dict):
                    _flatten(each, f"{name}.{index}.", into, depth + 1)


def read_span(value: Mapping[str, Any]) -> Span | None:
    """Read a span of any exporter; None where it has no id."""
    resource = attributes_of(value.get("resource"))
    inner = value.get("span")
    raw: Mapping[str, Any] = inner if isinstance(inner, dict) else value
    context = as_mapping(raw.get("context", raw.get("spanContext", raw.get("span_context"))))
    trace_id = _id(raw, context, "traceId", "trace_id")
    span_id = _id(raw, context, "spanId", "span_id")
    if trace_id is None or span_id is None:
        return None
    attributes = attributes_of(raw.get("attributes"))
    columns = {
        as_text(key).removeprefix("attributes."): decode_nested(item)
        for key, item in raw.items()
        if as_text(key).startswith("attributes.") and item is not None
    }
    if columns:
        # A table of spans, as Phoenix exports it: lists of messages stand in one column.
        attributes |= attributes_of(columns)
    parent_context = as_mapping(raw.get("parentSpanContext"))
    parent = next(
        (
            found
            for key in ("parentSpanId", "parent_span_id", "parent_id", "parentId")
            if (found := id_of(raw.get(key)))
        ),
        id_of(parent_context.get("spanId")),
    )
    inner_resource = as_mapping(raw.get("resource")).get("attributes")
    if inner_resource is not None:
        resource |= attributes_of(inner_resource)
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=_bare(parent) if parent else None,
        name=as_text(raw.get("name") or ""),
        start=_time(raw, "startTimeUnixNano", "start_time_unix_nano", "startTime", "start_time"),
        end=_time(raw, "endTimeUnixNano", "end_time_unix_nano", "endTime", "end_time"),
        attributes=attributes,
        events=[
            (as_text(each.get("name") or ""), attributes_of(each.get("attributes")))
            for each in as_list(raw.get("events"))
            if isinstance(each, dict)
        ],
        resource=resource,
        error=_error(raw, attributes),
    )


def _id(raw: Mapping[str, Any], context: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        for holder, name in ((raw, key), (context, key), (raw, f"context.{key}")):
            found = id_of(holder.get(name))
            if found:
                return _bare(found)
    return None


def _bare(identity: str) -> str:
    return identity.removeprefix("0x")


def _time(raw: Mapping[str, Any], *keys: str) -> Any:
    for key in keys:
        found = raw.get(key)
        if isinstance(found, list) and len(found) == 2 and all(isinstance(each, int) for each in found):
            # The JavaScript SDK writes [seconds, nanoseconds].
            return found[0] * 10**9 + found[1]
        if found not in (None, "", 0, "0"):
            return found
    return None


def _error(raw: Mapping[str, Any], attributes: Mapping[str, Any]) -> str | None:
    status = as_mapping(raw.get("status"))
    code = as_text(status.get("code", status.get("status_code", raw.get("status_code", ""))) or "")
    failed = code in ("2", "STATUS_CODE_ERROR", "ERROR", "StatusCode.ERROR")
    kind = attributes.get("error.type")
    if not failed and not kind:
        return None
    message = status.get("message") or status.get("description") or raw.get("status_message") or kind
    return as_text(message) if message else "error"


def read_log(value: Mapping[str, Any]) -> LogEvent | None:
    """Read a log record; None where it belongs to no span."""
    raw = as_mapping(value.get("log"))
    trace_id, span_id = id_of(raw.get("traceId")), id_of(raw.get("spanId"))
    if trace_id is None or span_id is None:
        return None
    attributes = attributes_of(raw.get("attributes"))
    body = any_value(raw.get("body"))
    name = raw.get("eventName") or attributes.get("event.name") or (body if isinstance(body, str) else "")
    time = _time(raw, "timeUnixNano", "observedTimeUnixNano")
    return LogEvent(
        trace_id, span_id, as_text(name), time, attributes, body, attributes_of(value.get("resource"))
    )


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return attributes such as `prefix.0.role`, `prefix.1.role` as a list of flat objects, by number."""
    found: dict[int, dict[str, Any]] = {}
    head = f"{prefix}."
    for key, item in attributes.items():
        if key.startswith(head):
            number, _, rest = key[len(head) :].partition(".")
            if rest and number.isascii() and number.isdigit() and len(number) < 7:
                found.setdefault(int(number), {})[rest] = item
    return [found[number] for number in sorted(found)]


def service_attributes(span: Span, names: Sequence[str]) -> dict[str, Any]:
    """Return what a span says of its service, and those of its attributes that say no content."""
    found: dict[str, Any] = {"trace_id": span.trace_id, "name": span.name}
    for key in ("service.name", "deployment.environment.name", "deployment.environment", "service.version"):
        if span.resource.get(key) not in (None, ""):
            found[key] = span.resource[key]
    return found | {
        key: item
        for key, item in span.attributes.items()
        if not key.startswith(tuple(names))
        and isinstance(item, str | int | float | bool)
        and len(as_text(item)) <= MAX_ATTRIBUTE_CHARS
    }
