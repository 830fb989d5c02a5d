"""How failures that may pass are asked again, and how long that waits."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
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


_RESETS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),  # OpenAI, Groq, Azure
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),  # OpenRouter, gateways
    ("ratelimit-remaining", "ratelimit-reset"),  # the draft of the IETF, until its seventh version
)
"""Headers that say what is left of a limit, and when it is whole again."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_EPOCH_S, _EPOCH_MS = 1e9, 1e12
"""Larger numbers are no spans but moments, in seconds or milliseconds since 1970."""


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a server asks to wait before the next request, in seconds; None where it doesn't say.

    Retry-After counts first, in the milliseconds that some send beside it; then when the
    limits that have nothing left are whole again, or, where all have some left, any of them.

    Args:
        headers: Of a reply that refuses for the rate; names in any case.
    """
    said = headers.get("retry-after-ms")
    milliseconds = None if said is None else retry_after_s(said)
    if milliseconds is not None:
        return milliseconds / 1000
    asked_s = retry_after_s(headers.get("Retry-After"))
    if asked_s is not None:
        return asked_s
    spent: list[float] = []
    others: list[float] = []
    for left, reset in _RESETS:
        wait_s = _reset_s(headers.get(reset))
        if wait_s is not None:
            (spent if _is_nothing(headers.get(left)) else others).append(wait_s)
    return max(spent or others, default=None)


def _is_nothing(text: str | None) -> bool:
    try:
        return text is not None and float(text) <= 0
    except ValueError:
        return False


def _reset_s(text: str | None) -> float | None:
    """Read when a limit is whole again: `6m0s`, seconds, a moment since 1970 or in ISO 8601."""
    text = (text or "").strip()
    if _SPAN.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _SPAN_PART.findall(text))
    now = datetime.now(UTC)
    try:
        number = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max((moment - now).total_seconds(), 0.0)
    if number >= _EPOCH_S:
        number = number / 1000 if number >= _EPOCH_MS else number
        return max(number - now.timestamp(), 0.0)
    return number if number >= 0 else None
