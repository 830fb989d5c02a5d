"""Langfuse: observations row by row, traces with their observations, and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.answers import output_of
from workbench.formats.base import Draft, Feedback, Mark, Parsed, Passed, Unreadable, task_of
from workbench.formats.chat import add, finish_of, first_told, word
from workbench.formats.drafts import (
    as_list,
    as_mapping,
    feedback,
    id_of,
    make_draft,
    milliseconds_between,
    seconds,
)
from workbench.formats.genai import beside_messages
from workbench.formats.logged import read_logged, read_logged_request
from workbench.formats.usage import known, usage_details
from workbench.normal import as_number, as_text, decode_nested, json_bytes
from workbench.records import Output, Usage

_TYPES = frozenset(
    (
        "GENERATION",
        "SPAN",
        "EVENT",
        "AGENT",
        "TOOL",
        "CHAIN",
        "RETRIEVER",
        "EVALUATOR",
        "EMBEDDING",
        "GUARDRAIL",
    )
)
_CAMEL = {
    "".join(f"_{char.lower()}" if char.isupper() else char for char in name): name
    for name in (
        "authorUserId", "calculatedTotalCost", "completionStartTime", "costDetails", "createdAt",
        "dataType", "endTime", "longStringValue", "modelParameters", "observationId",
        "parentObservationId", "promptName", "promptVersion", "providedModelName", "sessionId",
        "startTime", "statusMessage", "stringValue", "timeToFirstToken", "toolCallNames", "toolCalls",
        "toolDefinitions", "totalCost", "traceId", "traceName", "usageDetails", "userId"
    )
}  # fmt: skip
"""Names of fields as the API writes them, by those of the blob export."""
_FLAT_USAGE = {
    "input": ("promptTokens", "prompt_tokens", "inputUsage", "inputTokens", "input_tokens"),
    "output": ("completionTokens", "completion_tokens", "outputUsage", "outputTokens", "output_tokens"),
}
"""Where observations without usage details hold their tokens."""
_INTERNAL = ("langfuse-", "sdk-experiment")
_CUT = "<truncated due to size exceeding limit>"


class Langfuse:
    """Observations of type GENERATION are calls; the others are passed over and counted."""

    name = "langfuse"
    title = "Langfuse observations, trace exports and scores"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a trace with observations, an observation, or a score."""
        observations = value.get("observations")
        if isinstance(observations, list) and (
            "trace" in value or "sessionId" in value or "projectId" in value
        ):
            return "a trace with observations"
        named = _named(value)
        if named.get("traceId") is None:
            return None
        if word(value.get("type")) in _TYPES and named.get("startTime") is not None:
            return "an observation's type, trace and start time"
        scored = "dataType" in named and "name" in value and "value" in value
        return "a score's name, value and trace" if scored else None

    def split(self, value: Mapping[str, Any]) -> Sequence[Any]:
        """Return the observations of a trace, each with what the trace says, and its scores on the first."""
        observations = value.get("observations")
        if not isinstance(observations, list):
            return [value]
        trace = value.get("trace")
        trace = trace if isinstance(trace, dict) else {k: v for k, v in value.items() if k != "observations"}
        trace = {key: item for key, item in trace.items() if key not in ("observations", "input", "output")}
        light = {key: item for key, item in trace.items() if key not in ("scores", "corrections")}
        units: list[Any] = [
            {"observation": each, "trace": trace if index == 0 else light}
            for index, each in enumerate(observations)
        ]
        return units or [{"observation": None, "trace": trace}]

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one observation or score.

        Raises:
            Unreadable: A generation lacks its input, or it can't be read.
        """
        trace: Mapping[str, Any] = {}
        observation: Any = value
        if "observation" in value and "trace" in value:
            trace, observation = _named(as_mapping(value["trace"])), value["observation"]
            if observation is None:
                return [Passed("a trace without observations", None, tuple(_labels(trace, trace)))]
        if not isinstance(observation, dict):
            raise Unreadable("the observation is not an object")
        observation = _named(observation)
        if "observations" in observation:
            raise Unreadable("a trace stands where an observation was expected")
        if word(observation.get("type")) not in _TYPES and "value" in observation and "name" in observation:
            return _score_rows(observation)
        trace_id = id_of(observation.get("traceId")) or id_of(trace.get("id"))
        identity = id_of(observation.get("id"))
        if identity is None:
            raise Unreadable("the observation has no id")
        parent = id_of(observation.get("parentObservationId"))
        span = (f"{trace_id}/{identity}", f"{trace_id}/{parent}" if parent else None)
        labels = _labels(trace, observation)
        if observation.get("type") != "GENERATION":
            kind = as_text(observation.get("type") or "observation").lower()[:40]
            return [Passed(f"an observation of type {kind}, no generation", span, tuple(labels))]
        draft = _generation(observation, trace, identity, trace_id)
        draft.span = span
        draft.feedback = labels
        return [draft]


def _named(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object under the API's names, in camel case; the blob export writes them with underscores."""
    if value.keys().isdisjoint(_CAMEL):
        return value
    found = dict(value)
    for snake, camel in _CAMEL.items():
        if found.get(camel) is None and snake in found:
            found[camel] = found[snake]
    return found


def _holds_cut(value: Any) -> bool:
    """Tell whether Langfuse left a text out of a value, or the end of it."""
    return _CUT in value if isinstance(value, str) else _CUT.encode() in json_bytes(value)


def _generation(
    observation: Mapping[str, Any], trace: Mapping[str, Any], identity: str, trace_id: str | None
) -> Draft:
    asked = observation.get("input")
    if asked in (None, "", [], {}):
        raise Unreadable("the generation has no input")
    marks: list[str] = []
    control_marks: list[str] = []
    start = observation.get("startTime")
    latency = milliseconds_between(start, observation.get("endTime"))
    if latency is None:
        latency = seconds(observation.get("latency"))
    first = milliseconds_between(start, observation.get("completionStartTime"))
    if first is None:
        first = seconds(observation.get("timeToFirstToken"))
    metadata = as_mapping(observation.get("metadata"))
    span = as_mapping(metadata.get("attributes"))
    request = read_logged_request(asked, marks, more=_beside(observation, metadata, span))
    control = read_logged(observation.get("output"), control_marks, latency)
    if control is None or control.error is not None:
        control = _called(observation, control_marks, latency) or control
    if _holds_cut(asked) or _holds_cut(observation.get("output")):
        add(marks, Mark.TRUNCATED)
    environment = observation.get("environment") or trace.get("environment")
    if isinstance(environment, str) and environment.startswith(_INTERNAL):
        add(marks, Mark.INTERNAL)
    usage = _usage(observation)
    failed = observation.get("level") == "ERROR"
    finishes = as_list(span.get("gen_ai.response.finish_reasons"))
    draft = make_draft(
        request,
        control,
        native_id=identity,
        time=start,
        latency_ms=latency,
        first_token_ms=first,
        model=observation.get("providedModelName") or observation.get("model"),
        usage=usage if known(usage) else None,
        usage_first=True,
        session=observation.get("sessionId") or trace.get("sessionId"),
        error=(observation.get("statusMessage") or "error") if failed else None,
        attributes=_attributes(observation, trace, trace_id),
        marks=marks,
        finish=finish_of(finishes[0]) if finishes else None,
        cost=_cost(observation),
    )
    draft.control_marks = [*control_marks, *draft.control_marks]
    task = draft.attributes.get("task")
    draft.task = task_of(task)
    return draft


def _beside(
    observation: Mapping[str, Any], metadata: Mapping[str, Any], span: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what an observation keeps of a request beside its input.

    Where it came as a span of OpenTelemetry, some of that stands only in the attributes of the span.
    """
    parameters = {
        key: item
        for key, item in as_mapping(observation.get("modelParameters")).items()
        if item is not None and key not in ("system", "input", "messages")
    }
    tools = _tool_list(observation.get("toolDefinitions")) or as_list(metadata.get("tools"))
    told = beside_messages(span) if span else {}
    return {**told, **parameters, **({"tools": tools} if tools else {})}


def _called(observation: Mapping[str, Any], marks: list[str], latency_ms: float | None) -> Output | None:
    """Return the tool calls that Langfuse drew from an answer, where the answer itself says nothing."""
    names = as_list(observation.get("toolCallNames"))
    calls = [as_mapping(each) for each in as_list(observation.get("toolCalls"))]
    if not calls:
        return None
    marks[:] = [each for each in marks if each != Mark.EMPTY_OUTPUT]
    blocks = [
        {"name": names[index] if index < len(names) else None, **each, "type": "tool_call"}
        for index, each in enumerate(calls)
    ]
    return output_of(blocks, marks, latency_ms=latency_ms)


def _usage(observation: Mapping[str, Any]) -> Usage:
    """Return the tokens, of older exports and of tables from columns of their own."""
    found = usage_details(observation.get("usageDetails") or observation.get("usage"))
    if known(found):
        return found
    return usage_details({name: first_told(observation, *keys) for name, keys in _FLAT_USAGE.items()})


def _cost(observation: Mapping[str, Any]) -> Any:
    details = as_mapping(observation.get("costDetails"))
    if details.get("total") is not None:
        return details["total"]
    parts = [found for each in details.values() if (found := as_number(each)) is not None]
    return sum(parts) if parts else observation.get("totalCost") or observation.get("calculatedTotalCost")


def _tool_list(tools: Any) -> list[Any]:
    found = decode_nested(tools)
    if isinstance(found, list):
        return found
    return [{"name": name, **as_mapping(each)} for name, each in as_mapping(found).items()]


def _attributes(
    observation: Mapping[str, Any], trace: Mapping[str, Any], trace_id: str | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"trace_id": trace_id}
    for holder in (trace, observation):
        for key, item in as_mapping(holder.get("metadata")).items():
            if key not in ("attributes", "resourceAttributes", "scope") and isinstance(
                item, str | int | float | bool
            ):
                found[str(key)] = item
    named = {
        "trace_name": trace.get("name") or observation.get("traceName"),
        "name": observation.get("name"),
        "user": observation.get("userId") or trace.get("userId"),
        "tags": as_list(observation.get("tags")) or as_list(trace.get("tags")),
        "prompt_name": observation.get("promptName"),
        "prompt_version": observation.get("promptVersion"),
        "environment": observation.get("environment") or trace.get("environment"),
        "release": observation.get("release") or trace.get("release"),
        "version": observation.get("version") or trace.get("version"),
    }
    return found | {key: item for key, item in named.items() if item or item not in (None, "", [])}


def _labels(trace: Mapping[str, Any], observation: Mapping[str, Any]) -> list[Feedback]:
    found: list[Feedback] = []
    for holder in (trace, observation) if trace is not observation else (trace,):
        if "scores" not in holder and "corrections" not in holder:
            continue
        for each in (*as_list(holder.get("scores")), *as_list(holder.get("corrections"))):
            if isinstance(each, dict):
                found += _score_labels(each, as_text(trace.get("id") or observation.get("traceId") or ""))
    return found


def _score_labels(score: Mapping[str, Any], trace_id: str) -> list[Feedback]:
    score = _named(score)
    target = id_of(score.get("observationId"))
    session = id_of(score.get("sessionId"))
    trace = id_of(score.get("traceId")) or trace_id
    kind, identity = ("call", target) if target else ("trace", trace) if trace else ("session", session)
    if not identity:
        return []
    text = next(
        (item for key in ("stringValue", "longStringValue") if (item := score.get(key)) not in (None, "")),
        None,
    )
    value = score.get("value")
    if score.get("dataType") == "BOOLEAN" and value in (0, 1):
        value = bool(value)
    elif text is not None:
        value = text
    return [
        feedback(
            "langfuse",
            target_kind=kind,
            target_id=identity,
            native_id=score.get("id"),
            name=score.get("name"),
            value=value,
            comment=score.get("comment"),
            annotator=score.get("authorUserId"),
            annotator_kind=score.get("source"),
            time=score.get("timestamp") or score.get("createdAt"),
        )
    ]


def _score_rows(score: Mapping[str, Any]) -> list[Parsed]:
    found = _score_labels(score, "")
    if not found:
        raise Unreadable("the score names neither observation, trace nor session")
    return list(found)
