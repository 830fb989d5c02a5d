"""`wrap`: an openai client that also writes what it is asked and answered."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator
from contextvars import ContextVar, Token
from pathlib import Path
from typing import Any, TypeVar

from workbench.capture.exchange import Exchange
from workbench.capture.log import CaptureLog
from workbench.capture.rebuild import kind_of
from workbench.capture.tags import current_tags

Client = TypeVar("Client")

_CURRENT: ContextVar[Exchange | None] = ContextVar("workbench_capture_exchange", default=None)
_MARK = "_workbench_capture"


def wrap(
    client: Client,
    log: CaptureLog | Path | str = "workbench-logs",
    *,
    task: str | None = None,
    **options: Any,
) -> Client:
    """Let an openai client log its chat completions and Responses for the workbench.

    The client is the same object, its methods return what they returned, and raise what they
    raised: what goes over the wire is noted below them, so that helpers (`parse`, `stream`,
    `with_raw_response`, `with_streaming_response`, `with_options`) are captured too. All else
    (embeddings, files, `retrieve`) passes untouched.

    Args:
        client: OpenAI, AsyncOpenAI, AzureOpenAI or AsyncAzureOpenAI.
        log: Where the calls go: a `CaptureLog`, which several clients may share, or a folder.
        task: Of all calls of this client, unless a `tag` says otherwise.
        options: Of the `CaptureLog`, where `log` is a folder.

    Returns:
        The client. Wrapped again, it stays as it is.

    Raises:
        TypeError: It is no openai client, or an option is unknown.
        ValueError: An option is out of range.
    """
    if getattr(client, _MARK, None) is not None:
        return client
    http = getattr(client, "_client", None)
    if not callable(getattr(client, "request", None)) or not callable(getattr(http, "send", None)):
        raise TypeError(
            f"{type(client).__name__} is no openai client. Wrap what OpenAI(), AsyncOpenAI(), AzureOpenAI() "
            "or AsyncAzureOpenAI() returned."
        )
    if isinstance(log, CaptureLog):
        if options:
            raise TypeError(f"{', '.join(options)}: give these to the CaptureLog.")
    else:
        log = CaptureLog(log, **options)
    _wrap(client, log, task)
    return client


def _wrap(client: Any, log: CaptureLog, task: str | None) -> None:
    _tee_sends(client._client)
    is_async = inspect.iscoroutinefunction(client.request)
    requested = _async_request if is_async else _sync_request
    setattr(client, _MARK, log)
    client.request = requested(client.request, log, task)
    for name in ("copy", "with_options"):
        if callable(getattr(client, name, None)):
            setattr(client, name, _copying(getattr(client, name), log, task))


def _begin(
    log: CaptureLog, task: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Exchange | None:
    """Return the exchange of a call that is to be captured. Never raises."""
    try:
        options = kwargs.get("options", args[1] if len(args) > 1 else None)
        kind = kind_of(str(getattr(options, "url", "")))
        if kind is None or str(getattr(options, "method", "")).lower() != "post":
            return None
        tags = dict(current_tags())
        if task is not None:
            tags.setdefault("task", task)
        return Exchange(log, kind, tags) if log.takes(tags) else None
    except Exception as error:
        log.lose("failed", error)
        return None


def _leave(token: Token[Exchange | None]) -> None:
    # A coroutine that is closed from elsewhere has another context.
    with contextlib.suppress(ValueError):
        _CURRENT.reset(token)


@contextlib.contextmanager
def _current(exchange: Exchange) -> Iterator[None]:
    """Note what the HTTP client does within as part of one exchange, and how that ended."""
    token = _CURRENT.set(exchange)
    try:
        yield
    except BaseException as error:
        exchange.returned(error)
        raise
    finally:
        _leave(token)
    exchange.returned()


def _sync_request(original: Any, log: CaptureLog, task: str | None) -> Any:
    @functools.wraps(original)
    def request(*args: Any, **kwargs: Any) -> Any:
        exchange = _begin(log, task, args, kwargs)
        if exchange is None:
            return original(*args, **kwargs)
        with _current(exchange):
            return original(*args, **kwargs)

    return request


def _async_request(original: Any, log: CaptureLog, task: str | None) -> Any:
    @functools.wraps(original)
    async def request(*args: Any, **kwargs: Any) -> Any:
        exchange = _begin(log, task, args, kwargs)
        if exchange is None:
            return await original(*args, **kwargs)
        with _current(exchange):
            return await original(*args, **kwargs)

    return request


def _copying(original: Any, log: CaptureLog, task: str | None) -> Any:
    @functools.wraps(original)
    def copy(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        try:
            _wrap(made, log, task)
        except Exception as error:
            log.lose("a copy of the client", error)
        return made

    return copy


def _tee_sends(http: Any) -> None:
    """Let an HTTP client show what it sends for the exchange at hand, if there is one."""
    if getattr(http, _MARK, False):
        return
    send = http.send
    http.send = _async_send(send) if inspect.iscoroutinefunction(send) else _sync_send(send)
    setattr(http, _MARK, True)


def _sync_send(original: Any) -> Any:
    @functools.wraps(original)
    def send(request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _CURRENT.get()
        if exchange is None or not exchange.sending(request):
            return original(request, *args, **kwargs)
        response = original(request, *args, **kwargs)
        exchange.received(response)
        return response

    return send


def _async_send(original: Any) -> Any:
    @functools.wraps(original)
    async def send(request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _CURRENT.get()
        if exchange is None or not exchange.sending(request):
            return await original(request, *args, **kwargs)
        response = await original(request, *args, **kwargs)
        exchange.received(response)
        return response

    return send
