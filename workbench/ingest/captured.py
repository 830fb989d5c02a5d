"""What the capture log says of itself in a record: its sampling rate, and what it redacted."""

from __future__ import annotations

from typing import Any

from workbench.formats import Draft, Mark
from workbench.normal import as_number
from workbench.records import LEAST_RATE

_LEAST_OF_SOUND = 1_000
"""From so many on a sampling rate is one of sound, in hertz."""
RATE, REDACTED = "sampling_rate", "redacted"


def take_capture(draft: Draft, sampling_rate: float | None) -> float | None:
    """Take what the capture log wrote about a record out of its attributes.

    Args:
        draft: Gets the mark `redacted` where the log was redacted as it was written.
        sampling_rate: What the person who imports says; the record's own rate is more exact.

    Returns:
        The share of traffic that was logged, 0 to 1; None if unknown.
    """
    redacted = draft.attributes.get(REDACTED)
    if isinstance(redacted, dict) and all(isinstance(each, int) for each in redacted.values()):
        del draft.attributes[REDACTED]
        if redacted and Mark.REDACTED not in draft.marks:
            draft.marks.append(Mark.REDACTED)
    return take_rate(draft.attributes, sampling_rate, draft.marks)


def take_rate(attributes: dict[str, Any], sampling_rate: float | None, marks: list[str]) -> float | None:
    """Take the share of traffic that was logged out of a record's attributes; see `take_capture`.

    Args:
        attributes: Of the record; a rate that can be is taken out.
        sampling_rate: What the person who imports says; it counts where the record tells none.
        marks: Get `bad_sampling_rate` where the record tells a rate that no log has; it is then unknown.
    """
    told = attributes.get(RATE)
    rate = as_number(told)
    if told in (None, "") or isinstance(told, dict | list) or (rate is not None and rate >= _LEAST_OF_SOUND):
        return sampling_rate
    if rate is None or not LEAST_RATE <= rate <= 1:
        marks.append(str(Mark.BAD_SAMPLING_RATE))
        return None
    del attributes[RATE]
    return rate
