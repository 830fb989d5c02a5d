"""Messages of any provider or library as the messages of a call, one reader for all formats.

Each message is looked at by itself, since exports mix shapes: OpenAI chat and responses,
Anthropic blocks, Bedrock Converse blocks, Gemini and OpenTelemetry parts, LangChain
messages, parts of the Vercel AI SDK, TensorZero blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from workbench.formats.base import Mark, Unreadable
from workbench.formats.blocks import (
    Turn,
    add_block,
    blocks_of,
    content_of,
    is_built_in_item,
    is_call,
    is_result,
    is_thought,
    kind_of,
    listed_calls,
    result_message,
)
from workbench.formats.chat import REASONING, add, first_told, parse_message, transcript_of, word
from workbench.normal import decode_nested
from workbench.records import Message, ToolCall

_ROLES = {
    "human": "user", "ai": "assistant", "model": "assistant", "assistant": "assistant", "user": "user",
    "system": "system", "developer": "developer", "tool": "tool", "function": "function",
    "humanmessage": "user", "aimessage": "assistant", "systemmessage": "system", "toolmessage": "tool",
    "humanmessagechunk": "user", "aimessagechunk": "assistant", "chatbot": "assistant", "bot": "assistant",
}  # fmt: skip
_ROLE_AND_CONTENT = {"role", "content"}
_SPEAKERS = ("system", "developer", "user", "assistant")
_PLAIN_PARTS = frozenset(("text", "image_url", "input_audio", "file", "refusal"))
_PLAIN_KEYS = frozenset(
    (
        "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio",
        "annotations", "weight", "reasoning_content", "reasoning",
    )
)  # fmt: skip


def is_role(value: Any) -> bool:
    """Tell whether a value names a role in a conversation, in the words of any library."""
    return isinstance(value, str) and value.lower() in _ROLES


def is_assistant(value: Any) -> bool:
    """Tell whether a value names the role that answers."""
    return is_role(value) and _ROLES[value.lower()] == "assistant"


def is_pair(value: Any) -> bool:
    """Tell whether a list is one message as LangChain's short form writes it: its role and its text."""
    return isinstance(value, list) and len(value) == 2 and is_role(value[0])


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
    if isinstance(items, dict):
        items = [items]
    if isinstance(items, list) and len(items) == 1 and isinstance(items[0], list) and not is_pair(items[0]):
        items = items[0]
    if not isinstance(items, list) or not items:
        raise Unreadable("the request has no messages")
    plain = _plain_turns(items)
    if plain is not None:
        return plain
    found: list[Message] = []
    for index, item in enumerate(items):
        found += _read(item, marks, index)
    if not found:
        raise Unreadable("the request has no messages")
    return _with_results_tied(_with_answers_joined(found))


def is_plain_answer(value: Any) -> bool:
    """Tell whether an answer is a role and a text, as by far the most are."""
    return (
        isinstance(value, dict)
        and value.keys() == _ROLE_AND_CONTENT
        and isinstance(value["content"], str)
        and is_assistant(value["role"])
    )


def _plain_turns(items: list[Any]) -> tuple[Message, ...] | None:
    """Return messages that are a role and a text each; None where one is more."""
    found: list[Message] = []
    for item in items:
        if not isinstance(item, dict) or item.keys() != _ROLE_AND_CONTENT:
            return None
        role, content = item["role"], item["content"]
        if role not in _SPEAKERS or not isinstance(content, str):
            return None
        found.append(Message(role, content))
    return tuple(found)


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
    if is_plain_answer(value):
        return Message("assistant", value["content"]), None
    blocks = value if isinstance(value, list) else None
    item: Any = {"role": "assistant", "content": blocks} if blocks is not None else value
    turn = _turn(item, marks, 0, decode=False)
    texts = [part["text"] for part in turn.parts if isinstance(part.get("text"), str)]
    spoken = transcript_of(item, marks) if isinstance(item, dict) else None
    texts = texts if texts or spoken is None else [spoken]
    refusals = [part["refusal"] for part in turn.parts if isinstance(part.get("refusal"), str)]
    if refusals:
        add(marks, Mark.REFUSAL)
    text = "".join(texts or refusals) if texts or refusals else None
    return Message("assistant", text, tool_calls=tuple(turn.calls)), "\n".join(turn.thoughts) or None


def _read(item: Any, marks: list[str], index: int) -> list[Message]:
    item = decode_nested(item)
    if isinstance(item, list):
        if is_pair(item):
            item = {"role": item[0], "content": item[1]}
        else:
            return [message for each in item for message in _read(each, marks, index)]
    if isinstance(item, dict) and _is_plain(item):
        return [parse_message(item, marks, index)]
    turn = _turn(item, marks, index)
    if not turn.parts and not turn.calls and (turn.results or turn.thoughts or not turn.role):
        return turn.results
    message = Message(turn.role, content_of(turn.parts), _name(item), tuple(turn.calls), None)
    # A tool's call and its answer can be one item; else results answer what was said before.
    return [message, *turn.results] if turn.calls else [*turn.results, message]


def _is_plain(item: Mapping[str, Any]) -> bool:
    """Tell whether a message is OpenAI's own, which is kept as it came."""
    if not isinstance(item.get("role"), str) or item["role"] not in _ROLES or not item.keys() <= _PLAIN_KEYS:
        return False
    if item["role"] in ("model", "human", "ai"):
        return False
    content = item.get("content")
    if content is None or isinstance(content, str):
        if item["role"] == "tool" and not item.get("tool_call_id") and '"function"' in (content or ""):
            return False  # Koog writes the calls of an answer so.
        calls = item.get("tool_calls")
        return not isinstance(calls, list) or all(
            isinstance(each, dict) and isinstance(each.get("function"), dict) for each in calls
        )
    return isinstance(content, list) and all(
        isinstance(part, dict) and word(part.get("type")) in _PLAIN_PARTS and "source" not in part
        and (part["type"] != "text" or isinstance(part.get("text"), str))
        and (part["type"] != "file" or "file" in part)
        for part in content
    )  # fmt: skip


def _turn(item: Any, marks: list[str], index: int, *, decode: bool = True) -> Turn:
    if isinstance(item, str):
        return Turn("user", [{"type": "text", "text": item}])
    if not isinstance(item, dict):
        raise Unreadable(f"message {index + 1} is not an object with a role")
    if isinstance(item.get("message"), dict) and "role" not in item:
        # OpenTelemetry's older choice event and completions wrap the message once more.
        return _turn(item["message"], marks, index, decode=decode)
    item = _unwrapped(item)
    role = _role(item)
    turn = Turn(role or "")
    if role is None:
        if _item(item, turn, marks):
            return turn
        if "content" not in item and "parts" not in item and "text" not in item:
            raise Unreadable(f"message {index + 1} is not an object with a role")
        turn.role = "assistant" if "toolUse" in item or item.get("type") == "message" else "user"
    content = first_told(item, "parts", "content", "contents")
    if content is None:
        # Cohere's history says `message`.
        content = next((item[key] for key in ("text", "message") if isinstance(item.get(key), str)), None)
    # An answer that is JSON text is what the model wrote: it is never taken apart.
    decoded = blocks_of(content) if decode and isinstance(content, str) else content
    if turn.role == "tool" and not isinstance(decoded, list):
        identity = next((item[key] for key in ("tool_call_id", "id", "call_id") if item.get(key)), None)
        turn.results.append(result_message(identity, decoded, item.get("name")))
        return turn
    for block in decoded if isinstance(decoded, list) else [decoded] if decoded is not None else []:
        add_block(block, turn, marks)
    turn.calls += listed_calls(item, marks, {each.id for each in turn.calls if each.id})
    if turn.role == "tool" and turn.calls:
        turn.role = "assistant"
    elif turn.role == "tool" and not turn.results:
        identity = item.get("tool_call_id") or item.get("id")
        turn.results.append(result_message(identity, content_of(turn.parts), item.get("name")))
        turn.parts = []
    refusal = item.get("refusal")
    if isinstance(refusal, str) and refusal:
        turn.parts.append({"type": "refusal", "refusal": refusal})
    reasoning = first_told(item, *REASONING)
    if isinstance(reasoning, str) and reasoning:
        turn.thoughts.append(reasoning)
    return turn


def _item(item: Mapping[str, Any], turn: Turn, marks: list[str]) -> bool:
    """Read an item that is no message but stands among them; say whether it is one."""
    kind = kind_of(item)
    if kind == "mcp_call" and item.get("output") is not None:
        # The provider called and answered it, but the model read both: they go on together.
        add(marks, Mark.BUILT_IN_TOOL)
        turn.role = "assistant"
        add_block({**item, "type": "tool_call"}, turn, marks)
        turn.results.append(result_message(item.get("id"), item["output"], item.get("name")))
    elif is_call(kind) or is_thought(kind):
        turn.role = "assistant"
        add_block(item, turn, marks)
    elif is_result(kind):
        turn.role = "tool"
        add_block(item, turn, marks)
    elif kind in ("item_reference", "compaction"):
        add(marks, Mark.HISTORY_MISSING)
    elif is_built_in_item(kind):
        add(marks, Mark.BUILT_IN_TOOL)
    else:
        return False
    return True


def _unwrapped(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Undo LangChain's wrapping: `{"lc", "id", "kwargs"}` and `{"type", "data"}`."""
    kwargs = item.get("kwargs")
    if isinstance(kwargs, dict) and ("lc" in item or item.get("type") == "constructor"):
        name = item.get("id")
        last = name[-1] if isinstance(name, list) and name and isinstance(name[-1], str) else ""
        return {"type": last.lower() or None, **kwargs}
    data = item.get("data")
    if isinstance(data, dict) and is_role(item.get("type")):
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
    if not isinstance(item, dict) or "role" not in item:
        return None  # An item's name is that of the tool it calls.
    name = item.get("name")
    return name if isinstance(name, str) and name and word(item.get("type")) not in _ROLES else None


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


def _with_results_tied(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Give results the id of the call they answer, where only one can be meant.

    Langfuse keeps LangChain's results under the tool's name in place of a role, Koog's without an id.
    """
    if not any(_is_loose(each) for each in messages):
        return messages
    found: list[Message] = []
    unanswered: list[ToolCall] = []
    for message in messages:
        if message.tool_calls:
            unanswered = list(message.tool_calls)
        elif message.tool_call_id:
            unanswered = [each for each in unanswered if each.id != message.tool_call_id]
        elif _is_loose(message):
            name = message.name if message.role == "tool" else message.role
            fits = [each for each in unanswered if name in (None, each.name)]
            if fits:
                only = fits[0].id if len(fits) == 1 else None
                message = replace(message, role="tool", name=name, tool_call_id=only)
                unanswered = [each for each in unanswered if len(fits) > 1 or each is not fits[0]]
        found.append(message)
    return tuple(found)


def _is_loose(message: Message) -> bool:
    """Tell whether a message may be a result that doesn't say which call it answers."""
    if message.tool_call_id is not None:
        return False
    return message.role == "tool" or message.role not in _ROLES
