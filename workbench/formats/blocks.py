"""The blocks, parts and items that a message is made of, whoever wrote it: text, calls, results, media."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.formats.base import Mark
from workbench.formats.chat import ARGUMENTS, MEDIA, add, first_told, parse_tool_calls, word
from workbench.normal import as_text, canonical_json, decode_nested, parse_arguments
from workbench.records import Message, ToolCall

_TEXT_TYPES = frozenset(("text", "input_text", "output_text", "raw_text", "template"))
_THOUGHTS = frozenset(
    ("thinking", "redacted_thinking", "reasoning", "thought", "reasoning_content", "summary_text")
)
CALLER_RUN = ("computer_call", "local_shell_call", "shell_call", "apply_patch_call")
"""Calls of the responses API that name no tool, since their kind does, and that the caller carries out."""
CALLER_RUN_RESULTS = tuple(f"{kind}_output" for kind in CALLER_RUN)
_CALLS = frozenset(("tool_use", "tool_call", "tool-call", "function_call", "custom_tool_call", *CALLER_RUN))
_RESULTS = frozenset(
    ("tool_result", "tool-result", "tool_call_response", "function_call_output", "tool_response",
     "custom_tool_call_output", *CALLER_RUN_RESULTS)
)  # fmt: skip
_BUILT_IN = frozenset(
    ("server_tool_use", "server_tool_call", "server_tool_call_response", "mcp_tool_use", "mcp_call",
     "mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "web_search_call",
     "file_search_call", "code_interpreter_call", "image_generation_call", "tool_search_call",
     "tool_search_output", "google_search_call", "url_context_call", "code_execution_call",
     "mcp_server_tool_call")
)  # fmt: skip
# Anthropic names the results of all its server tools so, and no one else's.
_BUILT_IN_RESULT = "_tool_result"
_ITEM_ENDS = ("_call", "_call_output")
_WRAPPED_RESULTS = frozenset(("text", "json", "error-text", "error-json", "content"))
_TOLD_BY_KEY = (
    "toolUse", "functionCall", "function_call", "toolResult", "functionResponse", "function_response",
    "reasoningContent", "thought", "cachePoint", "inlineData", "inline_data", "image", "document", "video",
    "audio",
)  # fmt: skip
_LISTS_OF_CALLS = ("tool_calls", "function_call", "additional_kwargs")
_DATA_KEYS = ("data", "base64", "image", "content")
_MIME_KEYS = ("mime_type", "mediaType", "mimeType", "media_type")


@dataclass(slots=True)
class Turn:
    """One message while it is read."""

    role: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)


def kind_of(block: Mapping[str, Any]) -> str | None:
    """Return what a block says it is; the Vercel AI SDK's lists of calls and of results don't say it."""
    kind = word(block.get("type"))
    if kind is None and "toolCallId" in block and "toolName" in block:
        return "tool-result" if "output" in block or "result" in block else "tool-call"
    return kind


def is_call(kind: str | None) -> bool:
    """Tell whether a block of this kind is a tool's call."""
    return kind in _CALLS


def is_result(kind: str | None) -> bool:
    """Tell whether a block of this kind is what a tool answered."""
    return kind in _RESULTS


def is_thought(kind: str | None) -> bool:
    """Tell whether a block of this kind is reasoning."""
    return kind in _THOUGHTS or (kind is not None and kind.endswith("ReasoningContent"))


def is_built_in(kind: str | None) -> bool:
    """Tell whether a block of this kind is the work of a provider's own tool, such as its web search."""
    return kind is not None and (kind in _BUILT_IN or kind.endswith(_BUILT_IN_RESULT))


def is_built_in_item(kind: str | None) -> bool:
    """Tell whether an item beside messages is the work of a provider's own tool, of a new one by its ending.

    In the content of a message such a kind is anybody's own.
    """
    if kind is None or kind in _CALLS or kind in _RESULTS:
        return False
    return is_built_in(kind) or kind.endswith(_ITEM_ENDS)


def blocks_of(content: str) -> Any:
    """Return the blocks that a text holds as JSON; the text itself where it holds anything else."""
    if not content.lstrip().startswith("[{"):
        return content
    found = decode_nested(content)
    return found if isinstance(found, list) and all(_is_known(each) for each in found) else content


def _is_known(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    kind = kind_of(block)
    plain = kind in _TEXT_TYPES or (kind is not None and kind in MEDIA)
    return plain or is_call(kind) or is_result(kind) or is_thought(kind) or _is_function_call(block)


def _is_function_call(block: Mapping[str, Any]) -> bool:
    """Tell whether a block is an item of OpenAI's `tool_calls`; a tool's definition has no arguments."""
    function = block.get("function")
    return isinstance(function, dict) and "name" in function and "arguments" in function


def calls_in_text(text: str, marks: list[str]) -> tuple[ToolCall, ...]:
    """Return the calls that a text is nothing but, as JSON; none where it is anything else."""
    found = decode_nested(text) if text.lstrip().startswith("[{") else None
    if not isinstance(found, list) or not all(
        isinstance(each, dict) and (is_call(kind_of(each)) or _is_function_call(each)) for each in found
    ):
        return ()
    turn = Turn("assistant")
    for each in found:
        add_block(each, turn, marks)
    return tuple(turn.calls)


def content_of(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]] | None:
    """Return parts as a message's content: text where they are one text, as people write it."""
    if not parts:
        return None
    if len(parts) == 1 and parts[0].get("type") == "text":
        text = parts[0].get("text")
        return text if isinstance(text, str) else None
    return parts


def add_block(block: Any, turn: Turn, marks: list[str]) -> None:
    """Read one block, part or item of a message into its turn.

    Args:
        block: Of any provider or library, or plain text.
        turn: Gets it, as a part, a call, a result or a thought.
        marks: Gets what is odd about it.
    """
    if not isinstance(block, dict):
        turn.parts.append({"type": "text", "text": as_text(block)})
        return
    kind = kind_of(block)
    if is_built_in(kind) or block.get("providerExecuted") is True:
        # The provider called and answered it: neither the caller's tool nor words of the model.
        add(marks, Mark.BUILT_IN_TOOL)
    elif is_call(kind):
        turn.calls.append(_call(block, marks))
    elif kind in CALLER_RUN_RESULTS:
        identity = _first(block, "call_id", "id")
        turn.results.append(result_message(identity, _caller_run_result(block, marks)))
    elif is_result(kind):
        identity = _first(block, "tool_use_id", "call_id", "toolCallId", "id")
        found = next(
            (block[key] for key in ("content", "output", "result", "response") if key in block), None
        )
        name = block.get("name", block.get("toolName"))
        turn.results.append(result_message(identity, _result_text(found, marks), name))
    elif is_thought(kind):
        turn.thoughts.append(_thought(block))
    elif kind == "refusal":
        turn.parts.append({"type": "refusal", "refusal": as_text(block.get("refusal") or "")})
    elif kind == "function" and _is_function_call(block):
        turn.calls += parse_tool_calls({"tool_calls": [block]}, marks)
    elif _untyped(block, turn, marks):
        pass
    elif kind in _TEXT_TYPES or kind is None:
        found = next((block[key] for key in ("text", "content", "value") if key in block), None)
        if kind == "template" and isinstance(block.get("arguments"), dict):
            found = block["arguments"]
        if found is not None:
            turn.parts.append({"type": "text", "text": as_text(found)})
    else:
        turn.parts.append(_media(block, marks))


def _first(block: Mapping[str, Any], *keys: str) -> Any:
    return next((block[key] for key in keys if block.get(key)), None)


def _thought(block: Mapping[str, Any]) -> str:
    found = _first(block, "thinking", "text", "content", "summary")
    if isinstance(found, dict):
        found = found.get("text")
    if isinstance(found, list):
        return "\n".join(
            each["text"] for each in found if isinstance(each, dict) and isinstance(each.get("text"), str)
        )
    return found if isinstance(found, str) else ""


def _untyped(block: Mapping[str, Any], turn: Turn, marks: list[str]) -> bool:
    """Read a block that is told by its one key: Converse's and Gemini's. Say whether it is one."""
    if block.keys().isdisjoint(_TOLD_BY_KEY):
        return False
    for key in ("toolUse", "functionCall", "function_call"):
        inner = block.get(key)
        if isinstance(inner, dict):
            turn.calls.append(_call(inner, marks))
            return True
    for key in ("toolResult", "functionResponse", "function_response"):
        inner = block.get(key)
        if isinstance(inner, dict):
            identity = inner.get("toolUseId") or inner.get("id")
            found = inner.get("content", inner.get("response"))
            turn.results.append(result_message(identity, _result_text(found, marks), inner.get("name")))
            return True
    if isinstance(block.get("reasoningContent"), dict):
        text = block["reasoningContent"].get("reasoningText")
        turn.thoughts.append(as_text(text.get("text") or "") if isinstance(text, dict) else "")
        return True
    if block.get("thought") is True:
        turn.thoughts.append(as_text(block.get("text") or ""))
        return True
    if "cachePoint" in block:
        return True
    inline = block.get("inlineData", block.get("inline_data"))
    if isinstance(inline, dict):
        turn.parts.append(
            _data_part(inline.get("mimeType", inline.get("mime_type")), inline.get("data"), marks)
        )
        return True
    image = block.get("image")
    if "type" not in block and isinstance(image, dict):
        source = image.get("source")
        data = source.get("bytes") if isinstance(source, dict) else None
        turn.parts.append(_data_part(f"image/{as_text(image.get('format') or 'png')}", data, marks))
        return True
    for key, mark in (("document", Mark.FILE), ("video", Mark.FILE), ("audio", Mark.AUDIO)):
        if "type" not in block and isinstance(block.get(key), dict):
            add(marks, mark)
            turn.parts.append({"type": key} | dict(block))
            return True
    return False


def _data_part(mime: Any, data: Any, marks: list[str]) -> dict[str, Any]:
    """Return media whose bytes stand in the log, as base64 or as the address of them."""
    kind = mime if isinstance(mime, str) else "application/octet-stream"
    text = data if isinstance(data, str) else ""
    url = text if text.startswith(("http://", "https://", "data:")) else f"data:{kind};base64,{text}"
    if kind.startswith("image/"):
        add(marks, Mark.IMAGE)
        return {"type": "image_url", "image_url": {"url": url if text else ""}}
    if kind.startswith("audio/"):
        add(marks, Mark.AUDIO)
        return {"type": "input_audio", "input_audio": {"data": text, "format": kind.partition("/")[2]}}
    add(marks, Mark.FILE)
    return {"type": "file", "file": {"file_data": url}}


def _media(block: Mapping[str, Any], marks: list[str]) -> dict[str, Any]:
    """Return a block that is no text in OpenAI's shape where there is one, else as it is."""
    kind = word(block.get("type"))
    source = block.get("source")
    modality = block.get("modality")
    mime = next((block[key] for key in _MIME_KEYS if isinstance(block.get(key), str)), None)
    data = next((block[key] for key in _DATA_KEYS if isinstance(block.get(key), str)), None)
    if data is not None and (kind == "blob" or (kind in ("file", "image", "audio") and kind not in block)
                             or (kind == "image" and "image" in block)):  # fmt: skip
        # OpenTelemetry's blobs, the Vercel AI SDK's and LangChain's files and images.
        of = modality if kind == "blob" else kind
        return _data_part(mime or (f"{of}/*" if of in ("image", "audio") else None), data, marks)
    if kind in ("blob", "uri", "file") and isinstance(modality, str):
        kind = modality
    if kind == "image" and isinstance(source, dict):
        if source.get("type") == "base64":
            return _data_part(source.get("media_type"), source.get("data"), marks)
        add(marks, Mark.IMAGE)
        return {"type": "image_url", "image_url": {"url": as_text(source.get("url") or "")}}
    if kind in ("image", "input_image", "image_url", "media", "computer_screenshot"):
        add(marks, Mark.IMAGE)
        url = block.get("image_url", block.get("uri", block.get("content", block.get("url"))))
        if isinstance(url, dict):
            url = url.get("url")
        return {"type": "image_url", "image_url": {"url": url if isinstance(url, str) else ""}}
    if kind == "document":
        add(marks, Mark.FILE)
    elif isinstance(kind, str) and kind in MEDIA:
        add(marks, MEDIA[kind])
    return dict(block)


def _call(block: Mapping[str, Any], marks: list[str]) -> ToolCall:
    identity = _first(block, "call_id", "toolUseId", "toolCallId", "id", "tool_call_id")
    kind = word(block.get("type"))
    if kind in CALLER_RUN:
        return ToolCall(kind, _caller_run_arguments(block), as_text(identity) if identity else None)
    arguments = parse_arguments(first_told(block, "input", *ARGUMENTS))
    if isinstance(arguments, str) and block.get("type") != "custom_tool_call":
        add(marks, Mark.BAD_ARGUMENTS)
    name = _first(block, "name", "raw_name", "toolName") or ""
    return ToolCall(as_text(name), arguments, as_text(identity) if identity else None)


def _caller_run_arguments(block: Mapping[str, Any]) -> Any:
    if isinstance(block.get("actions"), list):
        # Newer models ask for several steps on the screen at once.
        return {"actions": block["actions"]}
    return parse_arguments(block.get("action", block.get("operation")))


def _caller_run_result(block: Mapping[str, Any], marks: list[str]) -> str | list[dict[str, Any]] | None:
    output = block.get("output")
    if output is None:
        # A patch that went well may say no more than that.
        output = block.get("status")
    if isinstance(output, dict) and output.get("type") == "computer_screenshot":
        return _result_text([output], marks)
    return None if output is None else as_text(output)


def listed_calls(item: Mapping[str, Any], marks: list[str], seen: set[str]) -> list[ToolCall]:
    """Return the calls beside the content: OpenAI's, LangChain's, and those of older LangChain.

    Args:
        item: The message.
        marks: Gets what is odd about them.
        seen: Ids of the calls among the blocks of its content.
    """
    if item.keys().isdisjoint(_LISTS_OF_CALLS):
        return []
    listed = item.get("tool_calls")
    if not (isinstance(listed, list) and listed) and not isinstance(item.get("function_call"), dict):
        extra = item.get("additional_kwargs")
        item = extra if isinstance(extra, dict) else item
        listed = item.get("tool_calls")
    if isinstance(listed, list) and any(isinstance(each, dict) and "args" in each for each in listed):
        calls = [_call(each, marks) for each in listed if isinstance(each, dict)]
    else:
        calls = list(parse_tool_calls(item, marks))
    # Anthropic's answers as LangChain writes them hold each call twice: as a block and in the list.
    return [each for each in calls if each.id is None or each.id not in seen]


def result_message(identity: Any, content: Any, name: Any = None) -> Message:
    """Return the message that stands for what a tool answered."""
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
    if isinstance(value, dict) and value.get("type") in _WRAPPED_RESULTS and "value" in value:
        # The Vercel AI SDK says of what kind a result is.
        inner = value["value"]
        return _result_text(inner, marks) if value["type"] == "content" else as_text(inner)
    if isinstance(value, list):
        turn = Turn("tool")
        for block in value:
            if isinstance(block, dict) and "json" in block and "type" not in block:
                turn.parts.append({"type": "text", "text": canonical_json(block["json"])})
            else:
                add_block(block, turn, marks)
        return content_of(turn.parts)
    return as_text(value)
