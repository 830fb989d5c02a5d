"""Requests of any provider as one `Request`: messages, tools, response format, parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Mark, Unreadable
from workbench.formats.chat import PARAMETERS, add, first_filled
from workbench.formats.turns import read_turns
from workbench.normal import as_text, decode_nested, message_text
from workbench.records import Message, Request

_PARAMETER_NAMES = {
    "max_output_tokens": "max_tokens", "maxTokens": "max_tokens", "max_gen_len": "max_tokens",
    "maxTokenCount": "max_tokens", "max_new_tokens": "max_tokens", "max_tokens_to_sample": "max_tokens",
    "maxOutputTokens": "max_tokens", "topP": "top_p", "topK": "top_k", "stop_sequences": "stop",
    "stopSequences": "stop", "p": "top_p", "k": "top_k", "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}  # fmt: skip
_NESTED = (
    "inferenceConfig", "textGenerationConfig", "generationConfig", "generation_config", "config",
    "invocation_params", "parameters", "options", "kwargs", "additionalModelRequestFields",
)  # fmt: skip
_SYSTEM_KEYS = (
    "system", "instructions", "systemInstruction", "system_instruction", "system_prompt", "preamble",
)  # fmt: skip
_FORMAT_KEYS = (
    "response_format", "text", "output_format", "output_config", "output_schema", "generationConfig",
    "generation_config", "config",
)  # fmt: skip
_INSTRUCTING = ("system", "developer")
_MESSAGE_KEYS = ("messages", "input", "contents", "prompt", "inputText", "chat_history", "query", "inputs")
BODY_KEYS: Mapping[str, frozenset[str]] = {
    "messages": frozenset((*_MESSAGE_KEYS, "message")),
    "system": frozenset(_SYSTEM_KEYS),
    "parameters": frozenset((*_PARAMETER_NAMES, *_NESTED, "thinking")),
    "tools": frozenset(("tools", "toolConfig", "functions", "tool_params")),
    "others": frozenset(
        ("model", "modelId", "model_id", "stream", "stream_options", "response_format", "output_schema",
         "text",
         "reasoning", "metadata", "user", "store", "service_tier", "previous_response_id", "conversation",
         "include", "anthropic_version", "safety_settings", "safetySettings", "labels", "truncation",
         "background", "max_tool_calls", "prompt_cache_key", "safety_identifier", "modalities", "audio",
         "extra_headers", "extra_body", "timeout", "suffix", "echo", "best_of")
    ),
}  # fmt: skip
"""Keys that a request's body of some provider has, besides those of `PARAMETERS`, by what they say."""


def read_request(body: Any, marks: list[str], *, more: Mapping[str, Any] | None = None) -> Request:
    """Read a request's body of any provider.

    Args:
        body: The body, JSON text of it, a list of messages, or a prompt.
        marks: Gets what is odd about it.
        more: What the log keeps beside the messages: tools, response format, parameters.

    Raises:
        Unreadable: It holds no messages.
    """
    body = decode_nested(body)
    if isinstance(body, str | list):
        body = {"messages": body}
    if not isinstance(body, dict):
        raise Unreadable("the request is not an object")
    if more:
        body = {**more, **{key: item for key, item in body.items() if item not in (None, [])}}
    if body.get("previous_response_id") or body.get("conversation"):
        add(marks, Mark.HISTORY_MISSING)
    key, found = _messages_of(body)
    found, tools = _without_tools(found)
    messages = read_turns(found, marks)
    if key == "chat_history" or (key == "messages" and isinstance(body.get("message"), str)):
        # Cohere keeps the newest turn beside the history.
        messages = (*messages, Message("user", as_text(body.get("message") or "")))
    system = _system_of(body, marks)
    if system and not _begins_with(messages, system[0]):
        messages = (*system, *messages)
    if next((each.role for each in messages if each.role not in _INSTRUCTING), "") == "tool":
        add(marks, Mark.HISTORY_MISSING)
    return Request(
        messages=messages,
        tools=read_tools(first_filled(body, "tools", "toolConfig", "functions", "tool_params")) or tools,
        response_format=read_response_format(body),
        parameters=read_parameters(body),
    )


def _messages_of(body: Mapping[str, Any]) -> tuple[str, Any]:
    for key in _MESSAGE_KEYS:
        found = decode_nested(body.get(key))
        if found not in (None, "", []):
            if key == "input" and isinstance(found, dict) and "messages" in found:
                return key, found["messages"]
            return key, found
    if isinstance(body.get("message"), str) and body["message"]:
        return "message", body["message"]
    if isinstance(body.get("role"), str) and ("content" in body or "parts" in body):
        return "messages", [body]
    raise Unreadable("the request has no messages")


def _begins_with(messages: Sequence[Message], system: Message) -> bool:
    """Tell whether the instructions beside the messages stand among those they begin with, too."""
    for each in messages:
        if each.role not in _INSTRUCTING:
            return False
        if message_text(each).strip() == message_text(system).strip():
            return True
    return False


def _without_tools(value: Any) -> tuple[Any, tuple[dict[str, Any], ...]]:
    """Return messages without the tools among them, and these: Langfuse keeps LangChain's there."""
    if not isinstance(value, list):
        return value, ()
    found = [decode_nested(each.get("content")) for each in value if _offers_tool(each)]
    return ([each for each in value if not _offers_tool(each)], read_tools(found)) if found else (value, ())


def _offers_tool(item: Any) -> bool:
    if not isinstance(item, dict) or item.get("role") != "tool" or item.get("tool_call_id"):
        return False
    held = decode_nested(item.get("content"))
    function = held.get("function") if isinstance(held, dict) and held.get("type") == "function" else None
    return isinstance(function, dict) and "name" in function and "arguments" not in function


def _system_of(body: Mapping[str, Any], marks: list[str]) -> tuple[Message, ...]:
    if body.keys().isdisjoint(_SYSTEM_KEYS):
        return ()
    for key in _SYSTEM_KEYS:
        found = decode_nested(body.get(key))
        if isinstance(found, dict) and isinstance(found.get("parts"), list):
            found = found["parts"]
        if isinstance(found, str) and found:
            return (Message("system", found),)
        if isinstance(found, list) and found:
            (message,) = read_turns([{"role": "system", "content": found}], marks)[:1]
            texts = message.content
            if isinstance(texts, list):
                joined = "\n".join(as_text(each.get("text") or "") for each in texts)
                return (Message("system", joined),)
            return (message,) if texts else ()
    return ()


def read_tools(value: Any) -> tuple[dict[str, Any], ...]:
    """Return the offered tools in OpenAI's shape; what has none (a built-in search) stays as it is.

    Args:
        value: A list of tools of any provider, an object that holds one, or JSON text.
    """
    found = decode_nested(value)
    if isinstance(found, dict):
        found = next(
            (
                decode_nested(found[key])
                for key in ("tools", "tools_available", "functionDeclarations", "function_declarations")
                if key in found
            ),
            [found] if "name" in found or "function" in found else None,
        )
    if not isinstance(found, list):
        return ()
    tools: list[dict[str, Any]] = []
    for each in found:
        tool = decode_nested(each)
        if isinstance(tool, dict):
            tools += _tools_of(tool)
    return tuple(tools)


def _tools_of(tool: Mapping[str, Any]) -> list[dict[str, Any]]:
    if isinstance(tool.get("function"), dict):
        return [dict(tool)]
    for key in ("functionDeclarations", "function_declarations"):
        if isinstance(tool.get(key), list):
            return [_function(each) for each in tool[key] if isinstance(each, dict)]
    spec = tool.get("toolSpec")
    if isinstance(spec, dict):
        schema = spec.get("inputSchema")
        return [_function(spec, schema.get("json") if isinstance(schema, dict) else None)]
    if isinstance(tool.get("name"), str) and tool.get("type") in ("function", "custom", None):
        return [_function(tool)]
    return [dict(tool)]


def _function(tool: Mapping[str, Any], schema: Any = None) -> dict[str, Any]:
    found = decode_nested(
        schema
        if schema is not None
        else first_filled(tool, "parameters", "input_schema", "inputSchema", "parameters_json_schema")
    )
    function: dict[str, Any] = {"name": as_text(tool.get("name") or "")}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    if isinstance(found, dict):
        function["parameters"] = dict(found)
    if isinstance(tool.get("strict"), bool):
        function["strict"] = tool["strict"]
    return {"type": "function", "function": function}


def read_response_format(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the asked-for form of the answer in OpenAI's shape, or None."""
    if body.keys().isdisjoint(_FORMAT_KEYS):
        return None
    found = decode_nested(body.get("response_format"))
    if isinstance(found, dict):
        return dict(found)
    text = decode_nested(body.get("text"))
    if isinstance(text, dict) and isinstance(text.get("format"), dict):
        return _flat_format(text["format"])
    for key in ("output_format", "output_config"):
        inner = decode_nested(body.get(key))
        if isinstance(inner, dict) and isinstance(inner.get("format"), dict):
            inner = inner["format"]
        if isinstance(inner, dict) and "schema" in inner:
            return _schema(inner["schema"])
    schema = decode_nested(body.get("output_schema"))
    if isinstance(schema, dict):
        return _schema(schema)
    for key in ("generationConfig", "generation_config", "config"):
        inner = decode_nested(body.get(key))
        if isinstance(inner, dict):
            schema = first_filled(inner, "responseSchema", "response_schema", "responseJsonSchema")
            if isinstance(schema, dict):
                return _schema(schema)
            if inner.get("responseMimeType", inner.get("response_mime_type")) == "application/json":
                return {"type": "json_object"}
    return None


def _flat_format(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the responses API's format, which has name and schema beside the type."""
    kind = found.get("type")
    if kind == "json_schema" and "json_schema" not in found:
        return {"type": kind, "json_schema": {key: found[key] for key in found if key != "type"}}
    return None if kind in ("text", None) else dict(found)


def _schema(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def read_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the answer besides the messages, under OpenAI's names."""
    found: dict[str, Any] = {}
    for key in _NESTED:
        if key in body and isinstance(inner := decode_nested(body[key]), dict):
            found |= _named(inner)
    found |= _named(body)
    reasoning = decode_nested(body.get("reasoning"))
    if isinstance(reasoning, dict) and reasoning.get("effort"):
        found.setdefault("reasoning_effort", reasoning["effort"])
    text = decode_nested(body.get("text"))
    if isinstance(text, dict) and text.get("verbosity"):
        found.setdefault("verbosity", text["verbosity"])
    holder = decode_nested(body.get("toolConfig"))
    choice = holder.get("toolChoice") if isinstance(holder, dict) else body.get("tool_choice")
    chosen = _tool_choice(decode_nested(choice))
    if chosen is not None:
        found["tool_choice"] = chosen
    return found


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in values.items():
        name = _PARAMETER_NAMES.get(key, key)
        if name in PARAMETERS:
            plain = _plain(item)
            if plain not in (None, "", [], {}) and not (name == "max_tokens" and plain in (-1, 0)):
                found[name] = plain
    return found


def _plain(item: Any) -> Any:
    """Return a parameter as a value: tracing tools write it as text, an empty one in many ways."""
    if not isinstance(item, str):
        return item
    decoded = decode_nested(item)
    if isinstance(decoded, dict) and set(decoded) <= {"arrayValue"}:
        return None
    words = {"true": True, "false": False, "null": None, "None": None}
    if item in words:
        return words[item]
    return decoded


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    kind = choice.get("type")
    tool = choice.get("tool")
    if isinstance(tool, dict):
        return {"type": "function", "function": {"name": as_text(tool.get("name") or "")}}
    if kind in ("tool", "function") and "function" not in choice:
        named = choice.get("name") or choice.get("toolName")
        return {"type": "function", "function": {"name": as_text(named or "")}}
    names = {"auto": "auto", "any": "required", "none": "none"}
    for word in (kind, *choice):
        if isinstance(word, str) and word in names:
            return names[word]
    return dict(choice)


def last_answer_split(messages: Sequence[Any]) -> tuple[list[Any], Any] | None:
    """Split a conversation into what was asked and the last assistant message; None without one."""
    for index in range(len(messages) - 1, 0, -1):
        item = messages[index]
        if isinstance(item, dict) and item.get("role") in ("assistant", "model"):
            return list(messages[:index]), item
    return None
