"""The days and times that a text names, in several languages, whole or in part.

A day that is named in part (`3 March`, `in March`) fits every day that it may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from workbench.compare.values import DATE_TEXT, MONTHS, date_of
from workbench.compare.words import RELATIVE_DAYS, WEEKDAYS

_WORDY = "|".join(sorted(MONTHS, key=len, reverse=True))
_DAY_MONTH = re.compile(
    rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.|er|º|°)?\s+(?:de\s+|of\s+)?(?P<month>{_WORDY})\b\.?",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    rf"\b(?P<month>{_WORDY})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?![.,:]?\d)", re.IGNORECASE
)
_MONTH_YEAR = re.compile(
    rf"\b(?P<month>{_WORDY})\.?,?\s+(?:de\s+|del\s+|of\s+)?(?P<year>(?:19|20)\d\d)\b", re.IGNORECASE
)
_CLOCK = re.compile(
    r"\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?(?:\s*(?P<half>[ap])\.?\s?m\b\.?)?(?:\s?(?:uhr|h)\b)?"
    r"|\b(?P<hour2>\d{1,2})\s*(?P<half2>[ap])\.?\s?m\b\.?"
    r"|\b(?P<hour3>\d{1,2})(?:\.(?P<minute3>\d{2}))?\s?uhr\b(?:\s?(?P<minute4>[0-5]\d)\b)?"
    r"|\b(?P<hour5>\d{1,2})\s?h\s?(?P<minute5>[0-5]\d)\b"
    r"|(?<=à )(?P<hour6>\d{1,2})\s?(?:h|heures)\b|(?<=las )(?P<hour7>\d{1,2})\b(?!\s?%)",
    re.IGNORECASE,
)
_MORNING = re.compile(
    r"\b(?:heute|gestern|guten|am|jeden|den|diesen)\s+morgen\b|\b(?:la|esta|cada|una)\s+mañana\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['\-][^\W\d_]+)*")

_NAMES = {number: name.capitalize() for name, number in reversed(MONTHS.items())}
"""Month by its number, in English."""
LONE_MONTHS = {
    name: month for name, month in MONTHS.items() if len(name) > 3 and name not in ("mars", "march", "mart")
}
"""Months that are read without a day or a year; `may` and `mars` are other words, too."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A day as far as it is named."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    clock: str = ""

    def fits(self, other: Moment) -> bool:
        """Say whether both may be one day."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return self.clock == other.clock and all(a is None or b is None or a == b for a, b in pairs)

    def __str__(self) -> str:
        if self.year is None:
            day = f"{self.day} {_NAMES[self.month]}" if self.month else str(self.day)
        else:
            day = f"{self.year}-{self.month or 0:02d}" + (f"-{self.day:02d}" if self.day else "")
        return f"{day} {self.clock}".strip()


@dataclass(frozen=True, slots=True)
class When:
    """The days and times of a text.

    `moments` are days of which two parts or more are named, `clocks` times of the day,
    `unclear` dates that can be read in two ways. `loose` holds weekdays, months and days counted
    from today, each with its kind: they differ only where both sides name some.
    """

    moments: frozenset[Moment] = frozenset()
    clocks: frozenset[str] = frozenset()
    unclear: frozenset[str] = frozenset()
    loose: frozenset[tuple[str, int]] = frozenset()

    def lacking(self, other: When) -> list[str]:
        """Return what stands here and nowhere in the other, as text."""
        found = [
            str(each)
            for each in self.moments
            if not any(each.fits(known) for known in other.moments)
            and not (each.month is not None and ("month", each.month) in other.loose)
        ]
        return sorted([*found, *(self.clocks - other.clocks), *(self.unclear - other.unclear)])

    def differs(self, other: When) -> bool:
        """Say whether the two name other days or times. Symmetric."""
        if self.lacking(other) or other.lacking(self):
            return True
        return any(
            self._loose(kind) - other._loose(kind) and other._loose(kind) - self._loose(kind)
            for kind in ("weekday", "month", "relative")
        )

    def _loose(self, kind: str) -> frozenset[int]:
        found = {value for name, value in self.loose if name == kind}
        if kind == "month":
            found |= {each.month for each in self.moments if each.month is not None}
        return frozenset(found)

    def shown(self) -> list[str]:
        """Return all of it as text."""
        names = {"weekday": "weekday", "month": "month", "relative": "days from today"}
        loose = [f"{names[kind]} {value + (kind == 'weekday')}" for kind, value in self.loose]
        return sorted([*map(str, self.moments), *self.clocks, *self.unclear, *loose])


def read_when(text: str, language: str | None) -> tuple[When, str]:
    """Return the days and times of a text, and the text without those that hold digits.

    Args:
        text: The text.
        language: Its language, where known: the same word is another day elsewhere.
    """
    moments: set[Moment] = set()
    unclear: set[str] = set()
    clocks: set[str] = set()

    def whole(match: re.Match[str]) -> str:
        found = date_of(match)
        if found is None:
            unclear.add(match.group().strip())
        else:
            clock = f"{found:%H:%M}" if isinstance(found, datetime) else ""
            moments.add(Moment(found.year, found.month, found.day, clock))
        return " "

    def part(match: re.Match[str]) -> str:
        parts = match.groupdict()
        word = parts["month"]
        # Behind a number any spelling is a month; before one, `may 5` is none in lower case.
        if word[0].islower() and match.re is not _DAY_MONTH and language in (None, "en", "de"):
            return match.group()
        day = int(parts["day"]) if parts.get("day") else None
        if day is not None and not 1 <= day <= 31:
            return match.group()
        year = int(parts["year"]) if parts.get("year") else None
        moments.add(Moment(year, MONTHS[word.casefold()], day))
        return " "

    def clock(match: re.Match[str]) -> str:
        hour, minute, half = _clock_parts(match)
        if hour > 24 or minute > 59:
            return match.group()
        if half == "p" and hours_pm(hour):
            hour += 12
        elif half == "a" and hour == 12:
            hour = 0
        clocks.add(f"{hour % 24:02d}:{minute:02d}")
        return " "

    text = DATE_TEXT.sub(whole, text)
    for pattern in (_DAY_MONTH, _MONTH_YEAR, _MONTH_DAY):
        text = pattern.sub(part, text)
    text = _CLOCK.sub(clock, text)
    return When(frozenset(moments), frozenset(clocks), frozenset(unclear), _loose(text, language)), text


def hours_pm(hour: int) -> bool:
    """Say whether an hour is twelve less than its hour of the day after noon."""
    return hour < 12


def _clock_parts(match: re.Match[str]) -> tuple[int, int, str]:
    parts = match.groupdict()
    hour = _first(parts[key] for key in ("hour", "hour2", "hour3", "hour5", "hour6", "hour7"))
    minute = _first(parts[key] for key in ("minute", "minute3", "minute4", "minute5")) or "0"
    return int(hour), int(minute), _first((parts["half"], parts["half2"])).lower()


def _first(values: Iterable[str | None]) -> str:
    return next((each for each in values if each), "")


def _loose(text: str, language: str | None) -> frozenset[tuple[str, int]]:
    """Return weekdays, months and days counted from today that stand in words."""
    found: set[tuple[str, int]] = set()
    counted = RELATIVE_DAYS.get(language or "", {})
    for match in _WORD.finditer(_MORNING.sub(" ", text)):
        word = match.group()
        low = word.casefold().removesuffix("'s")
        if low in counted and word[0].islower() | (low != "morgen"):
            found.add(("relative", counted[low]))
        if language in ("en", "de", None) and word[0].islower():
            continue
        if low in WEEKDAYS or low.removesuffix("s") in WEEKDAYS:
            found.add(("weekday", WEEKDAYS[low] if low in WEEKDAYS else WEEKDAYS[low.removesuffix("s")]))
        if low in LONE_MONTHS:
            found.add(("month", LONE_MONTHS[low]))
    return frozenset(found)
