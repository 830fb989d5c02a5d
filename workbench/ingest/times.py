"""Times that a log can't know: of calls that were made after their import."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workbench.formats import Mark

MOST_AHEAD = timedelta(days=1)
"""Clocks and time zones differ by less."""


def latest_time() -> datetime:
    """Return up to when a call may be dated that is imported now."""
    return datetime.now(UTC) + MOST_AHEAD


def past(at: datetime | None, latest: datetime, marks: list[str]) -> datetime | None:
    """Return when a call was made; None where its log names a time that had not come when it was imported.

    Args:
        at: What the log says, in UTC, with its zone or without.
        latest: The latest time that can be.
        marks: Get `future_time` in that case.
    """
    if at is None or (at if at.tzinfo else at.replace(tzinfo=UTC)) <= latest:
        return at
    marks.append(str(Mark.FUTURE_TIME))
    return None
