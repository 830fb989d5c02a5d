"""MLflow 3 traces: spans of chat models, and the assessments of a trace as imported labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Draft, Feedback, Parsed, Passed, Unreadable
from workbench.formats.chat import word
from workbench.formats.drafts import as_list, as_mapping, feedback, id_of, make_draft, milliseconds_between
from workbench.formats.logged import read_logged, read_logged_request
from workbench.formats.usage import inclusive_usage, known
from workbench.normal import Undecodable, as_text, decode_json

_MODEL_TYPES = frozenset(("CHAT_MODEL", "LLM"))


class MLflow:
    """`{"info": ..., "data": {"spans": [...]}}`, one a line or under `traces`."""

    name = "mlflow"
    title = "MLflow 3 traces with assessments"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a trace."""
        if isinstance(value.get("info"), dict) and isinstance(
            as_mapping(value.get("data")).get("spans"), list
        ):
            return "info and data.spans"
        return None

    def split(self, value: Mapping[str, Any]) -> Sequence[Any]:
        """Return the spans of a trace, each with its info; the assessments go with the first."""
        info = as_mapping(value.get("info"))
        spans = as_mapping(value.get("data")).get("spans")
        if not isinstance(spans, list):
            return [value]
        dropped = ("assessments", "request_preview", "response_preview")
        light = {key: item for key, item in info.items() if key not in dropped}
        first = {**light, "assessments": info.get("assessments")}
        units: list[Any] = [
            {"span": each, "info": first if i == 0 else light} for i, each in enumerate(spans)
        ]
        return units or [{"span": None, "info": first}]

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one span.

        Raises:
            Unreadable: A span of a model lacks its inputs, or they can't be read.
        """
        info, span = as_mapping(value.get("info")), value.get("span")
        trace_id = id_of(info.get("trace_id")) or id_of(info.get("request_id"))
        labels = _assessments(info, trace_id)
        if span is None and "info" in value and "span" in value:
            return [Passed("a trace without spans", None, tuple(labels))]
        if not isinstance(span, dict):
            raise Unreadable("the record holds no span")
        context = as_mapping(span.get("context"))
        span_id = id_of(span.get("span_id")) or id_of(context.get("span_id"))
        if trace_id is None or span_id is None:
            raise Unreadable("the span has no id")
        parent = id_of(span.get("parent_span_id")) or id_of(span.get("parent_id"))
        place = (f"{trace_id}:{span_id}", f"{trace_id}:{parent}" if parent else None)
        attributes = {
            as_text(key): _decoded(item) for key, item in as_mapping(span.get("attributes")).items()
        }
        kind = attributes.get("mlflow.spanType") or span.get("span_type")
        if word(kind) not in _MODEL_TYPES:
            return [
                Passed(f"a span of type {as_text(kind or 'unknown')[:40]}, no model", place, tuple(labels))
            ]
        draft = _call(span, attributes, info, trace_id, place[0])
        draft.span, draft.feedback = place, labels
        return [draft]


def _decoded(value: Any) -> Any:
    """Return an attribute, which MLflow writes as JSON once more."""
    if not isinstance(value, str):
        return value
    try:
        return decode_json(value).value
    except Undecodable:
        return value


def _call(
    span: Mapping[str, Any],
    attributes: Mapping[str, Any],
    info: Mapping[str, Any],
    trace_id: str,
    native_id: str,
) -> Draft:
    inputs = attributes.get("mlflow.spanInputs", span.get("inputs"))
    if inputs in (None, "", {}, []):
        raise Unreadable("the span has no inputs")
    marks: list[str] = []
    control_marks: list[str] = []
    tools = attributes.get("mlflow.chat.tools")
    request = read_logged_request(inputs, marks, more={"tools": tools} if tools else None)
    start = next((span[key] for key in ("start_time_unix_nano", "start_time") if span.get(key)), None)
    end = next((span[key] for key in ("end_time_unix_nano", "end_time") if span.get(key)), None)
    latency = milliseconds_between(start, end)
    control = read_logged(attributes.get("mlflow.spanOutputs", span.get("outputs")), control_marks, latency)
    counted = as_mapping(attributes.get("mlflow.chat.tokenUsage"))
    usage = inclusive_usage(
        counted.get("input_tokens"), counted.get("cache_read_input_tokens"), counted.get("output_tokens")
    )
    metadata, tags = (
        as_mapping(info.get("trace_metadata") or info.get("request_metadata")),
        as_mapping(info.get("tags")),
    )
    status = as_mapping(span.get("status"))
    failed = as_text(status.get("code") or span.get("status_code") or "").upper().endswith("ERROR")
    kept = {key: item for key, item in {**metadata, **tags}.items() if not as_text(key).startswith("mlflow.")}
    named = {
        "trace_id": trace_id,
        "name": span.get("name"),
        "trace_name": tags.get("mlflow.traceName"),
        "user": metadata.get("mlflow.trace.user"),
        "session_id": metadata.get("mlflow.trace.session"),
    }
    draft = make_draft(
        request,
        control,
        native_id=native_id,
        time=start if start is not None else info.get("request_time"),
        latency_ms=latency,
        model=attributes.get("mlflow.llm.model") or as_mapping(inputs).get("model"),
        usage=usage if known(usage) else None,
        session=named["session_id"],
        task=kept.get("task"),
        error=(status.get("message") or "error") if failed else None,
        attributes=kept | named,
        marks=marks,
        cost=as_mapping(attributes.get("mlflow.llm.cost")).get("total_cost"),
    )
    draft.control_marks = [*control_marks, *draft.control_marks]
    return draft


def _assessments(info: Mapping[str, Any], trace_id: str | None) -> list[Feedback]:
    found: list[Feedback] = []
    for each in as_list(info.get("assessments")):
        one = as_mapping(each)
        trace = id_of(one.get("trace_id")) or trace_id
        if not one or trace is None:
            continue
        span = id_of(one.get("span_id"))
        source = as_mapping(one.get("source"))
        said = as_mapping(one.get("feedback"))
        expected = as_mapping(one.get("expectation"))
        serialised = as_mapping(expected.get("serialized_value"))
        value = said.get("value") if said else expected.get("value", _decoded(serialised.get("value")))
        label = feedback(
            "mlflow",
            target_kind="call" if span else "trace",
            target_id=f"{trace}:{span}" if span else trace,
            native_id=one.get("assessment_id"),
            name=one.get("assessment_name") or one.get("name"),
            value=value,
            comment=one.get("rationale"),
            annotator=source.get("source_id"),
            annotator_kind=source.get("source_type"),
            time=one.get("create_time") or one.get("create_time_ms"),
            attributes=as_mapping(one.get("metadata")),
        )
        if expected:
            label.kind = "demonstration"
        found.append(label)
    return found
