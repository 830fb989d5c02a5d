"""Streamed answers put together again: chunks of any provider as the body they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.formats.chunks import ai_sdk, cohere, is_ai_sdk, is_cohere, is_ollama, is_tgi, ollama, tgi
from workbench.formats.pieces import are_stream, is_bare_error
from workbench.normal import Undecodable, as_count, as_text, decode_json, decode_nested

_LINE_END = re.compile(r"\r\n|\n|\r")
"""No other: inside of JSON text, U+2028 and its like end no line."""
_FIELDS = ("data:", "event:", "id:", "retry:", ":")
_DONE = "[DONE]"


def events_of_text(text: str) -> list[Any] | None:
    """Return the events of a stream that was logged as text.

    Args:
        text: What the log holds: lines of data among events, ids and comments, as servers send
            them, or an object a line, as Ollama does.

    Returns:
        The JSON objects in order, and as text what should be one and can't be read, so that no
        answer is put together around a hole; a last one that was cut off is left out. A stream
        that says nothing but its end is that end. None where the text is no stream.
    """
    text = text.lstrip("\ufeff \t\r\n")
    if not text.startswith(_FIELDS):
        return _events_of_lines(text) if text.startswith("{") else None
    said = [each for lines in _data_of(text) for each in _decoded(lines)]
    found = [each for each in said if isinstance(each, dict) or each.startswith("{")]
    if len(found) > 1 and isinstance(found[-1], str):
        found.pop()
    return found or [each for each in said if each == _DONE] or None


def _events_of_lines(text: str) -> list[Any] | None:
    """Return the pieces of a stream that stand on a line each; None where the text is anything else.

    A model may answer in JSON lines, too: only what no one but a provider writes counts.
    """
    first, _, _ = text.partition("\n")
    # Most such texts are one object over several lines, and are spared the decoding.
    if len(first) == len(text) or not first.rstrip().endswith("}"):
        return None
    found = [_object(line) for each in _LINE_END.split(text) if (line := each.strip())]
    if isinstance(found[-1], str) and found[-1].startswith("{"):
        found.pop()
    return found if all(isinstance(each, dict) for each in found) and are_stream(found) else None


def _data_of(text: str) -> Iterator[list[str]]:
    """Give the lines of data of every event; one without an empty line at its end still counts."""
    lines: list[str] = []
    for line in (*_LINE_END.split(text), ""):
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").strip())
        elif not line and lines:
            yield lines
            lines = []


def _decoded(lines: list[str]) -> list[Any]:
    """Return the objects of an event, several where no empty lines stand between events; else its text."""
    apart = [_object(each) for each in lines]
    if all(isinstance(each, dict) or each == _DONE for each in apart):
        return apart
    return [_object("\n".join(lines))]


def _object(text: str) -> Any:
    try:
        value = decode_json(text).value
    except Undecodable:
        return text
    return value if isinstance(value, dict) else text


def rebuild(chunks: Sequence[Any]) -> tuple[dict[str, Any], bool] | None:
    """Put the chunks of a stream together.

    Args:
        chunks: In order: OpenAI chat or responses, Anthropic, Bedrock Converse, Titan, Llama,
            Gemini, Ollama, Cohere, TGI, the AI SDK; as objects, as JSON text, or as the lines that were
            sent. What only ends a stream (`[DONE]`) is no chunk.

    Returns:
        The body of the answer as the provider gives it without streaming, and whether the
        stream reached its end; None where the chunks are of no known provider.
    """
    found = [event for each in chunks for event in _listed(each)]
    events = [_inner(event) for event in found if isinstance(event, dict)]
    if not events or len(events) < len(found):
        return None
    for fits, build in (
        (_is_responses, _responses),
        (_is_anthropic, _anthropic),
        (_is_converse, _converse),
        (_is_chat, _chat),
        (is_ollama, ollama),
        (is_cohere, cohere),
        (is_ai_sdk, ai_sdk),
        (is_tgi, tgi),
        (_is_gemini, _gemini),
        (_is_plain, _plain),
    ):
        if any(fits(each) for each in events):
            body, ended = build(events)
            return (body | {"error": events[-1]["error"]} if is_bare_error(events[-1]) else body), ended
    return None


def _listed(chunk: Any) -> list[Any]:
    """Return the events of one item of a list: an empty line, a name and the end of a stream are none."""
    event = decode_nested(chunk)
    if not isinstance(event, str):
        return [event]
    if not event.strip() or event.strip() == _DONE:
        return []
    said = events_of_text(event)
    if said is None and event.startswith(_FIELDS) and "data:" not in event:
        return []
    return [event] if said is None else [each for each in said if each != _DONE]


def _inner(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the event inside Bedrock's `{"chunk": {"bytes": ...}}` wrapping."""
    chunk = event.get("chunk")
    if isinstance(chunk, dict):
        inner = decode_nested(chunk.get("bytes", chunk))
        return inner if isinstance(inner, dict) else event
    return event


def _is_responses(event: Mapping[str, Any]) -> bool:
    kind = event.get("type")
    return isinstance(kind, str) and kind.startswith("response.")


def _responses(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    ends = ("response.completed", "response.incomplete", "response.failed")
    for event in reversed(events):
        if event.get("type") in ends and isinstance(event.get("response"), dict):
            return dict(event["response"]), True
    first: Mapping[str, Any] = next(
        (e["response"] for e in events if isinstance(e.get("response"), dict)), {}
    )
    return {**first, "object": "response", "output": _items(events), "status": "incomplete"}, False


def _items(events: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return what there is of an answer whose end is missing: whole items, and what was said of the last."""
    found: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    for event in events:
        kind, index = event.get("type"), as_text(event.get("output_index", 0))
        if kind in ("response.output_item.added", "response.output_item.done"):
            found[index] = event.get("item")
            if kind == "response.output_item.done":
                texts.pop(index, None)
        elif kind in ("response.output_text.delta", "response.function_call_arguments.delta"):
            texts.setdefault(index, []).append(as_text(event.get("delta") or ""))
    for index, pieces in texts.items():
        item = found.get(index)
        item = item if isinstance(item, dict) else {"type": "message"}
        said = "".join(pieces)
        called = item.get("type") == "function_call"
        found[index] = item | (
            {"arguments": said} if called else {"content": [{"type": "output_text", "text": said}]}
        )
    return list(found.values())


def _is_anthropic(event: Mapping[str, Any]) -> bool:
    return event.get("type") in ("message_start", "content_block_delta", "message_delta")


def _anthropic(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    body: dict[str, Any] = {"type": "message", "role": "assistant"}
    blocks: dict[Any, dict[str, Any]] = {}
    pieces: dict[Any, list[str]] = {}
    usage: dict[str, Any] = {}
    ended = False
    for event in events:
        kind, index = event.get("type"), as_text(event.get("index", 0))
        message = event.get("message")
        if kind == "message_start" and isinstance(message, dict):
            body |= {key: item for key, item in message.items() if key != "content"}
            if isinstance(message.get("usage"), dict):
                usage |= message["usage"]
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[index] = dict(event["content_block"])
        elif kind == "content_block_delta" and isinstance(event.get("delta"), dict):
            block = blocks.setdefault(index, {"type": "text"})
            for key in ("text", "partial_json", "thinking"):
                if isinstance(event["delta"].get(key), str):
                    pieces.setdefault(index, []).append(event["delta"][key])
                    if key == "partial_json" and block.get("type") == "text":
                        block["type"] = "tool_use"
        elif kind == "message_delta":
            delta = event.get("delta")
            if isinstance(delta, dict):
                body |= {key: item for key, item in delta.items() if item is not None}
            if isinstance(event.get("usage"), dict):
                usage |= {key: item for key, item in event["usage"].items() if item is not None}
        elif kind == "message_stop":
            ended = True
        elif kind == "error":
            body["error"] = event.get("error")
    for index, block in blocks.items():
        whole = "".join(pieces.get(index, []))
        if block.get("type") == "tool_use":
            block["input"] = whole if whole else block.get("input") or {}
        elif block.get("type") == "thinking":
            block["thinking"] = as_text(block.get("thinking") or "") + whole
        else:
            block["text"] = as_text(block.get("text") or "") + whole
    body["content"] = list(blocks.values())
    body["usage"] = usage
    return body, ended or body.get("stop_reason") is not None


def _is_converse(event: Mapping[str, Any]) -> bool:
    return "contentBlockDelta" in event or "messageStop" in event


def _converse(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    blocks: dict[Any, dict[str, Any]] = {}
    body: dict[str, Any] = {}
    ended = False
    for event in events:
        start, delta = event.get("contentBlockStart"), event.get("contentBlockDelta")
        if isinstance(start, dict) and isinstance(start.get("start"), dict):
            tool = start["start"].get("toolUse")
            if isinstance(tool, dict):
                index = as_text(start.get("contentBlockIndex", 0))
                blocks[index] = {"toolUse": {**tool, "input": ""}}
        elif isinstance(delta, dict) and isinstance(delta.get("delta"), dict):
            inner = delta["delta"]
            block = blocks.setdefault(as_text(delta.get("contentBlockIndex", 0)), {})
            if isinstance(inner.get("text"), str):
                block["text"] = as_text(block.get("text") or "") + inner["text"]
            elif isinstance(inner.get("toolUse"), dict):
                tool = block.setdefault("toolUse", {"input": ""})
                tool["input"] = as_text(tool["input"]) + as_text(inner["toolUse"].get("input") or "")
            elif isinstance(inner.get("reasoningContent"), dict):
                text = as_text(inner["reasoningContent"].get("text") or "")
                known = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})
                known["reasoningText"]["text"] += text
        elif isinstance(event.get("messageStop"), dict):
            body["stopReason"] = event["messageStop"].get("stopReason")
            ended = True
        elif isinstance(event.get("metadata"), dict):
            body |= {key: event["metadata"].get(key) for key in ("usage", "metrics")}
    body["output"] = {"message": {"role": "assistant", "content": list(blocks.values())}}
    return body, ended


def _is_chat(event: Mapping[str, Any]) -> bool:
    choices = event.get("choices")
    return isinstance(choices, list) and any(
        isinstance(each, dict) and ("delta" in each or "text" in each) for each in choices
    )


def _chat(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    body: dict[str, Any] = {}
    found: dict[int, _Choice] = {}
    for event in events:
        body |= {key: event[key] for key in ("id", "model", "created", "usage", "error") if event.get(key)}
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                found.setdefault(as_count(choice.get("index")) or 0, _Choice()).take(choice)
    # Where the first answer never came, as where a filter held it back, another one stands for it.
    body["choices"] = [found[index].whole(index) for index in sorted(found)] or [_Choice().whole(0)]
    return body, body["choices"][0]["finish_reason"] is not None


class _Choice:
    """One answer of a chat completion while its chunks come."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {}
        self._calls: dict[str, dict[str, Any]] = {}
        self._finish: Any = None
        self._error: Any = None

    def take(self, choice: Mapping[str, Any]) -> None:
        """Add what one chunk says of it."""
        self._finish = choice.get("finish_reason") or self._finish
        self._error = choice.get("error") or self._error
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {"content": choice.get("text")}
        # Where both names of reasoning stand in a chunk, they say the same.
        thought = "reasoning_content" if delta.get("reasoning_content") else "reasoning"
        for key, name in (("content", "content"), ("refusal", "refusal"), (thought, "reasoning_content")):
            if isinstance(delta.get(key), str):
                self._said.setdefault(name, []).append(delta[key])
        listed = delta.get("tool_calls")
        for position, call in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(call, dict):
                _add_call(self._calls, as_text(call.get("index", position)), call)
        old = delta.get("function_call")
        if isinstance(old, dict):
            _add_call(self._calls, "function_call", {"function": old})

    def whole(self, index: int) -> dict[str, Any]:
        """Return it as it comes without streaming."""
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= {name: "".join(texts) for name, texts in self._said.items()}
        if self._calls:
            message["tool_calls"] = list(self._calls.values())
        failed = {"error": self._error} if self._error else {}
        return {"index": index, "message": message, "finish_reason": self._finish} | failed


def _add_call(calls: dict[str, dict[str, Any]], index: str, call: Mapping[str, Any]) -> None:
    known = calls.setdefault(index, {"type": "function", "function": {"name": "", "arguments": ""}})
    if call.get("id"):
        known["id"] = call["id"]
    function = call.get("function")
    if isinstance(function, dict):
        for key in ("name", "arguments"):
            if isinstance(function.get(key), str):
                known["function"][key] += function[key]


def _is_gemini(event: Mapping[str, Any]) -> bool:
    return isinstance(event.get("candidates"), list) or isinstance(event.get("promptFeedback"), dict)


def _gemini(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    body: dict[str, Any] = {}
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        body |= {key: item for key, item in event.items() if key != "candidates" and item is not None}
        candidates = event.get("candidates")
        for each in candidates if isinstance(candidates, list) else []:
            if not isinstance(each, dict):
                continue
            index = as_count(each.get("index")) or 0
            known = found.setdefault(index, {"index": index, "content": {"role": "model", "parts": []}})
            known["finishReason"] = each.get("finishReason", each.get("finish_reason")) or known.get(
                "finishReason"
            )
            content = each.get("content")
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in parts if isinstance(parts, list) else []:
                _add_part(known["content"]["parts"], part)
    body["candidates"] = [found[index] for index in sorted(found)]
    if not found:
        return body, "promptFeedback" in body  # What was asked was held back.
    return body, body["candidates"][0]["finishReason"] is not None


def _add_part(parts: list[Any], part: Any) -> None:
    """Add a part of a chunk; a thought that goes on is one thought."""
    if parts and _is_thought_part(part) and _is_thought_part(parts[-1]):
        parts[-1] = parts[-1] | {"text": parts[-1]["text"] + part["text"]}
    else:
        parts.append(part)


def _is_thought_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("thought") is True and isinstance(part.get("text"), str)


def _is_plain(event: Mapping[str, Any]) -> bool:
    return any(isinstance(event.get(key), str) for key in ("outputText", "generation", "completion"))


def _plain(events: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
    """Put together the chunks of Titan, Llama and older Claude on Bedrock: one text in pieces."""
    body: dict[str, Any] = {}
    texts: list[str] = []
    for event in events:
        for key, item in event.items():
            if key in ("outputText", "generation", "completion"):
                texts.append(item if isinstance(item, str) else "")
                body.setdefault(key, "")
            elif item is not None:
                body[key] = item
    key = next(each for each in ("outputText", "generation", "completion") if each in body)
    body[key] = "".join(texts)
    return body, any(body.get(each) for each in ("completionReason", "stop_reason"))
