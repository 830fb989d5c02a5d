"""One call of the application: what went over the wire for it, until its answer has ended."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from workbench.capture.log import CaptureLog, Waiting
from workbench.capture.rebuild import Unfinished, answer_of, kind_of, request_of

_SECRET_HEADERS = ("auth", "key", "token", "secret", "cookie", "password")


class Exchange:
    """Gathers one call. Every method returns at once and never raises.

    The client may try several times; the last attempt counts. The record goes to the log
    when the client has returned and the body of the last attempt has ended.

    Args:
        log: Where the record goes.
        kind: `chat` or `responses`.
        tags: What the application says of the call.
    """

    def __init__(self, log: CaptureLog, kind: str, tags: Mapping[str, Any]) -> None:
        self._log, self._kind, self._tags = log, kind, dict(tags)
        self._pid = os.getpid()
        self._time = datetime.now(UTC)
        self._started = time.perf_counter()
        self._latency_ms: float | None = None
        self._attempts = 0
        self._request: Any = None
        self._response: Any = None
        self._secrets: tuple[str, ...] = ()
        self._error: BaseException | None = None
        self._tee: Tee | None = None
        self._returned = self._done = self._lost = False

    def sending(self, request: Any) -> bool:
        """Note an attempt; False for a request that is not the call itself."""
        try:
            if kind_of(request.url.path) != self._kind:
                return False
            self._started = time.perf_counter()
            self._attempts += 1
            self._request, self._response, self._tee, self._latency_ms = request, None, None, None
            if self._attempts == 1:
                self._secrets = _secrets_of(request)
        except Exception as error:
            self._lose(error)
        return True

    def received(self, response: Any) -> None:
        """Note the response of an attempt, and put a tee into its body if that is still to come."""
        try:
            self._latency_ms = self._elapsed_ms()
            self._response = response
            if not response.is_closed:
                tee = tee_of(response)(response.stream, self._log.max_record_bytes, self._ended)
                self._tee = tee
                response.stream = tee
        except Exception as error:
            self._lose(error)

    def returned(self, error: BaseException | None = None) -> None:
        """Note that the client gave the application its answer, or this error."""
        try:
            self._returned, self._error = True, error
            if error is not None and not isinstance(error, Exception):
                self._lose(None, "cancelled")
            elif self._tee is None or self._tee.ended:
                self._finish()
        except Exception as problem:
            self._lose(problem)

    def _ended(self, tee: Tee) -> None:
        """Take the end of a body; that of an attempt that is repeated says nothing."""
        try:
            if tee is self._tee and self._returned:
                self._finish()
        except Exception as error:
            self._lose(error)

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    def _lose(self, error: BaseException | None, reason: str = "failed") -> None:
        """Count the call as lost, unless that was done."""
        if not self._lost:
            self._done = self._lost = True
            self._log.lose(reason, error)

    def _finish(self) -> None:
        if self._done or self._pid != os.getpid():
            return
        self._done = True
        tee, response = self._tee, self._response
        if self._request is None or (tee is not None and tee.overflowed):
            self._log.lose("never sent" if self._request is None else "too large", self._error)
            return
        request = bytes(self._request.content)
        whole = b"" if response is None or tee is not None else bytes(response.content)
        body = whole if tee is None else b"".join(tee.chunks)
        record = self._facts(response, tee)
        self._request = self._response = self._tee = self._error = None
        unpack = _unpacker(response) if tee is not None else None
        kind, pieces_only, log = self._kind, tee is not None and not tee.complete, self._log

        def build() -> Mapping[str, Any] | None:
            try:
                return _record(kind, record, request, body, unpack, pieces_only=pieces_only)
            except Unfinished:
                log.lose("answered later")
                return None

        log.put(Waiting(kind, build, len(request) + len(body) + 1_000, self._secrets))

    def _facts(self, response: Any, tee: Tee | None) -> dict[str, Any]:
        """Return what is known besides the two bodies, in the order of a record's keys."""
        status = None if response is None else int(response.status_code)
        failure = self._error or (tee.error if tee is not None else None)
        tags = {key: _plain(value) for key, value in self._tags.items()}
        latency_ms = self._latency_ms
        if tee is not None and tee.last_at is not None:
            latency_ms = (tee.last_at - self._started) * 1000
        facts: dict[str, Any] = {
            "id": f"capture-{uuid.uuid4().hex}",
            # Servers count anew and caches answer with an old id: an answer's id tells no calls apart.
            "identity": "id",
            "timestamp": self._time.isoformat(),
            "task": tags.pop("task", None),
            "session_id": tags.pop("session_id", None),
            "sampling_rate": self._log.sampling_rate,
            "latency_ms": None if latency_ms is None else round(latency_ms, 3),
            "time_to_first_chunk_ms": self._first_chunk_ms(response, tee),
            "status_code": status if status is not None and status >= 400 else None,
            "error": None if failure is None else _described(failure),
            "attempts": self._attempts if self._attempts > 1 else None,
            "metadata": tags or None,
        }
        return {key: value for key, value in facts.items() if value is not None}

    def _first_chunk_ms(self, response: Any, tee: Tee | None) -> float | None:
        """Return how long the first piece of a streamed answer took; None for a body that is no stream."""
        if tee is None or tee.first_at is None or int(response.status_code) >= 400:
            return None
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            return None
        return round((tee.first_at - self._started) * 1000, 3)


def _record(
    kind: str,
    facts: Mapping[str, Any],
    request: bytes,
    body: bytes,
    unpack: Callable[[bytes], bytes] | None,
    *,
    pieces_only: bool,
) -> dict[str, Any]:
    answer: dict[str, Any] = {"response": None}
    if body:
        try:
            answer = answer_of(kind, unpack(body) if unpack is not None else body)
        except Unfinished:
            raise
        except Exception as error:
            # What came is no answer: a page of HTML, or a body that broke off.
            if "status_code" not in facts and not pieces_only:
                answer |= {"error": {"message": f"The answer can't be read: {type(error).__name__}"}}
            elif pieces_only:
                answer = {"response": []}
    elif pieces_only:
        answer = {"response": []}
    if "status_code" in facts and "error" not in answer:
        answer["response"] = None
    found = {**facts, "request": request_of(request), **answer}
    if found.get("error") is None:
        found.pop("error", None)
    return found


def _described(error: BaseException) -> dict[str, str]:
    name = type(error).__name__
    code = {"code": "timeout"} if "Timeout" in name else {}
    return {**code, "type": name, "message": str(error)[:2000]}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _secrets_of(request: Any) -> tuple[str, ...]:
    found: set[str] = set()
    for name, value in request.headers.items():
        if any(each in name.lower() for each in _SECRET_HEADERS):
            found.add(value)
            found.add(value.rpartition(" ")[2])
    return tuple(sorted(found, key=len, reverse=True))


def _unpacker(response: Any) -> Callable[[bytes], bytes] | None:
    """Return what undoes a body's content encoding, as the client's own library does."""
    encoding = response.headers.get("content-encoding")
    if not encoding:
        return None
    made = type(response)

    def unpack(body: bytes) -> bytes:
        return bytes(made(200, headers={"content-encoding": encoding}, content=body).content)

    return unpack


class Tee:
    """A response's body on its way to the client; keeps what passes, changes nothing.

    Args:
        original: The stream that the client would read.
        max_bytes: From here on nothing is kept.
        ended: Is told once, when the body is complete, broken or closed.
    """

    def __init__(self, original: Any, max_bytes: int, ended: Callable[[Tee], None]) -> None:
        self._original, self._max_bytes, self._tell = original, max_bytes, ended
        self.chunks: list[bytes] = []
        self._bytes = 0
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.error: Exception | None = None
        self.overflowed = self.complete = self.ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def note(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        with contextlib.suppress(Exception):
            self.last_at = time.perf_counter()
            if self.first_at is None:
                self.first_at = self.last_at
            self._bytes += len(chunk)
            if self._bytes > self._max_bytes:
                self.overflowed = True
                self.chunks.clear()
            if not self.overflowed:
                self.chunks.append(bytes(chunk))

    def end(self) -> None:
        """Tell once that nothing more will be kept."""
        if not self.ended:
            self.ended = True
            with contextlib.suppress(Exception):
                self._tell(self)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.end()


class _SyncTee(Tee):
    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._original:
                self.note(chunk)
                yield chunk
            self.complete = True
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        try:
            self._original.close()
        finally:
            self.end()


class _AsyncTee(Tee):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._original:
                self.note(chunk)
                yield chunk
            self.complete = True
        except Exception as error:
            self.error = error
            raise

    async def aclose(self) -> None:
        try:
            await self._original.aclose()
        finally:
            self.end()


def tee_of(response: Any) -> Callable[[Any, int, Callable[[Tee], None]], Tee]:
    """Return the class of tee that a response's library takes as a stream.

    Raises:
        TypeError: Its stream is neither read nor awaited.
    """
    stream = response.stream
    for base, ours in (("SyncByteStream", _SyncTee), ("AsyncByteStream", _AsyncTee)):
        kind = next((each for each in type(stream).__mro__ if each.__name__ == base), None)
        if kind is not None:
            return _joined(ours, kind)
    raise TypeError(f"a body of type {type(stream).__name__}")


@cache
def _joined(ours: type[Tee], theirs: type) -> type[Tee]:
    return type(ours.__name__, (ours, theirs), {})
