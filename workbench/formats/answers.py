"""Answers of any provider as one `Output`: told apart by their keys, streams put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.formats.base import Mark, Unreadable
from workbench.formats.blocks import CALLER_RUN, CALLER_RUN_RESULTS, calls_in_text, is_built_in_item, kind_of
from workbench.formats.chat import (
    BROKEN_OFF,
    FAILED,
    add,
    ended_in_failure,
    error_output,
    finish_of,
    first_choice,
    first_told,
    parse_response,
    word,
)
from workbench.formats.langchain import message_usage, said_beside
from workbench.formats.pieces import is_piece
from workbench.formats.streams import events_of_text, rebuild
from workbench.formats.turns import is_assistant, is_plain_answer, read_answer
from workbench.formats.usage import inclusive_usage, read_usage
from workbench.normal import as_text, decode_nested
from workbench.records import ErrorKind, Output, OutputError, Usage

_BEDROCK_TEXTS = (
    "results", "outputs", "completions", "generation", "completion", "outputText", "text", "response",
    "generated_text",
)  # fmt: skip
_BODY_KEYS = ("output", "object", "candidates", "promptFeedback", "generations", *_BEDROCK_TEXTS)
"""What answers have that are more than a message, but for Gemini's whose content is an object."""
_GEMINI_ENDS = {
    1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER", 6: "BLOCKLIST",
    7: "PROHIBITED_CONTENT", 8: "SPII", 9: "MALFORMED_FUNCTION_CALL",
}  # fmt: skip
_TEXT_ENDS = ("finish_reason", "generation_id", "finishReason")
"""What stands beside a bare text of Cohere's and of the AI SDK."""
_OUTPUT_CALLS = ("function_call", "custom_tool_call", *CALLER_RUN)
"""Items of the responses API that call a tool of the caller's."""


def read_response(body: Any, marks: list[str], latency_ms: float | None = None) -> Output | None:
    """Read an answer's body of any provider, or the error in its place.

    Args:
        body: The body, JSON text of it, the chunks of a stream, or plain text.
        marks: Gets what is odd about it.
        latency_ms: What the log says of its duration.

    Returns:
        The output; None where the log holds none, or a stream nobody can put together.

    Raises:
        Unreadable: It is no answer.
    """
    body = decode_nested(body)
    if body is None or body in ({}, "", []):
        return None
    if isinstance(body, str):
        events = events_of_text(body)
        if events is None:
            return output_of(body, marks, latency_ms=latency_ms)
        body = events
    if isinstance(body, list):
        return _list(body, marks, latency_ms)
    if not isinstance(body, dict):
        raise Unreadable("the response is not an object")
    if is_plain_answer(body):
        return output_of(body, marks, latency_ms=latency_ms)
    if _is_chunk(body):
        return _list([body], marks, latency_ms)
    if isinstance(body.get("choices"), list):
        return parse_response(body, marks, latency_ms)
    if body.get("error") or body.get("type") == "error":
        return error_output(body.get("error") or body.get("message"), None, marks, _model(body))
    found = None
    if isinstance(body.get("content"), dict) or not body.keys().isdisjoint(_BODY_KEYS):
        found = (
            _responses(body, marks, latency_ms)
            or _converse(body, marks, latency_ms)
            or _gemini(body, marks, latency_ms)
            or _langchain(body, marks, latency_ms)
            or _bedrock_text(body, marks, latency_ms)
        )
    found = found or _message(body, marks, latency_ms)
    if found is None:
        if set(body) <= {"message", "__type", "code", "type"} and isinstance(body.get("message"), str):
            return error_output(body, None, marks)
        raise Unreadable(f"the response has none of the shapes known; it has the keys {_keys(body)}")
    return found


def whole_body(body: Any) -> Any:
    """Return a streamed answer put together, so that its id and time can be read; others as they are."""
    found = decode_nested(body)
    chunks = events_of_text(found) if isinstance(found, str) else found
    rebuilt = rebuild(chunks) if isinstance(chunks, list) else None
    return rebuilt[0] if rebuilt is not None else found


def _keys(body: Mapping[str, Any]) -> str:
    return ", ".join(sorted(as_text(key)[:30] for key in list(body)[:8]))


def _is_chunk(body: Mapping[str, Any]) -> bool:
    if body.get("done") is False and is_piece(body):
        return True
    choices = body.get("choices")
    return body.get("object") == "chat.completion.chunk" and any(
        isinstance(each, dict) and "delta" in each and "message" not in each
        for each in (choices if isinstance(choices, list) else ())
    )


def _list(items: list[Any], marks: list[str], latency_ms: float | None) -> Output | None:
    decoded = [decode_nested(each) for each in items]
    only = decoded[0] if len(decoded) == 1 else None
    if isinstance(only, dict) and (
        isinstance(only.get("generated_text"), str) or ("choices" in only and not _is_chunk(only))
    ):
        return read_response(only, marks, latency_ms)
    rebuilt = rebuild(decoded)
    if rebuilt is not None:
        body, ended = rebuilt
        output = read_response(body, marks, latency_ms)
        if not ended:
            add(marks, Mark.TRUNCATED)
            if output is not None and "truncated" not in output.flags:
                # What the model would have said is not known: it is never compared with.
                output = replace(output, flags=(*output.flags, "truncated"))
        return output
    if all(isinstance(each, dict) and _is_choice(each) for each in decoded):
        return parse_response({"choices": decoded}, marks, latency_ms)
    if all(isinstance(each, dict) and _is_said(each) for each in decoded) and not any(
        map(_is_event, decoded)
    ):
        return _messages(decoded, marks, latency_ms)
    add(marks, Mark.STREAM_NOT_REBUILT)
    return None


def _is_choice(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("message"), dict) and ("finish_reason" in item or "index" in item)


def _is_said(item: Mapping[str, Any]) -> bool:
    return "role" in item or "text" in item or kind_of(item) is not None


def _is_event(item: Mapping[str, Any]) -> bool:
    """Tell whether something is an event of a stream that is not known: read as said, it says nothing."""
    return "delta" in item and "role" not in item and "text" not in item


def _messages(items: list[Any], marks: list[str], latency_ms: float | None) -> Output:
    """Read a list that is an answer: its last message, or its blocks."""
    if all(_is_output_item(each) for each in items):
        read = _responses({"output": items}, marks, latency_ms)
        if read is not None:
            return read
    spoken = [
        each for each in items if "role" in each or word(each.get("type")) in ("ai", "AIMessage", "message")
    ]
    if not spoken:
        return output_of(items, marks, latency_ms=latency_ms)
    first = len(spoken)
    while first and is_assistant(spoken[first - 1].get("role")):
        first -= 1
    pieces = spoken[first:] or spoken[-1:]
    finishes = [each.get("finish_reason", each.get("finishReason")) for each in pieces]
    joined = join_answers(pieces, finishes, marks, latency_ms)
    return joined or output_of(pieces[-1], marks, finish=finishes[-1], latency_ms=latency_ms)


def _is_output_item(item: Mapping[str, Any]) -> bool:
    """Tell whether something is an item of the responses API's output, one of several that make an answer."""
    kind = kind_of(item)
    if kind == "message":
        return "content" in item and "parts" not in item
    own = kind in ("reasoning", *_OUTPUT_CALLS) and "parts" not in item
    return own or kind in CALLER_RUN_RESULTS or is_built_in_item(kind)


def join_answers(
    pieces: Sequence[Any], finishes: Sequence[Any], marks: list[str], latency_ms: float | None
) -> Output | None:
    """Return the one answer that several messages are, where a library writes each call as its own.

    Args:
        pieces: The messages, in order.
        finishes: Why each of them ended, as the log says it.
        marks: Gets what is odd about them.
        latency_ms: What the log says of its duration.

    Returns:
        The answer; None where none of them calls a tool: then they are answers to choose from.

    Raises:
        Unreadable: One is no answer.
    """
    found: list[str] = []
    outputs = [
        output_of(piece, found, finish=finish, latency_ms=latency_ms)
        for piece, finish in zip(pieces, finishes, strict=True)
    ]
    if len(outputs) < 2 or not any(each.tool_calls for each in outputs):
        return None
    for mark in found:
        if mark != Mark.EMPTY_OUTPUT:
            add(marks, mark)
    return replace(
        outputs[-1],
        text="".join(each.text for each in outputs if each.text) or None,
        tool_calls=tuple(call for each in outputs for call in each.tool_calls),
        reasoning="\n".join(each.reasoning for each in outputs if each.reasoning) or None,
        flags=tuple(dict.fromkeys(flag for each in outputs for flag in each.flags)),
        error=None,
    )


def output_of(
    answer: Any,
    marks: list[str],
    *,
    finish: Any = None,
    model: str | None = None,
    usage: Usage = Usage(),  # noqa: B008 -- frozen
    latency_ms: float | None = None,
) -> Output:
    """Return the output that an answer's message, blocks or text stand for, with its marks.

    Raises:
        Unreadable: It is no answer.
    """
    before = Mark.REFUSAL in marks
    message, reasoning = read_answer(answer, marks)
    text = message.content if isinstance(message.content, str) else None
    calls = message.tool_calls
    reason = finish_of(finish)
    if reason == "tool_calls" and text and not calls and (written := calls_in_text(text, marks)):
        text, calls = None, written
    if reason in FAILED:
        return ended_in_failure(reason, model, usage, marks)
    flags: list[str] = []
    error = None
    if finish == "refusal" or (Mark.REFUSAL in marks and not before):
        add(marks, Mark.REFUSAL)
        flags.append("refusal")
    if reason == "length":
        flags.append("truncated")
        add(marks, Mark.TRUNCATED)
        add(marks, Mark.FINISH_LENGTH)
    if reason in BROKEN_OFF:
        flags.append("truncated")
        add(marks, Mark.TRUNCATED)
    if reason == "content_filter" and finish != "refusal":
        add(marks, Mark.CONTENT_FILTER)
    if not text and not calls:
        if reason == "content_filter":
            error = OutputError(ErrorKind.CONTENT_FILTER, "the content filter stopped the answer")
        else:
            error = OutputError(ErrorKind.EMPTY, "the answer is empty")
            add(marks, Mark.EMPTY_OUTPUT)
    return Output(
        text=text,
        tool_calls=calls,
        finish_reason=reason,
        model=model,
        usage=usage,
        latency_ms=latency_ms,
        reasoning=reasoning,
        flags=tuple(flags),
        error=error,
    )


def _model(body: Mapping[str, Any]) -> str | None:
    found = next(
        (body[key] for key in ("model", "modelVersion", "model_version", "model_id") if body.get(key)), None
    )
    return as_text(found) if found else None


def _responses(body: Mapping[str, Any], marks: list[str], latency_ms: float | None) -> Output | None:
    """Read an answer of OpenAI's responses API."""
    items = decode_nested(body.get("output"))
    if not isinstance(items, list):
        if body.get("object") == "response" and isinstance(body.get("output_text"), str):
            items = [{"type": "output_text", "text": body["output_text"]}]
        else:
            return None
    # A shell in the provider's container and an agent's own loop leave the result beside the call.
    answered = {
        each.get("call_id")
        for each in items
        if isinstance(each, dict) and kind_of(each) in CALLER_RUN_RESULTS and word(each.get("call_id"))
    }
    blocks: list[Any] = []
    calls = 0
    for item in items:
        if not isinstance(item, dict):
            continue
        content = item.get("content")
        if item.get("type") == "message" and isinstance(content, list | str):
            blocks += [content] if isinstance(content, str) else content
        else:
            kind = kind_of(item)
            done = kind in CALLER_RUN_RESULTS or (
                kind in CALLER_RUN and word(item.get("call_id")) in answered
            )
            if done or is_built_in_item(kind):
                # Calls of built-in tools are the provider's own business and no part of the answer.
                add(marks, Mark.BUILT_IN_TOOL)
                continue
            calls += kind in _OUTPUT_CALLS
            if kind in (*_OUTPUT_CALLS, "reasoning", "output_text"):
                blocks.append(item)
    details = decode_nested(body.get("incomplete_details"))
    reason = details.get("reason") if isinstance(details, dict) else None
    status = body.get("status")
    finish = reason or ("tool_calls" if calls else "stop" if status in ("completed", None) else status)
    return output_of(
        blocks or None,
        marks,
        finish=finish,
        model=_model(body),
        usage=read_usage(body.get("usage")),
        latency_ms=latency_ms,
    )


def _converse(body: Mapping[str, Any], marks: list[str], latency_ms: float | None) -> Output | None:
    output = decode_nested(body.get("output"))
    if not isinstance(output, dict) or not isinstance(output.get("message"), dict):
        return None
    return output_of(
        output["message"],
        marks,
        finish=body.get("stopReason"),
        model=_model(body),
        usage=read_usage(body.get("usage")),
        latency_ms=latency_ms,
    )


def _gemini(body: Mapping[str, Any], marks: list[str], latency_ms: float | None) -> Output | None:
    candidates = decode_nested(body.get("candidates"))
    usage = body.get("usageMetadata", body.get("usage_metadata"))
    if not isinstance(candidates, list):
        content = body.get("content")
        if isinstance(content, dict) and isinstance(content.get("parts"), list):
            candidates = [body]
        elif isinstance(body.get("promptFeedback"), dict):
            candidates = []  # What was asked was held back.
        else:
            return None
    first = first_choice(candidates)
    if first is None:
        return output_of(None, marks, finish="content_filter", model=_model(body), usage=read_usage(usage))
    if len(candidates) > 1:
        add(marks, Mark.MULTIPLE_CHOICES)
    finish = first.get("finishReason", first.get("finish_reason"))
    if isinstance(finish, int) and not isinstance(finish, bool):
        finish = _GEMINI_ENDS.get(finish, finish)
    return output_of(
        first.get("content") or None,
        marks,
        finish=finish,
        model=_model(body),
        usage=read_usage(usage),
        latency_ms=latency_ms,
    )


def _langchain(body: Mapping[str, Any], marks: list[str], latency_ms: float | None) -> Output | None:
    """Read LangChain's `generations` and chat messages."""
    generations = decode_nested(body.get("generations"))
    if isinstance(generations, list) and generations:
        first = generations[0][0] if isinstance(generations[0], list) and generations[0] else generations[0]
        if not isinstance(first, dict):
            return None
        kept = body.get("llm_output")
        kept = kept if isinstance(kept, dict) else {}
        info = first.get("generation_info")
        info = info if isinstance(info, dict) else {}
        inner = first.get("message") if isinstance(first.get("message"), dict) else None
        finish = info.get("finish_reason", first.get("finish_reason"))
        model = info.get("model_name") or kept.get("model_name")
        usage = read_usage(kept.get("token_usage"))
        return output_of(
            inner if inner is not None else first.get("text"),
            marks,
            finish=finish if finish is not None else said_beside(inner, "finish_reason", "stop_reason"),
            model=as_text(model) if model else said_beside(inner, "model_name", "model"),
            usage=message_usage(inner) or usage,
            latency_ms=latency_ms,
        )
    return None


def _bedrock_text(body: Mapping[str, Any], marks: list[str], latency_ms: float | None) -> Output | None:
    """Read the answers of Bedrock's older model families: one text under a key of their own."""
    if body.keys().isdisjoint(_BEDROCK_TEXTS):
        return None
    results, outputs, older = (body.get(key) for key in ("results", "outputs", "completions"))
    results = [body] if "generated_text" in body else results
    first = results[0] if isinstance(results, list) and results else None
    if isinstance(first, dict) and ("outputText" in first or "generated_text" in first):
        # Titan, and watsonx or Text Generation Inference
        held = {**(first["details"] if isinstance(first.get("details"), dict) else {}), **first}
        asked = first_told({**body, **held}, "inputTextTokenCount", "input_token_count")
        made = first_told(held, "tokenCount", "generated_token_count", "generated_tokens")
        return output_of(
            first_told(first, "outputText", "generated_text"),
            marks,
            finish=first_told(held, "completionReason", "stop_reason", "finish_reason"),
            model=_model(body),
            usage=inclusive_usage(asked, None, made),
            latency_ms=latency_ms,
        )
    if isinstance(outputs, list) and outputs and isinstance(outputs[0], dict) and "text" in outputs[0]:
        first = outputs[0]
        return output_of(first["text"], marks, finish=first.get("stop_reason"), latency_ms=latency_ms)
    if (
        isinstance(older, list)
        and older
        and isinstance(older[0], dict)
        and isinstance(older[0].get("data"), dict)
    ):
        reason = older[0].get("finishReason")
        finish = reason.get("reason") if isinstance(reason, dict) else reason
        return output_of(older[0]["data"].get("text"), marks, finish=finish, latency_ms=latency_ms)
    metrics = body.get("amazon-bedrock-invocationMetrics")
    usage = read_usage(metrics)
    if usage == Usage() and isinstance(metrics, dict):
        usage = inclusive_usage(metrics.get("inputTokenCount"), None, metrics.get("outputTokenCount"))
    if usage == Usage():
        usage = inclusive_usage(body.get("prompt_token_count"), None, body.get("generation_token_count"))
    if "eval_count" in body:
        usage = read_usage(body)
    for key in ("generation", "completion", "outputText", *(("response",) if "done" in body else ())):
        if isinstance(body.get(key), str):
            finish = next(
                (body[each] for each in ("stop_reason", "completionReason", "done_reason") if body.get(each)),
                None,
            )
            said = {"role": "assistant", "content": body[key]} | _thinking(body)
            return output_of(said, marks, finish=finish, usage=usage, latency_ms=latency_ms)
    if isinstance(body.get("text"), str) and not body.keys().isdisjoint(_TEXT_ENDS):
        calls = body.get("tool_calls", body.get("toolCalls"))
        return output_of(
            {"role": "assistant", "content": body["text"], "tool_calls": calls} | _thinking(body),
            marks,
            finish=body.get("finish_reason", body.get("finishReason")),
            usage=usage if usage != Usage() else read_usage(body.get("meta", body.get("usage"))),
            latency_ms=latency_ms,
        )
    return None


def _thinking(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reasoning beside a text as a message has it, of Ollama's completions and of streams."""
    return {"thinking": body["thinking"]} if isinstance(body.get("thinking"), str) else {}


def _message(body: Mapping[str, Any], marks: list[str], latency_ms: float | None) -> Output | None:
    """Read an answer that is one message: Anthropic's, LangChain's, OpenTelemetry's, or a bare one."""
    inner = decode_nested(body.get("message"))
    if isinstance(inner, dict):
        finish = body.get("finish_reason", body.get("done_reason"))
        usage = read_usage(body if "eval_count" in body else body.get("usage"))
        return output_of(inner, marks, finish=finish, model=_model(body), usage=usage, latency_ms=latency_ms)
    nested = decode_nested(body.get("messages"))
    if isinstance(nested, list) and nested and isinstance(nested[-1], dict):
        return output_of(nested[-1], marks, latency_ms=latency_ms)
    nested = decode_nested(body.get("output"))
    if isinstance(nested, str | dict) and "role" not in body:
        return read_response(nested, marks, latency_ms)
    if body.keys().isdisjoint(("content", "parts", "tool_calls", "kwargs", "data", "text", "refusal")):
        return None
    finish = next(
        (body[key] for key in ("stop_reason", "finish_reason", "finishReason") if body.get(key)), None
    )
    return output_of(
        body if "role" in body or "type" in body or "kwargs" in body else {"role": "assistant", **body},
        marks,
        finish=finish if finish is not None else said_beside(body, "finish_reason", "stop_reason"),
        model=_model(body) or said_beside(body, "model_name", "model"),
        usage=message_usage(body) or read_usage(body.get("usage")),
        latency_ms=latency_ms,
    )
