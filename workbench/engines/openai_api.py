"""Any OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, hosted."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from workbench.checks import host_of
from workbench.engines.base import CallContext, failure
from workbench.engines.dialects import Detected, constraint_of, detect, wants_structure
from workbench.engines.own_key import OwnKey
from workbench.engines.privacy import open_gate, resolve
from workbench.engines.rate_limit import RateLimit
from workbench.engines.replies import (
    CACHED,
    Asked,
    is_cached,
    is_used_up,
    read_beginning,
    read_error,
    read_reply,
    read_value,
)
from workbench.engines.retries import RetryPolicy as RetryPolicy
from workbench.engines.retries import asked_wait_s, is_retried, retry_after_s
from workbench.engines.streaming import BrokenStream, ReplyBuilder, Streamed, read_stream
from workbench.engines.transport import body_pieces, open_session, read_capped
from workbench.engines.wire import constrained_body
from workbench.errors import ConfigError, EndpointUnreachable
from workbench.normal import Undecodable, decode_json
from workbench.records import ErrorKind, Output, Request, as_builtins
from workbench.specs import Candidate, EvalConfig

MAX_REPLY_BYTES = 8 * 1024**2
MAX_STREAM_BYTES = 32 * 1024**2
"""A stream repeats its frame with every token."""
CONNECT_TIMEOUT_S = 10.0
CHECK_TIMEOUT_S = 15.0
PEEK_TIMEOUT_S = 5.0
_LOGPROBS = re.compile(r"log[ _-]?prob", re.IGNORECASE)
_REFUSING_STATUSES = frozenset((400, 403, 404, 422, 500, 501))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One send: what came back, whether to ask again, and how long the server asks to wait."""

    output: Output
    retry: bool = False
    asked_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What a server told about itself."""

    status: int
    data: bytes
    server: str

    @property
    def value(self) -> Any:
        """Return its JSON, or its text where it is none."""
        try:
            return decode_json(self.data).value
        except Undecodable:
            return self.data.decode("utf-8", "replace")


class OpenAIEngine:
    """Ask an OpenAI-compatible endpoint.

    Args:
        candidate: The candidate; `base_url` ends in `/v1` or the like.
        eval_config: The task's eval: its zone, and its labels.
        retries: How failures that may pass are asked again.
        key: The key to send, instead of the one that `api_key_env` names.

    Raises:
        PrivacyRefused: The task's data may not go there.
        ConfigError: The address is wrong, or the variable of the key is not set.
    """

    name = "openai"

    def __init__(
        self,
        candidate: Candidate,
        eval_config: EvalConfig,
        retries: RetryPolicy | None = None,
        key: str | None = None,
    ) -> None:
        self._gate = open_gate(candidate, eval_config)
        self._candidate = candidate
        self._eval = eval_config
        self._retries = retries or RetryPolicy()
        self._host = host_of(f"Candidate {candidate.name!r}", candidate.base_url or "")
        base = (candidate.base_url or "").rstrip("/")
        self._base = URL(base.removesuffix("/chat/completions"))
        self._url = URL(f"{self._base}/chat/completions", encoded=True)
        self._key = key or api_key(candidate)
        self._own_key = OwnKey(self._key) if self._key else None
        self._headers = {"Content-Type": "application/json"}
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        if candidate.stream:
            self._headers["Accept"] = "text/event-stream, application/json"
        own = candidate.dialect
        self._detected = None if own == "auto" else Detected(own, "the candidate's `dialect`")
        self._detecting = asyncio.Lock()
        # None: the candidate says itself. False: the server refused to be asked.
        self._ask_logprobs: bool | None = None if "logprobs" in candidate.parameters else True
        self._has_logprobs: bool | None = None
        self._session: aiohttp.ClientSession | None = None
        self._limit = RateLimit(self._retries)
        self.concurrency = candidate.concurrency

    @property
    def description(self) -> Mapping[str, Any]:
        """Return the address, what the server turned out to speak, and whether it gives log-probabilities."""
        found: dict[str, Any] = {"base_url": str(self._base), "stream": self._candidate.stream}
        if self._detected is not None:
            found |= {"dialect": self._detected.dialect, "dialect_by": self._detected.by}
            if self._detected.server:
                found["server"] = self._detected.server
        if self._ask_logprobs is False:
            found["logprobs"] = "refused by the server, so not asked for"
        elif self._has_logprobs is not None:
            found["logprobs"] = "given" if self._has_logprobs else "not given"
        return found

    @property
    def limit_told(self) -> str:
        """Return for a person what the server's rate limit makes calls wait for; empty where none does."""
        return self._limit.told

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(
                self._gate,
                timeout_s=self._candidate.timeout_s,
                connect_timeout_s=CONNECT_TIMEOUT_S,
                headers=self._headers,
            )
        return self._session

    async def check(self) -> None:
        """See that the server answers, by asking for its models; no data of the task is sent.

        Raises:
            EndpointUnreachable: Nobody answers at the address.
            ConfigError: The server refuses the key.
            PrivacyRefused: The address may not be used.
        """
        await resolve(self._gate, self._host, self._base.port or 443)
        try:
            told = await self._get("models")
        except aiohttp.ServerTimeoutError as error:
            raise self._unreachable("no connection in time") from error
        except TimeoutError:
            return  # It took the connection: busy, not down.
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error.os_error.strerror or str(error.os_error)) from error
        except aiohttp.ClientError:
            return  # It answered, if not in HTTP that can be read: the calls will say.
        if told.status == 401:
            raise self.key_refused(told.status)
        if self._detected is None:
            await self._recognise(told)

    async def _get(self, path: str, timeout_s: float = CHECK_TIMEOUT_S) -> _Told:
        """Ask the server about itself; nothing of the task goes along.

        Args:
            path: Below the base address, or with a slash, beside its version (`/metrics`).
            timeout_s: Total deadline.
        """
        base = str(self._base)
        url = re.sub(r"/v\d+[a-z0-9]*$", "", base) + path if path.startswith("/") else f"{base}/{path}"
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s))
        async with self._open().get(
            URL(url, encoded=True), allow_redirects=False, timeout=timeout
        ) as response:
            server = response.headers.get("Server", "")
            data, whole = await read_capped(response, MAX_REPLY_BYTES)
            return _Told(response.status, data if whole else b"", server)

    async def peek(self, path: str) -> Any:
        """Return what the server tells about itself, or None where it doesn't; no data of a task is sent.

        Args:
            path: Below the base address (`models`), or with a slash, beside its version (`/metrics`).

        Returns:
            Decoded JSON, or text where it is none.
        """
        try:
            told = await self._get(path, PEEK_TIMEOUT_S)
        except (aiohttp.ClientError, TimeoutError, ValueError, EndpointUnreachable):
            return None
        return told.value if told.status == 200 else None

    async def _recognise(self, told: _Told) -> None:
        """Find out the server's dialect, unless it is in no state to say."""
        if told.status >= 500:
            return
        found = detect(told.value, told.server, self._candidate.model)
        if found is not None:
            # A server that shows its caller the request may name itself after the key.
            found = replace(found, by=self._redact(found.by))
        else:
            version = await self.peek("/api/version")
            if isinstance(version, dict) and isinstance(version.get("version"), str):
                found = Detected("ollama", "answers at /api/version", "Ollama")
        self._detected = found or Detected("openai", "nothing else was recognised")

    async def _dialect(self) -> str | None:
        """Return the server's dialect, or None where it can't be asked now."""
        async with self._detecting:
            if self._detected is None:
                try:
                    await self._recognise(await self._get("models"))
                except (aiohttp.ClientError, TimeoutError, ValueError, EndpointUnreachable):
                    return None
        return self._detected.dialect if self._detected else None

    def _unreachable(self, why: str) -> EndpointUnreachable:
        return EndpointUnreachable(
            f"Candidate {self._candidate.name!r}: nothing answers at {self._base}: {self._redact(why)}.",
            "Start the server, or mend `base_url`; then run the same command again.",
        )

    def key_refused(self, status: int) -> ConfigError:
        """Return the error of a key that the server does not take."""
        named = self._candidate.api_key_env
        return ConfigError(
            f"Candidate {self._candidate.name!r}: {self._base} refuses the key (status {status}).",
            f"Put a valid key in the variable {named}."
            if named
            else "Name the variable that holds a key with `api_key_env`.",
        )

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Ask once, and again where that may help; see `Engine.complete`.

        A server that refuses to be asked for log-probabilities is asked without them,
        once for the call, and from then on for all others, unless the candidate itself
        asks for them.

        A server that counts requests or tokens by time is asked at the pace that it allows, and
        a patient call is never given up for that while others get through; see `RateLimit`.
        """
        dialect = self._detected.dialect if self._detected else "openai"
        if self._detected is None and wants_structure(self._candidate):
            told = await self._dialect()
            if told is None:
                context.attempts += 1
                return failure(ErrorKind.CONNECTION, "the server does not say what it is")
            dialect = told
        constraint = constraint_of(request, self._candidate, self._eval, dialect)
        asked = Asked(self._candidate, self._eval, request, constraint.wrapped, context.native_id)

        def body(logprobs: bool | None) -> bytes:
            return msgspec.json.encode(
                constrained_body(
                    request,
                    self._candidate,
                    self._eval,
                    constraint,
                    logprobs=logprobs,
                    overrides=context.overrides,
                )
            )

        logprobs = self._ask_logprobs
        sent = body(logprobs)
        tries = timeouts = 0
        while True:
            if self._limit.is_on:
                await self._limit.turn(context)
            context.attempts += 1
            tries += 1
            sent_s = self._limit.sent()
            try:
                done = await self._send(sent, asked)
            finally:
                self._limit.ended()
            error = done.output.error
            if error is None:
                self._limit.let_through(sent_s)
                if logprobs is not self._ask_logprobs and logprobs is False:
                    self._ask_logprobs = False
                self._has_logprobs = bool(self._has_logprobs or done.output.confidence)
                return done.output
            if logprobs and error.status in _REFUSING_STATUSES and _LOGPROBS.search(error.message):
                logprobs = False
                sent = body(logprobs)
                context.retried.append(error.kind)
                tries -= 1
                continue
            limited = error.kind is ErrorKind.RATE_LIMITED
            if 200 <= (error.status or 0) < 500 and not limited:
                self._limit.let_through(sent_s)
            if limited and context.patient:
                tries -= 1
                again = ErrorKind.RATE_LIMITED in context.retried
                used_up = is_used_up(error.message)
                own_s = self._limit.refused(sent_s, done.asked_s, again=again, used_up=used_up)
                if own_s is None:
                    return done.output
                context.retried.append(error.kind)
                await asyncio.sleep(own_s)
                continue
            timeouts += error.kind is ErrorKind.TIMEOUT
            if not done.retry or tries >= self._retries.attempts or timeouts > self._retries.after_timeout:
                return done.output
            context.retried.append(error.kind)
            asked_s = self._retries.unsaid_s(tries) if limited and done.asked_s is None else done.asked_s
            wait_s = self._retries.wait_s(tries, asked_s)
            if limited and asked_s is not None:
                # All calls share the server's limit: others need not find out one by one.
                self._limit.pause(wait_s)
            await asyncio.sleep(wait_s)

    async def _send(self, body: bytes, asked: Asked) -> _Attempt:
        started = time.perf_counter()
        answering = False
        streamed: Streamed | None = None
        data, whole = b"", True
        # Made here: aiohttp would first look through all kinds of bodies that it knows.
        payload = aiohttp.BytesPayload(body, content_type="application/json")
        try:
            async with self._open().post(self._url, data=payload, allow_redirects=False) as response:
                answering = True
                status, content_type = response.status, response.headers.get("Content-Type", "")
                cached = is_cached(response.headers)
                if self._candidate.stream and status == 200:
                    pieces = body_pieces(response)
                    streamed = await read_stream(pieces, most_bytes=MAX_STREAM_BYTES)
                    data, whole = streamed.body, not streamed.is_cut
                else:
                    data, whole = await read_capped(response, MAX_REPLY_BYTES)
                latency_ms = (time.perf_counter() - started) * 1000
                asked_s = None
                if status == 429:
                    asked_s = asked_wait_s(response.headers)
                elif status != 200:
                    asked_s = retry_after_s(response.headers.get("Retry-After"))
        except TimeoutError:
            late = failure(ErrorKind.TIMEOUT, f"no complete reply within {self._candidate.timeout_s:g} s")
            return _Attempt(late, retry=not answering)
        except EndpointUnreachable as error:
            # A look-up that fails for once, as resolvers do when they are busy.
            return _Attempt(failure(ErrorKind.CONNECTION, self._redact(str(error))), retry=True)
        except BrokenStream as error:
            broken = failure(ErrorKind.INVALID_RESPONSE, self._redact(str(error)), 200)
            return _Attempt(broken, retry="breaks off" in str(error))
        except aiohttp.ClientPayloadError:
            return _Attempt(failure(ErrorKind.INVALID_RESPONSE, "the body breaks off"), retry=True)
        except aiohttp.ClientConnectionError as error:
            return _Attempt(failure(ErrorKind.CONNECTION, self._redact(str(error))), retry=True)
        except (aiohttp.ClientError, ValueError) as error:
            what = f"not HTTP: {self._redact(str(error))}"
            return _Attempt(failure(ErrorKind.INVALID_RESPONSE, what))
        if streamed is not None and streamed.builder is not None:
            first_s = streamed.first_s
            first_ms = None if first_s is None else (first_s - started) * 1000
            done = self._put_together(streamed.builder, asked)
            times = replace(
                _marked(done.output, cached), latency_ms=latency_ms, time_to_first_token_ms=first_ms
            )
            return replace(done, output=done.output if done.retry else times)
        if status != 200:
            failed = self._without_key(read_error(status, data, content_type), data)
            return _Attempt(failed, is_retried(status), asked_s)
        if not whole:
            return _Attempt(_marked(self._without_key(read_beginning(data, asked, latency_ms)), cached))
        output = self._without_key(read_reply(data, content_type, asked, latency_ms), data)
        return _Attempt(_marked(output, cached))

    def _put_together(self, builder: ReplyBuilder, asked: Asked) -> _Attempt:
        if not builder.is_whole and not builder.is_capped:
            return _Attempt(failure(ErrorKind.INVALID_RESPONSE, "the stream breaks off", 200), retry=True)
        # The key may lie in two pieces: what they make together is looked at.
        found = read_value(
            builder.reply(),
            asked,
            repaired=builder.is_repaired,
            has_nan=builder.has_nan,
            capped=builder.is_capped,
            models=builder.models,
        )
        return _Attempt(self._without_key(found))

    def _redact(self, text: str) -> str:
        return text if self._own_key is None else self._own_key.hidden(text)

    def _without_key(self, output: Output, data: bytes | None = None) -> Output:
        """Redact every text of a decoded reply: on the wire the key may have been escaped.

        Args:
            output: What was read.
            data: All it was read from, where that is one piece: most replies hold neither
                the key nor a way to write it otherwise, and need no second look.
        """
        if self._own_key is None or (data is not None and not self._own_key.may_stand_in(data)):
            return output
        plain = as_builtins(output)
        redacted = _mapped(plain, self._redact)
        return output if redacted == plain else msgspec.convert(redacted, Output)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _marked(output: Output, cached: bool) -> Output:
    """Return an output with the flag of one that came from a response cache, if it did."""
    if not cached or CACHED in output.flags:
        return output
    return replace(output, flags=(*output.flags, CACHED))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with every text in it changed, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value


def api_key(candidate: Candidate) -> str | None:
    """Return the key from the environment variable that the candidate names.

    Raises:
        ConfigError: The variable is not set, or can't be sent in a header.
    """
    if not candidate.api_key_env:
        return None
    key = os.environ.get(candidate.api_key_env, "").strip()
    if not key:
        raise ConfigError(
            f"Candidate {candidate.name!r}: the variable {candidate.api_key_env} is not set.",
            f"Set it and run the command again: export {candidate.api_key_env}=...",
        )
    if not key.isascii() or not key.isprintable():
        raise ConfigError(
            f"Candidate {candidate.name!r}: the key in {candidate.api_key_env} holds odd characters.",
            "Copy the key again; it must be plain ASCII without line breaks.",
        )
    return key
