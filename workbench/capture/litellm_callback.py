"""A LiteLLM callback that writes calls to the same log, whatever provider answered."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.capture.log import CaptureLog, Waiting
from workbench.capture.rebuild import CHAT, RESPONSES, request_of
from workbench.capture.tags import current_tags

_KINDS = {"completion": CHAT, "acompletion": CHAT, "responses": RESPONSES, "aresponses": RESPONSES}
_NOT_METADATA = ("user_api_key", "header", "auth", "token", "secret", "password")


def litellm_callback(
    log: CaptureLog | Path | str = "workbench-logs", *, task: str | None = None, **options: Any
) -> Any:
    """Return a callback: `litellm.callbacks = [litellm_callback("workbench-logs")]`.

    Completions and Responses are logged, streams as LiteLLM puts them together, failures
    with their error. `metadata={"task": ..., "session_id": ...}` of a call says what it is,
    and so does `tag`.

    Args:
        log: Where the calls go: a `CaptureLog` or a folder.
        task: Of all calls, unless their metadata says otherwise.
        options: Of the `CaptureLog`, where `log` is a folder.

    Raises:
        ImportError: LiteLLM is not installed.
        TypeError: An option is unknown.
        ValueError: An option is out of range.
    """
    from litellm.integrations.custom_logger import CustomLogger

    if isinstance(log, CaptureLog):
        if options:
            raise TypeError(f"{', '.join(options)}: give these to the CaptureLog.")
        kept = log
    else:
        kept = CaptureLog(log, **options)

    class Capture(CustomLogger):  # type: ignore[misc, unused-ignore]
        """Hands LiteLLM's events to the log; none of its methods raises."""

        log = kept

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            _take(kept, task, kwargs, response_obj, start_time, end_time)

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            _take(kept, task, kwargs, None, start_time, end_time)

        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            _take(kept, task, kwargs, response_obj, start_time, end_time)

        async def async_log_failure_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            _take(kept, task, kwargs, None, start_time, end_time)

    return Capture()


def _take(
    log: CaptureLog, task: str | None, event: Mapping[str, Any], answer: Any, start: Any, end: Any
) -> None:
    try:
        kind = _KINDS.get(str(event.get("call_type")))
        if kind is None:
            return
        tags = {"task": task} if task is not None else {}
        tags |= dict(current_tags()) | _metadata_of(event)
        if not log.takes(tags):
            return
        # What the application may still change is written out now.
        request = json.dumps(_request_of(kind, event), default=str).encode()
        response = b"null" if answer is None else json.dumps(_plain(answer), default=str).encode()
        facts = _facts(log, tags, event, answer, start, end)

        def build() -> Mapping[str, Any]:
            return {**facts, "request": request_of(request), "response": json.loads(response)}

        log.put(Waiting(kind, build, len(request) + len(response) + 1_000, _secrets_of(event)))
    except Exception as error:
        log.lose("failed", error)


def _facts(
    log: CaptureLog, tags: dict[str, Any], event: Mapping[str, Any], answer: Any, start: Any, end: Any
) -> dict[str, Any]:
    latency_ms = event.get("llm_api_duration_ms")
    if latency_ms is None and isinstance(start, datetime) and isinstance(end, datetime):
        latency_ms = (end - start).total_seconds() * 1000
    begun = start.astimezone(UTC) if isinstance(start, datetime) else datetime.now(UTC)
    error = event.get("exception") if answer is None else None
    status = getattr(error, "status_code", None)
    facts = {
        "id": _id_of(event, answer),
        "identity": "id",
        "timestamp": begun.isoformat(),
        "task": tags.pop("task", None),
        "session_id": tags.pop("session_id", None),
        "sampling_rate": log.sampling_rate,
        "latency_ms": latency_ms,
        "time_to_first_chunk_ms": _first_chunk_ms(event, answer, start),
        "status_code": status if isinstance(status, int) and status >= 400 else None,
        "error": _described(error, answer),
        "cache_hit": True if event.get("cache_hit") is True else None,
        "metadata": {key: _scalar(value) for key, value in tags.items()} or None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _id_of(event: Mapping[str, Any], answer: Any) -> str:
    """Return an id that is this event's alone, and the same if LiteLLM tells it twice.

    All tries of a call have LiteLLM's one id; the answer's id, which may come again with another
    call, tells the one that was answered from those that failed.
    """
    call = event.get("litellm_call_id")
    if not call:
        return f"capture-{uuid.uuid4().hex}"
    answered = answer.get("id") if isinstance(answer, Mapping) else getattr(answer, "id", None)
    return f"{call}/{answered}" if answered else str(call)


def _first_chunk_ms(event: Mapping[str, Any], answer: Any, start: Any) -> float | None:
    """Return how long the first piece of a streamed answer took; None for one that came whole."""
    first = event.get("completion_start_time")
    if not event.get("stream") or answer is None:
        return None
    if not isinstance(start, datetime) or not isinstance(first, datetime):
        return None
    return round(max((first - start).total_seconds(), 0.0) * 1000, 3)


def _described(error: Any, answer: Any) -> dict[str, str] | None:
    if answer is not None:
        return None
    name = type(error).__name__ if error is not None else "unknown"
    code = {"code": "timeout"} if "Timeout" in name else {}
    return {**code, "type": name, "message": str(error or "no answer")[:2000]}


def _request_of(kind: str, event: Mapping[str, Any]) -> dict[str, Any]:
    options = event.get("optional_params")
    found = {key: value for key, value in dict(options or {}).items() if value is not None}
    found.update(found.pop("extra_body", None) or {})
    name = "messages" if kind == CHAT else "input"
    return {"model": event.get("model"), name: event.get(name) or event.get("messages"), **found}


def _plain(answer: Any) -> Any:
    dump = getattr(answer, "model_dump", None)
    return dump(mode="json", exclude_none=True) if callable(dump) else answer


def _metadata_of(event: Mapping[str, Any]) -> dict[str, Any]:
    params = event.get("litellm_params") or {}
    metadata = params.get("metadata") or params.get("litellm_metadata") or {}
    found: dict[str, Any] = {}
    for holder in (metadata.get("requester_metadata") or {}, metadata):
        for key, value in holder.items():
            secret = any(each in str(key).lower() for each in _NOT_METADATA)
            if not secret and isinstance(value, str | int | float | bool):
                found[str(key)] = value
    return found


def _secrets_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    params = event.get("litellm_params") or {}
    headers = (event.get("additional_args") or {}).get("headers") or {}
    values = [event.get("api_key"), params.get("api_key"), *dict(headers).values()]
    found = {str(each) for each in values if each}
    found |= {each.rpartition(" ")[2] for each in found}
    return tuple(sorted(found, key=len, reverse=True))


def _scalar(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)
