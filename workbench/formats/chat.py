"""The shapes of OpenAI chat completions, which many other formats embed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.formats.base import Mark, Unreadable
from workbench.normal import as_count, as_text, decode_nested, parse_arguments, usage_openai
from workbench.records import ErrorKind, Message, Output, OutputError, Request, ToolCall, Usage

PARAMETERS = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "stop", "seed", "n",
        "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs",
        "top_logprobs", "tool_choice", "parallel_tool_calls", "reasoning_effort", "verbosity",
    }
)  # fmt: skip
"""What of a request's body decides the answer, and so is sent to a candidate too."""

REASONING = ("reasoning_content", "reasoning", "thinking")
"""What a message calls its reasoning where it is one text: vLLM and DeepSeek, OpenRouter, Ollama."""

ARGUMENTS = ("arguments", "input", "args", "raw_arguments", "parameters")
"""What a call names its arguments; the last is Cohere's first version's."""

MEDIA: Mapping[str, Mark] = {
    "image_url": Mark.IMAGE,
    "image": Mark.IMAGE,
    "input_image": Mark.IMAGE,
    "input_audio": Mark.AUDIO,
    "audio": Mark.AUDIO,
    "file": Mark.FILE,
    "input_file": Mark.FILE,
}


_FINISH = {
    "end_turn": "stop", "stop_sequence": "stop", "STOP": "stop", "FINISH": "stop", "finished": "stop",
    "completed": "stop", "COMPLETE": "stop", "complete": "stop", "stop": "stop", "eos_token": "stop",
    "CONTENT_FILTERED": "content_filter",
    "max_tokens": "length", "max_output_tokens": "length", "MAX_TOKENS": "length", "LENGTH": "length",
    "max_length": "length", "model_context_window_exceeded": "length",
    "tool_use": "tool_calls", "tool_call": "tool_calls", "tool_calls": "tool_calls",
    "TOOL_CALL": "tool_calls",
    "tool-calls": "tool_calls", "content-filter": "content_filter", "refusal": "content_filter",
    "SAFETY": "content_filter", "PROHIBITED_CONTENT": "content_filter", "RECITATION": "content_filter",
    "guardrail_intervened": "content_filter", "content_filtered": "content_filter",
    "ERROR_TOXIC": "content_filter",
    "blocklist": "content_filter", "BLOCKLIST": "content_filter", "SPII": "content_filter",
}  # fmt: skip
FAILED = ("error", "ERROR", "ERROR_LIMIT", "TIMEOUT")
"""Reasons for ending that are failures, of OpenRouter, of the AI SDK and of Cohere."""
BROKEN_OFF = (
    "OTHER",
    "LANGUAGE",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "USER_CANCEL",
    "abort",
    "cancelled",
)
"""Reasons for ending that leave no whole answer, of Gemini, Cohere and vLLM."""


_ENUM = "FinishReason."


def finish_of(value: Any) -> str | None:
    """Return a reason for ending under OpenAI's name; unknown ones stay as they are."""
    if value is None or value == "":
        return None
    text = as_text(value)
    if text.startswith(_ENUM):
        # As Python prints it, by Semantic Kernel and Google's library.
        name = text.removeprefix(_ENUM)
        return name if name in BROKEN_OFF else _FINISH.get(name, name.lower())
    return _FINISH.get(text, text)


def ended_in_failure(reason: Any, model: str | None, usage: Usage, marks: list[str]) -> Output:
    """Return the output of an answer that its provider ended with a failure: half of it is no answer."""
    message = f"the provider ended the answer with {as_text(reason)}"
    return replace(error_output(message, None, marks, model), usage=usage)


def parse_messages(value: Any, marks: list[str]) -> tuple[Message, ...]:
    """Read a list of messages.

    Args:
        value: The list, or JSON text that holds it.
        marks: Gets what is odd about them.

    Raises:
        Unreadable: It is no list of messages, or an empty one.
    """
    items = decode_nested(value)
    if isinstance(items, str) and items:
        return (Message("user", items),)
    if not isinstance(items, list) or not items:
        raise Unreadable("the request has no messages")
    return tuple([parse_message(item, marks, index) for index, item in enumerate(items)])


def parse_message(value: Any, marks: list[str], index: int = 0) -> Message:
    """Read one message.

    Raises:
        Unreadable: It is not an object with a role.
    """
    if type(value) is dict and len(value) == 2:
        # By far the most messages are a role and a text.
        role, content = value.get("role"), value.get("content")
        if type(role) is str and role and type(content) is str:
            return Message(role, content)
    if not isinstance(value, dict) or not isinstance(value.get("role"), str) or not value["role"]:
        raise Unreadable(f"message {index + 1} is not an object with a role")
    name, call_id = value.get("name"), value.get("tool_call_id")
    return Message(
        role=value["role"],
        content=parse_content(value.get("content"), marks),
        name=as_text(name) if name is not None else None,
        tool_calls=parse_tool_calls(value, marks),
        tool_call_id=as_text(call_id) if call_id is not None else None,
    )


def parse_content(value: Any, marks: list[str]) -> str | list[dict[str, Any]] | None:
    """Read a message's content: text, typed parts, or None."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        return [dict(value)] if isinstance(value, dict) else as_text(value)
    parts: list[dict[str, Any]] = []
    for item in value:
        part = dict(item) if isinstance(item, dict) else {"type": "text", "text": as_text(item)}
        kind = part.get("type")
        if isinstance(kind, str) and kind in MEDIA:
            add(marks, MEDIA[kind])
        parts.append(part)
    return parts


def parse_tool_calls(message: Mapping[str, Any], marks: list[str]) -> tuple[ToolCall, ...]:
    """Read the tool calls of a message, old style (`function_call`) included."""
    found = message.get("tool_calls")
    if not found and "function_call" not in message:
        return ()
    calls = list(found) if isinstance(found, list) else []
    if isinstance(message.get("function_call"), dict):
        calls.append({"function": message["function_call"]})
    parsed: list[ToolCall] = []
    for call in calls:
        if not isinstance(call, dict):
            continue
        inner = next((call[key] for key in ("function", "custom") if isinstance(call.get(key), dict)), call)
        arguments = parse_arguments(first_told(inner, *ARGUMENTS))
        if isinstance(arguments, str) and "function" in call:
            add(marks, Mark.BAD_ARGUMENTS)
        identity = call.get("id") or call.get("toolCallId")  # The AI SDK's word, as the next one is.
        name = inner.get("name") or inner.get("toolName") or ""
        parsed.append(ToolCall(as_text(name), arguments, as_text(identity) if identity else None))
    return tuple(parsed)


def parse_request(body: Any, marks: list[str]) -> Request:
    """Read a request's body.

    Raises:
        Unreadable: It is not an object with messages.
    """
    body = decode_nested(body)
    if not isinstance(body, dict):
        raise Unreadable("the request is not an object")
    tools: list[dict[str, Any]] = []
    if "tools" in body or "functions" in body:
        tools += [dict(each) for each in _list(body.get("tools")) if isinstance(each, dict)]
        tools += [
            {"type": "function", "function": dict(each)}
            for each in _list(body.get("functions"))
            if isinstance(each, dict)
        ]
    shape = body.get("response_format")
    return Request(
        messages=parse_messages(body.get("messages"), marks),
        tools=tuple(tools),
        response_format=dict(shape) if isinstance(shape, dict) else None,
        parameters={key: body[key] for key in body if key in PARAMETERS and body[key] is not None},
    )


def parse_response(body: Any, marks: list[str], latency_ms: float | None = None) -> Output | None:
    """Read a chat completion, or the error in its place.

    Args:
        body: The response's body, as object or JSON text; None where it was not logged.
        marks: Gets what is odd about it.
        latency_ms: What the log says of its duration.

    Returns:
        The output; None where the log holds none or only the pieces of a stream.

    Raises:
        Unreadable: It is neither a completion nor an error.
    """
    body = decode_nested(body)
    if body is None or body == {} or body == "":
        return None
    if isinstance(body, list):
        add(marks, Mark.STREAM_NOT_REBUILT)
        return None
    if not isinstance(body, dict):
        raise Unreadable("the response is not an object")
    model = as_text(body["model"]) if body.get("model") else None
    if body.get("error"):
        return error_output(body["error"], None, marks, model)
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise Unreadable("the response has no choices")
    usage = usage_openai(body.get("usage"))
    chosen = first_choice(choices)
    if chosen is None:
        add(marks, Mark.ERROR)
        return Output(
            model=model,
            usage=usage,
            latency_ms=latency_ms,
            error=OutputError(ErrorKind.INVALID_RESPONSE, "no choices"),
        )
    if len(choices) > 1:
        add(marks, Mark.MULTIPLE_CHOICES)
    if chosen.get("error"):
        # OpenRouter answers 200 where the provider behind it failed.
        return replace(error_output(chosen["error"], None, marks, model), usage=usage)
    if chosen.get("finish_reason") in FAILED:
        return ended_in_failure(chosen["finish_reason"], model, usage, marks)
    return _output(chosen, model, usage, latency_ms, marks)


def first_choice(choices: list[Any]) -> Mapping[str, Any] | None:
    """Return the one answer of several that counts: of index 0, else the first; None without an object."""
    if len(choices) > 1:
        for each in choices:
            if isinstance(each, dict) and each.get("index") in (0, "0"):
                return each
    return choices[0] if choices and isinstance(choices[0], dict) else None


def _output(
    choice: Mapping[str, Any], model: str | None, usage: Usage, latency_ms: float | None, marks: list[str]
) -> Output:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    finish = choice.get("finish_reason")
    if not isinstance(finish, str) and isinstance(finish, dict):
        # LangSmith's JavaScript client keeps the whole last chunk here.
        finish = finish.get("finish_reason")
    text = text_of(message.get("content", choice.get("text")), marks)
    spoken = transcript_of(message, marks)
    text = text or spoken
    calls = parse_tool_calls(message, marks)
    flags: list[str] = []
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        flags.append("refusal")
        add(marks, Mark.REFUSAL)
        text = text or refusal
    error = None
    if finish == "length":
        flags.append("truncated")
        marks.extend(each for each in (Mark.TRUNCATED, Mark.FINISH_LENGTH) if each not in marks)
    if finish in BROKEN_OFF:
        flags.append("truncated")
        add(marks, Mark.TRUNCATED)
    if finish == "content_filter":
        add(marks, Mark.CONTENT_FILTER)
        if not text and not calls:
            error = OutputError(ErrorKind.CONTENT_FILTER, "the content filter stopped the answer")
    elif not text and not calls:
        error = OutputError(ErrorKind.EMPTY, "the answer is empty")
        add(marks, Mark.EMPTY_OUTPUT)
    reasoning = first_told(message, *REASONING)
    return Output(
        text=text,
        tool_calls=calls,
        finish_reason=as_text(finish) if finish is not None else None,
        model=model,
        usage=usage,
        latency_ms=latency_ms,
        reasoning=reasoning if isinstance(reasoning, str) else None,
        flags=tuple(flags),
        error=error,
    )


def text_of(content: Any, marks: list[str]) -> str | None:
    """Return the text of an answer's content; parts are joined."""
    if content is None or isinstance(content, str):
        return content
    parts = parse_content(content, marks)
    if not isinstance(parts, list):
        return parts
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return "".join(texts) if texts else None


def transcript_of(message: Mapping[str, Any], marks: list[str]) -> str | None:
    """Return the words of a spoken answer, as OpenAI writes them beside its sound; None without one."""
    audio = message.get("audio")
    if not isinstance(audio, dict):
        return None
    add(marks, Mark.AUDIO)
    words = audio.get("transcript")
    return words if isinstance(words, str) and words else None


_EXCEPTION = re.compile(r"(?:[a-z_]+\.)*([A-Z]\w*(?:Error|Exception|Timeout))\b")
"""How an exception's text begins where a program logged it."""
_ERRORS = {
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "timeout": ErrorKind.TIMEOUT,
    "timeout_error": ErrorKind.TIMEOUT,  # Anthropic
    "batch_expired": ErrorKind.TIMEOUT,
    "DEADLINE_EXCEEDED": ErrorKind.TIMEOUT,  # Google
    "ModelTimeoutException": ErrorKind.TIMEOUT,  # Bedrock
    "APITimeoutError": ErrorKind.TIMEOUT,  # The SDKs of OpenAI and Anthropic, as the two that follow
    "APIConnectionError": ErrorKind.CONNECTION,
    "RateLimitError": ErrorKind.RATE_LIMITED,
    "rate_limit_exceeded": ErrorKind.RATE_LIMITED,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "RESOURCE_EXHAUSTED": ErrorKind.RATE_LIMITED,
    "ThrottlingException": ErrorKind.RATE_LIMITED,
}


def error_output(error: Any, status: Any, marks: list[str], model: str | None = None) -> Output:
    """Return the output that stands for a failed request."""
    add(marks, Mark.ERROR)
    status = as_count(status)
    message = as_text(error) if error else f"status {status}"
    named = _EXCEPTION.match(message)
    codes = [named[1]] if named else []
    if isinstance(error, dict):
        codes = [as_text(error[key]) for key in ("code", "type", "status", "__type") if error.get(key)]
        message = as_text(error.get("message") or next(iter(codes), error))
        if status is None and 100 <= (as_count(error.get("code")) or 0) < 600:
            status = as_count(error["code"])
    kind = next((_ERRORS[each] for each in codes if each in _ERRORS), None)
    kind = kind or (ErrorKind.RATE_LIMITED if status == 429 else ErrorKind.HTTP)
    return Output(model=model, error=OutputError(kind, message[:2000], status))


def failed_output(found: Output | None, error: Any, status: Any, marks: list[str]) -> Output:
    """Return what stands for a call that its log says failed: what there is of an answer is no control.

    Args:
        found: What was answered all the same: its tokens were paid.
        error: What the log says went wrong.
        status: The HTTP status, if the log has it.
        marks: Those of the answer.
    """
    if found is not None and found.error is not None and found.error.kind is not ErrorKind.EMPTY:
        return found
    # Why there is no answer says more than that there is none.
    marks[:] = [each for each in marks if each != Mark.EMPTY_OUTPUT]
    failed = error_output(error, status, marks)
    return failed if found is None else replace(failed, model=found.model, usage=found.usage)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def word(value: Any) -> str | None:
    """Return a value that names a kind; None for anything but text, such as a list in its place."""
    return value if isinstance(value, str) else None


def first_told(holder: Mapping[str, Any], *keys: str) -> Any:
    """Return what stands under the first of some keys that holds more than null; None where none does."""
    for key in keys:
        if (found := holder.get(key)) is not None:
            return found
    return None


def first_filled(holder: Mapping[str, Any], *keys: str) -> Any:
    """Return the same of the first that holds no empty text or list, either."""
    for key in keys:
        if (found := holder.get(key)) not in (None, "", []):
            return found
    return None


def add(marks: list[str], mark: str) -> None:
    """Add a mark once."""
    if mark not in marks:
        marks.append(mark)
