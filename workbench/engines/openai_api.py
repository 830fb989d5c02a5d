"""Any OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, hosted."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from workbench.checks import host_of
from workbench.engines.base import CallContext, failure
from workbench.engines.privacy import open_gate, resolve
from workbench.engines.transport import open_session
from workbench.engines.wire import read_error, read_reply, request_body
from workbench.errors import ConfigError, EndpointUnreachable
from workbench.normal import Undecodable, decode_json
from workbench.records import ErrorKind, Output, Request, as_builtins
from workbench.specs import Candidate, EvalConfig

MAX_REPLY_BYTES = 8 * 1024**2
CONNECT_TIMEOUT_S = 10.0
CHECK_TIMEOUT_S = 15.0
PEEK_TIMEOUT_S = 5.0
RETRIED_STATUSES = frozenset((408, 425, 429, 500, 502, 503, 504, 529))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to wait. `attempts` counts the first one.

    A time-out is asked again once at most, and never when the reply had begun:
    a server that drips would drip again.
    """

    attempts: int = 4
    after_timeout: int = 1
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0

    def wait_s(self, attempt: int, asked_s: float | None) -> float:
        """Return how long to wait after an attempt, counted from 1.

        Args:
            attempt: The attempt that failed.
            asked_s: What the server asks for (Retry-After); honoured up to the longest wait.
        """
        backoff: float = min(self.first_wait_s * 2 ** (attempt - 1), self.longest_wait_s)
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        return jittered if asked_s is None else min(max(asked_s, jittered), self.longest_wait_s)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One send: what came back, whether to ask again, and how long the server asks to wait."""

    output: Output
    retry: bool = False
    asked_s: float | None = None


class OpenAIEngine:
    """Ask an OpenAI-compatible endpoint.

    Args:
        candidate: The candidate; `base_url` ends in `/v1` or the like.
        eval_config: The task's eval: its zone, and its labels.
        retries: How failures that may pass are asked again.

    Raises:
        PrivacyRefused: The task's data may not go there.
        ConfigError: The address is wrong, or the variable of the key is not set.
    """

    name = "openai"

    def __init__(
        self, candidate: Candidate, eval_config: EvalConfig, retries: RetryPolicy | None = None
    ) -> None:
        self._gate = open_gate(candidate, eval_config)
        self._candidate = candidate
        self._eval = eval_config
        self._retries = retries or RetryPolicy()
        self._host = host_of(f"Candidate {candidate.name!r}", candidate.base_url or "")
        base = (candidate.base_url or "").rstrip("/")
        self._base = URL(base.removesuffix("/chat/completions"))
        self._url = URL(f"{self._base}/chat/completions", encoded=True)
        self._key = api_key(candidate)
        self._headers = {"Content-Type": "application/json"}
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        self._session: aiohttp.ClientSession | None = None
        self._quiet_until = 0.0
        self.concurrency = candidate.concurrency

    @property
    def description(self) -> Mapping[str, Any]:
        """Return the address."""
        return {"base_url": str(self._base)}

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(
                self._gate, timeout_s=self._candidate.timeout_s, connect_timeout_s=CONNECT_TIMEOUT_S
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
        timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self._open().get(
                URL(f"{self._base}/models", encoded=True),
                headers=self._headers,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                status = response.status
        except aiohttp.ServerTimeoutError as error:
            raise self._unreachable("no connection in time") from error
        except TimeoutError:
            return  # It took the connection: busy, not down.
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error.os_error.strerror or str(error.os_error)) from error
        except aiohttp.ClientError:
            return  # It answered, if not in HTTP that can be read: the calls will say.
        if status == 401:
            raise self.key_refused(status)

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
        """Ask once, and again where that may help; see `Engine.complete`."""
        body = msgspec.json.encode(request_body(request, self._candidate, self._eval))
        timeouts = 0
        while True:
            await self._wait_for_quiet()
            context.attempts += 1
            done = await self._send(body)
            kind = done.output.error.kind if done.output.error else None
            timeouts += kind is ErrorKind.TIMEOUT
            if (
                kind is None
                or not done.retry
                or context.attempts >= self._retries.attempts
                or timeouts > self._retries.after_timeout
            ):
                return done.output
            context.retried.append(kind)
            wait_s = self._retries.wait_s(context.attempts, done.asked_s)
            if kind is ErrorKind.RATE_LIMITED and done.asked_s is not None:
                # All calls share the server's limit: others need not find out one by one.
                self._quiet_until = max(self._quiet_until, time.monotonic() + wait_s)
            await asyncio.sleep(wait_s)

    async def _wait_for_quiet(self) -> None:
        if (left := self._quiet_until - time.monotonic()) > 0:
            # Spread: all calls that wait would otherwise be sent in the same moment.
            await asyncio.sleep(left * random.uniform(1.0, 1.1))  # noqa: S311 - guards nothing

    async def _send(self, body: bytes) -> _Attempt:
        started = time.perf_counter()
        answering = False
        try:
            async with self._open().post(
                self._url, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                answering = True
                data = await _read_capped(response)
                latency_ms = (time.perf_counter() - started) * 1000
                status, content_type = response.status, response.headers.get("Content-Type", "")
                asked_s = retry_after_s(response.headers.get("Retry-After"))
        except TimeoutError:
            late = failure(ErrorKind.TIMEOUT, f"no complete reply within {self._candidate.timeout_s:g} s")
            return _Attempt(late, retry=not answering)
        except aiohttp.ClientPayloadError:
            return _Attempt(failure(ErrorKind.INVALID_RESPONSE, "the body breaks off"), retry=True)
        except aiohttp.ClientConnectionError as error:
            return _Attempt(failure(ErrorKind.CONNECTION, self._redact(str(error))), retry=True)
        except (aiohttp.ClientError, ValueError) as error:
            what = f"not HTTP: {self._redact(str(error))}"
            return _Attempt(failure(ErrorKind.INVALID_RESPONSE, what))
        if data is None:
            large = f"the reply is larger than {MAX_REPLY_BYTES // 1024**2} MB"
            return _Attempt(failure(ErrorKind.INVALID_RESPONSE, large, status))
        if self._key and self._key.encode() in data:
            data = data.replace(self._key.encode(), b"[redacted]")
        if status != 200:
            failed = self._without_key(read_error(status, data, content_type))
            return _Attempt(failed, status in RETRIED_STATUSES, asked_s)
        output = self._without_key(read_reply(data, content_type, self._candidate, self._eval))
        return _Attempt(replace(output, latency_ms=latency_ms))

    def _redact(self, text: str) -> str:
        if not self._key:
            return text
        # In JSON that sits in a text, the key stands escaped.
        for spelling in (self._key, json.dumps(self._key)[1:-1]):
            text = text.replace(spelling, "[redacted]")
        return text

    def _without_key(self, output: Output) -> Output:
        """Redact every text of a decoded reply: on the wire the key may have been escaped."""
        if not self._key:
            return output
        plain = as_builtins(output)
        redacted = _mapped(plain, self._redact)
        return output if redacted == plain else msgspec.convert(redacted, Output)

    async def peek(self, path: str) -> Any:
        """Return what the server tells of itself, JSON or text; None where it doesn't. No data is sent.

        Args:
            path: Below the base address (`models`), or with a slash, beside it (`/metrics`).
        """
        place = f"{str(self._base).removesuffix('/v1')}{path}" if path[:1] == "/" else f"{self._base}/{path}"
        timeout = aiohttp.ClientTimeout(total=PEEK_TIMEOUT_S, sock_connect=PEEK_TIMEOUT_S)
        url = URL(place, encoded=True)
        try:
            async with self._open().get(
                url, headers=self._headers, allow_redirects=False, timeout=timeout
            ) as response:
                data = await _read_capped(response) if response.status == 200 else None
        except (TimeoutError, aiohttp.ClientError, ValueError):
            return None
        if data is None:
            return None
        try:
            return decode_json(data).value
        except Undecodable:
            return data.decode("utf-8", "replace")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with every text in it changed, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value


async def _read_capped(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body, or None where it is larger than the cap; the rest is not read."""
    length = response.content_length
    if length is not None:
        if length > MAX_REPLY_BYTES:
            response.close()
            return None
        return await response.read()
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > MAX_REPLY_BYTES:
            response.close()
            return None
        pieces.append(piece)
    return b"".join(pieces)


def retry_after_s(text: str | None) -> float | None:
    """Read Retry-After: seconds or an HTTP date. None where it is absent or senseless."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return seconds if 0 <= seconds < float("inf") else None


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
