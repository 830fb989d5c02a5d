"""Equality of single values: numbers with a tolerance, money, dates, near texts, lists and sets."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from workbench.compare.exact import exact_number, is_near
from workbench.compare.money import as_money
from workbench.compare.reading import decode_nested, decode_within, freeze, too_deep
from workbench.specs import FieldRule

EPSILON = 1e-9
"""Relative slack, so that a tolerance of .1 lets 1.1 equal 1.0 in floating point."""
MAX_FUZZY = 20_000
"""Longer texts are near each other only where they are equal: the ratio takes the product of both lengths."""

_DIGITS = re.compile(r"[+-]?[0-9]+")
_SPACES = re.compile(r"[\s\u00a0\u202f_'’]")
_GROUPED_COMMA = re.compile(r"[+-]?[1-9]\d{0,2}((,\d{3}){2,}|(,\d{3})+\.\d+)$")
_GROUPED_POINT = re.compile(r"[+-]?[1-9]\d{0,2}((\.\d{3}){2,}|(\.\d{3})+,\d+)$")
_ONE_COMMA = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}$")
"""A thousand in English, and a little more than one in most of Europe."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+$")
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,18})?$")
_GROUPED_SPACE = re.compile(r"[+-]?[1-9]\d{0,2}([\s\u00a0\u202f_'’]\d{3})+([.,]\d+)?$")

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero gennaio janeiro januari",
            "february feb februar février fevrier febrero febbraio fevereiro februari",
            "march mar märz maerz mars marzo março marco maart",
            "april apr avril abril aprile",
            "may mai mayo maggio maio mei",
            "june jun juni juin junio giugno junho",
            "july jul juli juillet julio luglio julho",
            "august aug août aout agosto augustus",
            "september sep sept septembre septiembre settembre setembro",
            "october oct oktober okt octobre octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember dez décembre decembre diciembre dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_WORDY = "|".join(sorted(MONTHS, key=len, reverse=True))
_END_OF_DAY = re.compile(r"24:00(?::00(?:\.0+)?)?(?![:.\d])")
_LEAP_SECOND = re.compile(r"\d\d:\d\d:60(?:\.\d+)?")
DATE_TEXT = re.compile(
    rf"(?P<iso>\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}})(?P<clock>[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?"
    rf"(?:Z|[+-]\d{{2}}:?\d{{2}})?)?"
    rf"|(?P<german>\d{{1,2}}\.\s?\d{{1,2}}\.\d{{4}})"
    rf"|(?P<slashed>\d{{1,2}}[/-]\d{{1,2}}[/-]\d{{4}})"
    rf"|(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.|er|º)?\s+(?:de\s+|of\s+)?(?P<month>{_WORDY})\.?,?\s+(?:de\s+|del\s+)?(?P<year>\d{{4}})"
    rf"|(?P<month2>{_WORDY})\.?\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year2>\d{{4}})",
    re.IGNORECASE,
)


def as_number(value: Any) -> float | None:
    """Return a number, also from text with thousands separators, or None.

    `1,234.5`, `1.234,5`, `1 234,5` and `1'234.5` are the same number, `1,5` is one and a half, and
    `1.234` what it is in JSON. `1,234` may be either of two numbers and is none. Signs,
    currencies and units beside the digits are not numbers.

    Args:
        value: Any JSON value.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float, Decimal)):
        try:
            return None if math.isnan(value) else float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    text = _written(value)
    return None if text is None else float(text)


def _written(value: Any) -> str | None:
    """Return the number that a text holds as programs write it, or None."""
    if not isinstance(value, str) or len(value) > 60:
        return None
    text = value.strip().replace("−", "-")
    if _GROUPED_SPACE.fullmatch(text):
        text = _SPACES.sub("", text).replace(",", ".")
    elif _ONE_COMMA.fullmatch(text):
        return None
    elif _GROUPED_COMMA.fullmatch(text):
        text = text.replace(",", "")
    elif _GROUPED_POINT.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return text if _PLAIN.fullmatch(text) else None


def as_moment(value: Any) -> datetime | date | None:
    """Return a date, or a time in UTC where a clock time is given, or None.

    ISO 8601 and formats that can be read in one way only are understood; 03/04/2024
    is either of two days and is not, 13/04/2024 is. A clock time at midnight
    without a zone is the date. 24:00 is the next day's 00:00, and a leap second is the
    second behind it, as in the time of Unix; another clock that no day has makes no date.

    Args:
        value: Any JSON value.
    """
    if not isinstance(value, str) or not 6 <= len(value) <= 60:
        return None
    text = value.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        found = DATE_TEXT.fullmatch(text)
        return date_of(found) if found else None
    try:
        return _in_utc(moment)
    except (OverflowError, ValueError):
        return None


def _in_utc(moment: datetime) -> datetime | date:
    """Return a moment in UTC where its zone is known, and midnight without a zone as the date.

    Raises:
        OverflowError: The moment lies before the year 1 or behind 9999.
    """
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return moment.date() if moment.time() == time() else moment


def _at(day: date, clock: str) -> datetime | date:
    """Return the moment of a day and a clock time, such as `10:00:00+01:00`.

    Source: ISO 8601 for 24:00; RFC 3339, 5.7, for leap seconds: the last of a month in UTC.

    Raises:
        ValueError: No day has such a clock time, or there is no such zone.
        OverflowError: The moment lies before the year 1 or behind 9999.
    """
    later = timedelta()
    is_leap = _LEAP_SECOND.match(clock) is not None
    if is_leap:
        clock, later = f"{clock[:6]}59{clock[8:]}", timedelta(seconds=1)
    elif _END_OF_DAY.match(clock):
        clock, later = f"00{clock[2:]}", timedelta(days=1)
    moment = datetime.fromisoformat(f"{day.isoformat()}T{clock.upper()}") + later
    found = _in_utc(moment)
    if is_leap and f"{found:%d %H:%M:%S}" != "01 00:00:00":
        raise ValueError(f"no month ends at {moment}")
    return found


def date_of(found: re.Match[str]) -> datetime | date | None:
    """Return the date that a match of `DATE_TEXT` names, or None where it is none or two."""
    parts = found.groupdict()
    try:
        if parts["iso"]:
            year, month, day = (int(each) for each in re.split(r"[-/.]", parts["iso"]))
            found_day = date(year, month, day)
            return _at(found_day, parts["clock"][1:]) if parts["clock"] else found_day
        if parts["german"]:
            day, month, year = (int(each) for each in re.split(r"\.\s?", parts["german"]))
            return date(year, month, day)
        if parts["slashed"]:
            first, second, year = (int(each) for each in re.split(r"[/-]", parts["slashed"]))
            if first > 12 or first == second:
                return date(year, second, first)
            return date(year, first, second) if second > 12 else None
        suffix = "" if parts["month"] else "2"
        month = MONTHS[parts[f"month{suffix}"].casefold()]
        return date(int(parts[f"year{suffix}"]), month, int(parts[f"day{suffix}"]))
    except (ValueError, OverflowError):
        return None


def equal_values(control: Any, candidate: Any, rule: FieldRule, text: Callable[[str], str]) -> bool:
    """Say whether two values are equal under a field's rule. Symmetric and reflexive.

    Where a value is not of the kind that the rule compares, the two are equal
    only if they are the same text or the same value.

    Args:
        control: The frontier's value.
        candidate: The candidate's value.
        rule: How the field is compared.
        text: Brings texts into the form in which they are compared; of numbers, money and dates
            those that can't be read as such.
    """
    if rule.compare == "number":
        return _equal_numbers(control, candidate, rule, text)
    if rule.compare == "money":
        return _equal_money(control, candidate, rule, text)
    if rule.compare == "fuzzy":
        return _near(control, candidate, rule.minimum, text)
    if rule.compare == "date":
        return _equal_dates(control, candidate, rule.tolerance, text)
    if rule.compare in ("list", "set"):
        return _equal_lists(control, candidate, rule, text)
    return _same(control, candidate, text if rule.compare == "text" else None)


def _same(control: Any, candidate: Any, text: Callable[[str], str] | None = None) -> bool:
    """Say whether two values are the same; objects and lists in texts are read where both sides hold some."""
    left, right = decode_within(control), decode_within(candidate)
    if too_deep(left) or too_deep(right):
        left, right = control, candidate
    return freeze(left, text) == freeze(right, text)


def _equal_numbers(control: Any, candidate: Any, rule: FieldRule, text: Callable[[str], str]) -> bool:
    left, right = as_number(control), as_number(candidate)
    if left is None or right is None:
        return left is None and right is None and _same(control, candidate, lambda each: _unread(each, text))
    first, second = _exact(control), _exact(candidate)
    if first is None or second is None:
        # Somebody else read it, as more than a double holds: what it was is lost.
        return left == right and first is None and second is None
    if _in_one_form(first, left) == _in_one_form(second, right):
        return True
    whole = isinstance(first, int) and isinstance(second, int)
    if whole or _beyond(first, left) or _beyond(second, right):
        return is_near(first, second, rule.tolerance, rule.relative)
    allowed = max(rule.tolerance, rule.relative * max(abs(left), abs(right)))
    return allowed > 0 and abs(left - right) <= allowed + EPSILON * max(1.0, abs(left), abs(right))


def _unread(value: str, text: Callable[[str], str]) -> str:
    """Return the form of a text that is no number; its units keep their letters: 5 mW are no 5 MW."""
    return " ".join(value.split()) if any(map(str.isdigit, value)) else text(value)


def _exact(value: Any) -> int | Decimal | None:
    """Return a number as it is written, or None where it is not finite."""
    text = _written(value)
    if text is None:
        return exact_number(value)
    return int(text) if _DIGITS.fullmatch(text) else exact_number(text)


def _in_one_form(exact: int | Decimal, double: float) -> int | Decimal:
    """Return what is the same of equal numbers: a whole number as it is written, any other as its double.

    Above 2**53 two whole numbers may be one in floating point: neither equals the other by way of it.
    """
    if isinstance(exact, int) or exact == exact.to_integral_value() or _beyond(exact, double):
        return exact
    return Decimal(repr(double))


def _beyond(exact: int | Decimal, double: float) -> bool:
    """Say whether no double holds a number, not even roughly."""
    return math.isinf(double) or (double == 0 and exact != 0)


def _equal_money(control: Any, candidate: Any, rule: FieldRule, text: Callable[[str], str]) -> bool:
    control, candidate = decode_nested(control, (dict,)), decode_nested(candidate, (dict,))
    left, right = as_money(control, rule.currency), as_money(candidate, rule.currency)
    if left is None or right is None:
        return left is None and right is None and freeze(control, text) == freeze(candidate, text)
    if left.currency != right.currency:
        return False
    if left.amount == right.amount:
        return True
    largest = max(abs(left.amount), abs(right.amount))
    allowed = max(Decimal(repr(rule.tolerance)), Decimal(repr(rule.relative)) * largest)
    return allowed > 0 and abs(left.amount - right.amount) <= allowed


def _near(control: Any, candidate: Any, minimum: float, text: Callable[[str], str]) -> bool:
    if _same(control, candidate, text):
        return True
    if not isinstance(control, str) or not isinstance(candidate, str):
        return False
    return ratio(text(control), text(candidate)) >= minimum - EPSILON


def ratio(left: str, right: str) -> float:
    """Return how near two texts are, 0..1: 2 m / (a + b), m the length of their longest common subsequence.

    That is the normalised similarity of insertions and deletions. Source: rapidfuzz, `fuzz.ratio`.

    Args:
        left: One text of a characters.
        right: The other of b characters.
    """
    if max(len(left), len(right)) > MAX_FUZZY:
        return float(left == right)
    from rapidfuzz import fuzz

    return float(fuzz.ratio(left, right)) / 100


def _equal_dates(control: Any, candidate: Any, tolerance: float, text: Callable[[str], str]) -> bool:
    left, right = as_moment(control), as_moment(candidate)
    if left is None or right is None:
        return left is None and right is None and freeze(control, text) == freeze(candidate, text)
    if left == right:
        return True
    if tolerance <= 0:
        return False
    return abs(_day(left) - _day(right)) <= tolerance + EPSILON


def _day(moment: datetime | date) -> float:
    clock = (moment.hour / 24 + moment.minute / 1440) if isinstance(moment, datetime) else 0.0
    return moment.toordinal() + clock


def _equal_lists(control: Any, candidate: Any, rule: FieldRule, text: Callable[[str], str]) -> bool:
    left, right = decode_nested(control, (list,)), decode_nested(candidate, (list,))
    if not isinstance(left, list) or not isinstance(right, list):
        return not isinstance(left, list) and not isinstance(right, list) and _same(control, candidate)
    inner, others = decode_within(left), decode_within(right)
    if too_deep(inner) or too_deep(others):
        inner, others = left, right
    first, second = [freeze(each, text) for each in inner], [freeze(each, text) for each in others]
    if rule.compare == "set":
        return set(first) == set(second)
    return first == second if rule.ordered else Counter(first) == Counter(second)
