"""OpenTelemetry's GenAI conventions, new and old, and the Vercel AI SDK's spans beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.answers import join_answers, output_of
from workbench.formats.base import Draft, Mark, Unreadable
from workbench.formats.chat import add, finish_of, first_choice, first_filled
from workbench.formats.drafts import as_list, as_mapping, make_draft, milliseconds_between, seconds
from workbench.formats.logged import refuse_cut, text_answer
from workbench.formats.requests import read_request
from workbench.formats.spans import LogEvent, Span, indexed, service_attributes
from workbench.formats.usage import inclusive_usage, known
from workbench.normal import as_count, as_number, as_text, decode_nested
from workbench.records import Output, Usage

_MODEL_OPERATIONS = frozenset(
    (
        "chat",
        "text_completion",
        "generate_content",
        "completion",
        "message",
        "response",
        "chat.completions",
        "text.completions",
    )
)
_CONTENT = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.prompt", "gen_ai.completion", "gen_ai.usage.", "gen_ai.request.", "gen_ai.response.",
    "llm.", "ai.prompt",
    "ai.response", "ai.usage", "ai.settings", "ai.request", "gen_ai.headers", "traceloop.entity",
    "input.", "output.",
)  # fmt: skip
_INPUTS = ("gen_ai.input.messages", "gen_ai.prompt", "gen_ai.request.messages", "ai.prompt.messages")
_OUTPUTS = ("gen_ai.output.messages", "gen_ai.completion")
_NUMBERED_TOOLS = ("llm.request.functions", "gen_ai.request.tools", "llm.tools")
_DETAILS = "gen_ai.client.inference.operation.details"
_CHOICE = "gen_ai.choice"
_ROLES = {
    "gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}  # fmt: skip
_VERCEL = (".doGenerate", ".doStream")


def is_content_event(name: str) -> bool:
    """Tell whether an event carries messages, in the new or the old conventions."""
    return name in (_DETAILS, _CHOICE, "gen_ai.content.prompt", "gen_ai.content.completion") or name in _ROLES


def is_model_span(span: Span) -> bool:
    """Tell whether a span is a call of a model, not an agent, a tool or an embedding."""
    attributes = span.attributes
    vercel = attributes.get("ai.operationId")
    if isinstance(vercel, str):
        return vercel.endswith(_VERCEL)
    operation = attributes.get("gen_ai.operation.name", attributes.get("llm.request.type"))
    if isinstance(operation, str) and operation:
        return operation.lower() in _MODEL_OPERATIONS
    if as_text(attributes.get("traceloop.span.kind") or "") in ("workflow", "task", "agent", "tool"):
        return False
    if not (attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model")):
        return False
    return any(key.startswith(("gen_ai.usage.", "gen_ai.prompt", "gen_ai.input.", "gen_ai.completion"))
               for key in attributes) or any(is_content_event(name) for name, _ in span.events)  # fmt: skip


def holds_messages(span: Span) -> bool:
    """Tell whether what was asked stands in the span itself."""
    attributes = span.attributes
    if (
        any(attributes.get(key) not in (None, "", []) for key in _INPUTS)
        or "gen_ai.prompt.0.role" in attributes
    ):
        return True
    return any(is_content_event(name) for name, _ in span.events)


def read_genai(span: Span, logs: Sequence[LogEvent] = ()) -> Draft:
    """Read a span of a model, with the log events that carry its messages.

    Args:
        span: The span; its attributes may hold the messages, or its events.
        logs: Log records of the span, in the order of time.

    Raises:
        Unreadable: Nothing holds its messages, or they can't be read.
    """
    attributes = dict(span.attributes)
    marks: list[str] = []
    control_marks: list[str] = []
    events = [*span.events, *((each.name, _event_attributes(each)) for each in logs)]
    for name, held in events:
        if name in (_DETAILS, "gen_ai.content.prompt", "gen_ai.content.completion"):
            attributes = {**held, **{key: item for key, item in attributes.items() if item not in (None, "")}}
    asked = _asked(attributes, events)
    if not asked:
        raise Unreadable(
            "the span holds no messages: capture of content was off, or it lies in logs that are not here"
        )
    request = read_request({"messages": asked}, marks, more=beside_messages(attributes))
    latency = milliseconds_between(span.start, span.end)
    control = _answer(attributes, events, control_marks, latency)
    if attributes.get("gen_ai.response.cache_hit") is True:
        add(marks, Mark.CACHE_HIT)
    cut = attributes.get("gen_ai.input.messages.truncated") or attributes.get(
        "gen_ai.output.messages.truncated"
    )
    if cut:
        add(marks, Mark.TRUNCATED)
    kept = service_attributes(span, _CONTENT)
    task = kept.get("task")
    draft = make_draft(
        request,
        control,
        native_id=span.native_id,
        time=span.start if span.start is not None else (logs[0].time if logs else None),
        latency_ms=latency,
        first_token_ms=_first_token(attributes),
        model=first_filled(
            attributes, "gen_ai.response.model", "gen_ai.request.model", "ai.response.model", "ai.model.id"
        ),
        usage=_usage(attributes),
        session=first_filled(
            attributes, "gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"
        ),
        task=task,
        error=span.error,
        attributes=kept,
        marks=marks,
        cost=attributes.get("gen_ai.usage.cost"),
    )
    draft.control_marks = [
        *control_marks,
        *(each for each in draft.control_marks if each not in control_marks),
    ]
    draft.span = span.place
    return draft


def _event_attributes(event: LogEvent) -> dict[str, Any]:
    body = event.body
    held = dict(event.attributes)
    if isinstance(body, dict):
        held |= {as_text(key): item for key, item in body.items()}
    elif isinstance(decode_nested(body), dict):
        held |= decode_nested(body)
    return held


def _asked(attributes: Mapping[str, Any], events: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    found = decode_nested(first_filled(attributes, *_INPUTS))
    if found is not None:
        refuse_cut(found)
        if isinstance(found, dict):
            found = found.get("messages", [found])
        return found if isinstance(found, list) else [{"role": "user", "content": as_text(found)}]
    listed = indexed(attributes, "gen_ai.prompt")
    if listed:
        return [_indexed_message(each) for each in listed]
    return [_event_message(_ROLES[name], held) for name, held in events if name in _ROLES]


def _indexed_message(each: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of the flat attributes `gen_ai.prompt.0.role`, `.content`, `.tool_calls.0.name`."""
    calls = [
        {"id": call.get("id"), "function": {"name": call.get("name"), "arguments": call.get("arguments")}}
        for call in indexed(each, "tool_calls")
    ]
    message: dict[str, Any] = {"role": each.get("role") or "user", "content": each.get("content")}
    content = decode_nested(message["content"])
    if isinstance(content, list) and all(isinstance(item, dict) and "type" in item for item in content):
        message["content"] = content
    if calls:
        message["tool_calls"] = calls
    if each.get("tool_call_id"):
        message["tool_call_id"] = each["tool_call_id"]
    return message


def _event_message(role: str, held: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "role": held.get("role") or role,
        "content": held.get("content", held.get("gen_ai.event.content")),
        **({"tool_calls": as_list(held["tool_calls"])} if held.get("tool_calls") else {}),
        **({"tool_call_id": held["id"]} if role == "tool" and held.get("id") else {}),
    }


def _system(value: Any) -> Any:
    found = decode_nested(value)
    if isinstance(found, dict):
        found = found.get("parts", [found])
    return found


def beside_messages(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a span's attributes say of a request beside its messages.

    Args:
        attributes: Of the GenAI conventions, the Vercel AI SDK, Pydantic AI or OpenInference.

    Returns:
        Instructions, tools, response format and parameters, as keys of a request's body.
    """
    # Pydantic AI writes what it offers, an answer's form as a tool among it, beside the conventions.
    asked = as_mapping(attributes.get("model_request_parameters"))
    own = [*as_list(asked.get("function_tools")), *as_list(asked.get("output_tools"))]
    found = {
        **_parameters(attributes),
        "system": _system(attributes.get("gen_ai.system_instructions")),
        "tools": attributes.get("gen_ai.tool.definitions") or own or _indexed_tools(attributes),
    }
    shape = as_mapping(asked.get("output_object")).get("json_schema")
    if shape is not None and asked.get("output_mode") == "native":
        found["output_schema"] = shape
    return {key: item for key, item in found.items() if item not in (None, "", [])}


def _indexed_tools(attributes: Mapping[str, Any]) -> list[Any]:
    numbered = {key: item for key, item in attributes.items() if key.startswith(_NUMBERED_TOOLS)}
    for prefix in _NUMBERED_TOOLS if numbered else ():
        found = [
            each["tool.json_schema"]
            if "tool.json_schema" in each
            else {
                key: decode_nested(each.get(key))
                for key in ("name", "description", "parameters")
                if each.get(key)
            }
            for each in indexed(numbered, prefix)
        ]
        if found:
            return found
    return as_list(attributes.get("ai.prompt.tools"))


def _parameters(attributes: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        key.removeprefix("gen_ai.request."): item
        for key, item in attributes.items()
        if key.startswith("gen_ai.request.") and not isinstance(item, dict)
    }
    schema = attributes.get("gen_ai.request.structured_output_schema")
    if schema is not None:
        found["output_schema"] = schema
    choice = attributes.get("ai.prompt.toolChoice")
    if choice is not None:
        found.setdefault("tool_choice", choice)
    return {key: item for key, item in found.items() if key not in ("model", "messages", "tools")}


def _answer(
    attributes: Mapping[str, Any],
    events: Sequence[tuple[str, dict[str, Any]]],
    marks: list[str],
    latency_ms: float | None,
) -> Output | None:
    reasons = as_list(attributes.get("gen_ai.response.finish_reasons"))
    told = first_filled(attributes, "ai.response.finishReason", "gen_ai.response.finish_reason")
    finish = reasons[0] if reasons else told
    found = decode_nested(first_filled(attributes, *_OUTPUTS))
    if isinstance(found, list) and found:
        return _one_of(found, finish, marks, latency_ms)
    if isinstance(found, str):
        return text_answer(found, marks, latency_ms, finish=finish)
    if found is not None:
        return output_of(found, marks, finish=finish, latency_ms=latency_ms)
    listed = indexed(attributes, "gen_ai.completion")
    if listed:
        said = [
            {**_indexed_message({"role": "assistant", **each}), "finish_reason": each.get("finish_reason")}
            for each in listed
        ]
        return _one_of(said, finish, marks, latency_ms)
    choices = [held for name, held in events if name == _CHOICE]
    if (held := first_choice(choices)) is not None:
        if len({as_text(each.get("index")) for each in choices}) > 1:
            add(marks, Mark.MULTIPLE_CHOICES)
        spoken: Mapping[str, Any] = as_mapping(held.get("message")) or {
            "content": held.get("content", held.get("gen_ai.event.content")),
            "tool_calls": held.get("tool_calls"),
        }
        own = held.get("finish_reason")
        item = {"role": "assistant", **{key: each for key, each in spoken.items() if each is not None}}
        if held.get("tool_calls") and not item.get("tool_calls"):
            item["tool_calls"] = as_list(held["tool_calls"])
        return output_of(item, marks, finish=own or finish, latency_ms=latency_ms)
    text = first_filled(attributes, "ai.response.text", "ai.response.object")
    calls = as_list(attributes.get("ai.response.toolCalls"))
    thought = attributes.get("ai.response.reasoning")
    if text is not None or calls:
        item = {
            "role": "assistant",
            "content": [
                *([{"type": "reasoning", "text": thought}] if isinstance(thought, str) else []),
                *([{"type": "text", "text": as_text(text)}] if text else []),
                *({"type": "tool-call", **each} for each in calls if isinstance(each, dict)),
            ],
        }  # fmt: skip
        return output_of(item, marks, finish=finish_of(finish), latency_ms=latency_ms)
    return None


def _one_of(items: Sequence[Any], finish: Any, marks: list[str], latency_ms: float | None) -> Output:
    """Read the messages of an answer: pieces of one, or several of which the first counts."""
    finishes = [as_mapping(each).get("finish_reason") or finish for each in items]
    joined = join_answers(items, finishes, marks, latency_ms)
    if joined is not None:
        return joined
    if len(items) > 1 and all(isinstance(each, dict) and "role" in each for each in items):
        add(marks, Mark.MULTIPLE_CHOICES)
    return output_of(items[0], marks, finish=finishes[0], latency_ms=latency_ms)


_ASKED_KEYS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "ai.usage.promptTokens",
    "ai.usage.inputTokens",
    "llm.usage.prompt_tokens",
    "gen_ai.response.prompt_tokens",
)
_CACHE_READ_KEYS = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "ai.usage.cachedInputTokens",
)
_CACHE_WRITTEN_KEYS = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
)


def _usage(attributes: Mapping[str, Any]) -> Usage | None:
    asked, cached, written = (
        first_filled(attributes, *keys) for keys in (_ASKED_KEYS, _CACHE_READ_KEYS, _CACHE_WRITTEN_KEYS)
    )
    counts = [as_count(each) for each in (asked, cached, written)]
    if counts[0] is not None and counts[2] and (counts[1] or 0) + counts[2] > counts[0]:
        # They can't be part of it: Anthropic's counts, as they came.
        asked = sum(each or 0 for each in counts)
    usage = inclusive_usage(
        asked,
        cached,
        first_filled(
            attributes,
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "ai.usage.completionTokens",
            "ai.usage.outputTokens",
            "llm.usage.completion_tokens",
            "gen_ai.response.completion_tokens",
        ),
        first_filled(
            attributes,
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "ai.usage.reasoningTokens",
        ),
    )
    return usage if known(usage) else None


def _first_token(attributes: Mapping[str, Any]) -> float | None:
    vercel = as_number(attributes.get("ai.response.msToFirstChunk"))
    if vercel is not None:
        return vercel
    return seconds(
        first_filled(attributes, "gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
    )
