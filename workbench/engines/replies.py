"""OpenAI chat completions on the wire: what comes back. Every odd reply is an error of its own kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.engines.base import failure
from workbench.engines.dialects import WRAPPER_OPENING, unwrap_label
from workbench.engines.oversized import completed
from workbench.engines.reasoning import REASONING_KEYS, begins_with_tag, speaks_of_tags, split_reasoning
from workbench.engines.signals import (
    Token,
    answer_tokens,
    label_margin,
    lacks_a_number,
    read_tokens,
    token_quantile,
)
from workbench.engines.wire import is_same_model
from workbench.normal import Undecodable, clean_text, decode_json, parse_arguments, usage_openai
from workbench.records import ErrorKind, Output, Request, ToolCall
from workbench.specs import Candidate, EvalConfig

MAX_TEXT_CHARS = 1_000_000
MAX_NAME_CHARS = 200
_CONTEXT = re.compile(
    r"context[ _-]?(length|window|size)|maximum (context|prompt|input)|prompt is too long|too many tokens"
    r"|reduce the length",
    re.IGNORECASE,
)
_USED_UP = re.compile(r"insufficient_quota|billing_(hard_limit_reached|not_active)|credits?_exhausted")
_FILTERED = re.compile(r"content[ _-]?(filter|management|policy)|responsible_?ai", re.IGNORECASE)
_NOT_A_NUMBER = (
    "the log-probability of its own answer is NaN: the model's arithmetic breaks down (another dtype or "
    "quantization may not), or parameters.logprobs = false leaves such numbers out"
)
CAPPED = "capped"
"""Flag of an answer of which only the beginning is kept."""
CACHED = "cached"
"""Flag of a reply that a response cache gave: it looks as if repeats had no noise."""
_CACHE_HEADERS = ("cf-aig-cache-status", "helicone-cache", "x-portkey-cache-status", "x-cache")
_FILTER_REASONS = frozenset(("content_filter", "safety", "blocklist", "prohibited_content"))
_FAILED_REASONS = frozenset(("error", "abort", "cancelled"))


def is_used_up(message: str) -> bool:
    """Say whether a refusal for the rate tells of a quota without anything left, which no waiting fills.

    The codes alone count: some servers speak of a quota in words where they mean one minute's.

    Args:
        message: Of the error, as `read_error` returns it.
    """
    return bool(_USED_UP.search(message))


def read_error(status: int, body: bytes, content_type: str = "") -> Output:
    """Return the error that a reply with an error status is."""
    message = _error_text(body, content_type)
    if status == 429:
        return failure(ErrorKind.RATE_LIMITED, message or "too many requests", status)
    if 300 <= status < 400:
        return failure(ErrorKind.HTTP, "the server redirects to another address", status)
    if status in (400, 413, 422):
        if _CONTEXT.search(message):
            return failure(ErrorKind.CONTEXT_LENGTH, message, status)
        if _FILTERED.search(message):
            return failure(ErrorKind.CONTENT_FILTER, message, status)
    return failure(ErrorKind.HTTP, message or ("no content" if status == 204 else f"status {status}"), status)


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reply answers: whom, for which task, and what was said about its form.

    `wrapped` says that a label was asked for in a JSON object. `request` is None where
    it is not at hand: then a tag of reasoning is never taken for meant. `native_id` is
    the id of the recorded answer: a reply with the same one is that answer, from a cache.
    """

    candidate: Candidate
    eval_config: EvalConfig
    request: Request | None = None
    wrapped: bool = False
    native_id: str | None = None


def is_cached(headers: Mapping[str, str]) -> bool:
    """Say whether a gateway says that it gave the reply from its response cache."""
    found = [headers[name] for name in _CACHE_HEADERS if name in headers]
    return any(value.strip().casefold().startswith("hit") for value in found)


def read_reply(body: bytes, content_type: str, asked: Asked, latency_ms: float | None = None) -> Output:
    """Read the body of a reply with status 200.

    Args:
        body: All of it.
        content_type: Its media type, for the message where it is no JSON.
        asked: What it answers; another model's answer is an error.
        latency_ms: How long it took; of an odd reply, too.

    Returns:
        The output; every odd reply is an error of a kind of its own.
    """
    try:
        decoded = decode_json(body)
    except Undecodable as error:
        found = _undecodable(body, content_type, error)
    else:
        found = read_value(
            decoded.value,
            asked,
            repaired=decoded.repaired,
            has_nan=decoded.has_nan,
            latency_ms=latency_ms,
        )
    return found if found.error is None else replace(found, latency_ms=latency_ms)


def read_beginning(beginning: bytes, asked: Asked, latency_ms: float | None = None) -> Output:
    """Read as much as was read of a reply with status 200 that is larger than any should be.

    Args:
        beginning: Its first bytes.
        asked: What it answers.
        latency_ms: How long that took.

    Returns:
        The answer up to there, flagged `capped`; an error where no text of an answer was cut:
        half a tool call, or a page, say.
    """
    found = read_value(completed(beginning), asked, capped=True, latency_ms=latency_ms)
    if found.error is None and not found.tool_calls:
        return found
    told = found.error is not None and found.error.kind is not ErrorKind.INVALID_RESPONSE
    if told:
        return replace(found, latency_ms=latency_ms)
    what = f"the reply is larger than {len(beginning) // 1024**2} MB"
    return failure(ErrorKind.INVALID_RESPONSE, what, 200, latency_ms=latency_ms)


def _undecodable(body: bytes, content_type: str, error: Undecodable) -> Output:
    if "html" in content_type or body.lstrip()[:1] == b"<":
        return failure(ErrorKind.INVALID_RESPONSE, f"not JSON but {_error_text(body, 'html')}", 200)
    if not body.strip():
        return failure(ErrorKind.INVALID_RESPONSE, "an empty body", 200)
    return failure(ErrorKind.INVALID_RESPONSE, f"the body can't be read: {error}", 200)


def read_value(
    reply: Any,
    asked: Asked,
    *,
    repaired: bool = False,
    capped: bool = False,
    has_nan: bool = False,
    latency_ms: float | None = None,
    models: Iterable[str] = (),
) -> Output:
    """Read a decoded reply with status 200, sent in one piece or put together from a stream.

    Args:
        reply: The decoded JSON.
        asked: What it answers.
        repaired: Its text had to be repaired.
        has_nan: It held the word NaN; numbers that were NaN are None.
        capped: It was cut, for nobody reads so long an answer.
        latency_ms: How long it took; left out of failures.
        models: All that its pieces name, where it was streamed.
    """
    if not isinstance(reply, dict):
        return failure(ErrorKind.INVALID_RESPONSE, "the body is JSON, but no object", 200)
    if reply.get("error"):
        return _failed(_message_of(reply), "an error with status 200")
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return failure(ErrorKind.INVALID_RESPONSE, "no choices in the reply", 200)
    model = reply.get("model")
    model = model if isinstance(model, str) and model else None
    wanted = str(asked.candidate.parameters.get("answers_as") or asked.candidate.model or "")
    named = [*([model] if model else []), *models]
    other = next((each for each in named if each != wanted and not is_same_model(wanted, each)), None)
    if other is not None:
        return failure(
            ErrorKind.WRONG_MODEL,
            f"asked {wanted!r}, answered by {other!r}",
            200,
            model=clean_text(other[:MAX_NAME_CHARS])[0],
        )
    flags = [*(["repaired_text"] if repaired else []), *([CAPPED] if capped else [])]
    if asked.native_id is not None and reply.get("id") == asked.native_id:
        flags.append(CACHED)
    return _read_choice(choices[0], reply, model, flags, asked, has_nan, latency_ms)


def _failed(message: str, what: str) -> Output:
    kind = ErrorKind.INVALID_RESPONSE
    if _CONTEXT.search(message):
        kind = ErrorKind.CONTEXT_LENGTH
    elif _FILTERED.search(message):
        kind = ErrorKind.CONTENT_FILTER
    return failure(kind, f"{what}: {message}", 200)


def _read_choice(
    choice: dict[str, Any],
    reply: dict[str, Any],
    model: str | None,
    flags: list[str],
    asked: Asked,
    has_nan: bool,
    latency_ms: float | None,
) -> Output:
    finish = choice.get("finish_reason")
    finish = finish[:MAX_NAME_CHARS] if isinstance(finish, str) else None
    common: dict[str, Any] = {
        "model": model,
        "finish_reason": finish,
        "usage": usage_openai(reply.get("usage")),
    }
    reason = (finish or "").casefold()
    if reason in _FILTER_REASONS:
        return failure(ErrorKind.CONTENT_FILTER, "the server's content filter", 200, **common)
    if choice.get("error"):
        return _failed(_message_of(choice), "the answer ended in an error")
    if reason in _FAILED_REASONS:
        what = f"the server gave the answer up (finish_reason {finish!r})"
        return failure(ErrorKind.INVALID_RESPONSE, what, 200, **common)
    message = choice.get("message")
    if not isinstance(message, dict):
        return failure(ErrorKind.INVALID_RESPONSE, "the choice holds no message", 200)
    text = _text_of(message.get("content"))
    calls = _tool_calls(message)
    if calls is None:
        what = "a tool call that names no function"
        return failure(ErrorKind.INVALID_RESPONSE, what, 200, flags=tuple(flags), **common)
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str) and refusal:
        text = refusal
        flags.append("refusal")
    if finish == "length":
        flags.append("truncated")
    reasoning = _reasoning_of(message)
    if text and (reasoning is None or begins_with_tag(text)):
        # A server may have a field for it, and leave what it did not recognise in the text.
        thoughts, text = _apart(text, asked)
        reasoning = "\n\n".join(each for each in (reasoning, thoughts) if each) or None
    if reasoning and len(reasoning) > MAX_TEXT_CHARS:
        reasoning = reasoning[:MAX_TEXT_CHARS]
        flags.append(CAPPED)
    if not (text and text.strip()) and not calls:
        why = "an empty answer"
        if reasoning:
            cut = ", cut off by the limit of tokens" if finish == "length" else " and no answer"
            why = f"only reasoning{cut}"
        return failure(ErrorKind.EMPTY, why, 200, flags=tuple(flags), reasoning=reasoning, **common)
    label = unwrap_label(text) if asked.wrapped and text else text
    if has_nan and lacks_a_number(choice.get("logprobs")):
        return failure(ErrorKind.NOT_A_NUMBER, _NOT_A_NUMBER, 200, flags=tuple(flags), **common)
    tokens = read_tokens(choice.get("logprobs"), has_nan)
    confidence = _confidence(tokens, text, label, reasoning is not None, asked)
    if label and len(label) > MAX_TEXT_CHARS:
        label = label[:MAX_TEXT_CHARS]
        flags.append(CAPPED)
    return Output(
        text=label,
        tool_calls=calls,
        reasoning=reasoning,
        confidence=confidence,
        flags=tuple(dict.fromkeys(flags)),
        latency_ms=latency_ms,
        **common,
    )


def _reasoning_of(message: dict[str, Any]) -> str | None:
    """Return the reasoning that a server has in a field of its own, by the names in use."""
    found = [message.get(key) for key in REASONING_KEYS]
    return next((each for each in found if isinstance(each, str) and each), None)


def _apart(text: str, asked: Asked) -> tuple[str | None, str]:
    """Take the reasoning off a text, unless the user wrote such tags and may want them back."""
    reasoning, rest = split_reasoning(text)
    if rest == text or (asked.request is not None and speaks_of_tags(asked.request.messages)):
        return None, text
    return reasoning, rest


def _text_of(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(each for each in texts if isinstance(each, str)) or None
    return None


def _tool_calls(message: dict[str, Any]) -> tuple[ToolCall, ...] | None:
    """Return the tool calls of a message, or None where one can't be told: the others are no whole answer."""
    raw = message.get("tool_calls")
    items = list(raw) if isinstance(raw, list) else []
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and any(legacy.values()):
        items.append({"function": legacy})
    found = []
    for item in items:
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(function, dict):
            return None
        name, identity = function.get("name"), item.get("id")
        if not isinstance(name, str) or not name.strip():
            return None
        arguments = parse_arguments(function.get("arguments"))
        found.append(ToolCall(name, arguments, identity if isinstance(identity, str) else None))
    return tuple(found)


def _confidence(
    tokens: Sequence[Token] | None, text: str | None, label: str | None, has_reasoning: bool, asked: Asked
) -> dict[str, float]:
    """Return the signals of an answer.

    Args:
        tokens: With their log-probabilities, where the choice carries them.
        text: The answer as it was written.
        label: The answer as it will be compared, out of its wrapper.
        has_reasoning: Whether tokens of reasoning may stand among the others.
        asked: What was asked.
    """
    if tokens is None:
        return {}
    answer = answer_tokens(tokens, text, has_reasoning)
    # What a wrapper forces the model to write says nothing about its answer.
    own = answer if label == text else answer_tokens(answer, label, has_reasoning)
    found = {"token_quantile": token_quantile([each.logprob for each in own])}
    config = asked.eval_config
    if config.names_one_label:
        names = {label: label for label in config.labels} | dict(config.aliases)
        found["label_margin"] = label_margin(answer, names, WRAPPER_OPENING if asked.wrapped else "")
    return {name: value for name, value in found.items() if value is not None}
