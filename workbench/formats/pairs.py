"""A provider's request and response bodies on one line, with whatever the logger wrote beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.answers import whole_body
from workbench.formats.base import Draft, Mark, Parsed, Unreadable
from workbench.formats.chat import add, first_told
from workbench.formats.drafts import as_mapping, id_of, make_draft, milliseconds_between, truthy
from workbench.formats.plain import IDENTITY
from workbench.formats.usage import read_usage
from workbench.normal import as_count, as_number, decode_nested
from workbench.records import RESPONSE_ID, Usage

TIME_KEYS = ("timestamp", "created_at", "time", "occurred_at", "start_time", "request_time")
LATENCY_KEYS = ("latency_ms", "duration_ms", "response_time_ms", "execution_time_ms")
FIRST_KEYS = ("time_to_first_token_ms", "time_to_first_chunk_ms")
TOKEN_KEYS = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
PAIR_KEYS = frozenset(
    ("request", "response", "metadata", "id", "request_id", "error", "status_code", *TIME_KEYS, *LATENCY_KEYS,
     *FIRST_KEYS, *TOKEN_KEYS)
)  # fmt: skip


def has_own_identity(value: Mapping[str, Any]) -> bool:
    """Tell whether a line says that its own id is the call's.

    Capture writes so, because ids of answers come again: from small servers' counters, and from caches.
    Other logs, and those of capture before it wrote so, are known by the answer's id.
    """
    return value.get(IDENTITY) == "id" and id_of(value.get("id")) is not None


def keep_answer_id(attributes: dict[str, Any], answer: Mapping[str, Any]) -> None:
    """Keep the answer's id beside a call that is known by the line's: labels may name the call by it."""
    found = id_of(answer.get("id"))
    if found is not None:
        attributes.setdefault(RESPONSE_ID, found)


def logged_usage(value: Mapping[str, Any]) -> Usage:
    """Return the tokens that a line itself tells, in a `usage` object or in columns of its own."""
    usage = decode_nested(value.get("usage"))
    if isinstance(usage, dict):
        return read_usage(usage)
    return read_usage({key: value[key] for key in TOKEN_KEYS if value.get(key) is not None})


def parse_pair(
    value: Mapping[str, Any], request: Any, response: Any, *, own: frozenset[str] = PAIR_KEYS
) -> Sequence[Parsed]:
    """Read one request and its response, in the shape of any provider.

    Args:
        value: The whole line.
        request: The request's body.
        response: The response's body, or None.
        own: Keys of the line that are no attributes.

    Raises:
        Unreadable: There is no request, or one of the two is not in shape.
    """
    if request is None:
        raise Unreadable("the record has no request")
    marks: list[str] = []
    asked, answer = as_mapping(request), as_mapping(whole_body(response))
    attributes = {key: item for key, item in value.items() if key not in own}
    own_id = id_of(value.get("id"))
    if has_own_identity(value):
        attributes.pop(IDENTITY, None)
        keep_answer_id(attributes, answer)
        native_id = own_id
    else:
        native_id = (
            id_of(answer.get("id")) or own_id or id_of(value.get("request_id")) or _aws(answer, "RequestId")
        )
    for holder in (asked, answer, value):
        metadata = decode_nested(holder.get("metadata"))
        if isinstance(metadata, dict):
            attributes |= metadata
    for holder in (asked, answer):
        if holder.get("user") is not None:
            attributes.setdefault("user", holder["user"])
    user = attributes.get("user_id")
    if user is not None:
        attributes.setdefault("user", user)
    if truthy(value.get("cache_hit")) or truthy(attributes.get("cache_hit")):
        add(marks, Mark.CACHE_HIT)
    status = as_count(value.get("status_code"))
    error = value.get("error") or (f"status {status}" if status is not None and status >= 400 else None)
    latency = next((found for key in LATENCY_KEYS if (found := as_number(value.get(key))) is not None), None)
    if latency is None:
        latency = milliseconds_between(answer.get("created_at"), answer.get("completed_at"))
    if latency is None:  # Bedrock's Converse
        latency = as_number(as_mapping(answer.get("metrics")).get("latencyMs"))
    if latency is None and "eval_count" in answer:  # Ollama
        latency = _milliseconds_of_nanoseconds(answer.get("total_duration"))
    time = first_told(value, *TIME_KEYS)
    if time is None:
        time = first_told(answer, "created_at", "created", "createTime") or _aws(answer, "date")
    task = attributes.get("task")
    draft: Draft = make_draft(
        request,
        response,
        native_id=native_id,
        time=time,
        latency_ms=latency,
        first_token_ms=as_number(first_told(value, *FIRST_KEYS)),
        usage=logged_usage(value),
        model=answer.get("model")
        or asked.get("model")
        or value.get("model")
        or first_told(asked, "modelId", "model_id"),
        task=task,
        error=error,
        status=status,
        attributes=attributes,
        marks=marks,
    )
    return [draft]


def _aws(answer: Mapping[str, Any], name: str) -> Any:
    """Return what Amazon's SDKs keep of a response beside its body: its id, or one of its headers."""
    kept = as_mapping(answer.get("ResponseMetadata"))
    return kept.get(name) or as_mapping(kept.get("HTTPHeaders")).get(name)


def _milliseconds_of_nanoseconds(value: Any) -> float | None:
    number = as_number(value)
    return None if number is None else number / 1e6
