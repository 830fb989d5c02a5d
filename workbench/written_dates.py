"""Dates as people and mail programs write them, with the month in words: read for certain, or not at all."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS, _MONTH = "(?:mon|tue|wed|thu|fri|sat|sun)", f"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK = r"(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
_YEAR, _OFFSET = r"(?P<year>\d{4})", r"[-+]\d{4}"
_FORMS = (
    # RFC 2822, 3.3
    re.compile(
        rf"(?:{_DAYS}, ?)?(?P<day>\d{{1,2}}) {_MONTH} {_YEAR} {_CLOCK} (?P<zone>{_OFFSET}|[a-z]+)",
        re.IGNORECASE,
    ),
    # JavaScript's Date.toString
    re.compile(
        rf"{_DAYS} {_MONTH} (?P<day>\d{{2}}) {_YEAR} {_CLOCK} GMT(?P<zone>{_OFFSET})(?: \(.*\))?",
        re.IGNORECASE,
    ),
)
_ZONE_HOURS = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
"""The words for zones that RFC 2822 defines, and UTC; others, such as IST, mean several."""


def written_date(text: str) -> datetime | None:
    """Read a date of RFC 2822 or of JavaScript's `Date.toString`.

    Args:
        text: The date, without white space around it.

    Returns:
        The time with its zone; None for a date that leaves anything open: no zone, one that is no number
        and not among those that the RFC defines, or a clock of twelve hours.

    Raises:
        ValueError: There is no such day or hour.
    """
    found = next((match for each in _FORMS if (match := each.fullmatch(text))), None)
    if found is None:
        return None
    zone = found["zone"].lower()
    if zone.isalpha():
        if zone not in _ZONE_HOURS:
            return None
        ahead = timedelta(hours=_ZONE_HOURS[zone])
    else:
        ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:])) * (-1 if zone[0] == "-" else 1)
    month = _MONTHS.index(found["month"].lower()) + 1
    year, day, hour, minute, second = (
        int(found[name] or 0) for name in ("year", "day", "hour", "minute", "second")
    )
    return datetime(year, month, day, hour, minute, second, tzinfo=timezone(ahead))
