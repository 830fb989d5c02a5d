"""Plain pairs: a question in texts, or in calls of tools, and an answer in text, taken in one step.

Most lines of most logs are such. A typed decoder reads them without making a dictionary of every
object, and refuses whatever it does not know: that is left to the long way, `OpenAIChat.parse_any`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import astuple

from workbench.formats.base import Draft, Mark, task_of
from workbench.formats.chat import PARAMETERS
from workbench.normal import (
    COUNT_END,
    EARLIEST,
    LATEST,
    MAX_DEPTH,
    depth_of,
    may_need_repair,
    parse_arguments,
    to_utc,
)
from workbench.records import RESPONSE_ID, Message, Output, Request, ToolCall, Usage

SESSION_KEYS = ("session_id", "conversation_id", "thread_id")
_SESSIONS = frozenset(SESSION_KEYS)
IDENTITY = "identity"
"""The key by which a line says what the call is known by: `id`, its own, or else the answer's."""

# A field that may only be null is one that the long way does something with. Nothing nests here
# but the response format, so that only its depth has to be looked at.
_Scalar = str | int | float | bool | None
_Beside = _Scalar | UnsetType
_Named = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0, lt=COUNT_END)]
_Duration = Annotated[float, Meta(ge=0, lt=1e300)]
_Nothing = tuple[()] | None
_Time = str | int | float | None

_PARAMETERS = tuple(sorted(PARAMETERS))
_BESIDE = ("task", *SESSION_KEYS, "user_id", "sampling_rate", "attempts")
"""What a line may hold beside its parts, and what then counts as metadata."""
_TIERS_LEFT = ("batch", "flex")
"""Service tiers whose calls the long way marks with their price."""
_NOTHING_BESIDE = (UNSET,) * len(_BESIDE)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FIRST_S, _END_S = (int(each.timestamp()) for each in (EARLIEST, LATEST))


class _Function(Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str


class _Called(Struct, forbid_unknown_fields=True, gc=False):
    function: _Function
    id: _Named
    type: _Scalar = None


class PlainMessage(Struct, forbid_unknown_fields=True, gc=False):
    """A role with a text, parts of text, or calls of tools; it is encoded as a `Message` is.

    Of a pair, `tool_calls` are read.
    """

    role: _Named
    content: str | list[dict[str, str]] | None = None
    name: str | None = None
    tool_calls: tuple[_Called, ...] = ()
    tool_call_id: str | None = None


class _Answer(Struct, forbid_unknown_fields=True, gc=False):
    content: _Named
    role: _Scalar = None
    tool_calls: _Nothing = None
    annotations: _Nothing = None
    refusal: None = None
    function_call: None = None
    audio: None = None
    reasoning: None = None
    reasoning_content: None = None


class _Choice(Struct, forbid_unknown_fields=True, gc=False):
    message: _Answer
    finish_reason: Literal["stop"]
    index: _Scalar = None
    logprobs: None = None
    stop_reason: _Scalar = None
    token_ids: None = None


class _Asked(Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count | None = None
    audio_tokens: _Scalar = None
    text_tokens: _Scalar = None
    image_tokens: _Scalar = None


class _Answered(Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Count | None = None
    audio_tokens: _Scalar = None
    text_tokens: _Scalar = None
    image_tokens: _Scalar = None
    accepted_prediction_tokens: _Scalar = None
    rejected_prediction_tokens: _Scalar = None


class _Usage(Struct, forbid_unknown_fields=True, gc=False):
    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Scalar = None
    prompt_tokens_details: _Asked | None = None
    completion_tokens_details: _Answered | None = None


class _Response(Struct, forbid_unknown_fields=True, gc=False):
    id: _Named
    model: _Named
    choices: Annotated[list[_Choice], Meta(min_length=1, max_length=1)]
    usage: _Usage | None = None
    created: _Time = None
    object: _Scalar = None
    service_tier: _Scalar = None
    system_fingerprint: _Scalar = None
    prompt_logprobs: None = None
    kv_transfer_params: None = None
    error: None = None


_Request: Any = msgspec.defstruct(
    "_Request",
    [
        # First the parameters, so that they can be taken together.
        *((name, _Scalar | list[_Scalar], None) for name in _PARAMETERS),
        ("messages", Annotated[list[PlainMessage], Meta(min_length=1)]),
        ("response_format", dict[str, Any] | None, None),
        ("tools", list[dict[str, Any]] | None, None),
        ("user", _Scalar, None),
        ("stream_options", dict[str, _Scalar] | None, None),
        *((name, _Scalar, None) for name in ("model", "stream", "store", "service_tier")),
        ("functions", _Nothing, None),
        *((name, None, None) for name in ("metadata", "previous_response_id", "conversation")),
    ],
    forbid_unknown_fields=True,
    gc=False,
    kw_only=True,
)

_Line: Any = msgspec.defstruct(
    "_Line",
    [
        ("request", _Request),
        ("response", _Response),
        ("metadata", dict[str, _Scalar] | None, None),
        *((name, _Time, None) for name in ("timestamp", "created_at", "time", "occurred_at", "start_time")),
        ("latency_ms", _Duration | None, None),
        *((name, None, None) for name in ("duration_ms", "response_time_ms")),
        ("id", _Scalar, None),
        (IDENTITY, Literal["id"] | UnsetType, UNSET),
        ("time_to_first_chunk_ms", _Duration | None, None),
        # They say why there is no answer; here there is one.
        ("error", None, None),
        ("status_code", Annotated[int, Meta(ge=0, lt=400)] | None, None),
        *((name, _Beside, UNSET) for name in _BESIDE),  # Last, so that they can be taken together.
    ],
    forbid_unknown_fields=True,
    gc=False,
)
_decode = msgspec.json.Decoder(_Line).decode


def _message(read: Any) -> Message:
    return Message(read.role, read.content, read.name, read.tool_calls, read.tool_call_id)


def _taken(message: PlainMessage) -> bool:
    """Read the calls of a message; say whether the long way says no more of it, and marks nothing."""
    if type(message.content) is list and any(
        each.get("type") != "text" or "text" not in each for each in message.content
    ):
        return False
    calls = []
    for call in message.tool_calls:
        arguments = parse_arguments(call.function.arguments)
        if isinstance(arguments, str):
            return False
        calls.append(ToolCall(call.function.name, arguments, call.id))
    read: Any = tuple(calls)
    message.tool_calls = read
    return True


_same: tuple[tuple[Any, ...], list[tuple[int, type]], dict[str, Any]] = (), [], {}


class PlainPair(Struct, gc=False):
    """What such a line says. `messages` are encoded as `Message`s are, parameters stand by name.

    Pairs may share one object of parameters: it is not to be changed. `is_text` says that
    nothing but texts was asked: there are no parts, tools, calls of tools, nor a form of the answer.
    `at_us` is when it was, in microseconds since 1970.
    """

    messages: list[PlainMessage]
    is_text: bool
    tools: list[dict[str, Any]]
    parameters: dict[str, Any]
    response_format: dict[str, Any] | None
    native_id: str
    text: str
    model: str
    usage: tuple[int | None, int | None, int | None, int | None]
    latency_ms: float | None
    at_us: int
    session_id: str | None
    task: str | None
    attributes: dict[str, Any]
    first_token_ms: float | None = None
    line: int = 0


def read_plain(raw: bytes) -> PlainPair | None:
    """Read a line, without the white space around it; None unless it is a plain pair."""
    # Most lines have none, and are spared the call.
    if b"\\" in raw and may_need_repair(raw):
        return None
    try:
        line = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    request = line.request
    if request.tools or request.response_format is not None:
        deep = raw.count(b"{") + raw.count(b"[") > MAX_DEPTH
        if deep and depth_of([request.tools, request.response_format]) + 1 > MAX_DEPTH:
            return None
    return _pair(line)


def plain_pair(value: Mapping[str, Any]) -> Draft | None:
    """Read a record that is decoded already; None unless it is a plain pair."""
    try:
        line = msgspec.convert(value, _Line)
    except (msgspec.ValidationError, RecursionError):
        return None
    pair = _pair(line)
    return None if pair is None else draft_of(pair)


def draft_of(pair: PlainPair) -> Draft:
    """Return a plain pair as the draft that the long way makes of its line."""
    return Draft(
        request=Request(
            tuple([_message(each) for each in pair.messages]),
            tuple(pair.tools),
            response_format=pair.response_format,
            parameters=dict(pair.parameters),
        ),
        native_id=pair.native_id,
        control=Output(
            text=pair.text,
            finish_reason="stop",
            model=pair.model,
            usage=Usage(*pair.usage),
            latency_ms=pair.latency_ms,
            time_to_first_token_ms=pair.first_token_ms,
        ),
        occurred_at=_EPOCH + pair.at_us * _MICROSECOND,
        session_id=pair.session_id,
        model=pair.model,
        task=pair.task,
        attributes=pair.attributes,
        control_marks=[Mark.NO_LATENCY] if pair.latency_ms is None else [],
    )


def _pair(line: Any) -> PlainPair | None:
    request, response = line.request, line.response
    time = line.timestamp
    if time is None:
        times = (line.created_at, line.time, line.occurred_at, line.start_time, response.created)
        time = next((each for each in times if each is not None), None)
    native_id = response.id
    if line.identity is not UNSET:
        native_id = line.id
        if type(native_id) is not str or not native_id:
            return None
    at_us = _microseconds(time)
    if at_us is None or (response.service_tier or request.service_tier) in _TIERS_LEFT:
        return None
    beside = astuple(line)[-len(_BESIDE) :]
    attributes: dict[str, Any] = {}
    if beside != _NOTHING_BESIDE:
        attributes = {name: item for name, item in zip(_BESIDE, beside, strict=True) if item is not UNSET}
    if line.metadata:
        attributes = attributes | line.metadata if attributes else line.metadata
    if request.user is not None:
        attributes.setdefault("user", request.user)
    if line.identity is not UNSET:
        attributes.setdefault(RESPONSE_ID, response.id)
    if "cache_hit" in attributes:
        return None
    session = None
    if not _SESSIONS.isdisjoint(attributes):
        for name in SESSION_KEYS:
            session = session or attributes.get(name)
        if session and type(session) is not str:
            return None
    is_text = not request.tools and request.response_format is None
    for message in request.messages:
        if message.tool_calls or type(message.content) is list:
            if not _taken(message):
                return None
            is_text = False
    task = attributes.get("task")
    return PlainPair(
        request.messages,
        is_text,
        request.tools or [],
        _parameters_of(astuple(request)[: len(_PARAMETERS)]),
        request.response_format,
        native_id,
        response.choices[0].message.content,
        response.model,
        _tokens(response.usage),
        line.latency_ms,
        at_us,
        session or None,
        task if type(task) is str and task else task_of(task),
        attributes,
        line.time_to_first_chunk_ms,
    )


def _microseconds(time: _Time) -> int | None:
    """Return what `to_utc` does in microseconds since 1970; most times are whole seconds since then."""
    if type(time) is int and _FIRST_S <= time < _END_S:
        return time * 1_000_000
    at = to_utc(time)
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def _parameters_of(values: tuple[Any, ...]) -> dict[str, Any]:
    """Return parameters by name; the very object of the line before where it had the same ones.

    Most logs have the same on every line, and what is made of the object need not be made again.
    """
    global _same
    if values == _same[0]:
        # 1, 1.0 and True are equal.
        for place, kind in _same[1]:
            if type(values[place]) is not kind:
                break
        else:
            return _same[2]
    found = {name: item for name, item in zip(_PARAMETERS, values, strict=True) if item is not None}
    kinds = [(place, type(item)) for place, item in enumerate(values) if item is not None]
    # And so are lists that hold one or the other: nothing is the same as those.
    _same = ((), [], {}) if any(kind is list for _, kind in kinds) else (values, kinds, found)
    return found


def _tokens(usage: _Usage | None) -> tuple[int | None, int | None, int | None, int | None]:
    """Return what `normal.usage_openai` makes of a usage."""
    if usage is None:
        return None, None, None, None
    asked, answered = usage.prompt_tokens_details, usage.completion_tokens_details
    if asked is None and answered is None:
        return usage.prompt_tokens, None, usage.completion_tokens, None
    cached = None if asked is None else asked.cached_tokens
    return (
        max(usage.prompt_tokens - (cached or 0), 0),
        cached,
        usage.completion_tokens,
        None if answered is None else answered.reasoning_tokens,
    )
