"""What the application says of its calls: task, session, and whatever it likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_TAGS: ContextVar[Mapping[str, Any]] = ContextVar("workbench_capture_tags", default={})  # noqa: B039 -- never changed


@contextmanager
def tag(*, task: str | None = None, session_id: str | None = None, **metadata: Any) -> Iterator[None]:
    """Say what the calls made within the block are.

    >>> with tag(task="triage", session_id="ticket-17"):
    ...     pass

    Tags of an outer `tag` stay unless an inner one names them again. They hold for the
    thread or the asyncio task that is in the block.

    Args:
        task: The named kind of request.
        session_id: What ties calls together: a conversation, a ticket.
        metadata: Anything else that may explain a difference: tenant, language, template.
    """
    named = {"task": task, "session_id": session_id}
    new = {key: value for key, value in named.items() if value is not None} | metadata
    token = _TAGS.set({**_TAGS.get(), **new})
    try:
        yield
    finally:
        _TAGS.reset(token)


def current_tags() -> Mapping[str, Any]:
    """Return the tags that hold here."""
    return _TAGS.get()
