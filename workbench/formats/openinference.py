"""OpenInference spans: flat llm.* attributes, and annotations as imported labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.answers import output_of, read_response
from workbench.formats.base import Draft, Feedback, Mark, Parsed, Passed, Unreadable
from workbench.formats.chat import add
from workbench.formats.drafts import as_list, as_mapping, feedback, id_of, make_draft, milliseconds_between
from workbench.formats.logged import read_logged, read_logged_request
from workbench.formats.requests import read_request
from workbench.formats.spans import (
    Span,
    indexed,
    is_otlp,
    is_span,
    read_span,
    service_attributes,
    split_spans,
)
from workbench.formats.usage import inclusive_usage, known
from workbench.normal import as_count, as_text, decode_nested
from workbench.records import Output

_KIND = "openinference.span.kind"
_CONTENT = ("llm.", "input.", "output.", "metadata", "openinference.", "retrieval.", "embedding.", "tag.")
_HIDDEN = "__REDACTED__"
_BUILT_IN = ("web_search_call", "file_search_call")
"""Under such a name the spans of the responses API say that one of the provider's own tools was called."""


def is_openinference(span: Span) -> bool:
    """Tell whether a span follows OpenInference's conventions."""
    return _KIND in span.attributes


class OpenInference:
    """Spans with `openinference.span.kind`, in OTLP or as Phoenix exports them, and its annotations."""

    name = "openinference"
    title = "OpenInference spans and annotations (Phoenix, Arize)"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record holds OpenInference spans or an annotation of one."""
        if is_otlp(value):
            for unit in split_spans(value)[:200]:
                span = read_span(unit) if "span" in unit else None
                if span is not None and is_openinference(span):
                    return _KIND
            return None
        if is_span(value):
            span = read_span(value)
            return _KIND if span is not None and is_openinference(span) else None
        if "annotator_kind" in value and ("span_id" in value or "trace_id" in value) and "name" in value:
            return "an annotation's name, annotator_kind and span_id"
        return None

    def split(self, value: Mapping[str, Any]) -> Sequence[Any]:
        """Return the spans of an export request."""
        return split_spans(value)

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one span or annotation.

        Raises:
            Unreadable: It has no id, or its messages can't be read.
        """
        if "log" in value and "span" not in value:
            return [Passed("a log record: OpenInference keeps messages in spans")]
        if "annotator_kind" in value and "attributes" not in value:
            found = _annotation(value, None)
            if found is None:
                raise Unreadable("the annotation names neither span nor trace")
            return [found]
        span = read_span(value)
        if span is None:
            raise Unreadable("the span has no trace and span id")
        if not is_openinference(span):
            return [
                Passed(
                    "a span without openinference.span.kind",
                    span.place,
                    tuple(annotation_labels(value, span)),
                )
            ]
        return read_openinference(span, annotation_labels(value, span))


def read_openinference(span: Span, labels: Sequence[Feedback] = ()) -> Sequence[Parsed]:
    """Read a span that follows the conventions; those that are no LLM's are passed over.

    Raises:
        Unreadable: An LLM's span lacks its input, or it can't be read.
    """
    kind = as_text(span.attributes.get(_KIND) or "").upper()
    if kind != "LLM":
        return [Passed(f"a span of kind {kind[:40] or 'unknown'}, no LLM", span.place, tuple(labels))]
    draft = _call(span)
    draft.feedback = list(labels)
    return [draft]


def _call(span: Span) -> Draft:
    attributes = span.attributes
    marks: list[str] = []
    control_marks: list[str] = []
    parameters = as_mapping(attributes.get("llm.invocation_parameters"))
    tools = [
        decode_nested(each.get("tool.json_schema", each.get("json_schema")))
        for each in indexed(attributes, "llm.tools")
    ]
    more = {**parameters, **({"tools": tools} if tools else {})}
    listed = indexed(attributes, "llm.input_messages")
    if listed:
        said = _without_built_in([_message(each) for each in listed], marks)
        request = read_request({"messages": said}, marks, more=more)
    else:
        prompts = indexed(attributes, "llm.prompts")
        found = attributes.get("input.value") or (prompts[0].get("prompt.text") if prompts else None)
        if found in (None, "", _HIDDEN):
            raise Unreadable("the span has neither llm.input_messages nor input.value: content was hidden")
        request = read_logged_request(found, marks, more=more)
    latency = milliseconds_between(span.start, span.end)
    control = _answer(attributes, as_count(parameters.get("n")), control_marks, latency)
    usage = inclusive_usage(
        attributes.get("llm.token_count.prompt"),
        attributes.get("llm.token_count.prompt_details.cache_read"),
        attributes.get("llm.token_count.completion"),
        attributes.get("llm.token_count.completion_details.reasoning"),
    )
    kept = service_attributes(span, _CONTENT)
    kept |= {as_text(key): item for key, item in as_mapping(attributes.get("metadata")).items()}
    named = {
        "user": attributes.get("user.id"),
        "tags": as_list(attributes.get("tag.tags")),
        "prompt_version": attributes.get("llm.prompt_template.version"),
        "project": span.resource.get("openinference.project.name"),
    }
    draft = make_draft(
        request,
        control,
        native_id=span.native_id,
        time=span.start,
        latency_ms=latency,
        model=attributes.get("llm.model_name") or parameters.get("model"),
        usage=usage if known(usage) else None,
        session=attributes.get("session.id"),
        task=kept.get("task"),
        error=span.error,
        attributes=kept | named,
        marks=marks,
        cost=attributes.get("llm.cost.total"),
    )
    draft.control_marks = [*control_marks, *draft.control_marks]
    draft.span = span.place
    return draft


def _answer(
    attributes: Mapping[str, Any], choices: int | None, marks: list[str], latency_ms: float | None
) -> Output | None:
    """Read an answer: one message, several to choose from, or one for each item of a response."""
    value = attributes.get("output.value")
    body = as_mapping(value)
    listed = indexed(attributes, "llm.output_messages")
    items = _without_built_in([_message({"message.role": "assistant", **each}) for each in listed], marks)
    if body.get("object") == "response" and body.get("output"):
        return read_response(body, marks, latency_ms)  # It says which of its items are reasoning.
    if not items:
        return None if value in (None, "", _HIDDEN) else read_logged(value, marks, latency_ms)
    finish = attributes.get("llm.finish_reason")
    if len(items) > 1 and (isinstance(body.get("choices"), list) or (choices or 1) > 1):
        add(marks, Mark.MULTIPLE_CHOICES)
        items = items[:1]
    if len(items) > 1:
        return _response(items, finish, attributes, marks, latency_ms)
    return output_of(items[0], marks, finish=finish, latency_ms=latency_ms)


def _response(
    items: Sequence[Mapping[str, Any]],
    finish: Any,
    attributes: Mapping[str, Any],
    marks: list[str],
    latency_ms: float | None,
) -> Output:
    """Put the items of a response together; reasoning is written as a message in front of the answer's."""
    found: list[str] = []
    texts = [output_of(each, found).text or "" for each in items]
    spoken = [index for index, text in enumerate(texts) if text]
    reasoned = attributes.get("llm.token_count.completion_details.reasoning") not in (None, 0, "0")
    said = spoken[-1] if spoken and (len(spoken) > 1 or not reasoned or spoken[0] == len(items) - 1) else None
    blocks: list[Any] = [
        {"type": "text" if index == said else "reasoning", "text": texts[index]} for index in spoken
    ]
    calls = [call for each in items for call in each.get("tool_calls", ())]
    message = {"role": "assistant", "content": blocks, "tool_calls": calls}
    return output_of(message, marks, finish=finish, latency_ms=latency_ms)


def _without_built_in(messages: Sequence[dict[str, Any]], marks: list[str]) -> list[dict[str, Any]]:
    """Leave out messages that only say that one of the provider's own tools was called."""
    found = []
    for message in messages:
        names = [as_text(each["function"]["name"]) for each in message.get("tool_calls", ())]
        if names and not message.get("content") and all(name in _BUILT_IN for name in names):
            add(marks, Mark.BUILT_IN_TOOL)
        else:
            found.append(message)
    return found


def _message(each: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message of flat attributes such as `message.role` and `message.contents.0...`."""
    held = {key.removeprefix("message."): item for key, item in each.items()}
    parts: list[dict[str, Any]] = []
    for part in indexed(held, "contents"):
        inner = {key.removeprefix("message_content."): item for key, item in part.items()}
        url = inner.get("image.image.url", inner.get("image.url"))
        if inner.get("type") == "image" or url is not None:
            parts.append({"type": "image_url", "image_url": {"url": as_text(url or "")}})
        elif inner.get("type") == "reasoning":
            parts.append({"type": "reasoning", "text": inner.get("text")})
        else:
            parts.append({"type": "text", "text": as_text(inner.get("text") or "")})
    message: dict[str, Any] = {"role": held.get("role") or "user", "content": parts or held.get("content")}
    calls = []
    for call in indexed(held, "tool_calls"):
        inner = {key.removeprefix("tool_call."): item for key, item in call.items()}
        function = {"name": inner.get("function.name"), "arguments": inner.get("function.arguments")}
        calls.append({"id": inner.get("id"), "type": "function", "function": function})
    if calls:
        message["tool_calls"] = calls
    elif held.get("function_call_name"):
        arguments = held.get("function_call_arguments_json")
        message["function_call"] = {"name": held["function_call_name"], "arguments": arguments}
    if held.get("tool_call_id"):
        message["tool_call_id"] = held["tool_call_id"]
    if isinstance(held.get("name"), str):
        message["name"] = held["name"]
    return message


def annotation_labels(value: Mapping[str, Any], span: Span) -> list[Feedback]:
    """Return the annotations that an export keeps on the span itself."""
    inner = value.get("span")
    raw: Mapping[str, Any] = inner if isinstance(inner, dict) else value
    found = []
    for key in ("annotations", "span_annotations", "spanAnnotations"):
        for each in as_list(raw.get(key)):
            label = _annotation(as_mapping(each), span)
            if label is not None:
                found.append(label)
    return found


def _annotation(value: Mapping[str, Any], span: Span | None) -> Feedback | None:
    span_id, trace_id = id_of(value.get("span_id")), id_of(value.get("trace_id"))
    if span is not None:
        kind, target = "call", span.native_id
    elif span_id is not None:
        # Phoenix names the span alone; its trace is part of a call's id, where it is known.
        kind, target = ("call", f"{trace_id}:{span_id}") if trace_id else ("span", span_id)
    elif trace_id is not None:
        kind, target = "trace", trace_id
    else:
        return None
    result = as_mapping(value.get("result")) or value
    score, label = result.get("score"), result.get("label")
    return feedback(
        "openinference",
        target_kind=kind,
        target_id=target,
        native_id=value.get("id"),
        name=value.get("name"),
        value=label if label is not None else score,
        comment=result.get("explanation"),
        annotator=value.get("user_id"),
        annotator_kind=value.get("annotator_kind", value.get("annotatorKind")),
        time=value.get("created_at", value.get("updated_at")),
        attributes={"score": score} if score is not None and label is not None else None,
    )
