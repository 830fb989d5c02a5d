"""Messages of any provider or library as the messages of a call, one reader for all formats.

Each message is looked at by itself, since exports mix shapes: OpenAI chat and responses,
Anthropic blocks, Bedrock Converse blocks, Gemini and OpenTelemetry parts, LangChain
messages, TensorZero blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.formats.base import Mark, Unreadable
from workbench.formats.chat import MEDIA, add, parse_message, parse_tool_calls, word
from workbench.normal import as_text, canonical_json, decode_nested, parse_arguments
from workbench.records import Message, ToolCall

_ROLES = {
    "human": "user", "ai": "assistant", "model": "assistant", "assistant": "assistant", "user": "user",
    "system": "system", "developer": "developer", "tool": "tool", "function": "function",
    "humanmessage": "user", "aimessage": "assistant", "systemmessage": "system", "toolmessage": "tool",
    "humanmessagechunk": "user", "aimessagechunk": "assistant", "chatbot": "assistant", "bot": "assistant",
}  # fmt: skip
_TEXT_TYPES = frozenset(("text", "input_text", "output_text", "raw_text", "template"))
_THOUGHTS = frozenset(
    ("thinking", "redacted_thinking", "reasoning", "thought", "reasoning_content", "summary_text")
)
_CALLS = frozenset(("tool_use", "tool_call", "function_call", "server_tool_use"))
_RESULTS = frozenset(("tool_result", "tool_call_response", "function_call_output", "tool_response"))
_PLAIN_PARTS = frozenset(("text", "image_url", "input_audio", "file", "refusal"))
_PLAIN_KEYS = frozenset(
    (
        "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio",
        "annotations", "weight", "reasoning_content", "reasoning",
    )
)  # fmt: skip


@dataclass(slots=True)
class _Turn:
    """One message while it is read."""

    role: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)


def read_turns(value: Any, marks: list[str]) -> tuple[Message, ...]:
    """Read messages of any shape.

    Args:
        value: A list of messages or of lists of them, one message, text, or JSON text of these.
        marks: Gets what is odd about them.

    Raises:
        Unreadable: There is none, or one is no message.
    """
    items = decode_nested(value)
    if isinstance(items, str):
        if not items:
            raise Unreadable("the request has no messages")
        return (Message("user", items),)
    if isinstance(items, Mapping):
        items = [items]
    if isinstance(items, list) and len(items) == 1 and isinstance(items[0], list):
        items = items[0]
    if not isinstance(items, list) or not items:
        raise Unreadable("the request has no messages")
    found: list[Message] = []
    for index, item in enumerate(items):
        found += _read(item, marks, index)
    if not found:
        raise Unreadable("the request has no messages")
    return _with_answers_joined(found)


def read_answer(value: Any, marks: list[str]) -> tuple[Message, str | None]:
    """Read one answer of any shape.

    Args:
        value: A message, a list of blocks, parts or output items, or text.
        marks: Gets what is odd about it.

    Returns:
        The assistant's message, its content as text, and its reasoning.

    Raises:
        Unreadable: It is no answer.
    """
    if value is None or isinstance(value, str):
        return Message("assistant", value), None
    blocks = value if isinstance(value, list) else None
    item: Any = {"role": "assistant", "content": blocks} if blocks is not None else value
    turn = _turn(item, marks, 0, decode=False)
    texts = [part["text"] for part in turn.parts if isinstance(part.get("text"), str)]
    refusals = [part["refusal"] for part in turn.parts if isinstance(part.get("refusal"), str)]
    if refusals:
        add(marks, Mark.REFUSAL)
    text = "".join(texts or refusals) if texts or refusals else None
    return Message("assistant", text, tool_calls=tuple(turn.calls)), "\n".join(turn.thoughts) or None


def _read(item: Any, marks: list[str], index: int) -> list[Message]:
    item = decode_nested(item)
    if isinstance(item, list):
        if len(item) == 2 and isinstance(item[0], str) and item[0].lower() in _ROLES:
            item = {"role": item[0], "content": item[1]}
        else:
            return [message for each in item for message in _read(each, marks, index)]
    if isinstance(item, Mapping) and _is_plain(item):
        return [parse_message(item, marks, index)]
    turn = _turn(item, marks, index)
    content = _content(turn.parts)
    if not turn.parts and not turn.calls and (turn.results or turn.thoughts):
        return turn.results
    return [*turn.results, Message(turn.role, content, _name(item), tuple(turn.calls), None)]


def _is_plain(item: Mapping[str, Any]) -> bool:
    """Tell whether a message is OpenAI's own, which is kept as it came."""
    if not isinstance(item.get("role"), str) or item["role"] not in _ROLES or not item.keys() <= _PLAIN_KEYS:
        return False
    if item["role"] in ("model", "human", "ai"):
        return False
    content = item.get("content")
    if content is None or isinstance(content, str):
        calls = item.get("tool_calls")
        return not isinstance(calls, list) or all(
            isinstance(each, Mapping) and isinstance(each.get("function"), Mapping) for each in calls
        )
    return isinstance(content, list) and all(
        isinstance(part, Mapping) and word(part.get("type")) in _PLAIN_PARTS and "source" not in part
        and (part["type"] != "text" or isinstance(part.get("text"), str))
        for part in content
    )  # fmt: skip


def _turn(item: Any, marks: list[str], index: int, *, decode: bool = True) -> _Turn:
    if isinstance(item, str):
        return _Turn("user", [{"type": "text", "text": item}])
    if not isinstance(item, Mapping):
        raise Unreadable(f"message {index + 1} is not an object with a role")
    if isinstance(item.get("message"), Mapping) and "role" not in item:
        # OpenTelemetry's older choice event and completions wrap the message once more.
        return _turn(item["message"], marks, index, decode=decode)
    item = _unwrapped(item)
    kind = word(item.get("type"))
    role = _role(item)
    turn = _Turn(role or "")
    if role is None:
        if kind in _CALLS or kind in ("custom_tool_call", "mcp_call"):
            turn.role = "assistant"
            _block(item, turn, marks)
            return turn
        if kind in _RESULTS or kind == "custom_tool_call_output":
            turn.role = "tool"
            _block(item, turn, marks)
            return turn
        if kind in _THOUGHTS:
            turn.role = "assistant"
            _block(item, turn, marks)
            return turn
        if kind == "item_reference":
            add(marks, Mark.HISTORY_MISSING)
            turn.role = "assistant"
            turn.thoughts.append("")
            return turn
        if "content" not in item and "parts" not in item and "text" not in item:
            raise Unreadable(f"message {index + 1} is not an object with a role")
        turn.role = "assistant" if "toolUse" in item or kind == "message" else "user"
    content = next((item[key] for key in ("parts", "content", "contents") if item.get(key) is not None), None)
    if content is None:
        # Cohere's history says `message`.
        content = next((item[key] for key in ("text", "message") if isinstance(item.get(key), str)), None)
    # An answer that is JSON text is what the model wrote: it is never taken apart.
    decoded = _blocks_of(content) if decode and isinstance(content, str) else content
    if turn.role == "tool" and not isinstance(decoded, list):
        identity = next((item[key] for key in ("tool_call_id", "id", "call_id") if item.get(key)), None)
        turn.results.append(_result(identity, decoded, item.get("name")))
        return turn
    for block in decoded if isinstance(decoded, list) else [decoded] if decoded is not None else []:
        _block(block, turn, marks)
    turn.calls += _listed_calls(item, marks, {each.id for each in turn.calls if each.id})
    if turn.role == "tool" and not turn.results:
        identity = item.get("tool_call_id") or item.get("id")
        turn.results.append(_result(identity, _content(turn.parts), item.get("name")))
        turn.parts = []
    refusal = item.get("refusal")
    if isinstance(refusal, str) and refusal:
        turn.parts.append({"type": "refusal", "refusal": refusal})
    reasoning = item.get("reasoning_content", item.get("reasoning"))
    if isinstance(reasoning, str) and reasoning:
        turn.thoughts.append(reasoning)
    return turn


def _blocks_of(content: str) -> Any:
    """Return the blocks that a text holds as JSON; the text itself where it holds anything else."""
    if not content.lstrip().startswith("[{"):
        return content
    found = decode_nested(content)
    known = _TEXT_TYPES | _CALLS | _RESULTS | _THOUGHTS | MEDIA.keys()
    if isinstance(found, list) and all(
        isinstance(each, Mapping) and word(each.get("type")) in known for each in found
    ):
        return found
    return content


def _unwrapped(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Undo LangChain's wrapping: `{"lc", "id", "kwargs"}` and `{"type", "data"}`."""
    kwargs = item.get("kwargs")
    if isinstance(kwargs, Mapping) and ("lc" in item or item.get("type") == "constructor"):
        name = item.get("id")
        last = name[-1] if isinstance(name, list) and name and isinstance(name[-1], str) else ""
        return {"type": last.lower() or None, **kwargs}
    data = item.get("data")
    if isinstance(data, Mapping) and isinstance(item.get("type"), str) and item["type"].lower() in _ROLES:
        return {**data, "type": item["type"]}
    return item


def _role(item: Mapping[str, Any]) -> str | None:
    for key in ("role", "type"):
        found = item.get(key)
        if isinstance(found, str) and found:
            if found.lower() in _ROLES:
                return _ROLES[found.lower()]
            if key == "role":
                return found
    return None


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) and name and word(item.get("type")) not in _ROLES else None


def _content(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]] | None:
    """Return parts as a message's content: text where they are one text, as people write it."""
    if not parts:
        return None
    if len(parts) == 1 and parts[0].get("type") == "text":
        text = parts[0].get("text")
        return text if isinstance(text, str) else None
    return parts


def _block(block: Any, turn: _Turn, marks: list[str]) -> None:
    """Read one block, part or item of a message into its turn."""
    if not isinstance(block, Mapping):
        turn.parts.append({"type": "text", "text": as_text(block)})
        return
    kind = word(block.get("type"))
    if kind in _CALLS or kind in ("custom_tool_call", "mcp_call"):
        turn.calls.append(_call(block, marks))
    elif kind in _RESULTS or kind == "custom_tool_call_output":
        identity = next((block[key] for key in ("tool_use_id", "call_id", "id") if block.get(key)), None)
        found = next(
            (block[key] for key in ("content", "output", "result", "response") if key in block), None
        )
        turn.results.append(_result(identity, _result_text(found, marks), block.get("name")))
    elif kind in _THOUGHTS:
        turn.thoughts.append(_thought(block))
    elif kind == "refusal":
        turn.parts.append({"type": "refusal", "refusal": as_text(block.get("refusal") or "")})
    elif _untyped(block, turn, marks):
        pass
    elif kind in _TEXT_TYPES or kind is None:
        found = next((block[key] for key in ("text", "content", "value") if key in block), None)
        if kind == "template" and isinstance(block.get("arguments"), Mapping):
            found = block["arguments"]
        if found is not None:
            turn.parts.append({"type": "text", "text": as_text(found)})
    else:
        turn.parts.append(_media(block, marks))


def _thought(block: Mapping[str, Any]) -> str:
    found = next((block[key] for key in ("thinking", "text", "content", "summary") if block.get(key)), "")
    if isinstance(found, list):
        return "\n".join(
            each["text"] for each in found if isinstance(each, Mapping) and isinstance(each.get("text"), str)
        )
    return found if isinstance(found, str) else ""


def _untyped(block: Mapping[str, Any], turn: _Turn, marks: list[str]) -> bool:
    """Read a block that is told by its one key: Converse's and Gemini's. Say whether it is one."""
    for key in ("toolUse", "functionCall", "function_call"):
        inner = block.get(key)
        if isinstance(inner, Mapping):
            turn.calls.append(_call(inner, marks))
            return True
    for key in ("toolResult", "functionResponse", "function_response"):
        inner = block.get(key)
        if isinstance(inner, Mapping):
            identity = inner.get("toolUseId") or inner.get("id")
            found = inner.get("content", inner.get("response"))
            turn.results.append(_result(identity, _result_text(found, marks), inner.get("name")))
            return True
    if isinstance(block.get("reasoningContent"), Mapping):
        text = block["reasoningContent"].get("reasoningText")
        turn.thoughts.append(as_text(text.get("text") or "") if isinstance(text, Mapping) else "")
        return True
    if block.get("thought") is True:
        turn.thoughts.append(as_text(block.get("text") or ""))
        return True
    if "cachePoint" in block:
        return True
    inline = block.get("inlineData", block.get("inline_data"))
    if isinstance(inline, Mapping):
        turn.parts.append(
            _data_part(inline.get("mimeType", inline.get("mime_type")), inline.get("data"), marks)
        )
        return True
    image = block.get("image")
    if "type" not in block and isinstance(image, Mapping):
        source = image.get("source")
        data = source.get("bytes") if isinstance(source, Mapping) else None
        turn.parts.append(_data_part(f"image/{as_text(image.get('format') or 'png')}", data, marks))
        return True
    for key, mark in (("document", Mark.FILE), ("video", Mark.FILE), ("audio", Mark.AUDIO)):
        if "type" not in block and isinstance(block.get(key), Mapping):
            add(marks, mark)
            turn.parts.append({"type": key} | dict(block))
            return True
    return False


def _data_part(mime: Any, data: Any, marks: list[str]) -> dict[str, Any]:
    kind = mime if isinstance(mime, str) else "application/octet-stream"
    if kind.startswith("image/"):
        add(marks, Mark.IMAGE)
        url = f"data:{kind};base64,{data}" if isinstance(data, str) else ""
        return {"type": "image_url", "image_url": {"url": url}}
    if kind.startswith("audio/"):
        add(marks, Mark.AUDIO)
        audio = {"data": as_text(data or ""), "format": kind.partition("/")[2]}
        return {"type": "input_audio", "input_audio": audio}
    add(marks, Mark.FILE)
    return {"type": "file", "file": {"file_data": f"data:{kind};base64,{as_text(data or '')}"}}


def _media(block: Mapping[str, Any], marks: list[str]) -> dict[str, Any]:
    """Return a block that is no text in OpenAI's shape where there is one, else as it is."""
    kind = word(block.get("type"))
    source = block.get("source")
    modality = block.get("modality")
    if kind in ("blob", "uri", "file") and isinstance(modality, str):
        kind = modality
    if kind == "image" and isinstance(source, Mapping):
        if source.get("type") == "base64":
            return _data_part(source.get("media_type"), source.get("data"), marks)
        add(marks, Mark.IMAGE)
        return {"type": "image_url", "image_url": {"url": as_text(source.get("url") or "")}}
    if kind in ("image", "input_image", "image_url", "media"):
        add(marks, Mark.IMAGE)
        url = block.get("image_url", block.get("uri", block.get("content", block.get("url"))))
        if isinstance(url, Mapping):
            url = url.get("url")
        return {"type": "image_url", "image_url": {"url": url if isinstance(url, str) else ""}}
    if kind == "document":
        add(marks, Mark.FILE)
    elif isinstance(kind, str) and kind in MEDIA:
        add(marks, MEDIA[kind])
    return dict(block)


def _call(block: Mapping[str, Any], marks: list[str]) -> ToolCall:
    identity = next(
        (block[key] for key in ("call_id", "toolUseId", "id", "tool_call_id") if block.get(key)), None
    )
    found = next(
        (block[key] for key in ("input", "arguments", "args", "raw_arguments") if block.get(key) is not None),
        None,
    )
    arguments = parse_arguments(found)
    if isinstance(arguments, str) and block.get("type") != "custom_tool_call":
        add(marks, Mark.BAD_ARGUMENTS)
    name = block.get("name") or block.get("raw_name") or ""
    return ToolCall(as_text(name), arguments, as_text(identity) if identity else None)


def _listed_calls(item: Mapping[str, Any], marks: list[str], seen: set[str]) -> list[ToolCall]:
    """Return the calls beside the content: OpenAI's, LangChain's, and those of older LangChain."""
    listed = item.get("tool_calls")
    if not (isinstance(listed, list) and listed) and not isinstance(item.get("function_call"), Mapping):
        extra = item.get("additional_kwargs")
        item = extra if isinstance(extra, Mapping) else item
        listed = item.get("tool_calls")
    if isinstance(listed, list) and any(isinstance(each, Mapping) and "args" in each for each in listed):
        calls = [_call(each, marks) for each in listed if isinstance(each, Mapping)]
    else:
        calls = list(parse_tool_calls(item, marks))
    # Anthropic's answers as LangChain writes them hold each call twice: as a block and in the list.
    return [each for each in calls if each.id is None or each.id not in seen]


def _result(identity: Any, content: Any, name: Any = None) -> Message:
    text = content if isinstance(content, str | list) or content is None else as_text(content)
    return Message(
        "tool",
        text,
        name if isinstance(name, str) and name else None,
        (),
        as_text(identity) if identity else None,
    )


def _result_text(value: Any, marks: list[str]) -> str | list[dict[str, Any]] | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        turn = _Turn("tool")
        for block in value:
            if isinstance(block, Mapping) and "json" in block and "type" not in block:
                turn.parts.append({"type": "text", "text": canonical_json(block["json"])})
            else:
                _block(block, turn, marks)
        return _content(turn.parts)
    return as_text(value)


def _with_answers_joined(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Put the tool calls that follow one another as items of their own into one assistant message."""
    found: list[Message] = []
    for message in messages:
        before = found[-1] if found else None
        if (
            before is not None
            and message.role == before.role == "assistant"
            and message.content is None
            and message.tool_calls
        ):
            found[-1] = Message(
                "assistant", before.content, before.name, before.tool_calls + message.tool_calls
            )
        else:
            found.append(message)
    return tuple(found)
