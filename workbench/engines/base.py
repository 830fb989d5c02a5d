"""What an engine is: one request in, one output out, whatever serves the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from workbench.normal import clean_text
from workbench.records import ErrorKind, Output, OutputError, Request


@dataclass(slots=True)
class CallContext:
    """Which call a request belongs to, and what it took to answer it.

    `attempts` and `retried` are written by the engine: how often the request was
    sent, and why each attempt but the last was given up. `overrides` are parameters over
    the candidate's own, for another sample of the same request.
    `patient` lets a call wait for its server's rate limit as long as others get through;
    `waiting` says that it does. `outer` is the call whose sample this is.
    """

    call_id: str
    native_id: str
    repeat: int = 0
    attempts: int = 0
    retried: list[ErrorKind] = field(default_factory=list)
    overrides: Mapping[str, Any] | None = None
    patient: bool = False
    waiting: bool = False
    outer: CallContext | None = None

    def wait(self, waiting: bool) -> None:
        """Note that the call waits for its turn, or no longer does: its deadline stands still meanwhile."""
        self.waiting = waiting
        if self.outer is not None:
            self.outer.waiting = waiting


class Engine(Protocol):
    """Something that answers requests as one candidate.

    `concurrency` is how many requests in flight it can use; `description` holds
    what it found out about itself (dtype, device, address), for the replay's plan.
    """

    name: str
    concurrency: int

    @property
    def description(self) -> Mapping[str, Any]:
        """Return what decides the answers beyond the candidate's own keys."""

    async def check(self) -> None:
        """See that the engine can answer at all; send none of the task's data.

        Raises:
            EnvironmentalError: It can't: the server is down, the model is missing.
        """

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Answer one request.

        Args:
            request: What the control was asked.
            context: The call; `attempts` and `retried` are written into it.

        Returns:
            The output. What went wrong with this one call is its `error`. A patient call waits where its
            server counts by time (429): as `rate_limited` it comes back only where none gets through,
            and that pauses a replay.

        Raises:
            WorkbenchError: No call can be answered until a person acts.
        """

    async def close(self) -> None:
        """Free what the engine holds."""


def failure(kind: ErrorKind, message: str = "", status: int | None = None, **fields: Any) -> Output:
    """Return an output that is an error; `fields` are other fields of `Output`."""
    return Output(error=OutputError(kind, clean_text(message[:500])[0], status), **fields)


def limit_of(parameters: Mapping[str, Any]) -> int | None:
    """Return the most tokens an answer may have, or None where nothing says so."""
    for key in ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens"):
        value = parameters.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
