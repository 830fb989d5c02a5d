"""LiteLLM's StandardLoggingPayload, and the rows of its spend log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Mark, Parsed, Passed, Unreadable
from workbench.formats.chat import add, first_told
from workbench.formats.drafts import (
    as_list,
    as_mapping,
    id_of,
    make_draft,
    milliseconds_between,
    truthy,
)
from workbench.formats.usage import known, read_usage
from workbench.normal import as_text, decode_nested

_CHAT_CALLS = frozenset(
    ("completion", "acompletion", "text_completion", "atext_completion", "responses", "aresponses",
     "anthropic_messages", "agenerate_content", "generate_content", "agenerate_content_stream",
     "generate_content_stream", "")
)  # fmt: skip
_ATTRIBUTES = (
    "trace_id", "session_id", "model_group", "custom_llm_provider", "end_user", "user", "team_id",
    "organization_id", "api_base", "call_type", "cache_key", "stream", "model_id",
)  # fmt: skip
_ASKED = ("messages", "input", "contents", "prompt")
_COSTS = ("response_cost", "spend")
"""The first that is told: one of them is null where the other is known."""
_CUT = "litellm_truncated"
_REDACTED = "redacted-by-litellm"
_HEALTH_TAG = "litellm-internal-health-check"


class LiteLLM:
    """One payload a line, as logging callbacks write them, or one row of the spend log."""

    name = "litellm"
    title = "LiteLLM logging payloads"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a payload of LiteLLM."""
        if "call_type" not in value or "startTime" not in value:
            return None
        marks = [
            key
            for key in ("model_group", "hidden_params", "request_tags", "response_cost", "spend")
            if key in value
        ]
        return f"call_type, startTime and {marks[0]}" if marks else None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one payload.

        Raises:
            Unreadable: Its messages were not stored, or can't be read.
        """
        call_type = value.get("call_type") or ""
        if isinstance(call_type, str) and call_type not in _CHAT_CALLS:
            return [Passed(f"a call of type {call_type[:40]}, no chat completion")]
        metadata = as_mapping(value.get("metadata"))
        messages = decode_nested(value.get("messages"))
        # Rows of the spend log keep the body that came in, whichever way into the proxy it took.
        sent = as_mapping(value.get("proxy_server_request"))
        sent = as_mapping(sent.get("body")) or sent
        if messages in (None, {}, [], ""):
            messages = sent.get("messages") or sent.get("input") or sent.get("contents")
        if messages in (None, {}, [], "") or _is_redacted(messages):
            raise Unreadable(
                "the messages were not stored: LiteLLM leaves them out unless its settings say otherwise"
            )
        marks: list[str] = []
        if truthy(value.get("cache_hit")):
            add(marks, Mark.CACHE_HIT)
        tags = [as_text(each) for each in as_list(value.get("request_tags"))]
        if _HEALTH_TAG in tags:
            add(marks, Mark.INTERNAL)
        response = decode_nested(value.get("response"))
        if _CUT in as_text(messages) or _CUT in as_text(response if response is not None else ""):
            add(marks, Mark.TRUNCATED)
        attributes = {key: value[key] for key in _ATTRIBUTES if value.get(key) not in (None, "", "None")}
        requester = as_mapping(metadata.get("requester_metadata"))
        attributes |= {
            as_text(key): item
            for holder in (metadata, requester, as_mapping(metadata.get("spend_logs_metadata")))
            for key, item in holder.items()
            if isinstance(item, str | int | float) and item != ""
        }
        if tags:
            attributes["tags"] = tags
        draft = make_draft(
            messages,
            None if response in ({}, "") or _says_redacted(response) else response,
            native_id=id_of(value.get("id")) or id_of(value.get("request_id")),
            time=value.get("startTime"),
            latency_ms=milliseconds_between(value.get("startTime"), value.get("endTime")),
            first_token_ms=_first_token(value),
            model=value.get("model"),
            usage=_usage(value, metadata),
            session=attributes.get("session_id") or attributes.get("trace_id"),
            task=attributes.get("task"),
            error=_error(value),
            status=as_mapping(value.get("error_information")).get("error_code"),
            attributes=attributes,
            more={
                **{key: item for key, item in sent.items() if key not in _ASKED},
                **as_mapping(value.get("model_parameters")),
            },
            marks=marks,
            cost=first_told(value, *_COSTS),
        )
        return [draft]


def _is_redacted(messages: Any) -> bool:
    """Tell whether LiteLLM put its word in the place of every message: their logging was switched off."""
    listed = messages if isinstance(messages, list) else [messages]
    said = [each.get("content") if isinstance(each, dict) else each for each in listed]
    return bool(said) and all(each == _REDACTED for each in said)


def _says_redacted(response: Any) -> bool:
    choices = response.get("choices") if isinstance(response, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else response
    return _is_redacted(message)


def _first_token(value: Mapping[str, Any]) -> float | None:
    """Return the time to the first token, which only a stream has."""
    if not truthy(value.get("stream")):
        return None
    return milliseconds_between(value.get("startTime"), value.get("completionStartTime"))


def _usage(value: Mapping[str, Any], metadata: Mapping[str, Any]) -> Any:
    usage = read_usage(metadata.get("usage_object"))
    return (
        usage
        if known(usage)
        else read_usage({key: value.get(key) for key in ("prompt_tokens", "completion_tokens")})
    )


def _error(value: Mapping[str, Any]) -> Any:
    if value.get("status") != "failure":
        return None
    details = as_mapping(value.get("error_information"))
    return details.get("error_message") or value.get("error_str") or details.get("error_class") or "failure"
