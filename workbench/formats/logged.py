"""What tracing tools and tables log in any form: a text, JSON in a text, or a provider's own body.

A prompt and an answer may be JSON themselves. Only what has the shape of messages or of a
provider's body is taken apart; everything else is what was said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.formats.answers import output_of, read_response
from workbench.formats.base import Mark, Unreadable
from workbench.formats.blocks import (
    CALLER_RUN_RESULTS,
    is_built_in,
    is_built_in_item,
    is_call,
    is_result,
    is_thought,
    kind_of,
)
from workbench.formats.chat import PARAMETERS, add
from workbench.formats.pieces import are_stream, is_piece
from workbench.formats.requests import BODY_KEYS, read_request
from workbench.formats.streams import events_of_text
from workbench.formats.turns import is_assistant, is_pair, is_role
from workbench.normal import Undecodable, as_text, decode_json, decode_nested
from workbench.records import ErrorKind, Output, Request

_MESSAGE_TYPES = ("message", "ai", "AIMessage", "AIMessageChunk")
_BLOCK_TYPES = frozenset(("text", "output_text", "refusal"))
_LISTED = {
    "choices": ("message", "delta", "text", "finish_reason"),
    "candidates": ("content", "finishReason", "finish_reason"),
    "tool_calls": ("function", "name", "custom"),
}
"""Lists that make an object a provider's body, and what one of their items then holds."""
_SHAPES = tuple(f'"{key}"' for key in ("role", "parts", "messages", "contents", "choices"))
_TYPE = re.compile(r'"type"\s*:\s*"([^"\\]{1,60})"')
_HEAD_CHARS = 300
_HELD = ("content", "parts", "data", "text", "tool_calls", "message")
_CALLED = ("name", "raw_name", "toolName", "function", "call_id")
_ENDED = (
    "choices", "candidates", "object", "usage", "usage_metadata", "llm_output", "response_metadata",
    "finish_reason", "finishReason", "stop_reason", "stopReason",
)  # fmt: skip
_INNER = ("message", "messages", "content", "output", "generations", "kwargs", "data")
_NAMED = ("args", "kwargs")


def was_cut(value: Any) -> bool:
    """Tell whether a text is the start of messages or of a body as JSON, without its end.

    OpenTelemetry's limits on the length of attributes leave such, and no mark of it.
    """
    if not isinstance(value, str):
        return False
    head = value[:_HEAD_CHARS].lstrip()
    if not head.startswith(("{", "[")):
        return False
    if not any(each in head for each in _SHAPES) and not any(map(_is_kind, _TYPE.findall(head))):
        return False
    try:
        decode_json(value)
    except Undecodable as error:
        return "breaks off" in str(error)
    return False


def _is_kind(kind: str) -> bool:
    """Tell whether a type is one that messages, their blocks, or items beside them have."""
    spoken = kind in _BLOCK_TYPES or kind in _MESSAGE_TYPES
    return spoken or is_call(kind) or is_result(kind) or is_thought(kind) or is_built_in(kind)


def refuse_cut(value: Any) -> None:
    """Refuse messages whose end is missing: what the model was asked is not known.

    Raises:
        Unreadable: They were cut short.
    """
    if was_cut(value):
        raise Unreadable(
            "the messages were cut short by whatever logged them: raise its limit on the length of a field"
        )


def read_logged_request(value: Any, marks: list[str], *, more: Mapping[str, Any] | None = None) -> Request:
    """Read what was asked where a log holds it in any form.

    Args:
        value: Messages, a provider's body, a prompt, or JSON text of these.
        marks: Gets what is odd about it.
        more: What the log keeps beside: tools, response format, parameters.

    Raises:
        Unreadable: It holds no messages, or they were cut short.
    """
    decoded = _arguments_of(decode_nested(value))
    listed = decoded.get("messages") if isinstance(decoded, dict) else None
    if isinstance(listed, list) and any(
        isinstance(each, str) and each.startswith("role=") for each in listed
    ):
        raise Unreadable("the messages were logged as Python text, not as JSON")
    refuse_cut(decoded)
    if not is_asked(decoded):
        said = value if isinstance(value, str) and not isinstance(decoded, str) else decoded
        decoded = [{"role": "user", "content": as_text(said)}]
    return read_request(decoded, marks, more=more)


def _arguments_of(value: Any) -> Any:
    """Return the one argument of a function whose arguments were logged: Langfuse's decorator does so."""
    if not isinstance(value, dict) or not value or not set(value) <= set(_NAMED):
        return value
    args, kwargs = value.get("args") or [], value.get("kwargs") or {}
    if isinstance(kwargs, dict) and not args and is_asked(kwargs):
        return kwargs
    return args[0] if isinstance(args, list) and len(args) == 1 and not kwargs else value


def is_asked(value: Any) -> bool:
    """Tell whether something decoded is messages or a request's body, and no prompt that is JSON."""
    if isinstance(value, list):
        return bool(value) and all(_is_message(each) for each in value)
    if not isinstance(value, dict):
        return False
    if is_role(value.get("role")) and ("content" in value or "parts" in value):
        return True
    for key in ("messages", "contents", "input"):
        listed = decode_nested(value.get(key))
        if isinstance(listed, dict):
            listed = listed["messages"] if isinstance(listed.get("messages"), list) else [listed]
        if isinstance(listed, list) and listed and all(_is_message(each) for each in listed):
            return True
    if isinstance(value.get("model"), str) and any(
        isinstance(value.get(key), str) for key in ("input", "prompt")
    ):
        return True
    # A prompt under a plain word is one where nothing stands beside it that no request has.
    return any(isinstance(value.get(key), str) for key in BODY_KEYS["messages"]) and all(
        key in PARAMETERS or any(key in known for known in BODY_KEYS.values()) for key in value
    )


def _is_message(item: Any) -> bool:
    if isinstance(item, list):
        return is_pair(item) or (bool(item) and all(_is_message(each) for each in item))
    return isinstance(item, dict) and any(key in item for key in ("role", "type", "kwargs", "parts"))


def read_logged(value: Any, marks: list[str], latency_ms: float | None = None) -> Output | None:
    """Read an answer that a log holds in any form.

    A model's own JSON answer stays text, whether it was logged as text or as an object.

    Args:
        value: A text, a provider's body, a message, its blocks, a stream, or JSON text of these.
        marks: Gets what is odd about it.
        latency_ms: What the log says of its duration.

    Returns:
        The answer; None where there is none, or a stream that nobody can put together.

    Raises:
        Unreadable: It surely is a provider's or a library's, but can't be read.
    """
    decoded = decode_nested(value)
    if isinstance(decoded, dict):
        shaped = bool(decoded) and _is_body(decoded)
    else:
        shaped = isinstance(decoded, list) and _are_pieces(decoded)
    if shaped:
        found: list[str] = []
        try:
            output = read_response(decoded, found, latency_ms)
        except Unreadable:
            if _is_surely_one(decoded):
                raise
        else:
            if not _is_bare(output) or _is_surely_one(decoded):
                for mark in found:
                    add(marks, mark)
                return output
    if value is None or value == "" or value == [] or value == {}:
        return None
    if not isinstance(value, str):
        return output_of(as_text(value), marks, latency_ms=latency_ms)
    events = events_of_text(value)
    if events is not None:
        return read_response(events, marks, latency_ms)
    if not isinstance(decoded, str):
        return output_of(value, marks, latency_ms=latency_ms)
    return text_answer(value, marks, latency_ms)


def text_answer(
    text: str, marks: list[str], latency_ms: float | None = None, *, finish: Any = None
) -> Output:
    """Return the output that a text is; one that is an answer's JSON cut short is never compared with.

    Args:
        text: What the log holds.
        marks: Gets what is odd about it.
        latency_ms: What the log says of its duration.
        finish: Why it ended, as the log says it.
    """
    output = output_of(text, marks, finish=finish, latency_ms=latency_ms)
    if not was_cut(text):
        return output
    add(marks, Mark.TRUNCATED)
    return replace(output, flags=tuple(dict.fromkeys((*output.flags, "truncated"))))


def is_request(value: Any) -> bool:
    """Tell whether something decoded is a request's body or its messages, and no answer's message."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, dict) and is_role(each.get("role")) for each in value)
    return isinstance(value, dict) and not is_assistant(value.get("role")) and is_asked(value)


def is_answer(value: Any) -> bool:
    """Tell whether something decoded is what a provider or a library answers, and nothing else."""
    shaped = _is_body(value) if isinstance(value, dict) else isinstance(value, list) and _are_pieces(value)
    return shaped and _is_surely_one(value) and not is_request(value)


def _is_body(value: Mapping[str, Any]) -> bool:
    for key, words in _LISTED.items():
        listed = value.get(key)
        if isinstance(listed, list) and (
            any(isinstance(each, dict) and any(word in each for word in words) for each in listed)
            or (not listed and ("usage" in value or "object" in value))
        ):
            return True
    if isinstance(value.get("text"), str) and "finishReason" in value:  # The AI SDK
        return True
    if value.get("object") == "response" or _are_generations(value.get("generations")):
        return True
    if isinstance(value.get("kwargs"), dict) and ("lc" in value or value.get("type") == "constructor"):
        return True
    if _is_spoken(value) or _is_spoken(value.get("message")):
        return True
    listed = value.get("messages")
    if isinstance(listed, list) and listed and all(_is_turn(each) for each in listed):
        return True
    for key in ("content", "output"):
        inner = value.get(key)
        if isinstance(inner, list) and _are_pieces(inner):
            return True
        if isinstance(inner, dict) and ("parts" in inner or _is_spoken(inner.get("message"))):
            return True
    return False


def _are_generations(value: Any) -> bool:
    """Tell whether something is what LangChain generated: lists of answers, or answers."""
    return isinstance(value, list) and all(
        isinstance(each, list) or (isinstance(each, dict) and ("text" in each or "message" in each))
        for each in value
    )


def _is_turn(item: Any) -> bool:
    """Tell whether an item of a list is a message, or a call or result among them."""
    if not isinstance(item, dict):
        return is_pair(item) or (isinstance(item, list) and bool(item) and all(map(_is_turn, item)))
    if isinstance(item.get("kwargs"), dict) or _is_spoken(item):
        return True
    kind = kind_of(item)
    held = any(key in item for key in _HELD)
    return (is_role(kind) and held) or _is_piece(item) or is_result(kind) or is_built_in_item(kind)


def _is_bare(output: Output | None) -> bool:
    """Tell whether an answer has neither a text nor a call, and no reason for that."""
    return output is not None and output.error is not None and output.error.kind is ErrorKind.EMPTY


def _is_surely_one(value: Any) -> bool:
    """Tell whether only a provider or a library writes something so: such an answer can be an empty one."""
    if isinstance(value, list):
        return any(_is_surely_one(each) for each in value)
    if not isinstance(value, dict):
        return False
    if any(key in value for key in _ENDED):
        return True
    if (is_role(value.get("role")) or value.get("type") in _MESSAGE_TYPES) and (
        "content" in value or "parts" in value
    ):
        return True
    kind = kind_of(value)
    if kind in _BLOCK_TYPES and value.get("text") == "":
        return True
    if is_thought(kind) and "text" not in value:
        return True
    return any(_is_surely_one(value.get(key)) for key in _INNER)


def _is_spoken(value: Any) -> bool:
    """Tell whether something is a message: it says who speaks, or what it is, and holds what was said."""
    if not isinstance(value, dict):
        return False
    if is_role(value.get("role")):
        return any(key in value for key in _HELD)
    kind = value.get("type")
    # Models call things of their own a message, too.
    held = ("content", "parts") if kind == "message" else _HELD
    return kind in _MESSAGE_TYPES and any(key in value for key in held)


def _are_pieces(items: list[Any]) -> bool:
    """Tell whether items make up an answer; those of built-in tools only go along with others."""
    if items and all(isinstance(each, dict) for each in items) and are_stream(items):
        return True
    return any(_is_piece(each) for each in items) and all(
        _is_piece(each) or (isinstance(each, dict) and _is_by_tool(kind_of(each))) for each in items
    )


def _is_by_tool(kind: str | None) -> bool:
    return is_built_in_item(kind) or kind in CALLER_RUN_RESULTS


def _is_piece(value: Any) -> bool:
    """Tell whether an item of a list is a message, a block of one, a choice, or a chunk of a stream."""
    if not isinstance(value, dict):
        return False
    kind = kind_of(value)
    return (
        _is_spoken(value) or kind in _BLOCK_TYPES or (is_call(kind) and any(key in value for key in _CALLED))
        or is_thought(kind) or isinstance(value.get("delta"), dict) or is_piece(value)
        or ("candidates" in value and _is_body(value))
        or (isinstance(value.get("message"), dict) and "finish_reason" in value)
    )  # fmt: skip
