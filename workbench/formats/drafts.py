"""From a log's fields to the draft of a call: what every format does in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from workbench.formats.answers import read_response
from workbench.formats.base import Draft, Feedback, Mark, task_of
from workbench.formats.chat import add, failed_output
from workbench.formats.requests import read_request
from workbench.formats.usage import is_at_batch_price, known, logged_cost
from workbench.normal import as_number, as_text, canonical_json, content_hash, decode_nested, to_utc
from workbench.records import Output, Request, Usage

SESSION_KEYS = ("session_id", "conversation_id", "thread_id", "sessionId", "session")


def make_draft(
    request: Any,
    response: Any,
    *,
    native_id: Any = None,
    time: Any = None,
    latency_ms: float | None = None,
    first_token_ms: float | None = None,
    model: Any = None,
    usage: Usage | None = None,
    usage_first: bool = False,
    session: Any = None,
    task: Any = None,
    error: Any = None,
    status: Any = None,
    attributes: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    marks: list[str] | None = None,
    finish: Any = None,
    cost: Any = None,
) -> Draft:
    """Make the draft of a call of what its log holds, whatever the provider.

    Args:
        request: The request's body, or a `Request`.
        response: The answer's body, or an `Output`; None where there is none.
        native_id: The id of the call in its log.
        time: When it was asked, as the log writes it.
        latency_ms: How long the answer took.
        first_token_ms: How long until its first token.
        model: The model that answered, where the body does not say so.
        usage: The log's own count of tokens.
        usage_first: Whether that goes before the body's.
        session: The conversation it belongs to.
        task: What the log calls the task.
        error: What went wrong, if the call failed.
        status: The HTTP status, if the log has it.
        attributes: What else the log knows of the call.
        more: Tools, response format and parameters that the log keeps beside the request.
        marks: What the format found odd.
        finish: Why the answer ended, where the body does not say so.
        cost: What the log says that the call cost, in US dollars.

    Raises:
        Unreadable: The request or the answer can't be read.
    """
    marks = marks if marks is not None else []
    control_marks: list[str] = []
    asked = request if isinstance(request, Request) else read_request(request, marks, more=more)
    latency_ms = _positive(latency_ms)
    control = (
        response
        if isinstance(response, Output | None)
        else read_response(response, control_marks, latency_ms)
    )
    if error:
        control = failed_output(control, error, status, control_marks)
    named = as_text(model) if model else None
    if control is not None and finish and not control.finish_reason:
        control = _ended(control, as_text(finish), control_marks)
    if control is not None:
        own = control.usage if known(control.usage) else None
        counted = (usage or own) if usage_first and usage and known(usage) else (own or usage)
        if (usd := logged_cost(cost, is_cached=Mark.CACHE_HIT in marks)) is not None:
            counted = replace(counted or Usage(), cost_usd=usd)
        if is_at_batch_price(request, response):
            add(control_marks, Mark.BATCH_PRICE)
        control = replace(
            control,
            usage=counted or Usage(),
            model=control.model or named,
            latency_ms=control.latency_ms if control.latency_ms is not None else latency_ms,
            time_to_first_token_ms=_positive(first_token_ms),
        )
    occurred_at = to_utc(time)
    if time not in (None, "") and occurred_at is None:
        add(marks, Mark.BAD_TIME)
    if control is not None and control.latency_ms is None and control.error is None:
        add(control_marks, Mark.NO_LATENCY)
    kept = {
        str(key): item
        for key, item in (attributes or {}).items()
        if item or item not in (None, "", [], {})  # Most are true, which is asked sooner.
    }
    if session in (None, ""):
        session = None
        for key in SESSION_KEYS:
            if isinstance(found := kept.get(key), (str, int)):
                session = found
                break
    return Draft(
        request=asked,
        native_id=as_text(native_id) if native_id not in (None, "") else None,
        control=control,
        occurred_at=occurred_at,
        session_id=as_text(session) if session not in (None, "") else None,
        model=(control.model if control is not None else None) or named,
        task=task_of(task),
        attributes=kept,
        marks=marks,
        control_marks=control_marks,
    )


def _ended(control: Output, finish: str, marks: list[str]) -> Output:
    """Return an answer with why it ended, which the log says beside it."""
    if finish != "length" or "truncated" in control.flags:
        return replace(control, finish_reason=finish)
    add(marks, Mark.TRUNCATED)
    add(marks, Mark.FINISH_LENGTH)
    return replace(control, finish_reason=finish, flags=(*control.flags, "truncated"))


def milliseconds_between(start: Any, end: Any) -> float | None:
    """Return the time from start to end in milliseconds; None where one is missing or they are reversed."""
    if start is None or end is None:
        return None
    first, last = to_utc(start), to_utc(end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds() * 1000


def _positive(value: Any) -> float | None:
    number = as_number(value)
    return number if number is not None and number >= 0 else None


def seconds(value: Any) -> float | None:
    """Return a number of seconds in milliseconds, or None."""
    number = as_number(value)
    return None if number is None else number * 1000


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, also one in JSON text; an empty one for anything else."""
    found = decode_nested(value)
    return found if isinstance(found, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return a list, also one in JSON text; an empty one for anything else."""
    found = value if value is None else decode_nested(value)
    return found if isinstance(found, list) else []


def truthy(value: Any) -> bool:
    """Tell whether a log's flag is set: true, "true", "hit" or 1, not the text "None"."""
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in ("true", "hit", "1"))


def id_of(value: Any) -> str | None:
    """Return an id as text; None where there is none, or where it is no scalar."""
    if isinstance(value, dict | list | bool) or value in (None, ""):
        return None
    return as_text(value)


def feedback(
    origin: str,
    *,
    target_kind: str,
    target_id: str,
    name: Any,
    value: Any,
    native_id: Any = None,
    comment: Any = None,
    annotator: Any = None,
    annotator_kind: Any = None,
    time: Any = None,
    attributes: Mapping[str, Any] | None = None,
) -> Feedback:
    """Make an imported label; its kind follows from its value."""
    moment: datetime | None = to_utc(time)
    kind = (
        "boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float)
        else "text" if isinstance(value, str) or value is None else "json"
    )  # fmt: skip
    named = as_text(name) if name not in (None, "") else origin
    made = content_hash(target_kind, target_id, named, canonical_json(value), canonical_json(annotator))
    return Feedback(
        origin=origin,
        native_id=id_of(native_id) or made,
        target_kind=target_kind,
        target_id=target_id,
        name=named[:200],
        value=value,
        kind=kind,
        comment=as_text(comment)[:10_000] if comment not in (None, "") else "",
        annotator=as_text(annotator)[:200] if annotator not in (None, "") else "",
        annotator_kind=as_text(annotator_kind).lower()[:40] if annotator_kind not in (None, "") else "",
        created_at=moment,
        attributes=dict(attributes or {}),
    )
