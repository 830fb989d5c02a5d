"""Chunks of the streams of Ollama, Cohere, Text Generation Inference and the AI SDK as the body they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.normal import as_text


def is_ollama(event: Mapping[str, Any]) -> bool:
    """Tell whether an object is one of Ollama's, of `/api/chat` or of `/api/generate`."""
    if not isinstance(event.get("done"), bool) or not isinstance(event.get("model"), str):
        return False
    said = event.get("message")
    spoken = isinstance(said, dict) and isinstance(said.get("role"), str)
    return spoken or isinstance(event.get("response"), str)


def ollama(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    """Put together what Ollama sent: only the last object has tokens and why it ended."""
    body: dict[str, Any] = {}
    message: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    calls: list[Any] = []
    for event in events:
        body |= {key: item for key, item in event.items() if item is not None}
        said = event.get("message")
        holder = said if isinstance(said, dict) else event
        message |= said if isinstance(said, dict) else {}
        for key in ("content", "response", "thinking"):
            if isinstance(holder.get(key), str):
                texts.setdefault(key, []).append(holder[key])
        listed = holder.get("tool_calls")
        calls += listed if isinstance(listed, list) else []
    whole: dict[str, Any] = {key: "".join(each) for key, each in texts.items()}
    if calls:
        whole["tool_calls"] = calls
    body |= {"message": message | whole} if message else whole
    # So that a stream which was cut is no piece again.
    return body | {"done": True}, any(each.get("done") is True for each in events)


_COHERE_KINDS = frozenset(
    ("message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start",
     "tool-call-delta", "citation-start", "message-end")
)  # fmt: skip
_COHERE_PART_ENDS = ("content-end", "tool-call-end", "citation-end")
_OLDER_COHERE_KINDS = frozenset(
    ("stream-start", "search-queries-generation", "search-results", "text-generation",
     "citation-generation", "tool-calls-generation", "tool-calls-chunk", "stream-end")
)  # fmt: skip
_COHERE_ENDS = ("stream-end", "message-end")


def is_cohere(event: Mapping[str, Any]) -> bool:
    """Tell whether an object is an event of Cohere's, of its first version or its second."""
    kind, older = event.get("type"), event.get("event_type")
    if isinstance(older, str):
        return older in _OLDER_COHERE_KINDS and isinstance(event.get("is_finished"), bool)
    if not isinstance(kind, str):
        return False
    ends = kind in _COHERE_PART_ENDS and isinstance(event.get("index"), int)
    return ends or (kind in _COHERE_KINDS and isinstance(event.get("delta"), dict))


def cohere(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    """Put together what Cohere sent."""
    if any("event_type" in each for each in events):
        return _cohere_first(events)
    body: dict[str, Any] = {}
    plan: list[str] = []
    blocks: dict[str, dict[str, Any]] = {}
    calls: dict[str, dict[str, Any]] = {}
    for event in events:
        delta = _inner(event, "delta")
        message, index = _inner(delta, "message"), as_text(event.get("index", 0))
        body |= {key: item for key, item in delta.items() if key != "message" and item is not None}
        if event.get("id"):
            body["id"] = event["id"]
        if isinstance(message.get("tool_plan"), str):
            plan.append(message["tool_plan"])
        content, call = _inner(message, "content"), _inner(message, "tool_calls")
        if content:
            _grow(blocks.setdefault(index, {}), content, ("text", "thinking"))
        if call:
            function = _inner(call, "function")
            known = calls.setdefault(index, {"function": {}})
            known |= {key: item for key, item in call.items() if key != "function"}
            _grow(known["function"], function, ("arguments",))
    said: dict[str, Any] = {"role": "assistant", "content": list(blocks.values())}
    if plan:
        said["tool_plan"] = "".join(plan)
    if calls:
        said["tool_calls"] = list(calls.values())
    return body | {"message": said}, any(each.get("type") in _COHERE_ENDS for each in events)


def _cohere_first(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    """Put together what the first version sent: its last event has all of it once more."""
    texts: list[str] = []
    body: dict[str, Any] = {}
    for event in events:
        body |= {key: event[key] for key in ("generation_id", "finish_reason") if event.get(key)}
        kind = event.get("event_type")
        if kind in _COHERE_ENDS and isinstance(event.get("response"), dict):
            return body | event["response"], True
        if kind == "text-generation" and isinstance(event.get("text"), str):
            texts.append(event["text"])
        if isinstance(event.get("tool_calls"), list):
            body["tool_calls"] = event["tool_calls"]
    body.setdefault("finish_reason", None)
    return body | {"text": "".join(texts)}, any(each.get("is_finished") is True for each in events)


def _inner(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    return found if isinstance(found, dict) else {}


def _grow(known: dict[str, Any], more: Mapping[str, Any], texts: Sequence[str]) -> None:
    """Add a piece to what is known: texts are joined, all else is what was said last."""
    for key, item in more.items():
        if key in texts and isinstance(item, str):
            known[key] = as_text(known.get(key) or "") + item
        elif item is not None:
            known[key] = item


def is_tgi(event: Mapping[str, Any]) -> bool:
    """Tell whether an object is a token of Text Generation Inference's."""
    return isinstance(event.get("token"), dict) and "generated_text" in event


def tgi(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    """Put together what Text Generation Inference sent: the last token has the whole text once more."""
    last = events[-1]
    if isinstance(last.get("generated_text"), str):
        return dict(last), True
    tokens = [_inner(each, "token") for each in events]
    texts = [as_text(each.get("text") or "") for each in tokens if each.get("special") is not True]
    return {"generated_text": "".join(texts)}, False


_AI_SDK_KINDS = ("text-delta", "reasoning-delta", "tool-input-delta", "tool-input-available")
AI_SDK_STARTS = ("start", "stream-start", "start-step", "step-start")
AI_SDK_EVENTS = frozenset(
    (*_AI_SDK_KINDS, *AI_SDK_STARTS, "text", "text-start", "text-end", "reasoning", "reasoning-start",
     "reasoning-end", "reasoning-signature", "redacted-reasoning", "tool-call", "tool-result", "tool-error",
     "tool-input-start", "tool-input-end", "tool-input-error", "tool-output-available", "tool-output-error",
     "tool-call-delta", "tool-call-streaming-start", "source", "source-url", "source-document", "file",
     "response-metadata", "message-metadata", "raw", "tool-approval-request",
     "tool-output-denied", "finish-step", "step-finish", "finish", "error", "abort")
)  # fmt: skip
"""All that its streams hold; most of these names are others' too."""
_AI_SDK_STEP_ENDS = ("finish-step", "step-finish")
_AI_SDK_CALLS = ("tool-call", "tool-input-available")
_AI_SDK_SAID = ("text-delta", "reasoning-delta", "reasoning", *_AI_SDK_CALLS)
_AI_SDK_TEXTS = ("delta", "text", "textDelta")
"""What its versions call the piece of a text."""


def is_ai_sdk(event: Mapping[str, Any]) -> bool:
    """Tell whether an object is a part of a stream of the AI SDK's that only it writes."""
    kind = event.get("type")
    if kind == "tool-input-available":
        return isinstance(event.get("toolName"), str)
    if kind == "tool-input-delta":
        return isinstance(event.get("inputTextDelta", event.get("delta")), str)
    return kind in _AI_SDK_KINDS and any(isinstance(event.get(key), str) for key in _AI_SDK_TEXTS)


def ai_sdk(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    """Put together what the AI SDK streamed, in the words of what it returns without streaming.

    Of an agent's steps the last is the answer: the others led to what their tools said.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Any] = []
    body: dict[str, Any] = {}
    is_step_over = False
    for event in events:
        kind = event.get("type")
        if kind in _AI_SDK_STEP_ENDS:
            is_step_over = True
        elif kind in AI_SDK_STARTS or (is_step_over and kind in _AI_SDK_SAID):
            for each in (texts, thoughts, calls):
                each.clear()
            is_step_over = False
        if kind in ("text-delta", "reasoning-delta", "reasoning"):
            said = next((event[key] for key in _AI_SDK_TEXTS if isinstance(event.get(key), str)), "")
            (texts if kind == "text-delta" else thoughts).append(said)
        elif kind in _AI_SDK_CALLS:
            calls.append(event)
        elif kind == "error":
            body["error"] = event.get("error") or event.get("errorText")
        elif kind == "finish":
            reason = event.get("finishReason")
            body["finishReason"] = _inner(event, "finishReason").get("unified", reason)
            body["usage"] = event.get("totalUsage") or event.get("usage")
    ended = "finishReason" in body
    said_all = {"text": "".join(texts), "thinking": "".join(thoughts) or None, "toolCalls": calls or None}
    return {"finishReason": None, **body, **said_all}, ended
