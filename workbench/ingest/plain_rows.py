"""Plain pairs as rows of the store: the row that `RowMaker.call` makes, without the records between."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import msgspec

from workbench import language
from workbench.formats import Mark, PlainMessage, PlainPair, draft_of
from workbench.hashing import begun, hashed
from workbench.ingest.captured import RATE, take_rate
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import call_id
from workbench.ingest.served import ServedBy
from workbench.ingest.times import latest_time
from workbench.normal import content_hash, content_text
from workbench.records import Output, Usage

_encode = msgspec.json.Encoder().encode
_FUTURE = str(Mark.FUTURE_TIME)
_NOTHING: list[str] = []
_UNTIMED = [str(Mark.NO_LATENCY)]


def _mirrored(record: type[Any]) -> Any:
    """Return a struct with the fields of a record: it is encoded alike, and made in a tenth of the time."""
    found = []
    for each in fields(record):
        default = each.default if each.default_factory is MISSING else each.default_factory()
        found.append((each.name, Any, default) if default is not MISSING else (each.name, Any))
    return msgspec.defstruct(record.__name__, found, gc=False)


_Usage = _mirrored(Usage)


def _output_template() -> bytes:
    """Return an output of text as JSON, with gaps for text, model, usage, latency, first token."""
    gaps: Any = ["@text", "@model", "@usage", "@latency", "@first"]
    text, model, usage, latency, first = gaps
    whole = _encode(
        Output(
            text,
            finish_reason="stop",
            model=model,
            usage=usage,
            latency_ms=latency,
            time_to_first_token_ms=first,
        )
    )
    parts = whole.replace(b"%", b"%%")
    for each in gaps:
        parts = parts.replace(_encode(each), b"%b")
    return parts


_OUTPUT = _output_template()
_MODELS_KEPT, _PROMPTS_KEPT = 100, 100
_MESSAGES = b'{"messages":'
_PROMPT_CHARS = 200
"""A shorter prompt is written with its request: to keep it apart would not pay."""


def _rest(tools: bytes, response_format: bytes, parameters: bytes) -> bytes:
    """Return what follows the messages of a request as JSON."""
    return b',"tools":%b,"response_format":%b,"parameters":%b}' % (tools, response_format, parameters)


class PlainRows:
    """Stages plain pairs.

    Args:
        add: Takes a row, its size in bytes and its long texts.
        router: Decides on the task.
        sampling_rate: Share of traffic that was logged.
        served: Tells which candidate served a call; None where there is none.
    """

    def __init__(
        self, add: Any, router: TaskRouter, sampling_rate: float | None, served: ServedBy | None = None
    ) -> None:
        self._add, self._router, self._sampling_rate = add, router, sampling_rate
        self._served, self._asks = served, router.asks
        self._latest_us = int(latest_time().timestamp() * 1e6)
        self._models: dict[str, bytes] = {}
        self._prompts: dict[int, tuple[PlainMessage, bytes, bytes]] = {}
        self._of: dict[str, Any] | None = None
        self._end = b""

    def call(self, pair: PlainPair, source: str, file: str) -> None:
        """Stage a call.

        Args:
            pair: The pair; its attributes are used up.
            source: The name of the export.
            file: The name of the file.
        """
        attributes, model = pair.attributes, pair.model
        rate = self._sampling_rate
        marks = _NOTHING
        if RATE in attributes:
            marks = []
            rate = take_rate(attributes, rate, marks)
        at_us: int | None = pair.at_us
        if pair.at_us > self._latest_us:
            marks = [*marks, _FUTURE]
            at_us = None
        if self._asks:
            task, routed = self._routed(pair)
            marks = [*marks, *routed]
        else:
            task = self._router.without_rules(pair.task)
        text, chars, turns = "", 0, 0
        for message in pair.messages:
            said = message.content
            if type(said) is not str:
                said = content_text(said)
            chars += len(said)
            if message.role == "user":
                text = said
                turns += 1
        words = language.encoded_wording(text)
        begins, stored, messages = self._begun(pair.messages)
        if pair.is_text:
            # In pieces: to put them together first would copy the prompts once more.
            asked = begun()
            asked.update(b"%d:[" % (len(begins) + len(messages) + 10))
            asked.update(begins)
            asked.update(messages)
            asked.update(b",[],null]")
            request_hash = asked.hexdigest()
            rest = self._end if pair.parameters is self._of else self._said(pair.parameters)
        else:
            request_hash = content_hash([pair.messages, pair.tools, pair.response_format])
            rest = _rest(_encode(pair.tools), _encode(pair.response_format), _encode(pair.parameters))
        request = messages + rest if begins else _MESSAGES + messages + rest
        answer = _encode(pair.text)
        said_json = b"[%b,[],null]" % answer
        output_hash = hashed(b"%d:%b" % (len(said_json), said_json))
        both = f"32:{request_hash}32:{output_hash}".encode()
        uncached, cached, out, _ = pair.usage
        output = _OUTPUT % (
            answer,
            self._models.get(model) or self._named(model),
            _encode(_Usage(*pair.usage)),
            b"null" if pair.latency_ms is None else _encode(pair.latency_ms),
            b"null" if pair.first_token_ms is None else _encode(pair.first_token_ms),
        )
        beside = _encode(attributes)
        self._add(
            (
                "call",
                call_id(source, pair.native_id),
                source,
                pair.native_id,
                task,
                at_us,
                pair.session_id,
                None if self._served is None else self._served(attributes, model),
                rate,
                model,
                chars,
                turns,
                len(pair.tools),
                request_hash,
                hashed(both),
                beside,
                marks,
                output_hash,
                pair.text,
                None,
                pair.latency_ms,
                uncached,
                cached,
                out,
                None,
                _UNTIMED if pair.latency_ms is None else _NOTHING,
                None,
                file,
                pair.line,
                model,
                "id",
                False,
                0,
            ),
            len(request) + len(output) + len(beside) + 400,
            (words, request, output),
            stored,
        )

    def _begun(self, messages: list[PlainMessage]) -> tuple[bytes, bytes | None, bytes]:
        """Return messages as JSON: the prompt that earlier ones began with, too, and what follows.

        Returns:
            How the messages begin and how a request with them does, empty and None where nothing is known of
            it, and the rest of the messages.
        """
        if len(messages) > 1 and type(prompt := (first := messages[0]).content) is str:
            # By its length: to look for the text would read all of it first.
            size = len(prompt)
            known = self._prompts.get(size)
            if known is not None and known[0] == first:
                if not known[1]:
                    begins = b"[%b," % _encode(first)
                    known = self._prompts[size] = first, begins, _MESSAGES + begins
                return known[1], known[2], _encode(messages[1:])[1:]
            if size >= _PROMPT_CHARS and first.role == "system" and not first.tool_calls:
                if len(self._prompts) >= _PROMPTS_KEPT:
                    self._prompts.clear()
                self._prompts[size] = first, b"", b""
        return b"", None, _encode(messages)

    def _named(self, model: str) -> bytes:
        """Return the name of a model as JSON, which is the same on most lines."""
        if len(self._models) >= _MODELS_KEPT:
            self._models.clear()
        found = self._models[model] = _encode(model)
        return found

    def _said(self, parameters: dict[str, Any]) -> bytes:
        """Return how a request for text with these parameters ends; the next calls may have the very same."""
        self._of, self._end = parameters, _rest(b"[]", b"null", _encode(parameters))
        return self._end

    def _routed(self, pair: PlainPair) -> tuple[str, list[str]]:
        draft = draft_of(pair)
        return self._router.task_of(draft), [str(each) for each in draft.marks]
