"""How failures that may pass are asked again, and how long that waits."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_RETRIED = frozenset((408, 425, 429))
_FINAL = frozenset((501, 505))
"""What a server can't do at all."""


def is_retried(status: int) -> bool:
    """Say whether a status may pass: what gateways answer beyond the standard (520 to 524) may, too."""
    return status in _RETRIED or (500 <= status < 600 and status not in _FINAL)


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

    def unsaid_s(self, attempt: int) -> float | None:
        """Return how long a rate limit is waited out that doesn't say how long it lasts; None for not long.

        Most limits count by the minute. So the last time all calls wait for as long as is ever
        waited, since a call that is refused then is lost; and the time before for an eighth of it.

        Args:
            attempt: The attempt that was refused, counted from 1.
        """
        left = self.attempts - attempt
        return self.longest_wait_s if left == 1 else self.longest_wait_s / 8 if left == 2 else None


def retry_after_s(text: str | None) -> float | None:
    """Read Retry-After: seconds or an HTTP date. None where it is absent or senseless."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = (moment - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return None
    return seconds if 0 <= seconds < float("inf") else None
