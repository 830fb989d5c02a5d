"""The calls in flight, and which of them are overdue."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from workbench.engines import CallContext
from workbench.engines.base import failure
from workbench.records import ErrorKind, Output

GRACE_S = 0.4
"""A call is cut so long after its deadline: the engine's own deadline comes first."""
STUBBORN_S = 0.1
"""An engine that has not let go of a cut call after so long is left behind."""
LONGEST_WAIT_S = 67.0
"""Between two attempts an engine may wait for so long: Retry-After is honoured up to a minute."""


@dataclass(frozen=True, slots=True)
class Job:
    """One call to ask."""

    call_id: str
    native_id: str
    repeat: int
    request: str


@dataclass(slots=True, eq=False)
class Slot:
    """One call in flight.

    `told` counts the retries that were told to the limiter; `estimate_usd` is what the
    budget holds back for it. `cut_s` says when it was cut, `left` that its task is no
    longer waited for, `is_dropped` that it goes back unasked.
    """

    job: Job
    context: CallContext
    task: asyncio.Task[Any]
    estimate_usd: float = 0.0
    started_s: float = field(default_factory=time.monotonic)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    told: int = 0
    cut_s: float | None = None
    left: bool = False
    is_dropped: bool = False
    _seen: tuple[int, int] = (0, 0)
    _since_s: float = 0.0

    @property
    def is_unasked(self) -> bool:
        """Return whether the call waits for its turn at a rate limit, and no attempt is under way."""
        return self.context.waiting and self.context.attempts == len(self.context.retried)

    def overdue(self, now_s: float, deadline_s: float) -> bool:
        """Say whether the current attempt has lasted beyond its deadline.

        Args:
            now_s: Time of the monotonic clock.
            deadline_s: Of one attempt, in seconds. While the call waits for its turn at a server's
                rate limit, none runs.
        """
        seen = (self.context.attempts, len(self.context.retried))
        if self.context.waiting:
            self._seen, self._since_s = seen, now_s
            return False
        if seen != self._seen or not self._since_s:
            self._seen = seen
            self._since_s = now_s if self._since_s else self.started_s
        waits = seen[0] == seen[1] and seen[1] > 0
        allowed_s = max(deadline_s, LONGEST_WAIT_S) if waits else deadline_s
        return now_s - self._since_s > allowed_s + GRACE_S

    def late(self, deadline_s: float) -> Output:
        """Return the outcome of a call that was cut."""
        return failure(ErrorKind.TIMEOUT, f"no answer within {deadline_s:g} s; cut off by the replay")
