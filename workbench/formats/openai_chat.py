"""OpenAI chat completions: one request/response pair a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.formats.answers import read_response, whole_body
from workbench.formats.base import Draft, Mark, Parsed, Unreadable, task_of
from workbench.formats.chat import failed_output, first_told, parse_request, parse_response
from workbench.formats.pairs import (
    FIRST_KEYS,
    LATENCY_KEYS,
    TIME_KEYS,
    TOKEN_KEYS,
    has_own_identity,
    keep_answer_id,
    logged_usage,
    parse_pair,
)
from workbench.formats.plain import IDENTITY, SESSION_KEYS, plain_pair
from workbench.formats.streams import events_of_text
from workbench.formats.usage import is_at_batch_price, known
from workbench.normal import as_count, as_number, as_text, decode_nested, to_utc

_READ = frozenset(
    ("request", "response", "metadata", "id", "error", "status_code", *TIME_KEYS, *LATENCY_KEYS, *FIRST_KEYS,
     *TOKEN_KEYS)
)  # fmt: skip


class OpenAIChat:
    """`{"request": {...}, "response": {...}}`, with whatever else the logger wrote beside."""

    name = "openai_chat"
    title = "OpenAI chat completions, request and response on one line"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record has a request with messages."""
        request = decode_nested(value.get("request"))
        if not isinstance(request, dict) or "messages" not in request:
            return None
        response = decode_nested(value.get("response"))
        if isinstance(response, dict) and "choices" in response:
            return "request.messages and response.choices"
        return "request.messages"

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one pair.

        Raises:
            Unreadable: There is no request, or one of the two is not in shape.
        """
        plain = plain_pair(value)
        return self.parse_any(value) if plain is None else [plain]

    def parse_any(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one pair of whatever shape; `parse` goes a shorter way where that leads to the same.

        Raises:
            Unreadable: There is no request, or one of the two is not in shape.
        """
        marks: list[str] = []
        control_marks: list[str] = []
        body = decode_nested(value.get("request"))
        if body is None:
            raise Unreadable("the record has no request")
        response = decode_nested(value.get("response"))
        if isinstance(response, str) and (events := events_of_text(response)) is not None:
            response = events
        whole = whole_body(response) if isinstance(response, list) else response
        if _of_another_provider(whole):
            return parse_pair(value, body, response)
        request = parse_request(body, marks)
        latency_ms = None
        for key in LATENCY_KEYS:
            if key in value and (found := as_number(value[key])) is not None and found >= 0:
                latency_ms = found
                break
        if isinstance(response, list):
            control = read_response(response, control_marks, latency_ms)
            response = whole
        else:
            control = parse_response(response, control_marks, latency_ms)
        failed = value.get("error") or (
            "status_code" in value and (as_count(value["status_code"]) or 200) >= 400
        )
        if failed:
            control = failed_output(control, value.get("error"), value.get("status_code"), control_marks)
        if control is not None and not known(control.usage):
            control = replace(control, usage=logged_usage(value))
        first_ms = as_number(first_told(value, *FIRST_KEYS))
        if control is not None and first_ms is not None and first_ms >= 0:
            control = replace(control, time_to_first_token_ms=first_ms)
        if control is not None and control.latency_ms is None and control.error is None:
            control_marks.append(Mark.NO_LATENCY)
        if is_at_batch_price(body, response):
            control_marks.append(Mark.BATCH_PRICE)
        response = response if isinstance(response, dict) else {}
        time = next((value[key] for key in TIME_KEYS if value.get(key) is not None), response.get("created"))
        occurred_at = to_utc(time)
        if time is not None and occurred_at is None:
            marks.append(Mark.BAD_TIME)
        metadata = _attributes(value, body)
        session = next((metadata[key] for key in SESSION_KEYS if metadata.get(key)), None)
        if _truthy(value.get("cache_hit")) or _truthy(metadata.get("cache_hit")):
            marks.append(Mark.CACHE_HIT)
        if body.get("previous_response_id") or body.get("conversation"):
            marks.append(Mark.HISTORY_MISSING)
        identity = response.get("id") or value.get("id") or value.get("request_id")
        if has_own_identity(value):
            identity = value["id"]
            keep_answer_id(metadata, response)
        model = response.get("model") or body.get("model") or value.get("model")
        task = metadata.get("task")
        return [
            Draft(
                request=request,
                native_id=as_text(identity) if identity else None,
                control=control,
                occurred_at=occurred_at,
                session_id=as_text(session) if session else None,
                model=as_text(model) if model else None,
                task=task_of(task),
                attributes=metadata,
                marks=marks,
                control_marks=control_marks,
            )
        ]


def _of_another_provider(response: Any) -> bool:
    """Tell whether one line of a mixed file holds another provider's answer."""
    if not isinstance(response, dict) or "choices" in response:
        return False
    if isinstance(response.get("message"), dict):  # Ollama, and Cohere's second version
        return True
    return response.get("type") in ("message", "error") or "candidates" in response or "output" in response


def _attributes(value: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: item for key, item in value.items() if key not in _READ}
    if has_own_identity(value):
        found.pop(IDENTITY, None)
    for holder in (body, value):
        metadata = decode_nested(holder.get("metadata"))
        if isinstance(metadata, dict):
            found |= metadata
        elif metadata is not None:
            found["metadata"] = metadata
    if body.get("user") is not None:
        found.setdefault("user", body["user"])
    return found


def _truthy(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in ("true", "hit", "1"))
