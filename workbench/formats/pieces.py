"""What one piece of a streamed answer is, and which lines of a text are surely the pieces of one.

Models answer in JSON lines, too: only what a provider alone writes counts, by exact names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.formats.chat import word
from workbench.formats.chunks import (
    AI_SDK_EVENTS,
    AI_SDK_STARTS,
    is_ai_sdk,
    is_cohere,
    is_ollama,
    is_tgi,
)

_Events = Sequence[Mapping[str, Any]]

_ANTHROPIC: Mapping[str, str | None] = {
    "message_start": "message", "message_delta": "delta", "message_stop": None,
    "content_block_start": "content_block", "content_block_delta": "delta", "content_block_stop": None,
}  # fmt: skip
"""Anthropic's events, with the object that each of them has."""
_WHOLE_RESPONSES = frozenset(
    f"response.{each}" for each in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
_OPENINGS = ("response.created", "response.queued", "response.in_progress")
_GROWING = (
    "output_text", "refusal", "function_call_arguments", "custom_tool_call_input", "reasoning",
    "reasoning_text", "reasoning_summary", "reasoning_summary_text", "mcp_call_arguments",
    "code_interpreter_call_code", "code_interpreter_call.code", "audio", "audio.transcript",
)  # fmt: skip
_ADDED = ("output_item", "content_part", "reasoning_summary_part")
_BUILT_IN = (
    "file_search_call", "web_search_call", "code_interpreter_call", "image_generation_call", "mcp_call",
    "mcp_list_tools",
)  # fmt: skip
_STATES = ("in_progress", "searching", "interpreting", "generating", "completed", "failed", "partial_image")
_RESPONSES = frozenset(
    (
        *(f"response.{each}.{state}" for each in _GROWING for state in ("delta", "done")),
        *(f"response.{each}.{state}" for each in _ADDED for state in ("added", "done")),
        *(f"response.{each}.{state}" for each in _BUILT_IN for state in _STATES),
        "response.output_text.annotation.added", "response.output_text_annotation.added",
    )
)  # fmt: skip


def is_piece(event: Mapping[str, Any]) -> bool:
    """Tell whether an object is one piece of a streamed answer, and no record of a log."""
    return (
        _is_anthropic(event) or _is_responses(event) or _is_chat(event)
        or is_ollama(event) or is_cohere(event) or is_ai_sdk(event)
    )  # fmt: skip


def are_stream(events: _Events) -> bool:
    """Tell whether the objects on the lines of a text are surely one provider's stream, and say something."""
    if not events:
        return False
    pieces = events[:-1] if len(events) > 1 and is_bare_error(events[-1]) else events
    return _are_ollama(events) or any(fits(pieces) for fits in _STREAMS)


def is_bare_error(event: Mapping[str, Any]) -> bool:
    """Tell whether an object is what a server sends in place of the rest, when it fails in the middle."""
    return "error" in event and event.keys() <= {"error", "error_type"}


def _is_anthropic(event: Mapping[str, Any]) -> bool:
    kind = event.get("type")
    if kind == "ping":
        return len(event) == 1
    if not isinstance(kind, str) or kind not in _ANTHROPIC:
        return False
    held = _ANTHROPIC[kind]
    return held is None or isinstance(event.get(held), dict)


def _is_responses(event: Mapping[str, Any]) -> bool:
    kind = word(event.get("type"))
    return kind in _RESPONSES or (kind in _WHOLE_RESPONSES and isinstance(event.get("response"), dict))


def _is_chat(event: Mapping[str, Any]) -> bool:
    named = event.get("object") in ("chat.completion.chunk", "text_completion.chunk")
    return named and isinstance(event.get("choices"), list)


def _are_anthropic(events: _Events) -> bool:
    beside = ("ping", "error")
    said = ("content_block_start", "content_block_delta", "message_stop", "error")
    return (
        events[0].get("type") == "message_start"
        and all(_is_anthropic(each) or each.get("type") in beside for each in events)
        and any(each.get("type") in said for each in events)
    )


def _are_responses(events: _Events) -> bool:
    first = events[0]
    if first.get("type") not in _OPENINGS or not _is_responses(first):
        return False
    kinds = [each.get("type") for each in events]
    # Behind a response as OpenAI begins one, a name that is not known is one of its newer ones.
    surely = first["response"].get("object") == "response"
    known = all(
        _is_responses(each)
        or kind == "error"
        or (surely and isinstance(kind, str) and kind.startswith("response."))
        for each, kind in zip(events, kinds, strict=True)
    )
    return known and any(kind not in _OPENINGS for kind in kinds)


def _are_chat(events: _Events) -> bool:
    return all(map(_is_chat, events)) and any(each["choices"] for each in events)


def _are_completions(events: _Events) -> bool:
    """Tell whether these are the chunks of a completion: of one id, of which none but the last has an end."""
    first = events[0].get("id")
    lists = [each.get("choices") for each in events]
    choices = [each for listed in lists if isinstance(listed, list) for each in listed]
    return (
        len(events) > 1
        and isinstance(first, str)
        and all(each.get("object") == "text_completion" and each.get("id") == first for each in events)
        and all(isinstance(listed, list) for listed in lists)
        and bool(choices)
        and all(isinstance(each, dict) and isinstance(each.get("text"), str) for each in choices)
        and choices[0].get("finish_reason") is None
    )


def _are_ollama(events: _Events) -> bool:
    """Tell whether these are Ollama's: an end or an error stands last alone, or each has its time."""
    *before, last = events
    pieces = before if is_bare_error(last) else events
    if not pieces or not all(map(is_ollama, pieces)) or any(each["done"] for each in before):
        return False
    ended = last.get("done") is True or pieces is before
    return ended or all(isinstance(each.get("created_at"), str) for each in pieces)


def _are_cohere(events: _Events) -> bool:
    kinds = [each.get("type") or each.get("event_type") for each in events]
    starts = ("message-start", "stream-start")
    return kinds[0] in starts and all(map(is_cohere, events)) and any(kind not in starts for kind in kinds)


def _are_tgi(events: _Events) -> bool:
    return all(map(is_tgi, events))


def _are_ai_sdk(events: _Events) -> bool:
    kinds = [word(each.get("type")) for each in events]
    return (
        (kinds[0] in AI_SDK_STARTS or kinds[-1] == "finish")
        and all(kind in AI_SDK_EVENTS or str(kind).startswith("data-") for kind in kinds)
        and any(map(is_ai_sdk, events))
    )


_GEMINI = frozenset(
    (
        "candidates", "usageMetadata", "modelVersion", "responseId", "promptFeedback", "createTime",
        "usage_metadata", "model_version", "response_id", "prompt_feedback", "create_time",
    )
)  # fmt: skip


def _are_gemini(events: _Events) -> bool:
    """Tell whether these are Gemini's: its keys alone on each line, and parts of content on the first."""
    if not all(each.keys() <= _GEMINI for each in events):
        return False
    lists = [each.get("candidates", []) for each in events]
    if not all(isinstance(listed, list) and all(isinstance(one, dict) for one in listed) for listed in lists):
        return False
    contents = [each.get("content") for each in lists[0]]
    return bool(contents) and all(
        isinstance(each, dict) and isinstance(each.get("parts"), list) for each in contents
    )


_STREAMS: tuple[Callable[[_Events], bool], ...] = (
    _are_anthropic, _are_responses, _are_chat, _are_completions, _are_cohere, _are_tgi,
    _are_ai_sdk, _are_gemini,
)  # fmt: skip
