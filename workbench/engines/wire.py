"""OpenAI chat completions on the wire: build a body, read a reply. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from workbench.engines.base import failure
from workbench.engines.signals import Token, label_margin, token_quantile
from workbench.normal import Undecodable, as_number, clean_text, decode_json, parse_arguments, usage_openai
from workbench.records import ErrorKind, EvalKind, Message, Output, Request, ToolCall
from workbench.specs import Candidate, EvalConfig

SHARED_PARAMETERS = frozenset(
    (
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "tool_choice",
        "parallel_tool_calls",
        "logprobs",
        "top_logprobs",
    )
)
"""What a logged request may pass on. The rest names the frontier's own features or tokens."""

RENAMED_PARAMETERS = {"stop_sequences": "stop", "max_output_tokens": "max_tokens", "maxTokens": "max_tokens"}
OWN_PARAMETERS = frozenset(("answers_as", "structured_outputs", "score_labels"))
"""Keys of `parameters` that the workbench reads itself."""

LIMITS = ("max_tokens", "max_completion_tokens")
MAX_TEXT_CHARS = 1_000_000
_CONTEXT = re.compile(
    r"context[ _-]?(length|window|size)|maximum (context|prompt|input)|prompt is too long|too many tokens"
    r"|reduce the length",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content[ _-]?(filter|management|policy)|responsible_?ai", re.IGNORECASE)
_VERSION = re.compile(r"[-@:](latest|v?\d{3,8}|\d{4}-\d{2}-\d{2})", re.IGNORECASE)


def shared_parameters(logged: Mapping[str, Any]) -> dict[str, Any]:
    """Return those logged parameters that any model understands, under their OpenAI names."""
    named = {RENAMED_PARAMETERS.get(key, key): value for key, value in logged.items()}
    return {key: value for key, value in named.items() if key in SHARED_PARAMETERS and value is not None}


def effective_parameters(request: Request, candidate: Candidate) -> dict[str, Any]:
    """Return what a request is sent with: the log's parameters, then the candidate's over them.

    One limit of tokens counts: the candidate's own, under the name the candidate uses.
    """
    found = shared_parameters(request.parameters)
    if any(key in candidate.parameters for key in LIMITS):
        found = {key: value for key, value in found.items() if key not in LIMITS}
    return found | candidate.parameters


def message_body(message: Message, call_ids: Iterable[str]) -> dict[str, Any]:
    """Return one message as the API takes it; tool arguments become a JSON string.

    Args:
        message: The message.
        call_ids: Ids for tool calls the log names none for.
    """
    role = "system" if message.role == "developer" else message.role
    body: dict[str, Any] = {"role": role, "content": message.content}
    if message.name:
        body["name"] = message.name
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id or call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
            }
            for call, call_id in zip(message.tool_calls, call_ids, strict=False)
        ]
    elif message.content is None:
        body["content"] = ""
    return body


def arguments_text(arguments: Any) -> str:
    """Return tool arguments as the JSON string the API asks for; text stays as it is."""
    if isinstance(arguments, str):
        return arguments
    return msgspec.json.encode({} if arguments is None else arguments).decode()


def message_bodies(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return all messages, with tool results tied to their calls even where the log lost the ids."""
    bodies = []
    waiting: list[str] = []
    count = 0
    for message in messages:
        if message.role == "tool":
            answered = message.tool_call_id or (waiting[0] if waiting else "call_0")
            waiting = [each for each in waiting if each != answered]
            body = message_body(message, ()) | {"tool_call_id": answered}
        else:
            ids = [each.id or f"call_{count + index}" for index, each in enumerate(message.tool_calls)]
            count += len(ids)
            if ids:
                waiting = ids
            body = message_body(message, ids)
        bodies.append(body)
    return bodies


def request_body(request: Request, candidate: Candidate, eval_config: EvalConfig) -> dict[str, Any]:
    """Return the body of one chat completion: what the control was asked, as this candidate.

    Args:
        request: The recorded request.
        candidate: Its `parameters` override the log's. `structured_outputs = true`
            sends the allowed labels of a label eval as a choice (vLLM's own field);
            a table is sent as it is.
        eval_config: The task's eval.
    """
    parameters = effective_parameters(request, candidate)
    body: dict[str, Any] = {"model": candidate.model, "messages": message_bodies(request.messages)}
    if request.tools:
        body["tools"] = [tool_body(tool) for tool in request.tools]
    else:
        parameters.pop("tool_choice", None)
        parameters.pop("parallel_tool_calls", None)
    if request.response_format:
        body["response_format"] = request.response_format
    structured = parameters.get("structured_outputs")
    if isinstance(structured, dict):
        body["structured_outputs"] = structured
    elif structured and eval_config.kind is EvalKind.LABEL:
        body["structured_outputs"] = {"choice": list(eval_config.labels)}
    body |= {key: value for key, value in parameters.items() if key not in OWN_PARAMETERS}
    return body


def tool_body(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's definition in the nested OpenAI shape."""
    if "function" in tool or "name" not in tool:
        return tool
    schema = tool.get("parameters") or tool.get("input_schema") or {"type": "object", "properties": {}}
    function = {"name": tool["name"], "parameters": schema}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def is_same_model(asked: str, answered: str) -> bool:
    """Say whether a server answered as the model that was asked.

    A date or version behind the name, a path before it and `.gguf` are no difference:
    `gpt-x-mini` may answer as `gpt-x-mini-2026-01-31`, never `gpt-x` as `gpt-x-mini`.
    """
    first, second = (name.casefold().removesuffix(".gguf") for name in (asked, answered))
    ends = [name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] for name in (first, second)]
    if first == second or (ends[0] == ends[1] and ("/" not in first or "/" not in second)):
        return True
    if second.startswith(("/", ".")) and ends[0] == ends[1]:
        return True
    longer, shorter = (first, second) if len(first) > len(second) else (second, first)
    return longer.startswith(shorter) and bool(_VERSION.fullmatch(longer[len(shorter) :]))


def read_error(status: int, body: bytes, content_type: str = "") -> Output:
    """Return the error that a reply with an error status is."""
    message = _error_text(body, content_type)
    if status == 429:
        return failure(ErrorKind.RATE_LIMITED, message or "too many requests", status)
    if 300 <= status < 400:
        return failure(ErrorKind.HTTP, "the server redirects, which is never followed", status)
    if status in (400, 413, 422):
        if _CONTEXT.search(message):
            return failure(ErrorKind.CONTEXT_LENGTH, message, status)
        if _FILTERED.search(message):
            return failure(ErrorKind.CONTENT_FILTER, message, status)
    return failure(ErrorKind.HTTP, message or f"status {status}", status)


def _error_text(body: bytes, content_type: str) -> str:
    try:
        value = decode_json(body[:100_000]).value
    except Undecodable:
        text = body[:2_000].decode("utf-8", "replace")
        if "html" in content_type or text.lstrip()[:1] == "<":
            title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            return f"an HTML page{': ' + title[1].strip() if title else ''}"
        return clean_text(" ".join(text.split())[:300])[0]
    return _message_of(value)


def _message_of(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = value.get("error", value)
        if isinstance(inner, Mapping):
            words = [inner.get("message") or inner.get("detail"), inner.get("code") or inner.get("type")]
            return ": ".join(str(word) for word in words if word)[:500]
        return str(inner)[:500]
    return str(value)[:500]


def read_reply(body: bytes, content_type: str, candidate: Candidate, eval_config: EvalConfig) -> Output:
    """Read the body of a reply with status 200.

    Args:
        body: All of it.
        content_type: Its media type, for the message where it is no JSON.
        candidate: Who was asked; another model's answer is an error.
        eval_config: The task's eval, for the margin between labels.

    Returns:
        The output; every odd reply is an error of a kind of its own.
    """
    try:
        decoded = decode_json(body)
    except Undecodable as error:
        if "html" in content_type or body.lstrip()[:1] == b"<":
            return failure(ErrorKind.INVALID_RESPONSE, f"not JSON but {_error_text(body, 'html')}", 200)
        if not body.strip():
            return failure(ErrorKind.INVALID_RESPONSE, "an empty body", 200)
        return failure(ErrorKind.INVALID_RESPONSE, f"the body can't be read: {error}", 200)
    reply = decoded.value
    if not isinstance(reply, dict):
        return failure(ErrorKind.INVALID_RESPONSE, "the body is JSON, but no object", 200)
    if reply.get("error"):
        message = _message_of(reply)
        kind = ErrorKind.CONTEXT_LENGTH if _CONTEXT.search(message) else ErrorKind.INVALID_RESPONSE
        return failure(kind, f"an error with status 200: {message}", 200)
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return failure(ErrorKind.INVALID_RESPONSE, "no choices in the reply", 200)
    model = reply.get("model")
    model = model if isinstance(model, str) and model else None
    asked = str(candidate.parameters.get("answers_as") or candidate.model or "")
    if model and not is_same_model(asked, model):
        return failure(
            ErrorKind.WRONG_MODEL, f"asked {asked!r}, answered by {model!r}", 200, model=clean_text(model)[0]
        )
    flags = ["repaired_text"] if decoded.repaired else []
    return _read_choice(choices[0], reply, model, flags, eval_config)


def _read_choice(
    choice: dict[str, Any],
    reply: dict[str, Any],
    model: str | None,
    flags: list[str],
    eval_config: EvalConfig,
) -> Output:
    message = choice.get("message")
    if not isinstance(message, dict):
        return failure(ErrorKind.INVALID_RESPONSE, "the choice holds no message", 200)
    finish = choice.get("finish_reason")
    finish = finish if isinstance(finish, str) else None
    common: dict[str, Any] = {
        "model": model,
        "finish_reason": finish,
        "usage": usage_openai(reply.get("usage")),
    }
    if finish == "content_filter":
        return failure(ErrorKind.CONTENT_FILTER, "the server's content filter", 200, **common)
    text = _text_of(message.get("content"))
    calls = _tool_calls(message)
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str) and refusal:
        text = refusal
        flags.append("refusal")
    if finish == "length":
        flags.append("truncated")
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    reasoning = reasoning if isinstance(reasoning, str) else None
    if not (text and text.strip()) and not calls:
        why = "only reasoning, cut off by the limit of tokens" if reasoning else "an empty answer"
        return failure(ErrorKind.EMPTY, why, 200, flags=tuple(flags), reasoning=reasoning, **common)
    if text and len(text) > MAX_TEXT_CHARS:
        text = text[:MAX_TEXT_CHARS]
        flags.append("capped")
    return Output(
        text=text,
        tool_calls=calls,
        reasoning=reasoning,
        confidence=_confidence(choice.get("logprobs"), eval_config),
        flags=tuple(flags),
        **common,
    )


def _text_of(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(each for each in texts if isinstance(each, str)) or None
    return None


def _tool_calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    raw = message.get("tool_calls")
    items = [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []
    if isinstance(message.get("function_call"), dict):
        items.append({"function": message["function_call"]})
    found = []
    for item in items:
        function = item.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            identity = item.get("id")
            arguments = parse_arguments(function.get("arguments"))
            found.append(
                ToolCall(function["name"], arguments, identity if isinstance(identity, str) else None)
            )
    return tuple(found)


def _confidence(logprobs: Any, eval_config: EvalConfig) -> dict[str, float]:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return {}
    tokens = []
    for item in content:
        if not isinstance(item, dict):
            return {}
        raw = item.get("top_logprobs")
        others = [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []
        tops = {str(each.get("token", "")): as_number(each.get("logprob")) for each in others}
        tokens.append(Token(str(item.get("token", "")), as_number(item.get("logprob")), tops))
    found = {"token_quantile": token_quantile([each.logprob for each in tokens])}
    if eval_config.kind is EvalKind.LABEL:
        names = {label: label for label in eval_config.labels} | dict(eval_config.aliases)
        found["label_margin"] = label_margin(tokens, names)
    return {name: value for name, value in found.items() if value is not None}
