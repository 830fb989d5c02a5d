"""Identifiers of a text: versions, article numbers, tracking codes. One sign more or less is another one."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from workbench.compare.words import UNITS

LONG_DIGITS = 3
"""From this many digits on a code that stands on one side alone differs; a shorter one (`Q3`, `H2O`) may be
said otherwise, and differs where each side has one that the other lacks."""

_LETTER = r"A-Za-z\u00c0-\u024f\u0370-\u052f"
"""Letters of scripts that part words by spaces: elsewhere a number stands amid the sentence."""
_SIGN = rf"0-9⁰¹²³⁴-⁹₀-₉{_LETTER}"
_DOTTED = re.compile(r"(?<![\w.,])[vV]?\d+(?:\.\d+){2,}(?:[-+.]?[a-z]+\d*)?(?!\w)")
_VERSION = re.compile(r"v\d+\.")
_GROUPS = re.compile(r"\d{1,3}(?:\.\d{3})+")
_LETTERS_FIRST = re.compile(
    rf"(?<![{_SIGN}.])(?:([{_LETTER}]{{1,12}})[0-9⁰¹²³⁴-⁹₀-₉]|([A-Z]{{1,12}})[-_]\d)[{_SIGN}]*(?:[-_][{_SIGN}]+)*"
)
_DIGITS_FIRST = re.compile(rf"(?<![{_SIGN}.,])(?:\d+[A-Za-z]+\d[{_SIGN}]*|\d{{1,4}}[abAB](?![{_SIGN}]))")
_APART = re.compile(rf"(?<![{_SIGN}])([{_LETTER}]{{1,12}})[\s_-](\d[{_SIGN}]*)")
_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789", "-_")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of a text in lower case without hyphens, and words before numbers that may make one."""

    sure: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()

    @property
    def numbers(self) -> frozenset[float]:
        """Return the numbers within the codes."""
        return frozenset(float(each) for code in self.sure for each in _DIGITS.findall(code))


def find_codes(text: str) -> tuple[Codes, str]:
    """Return the identifiers of a text (what mixes letters and digits, or has two points), and the rest.

    Args:
        text: The text without dates and times.
    """
    found: set[str] = set()

    def taken(match: re.Match[str]) -> str:
        code = match.group()
        before = next((each for each in match.groups() if each), "").casefold()
        if before in UNITS or _GROUPS.fullmatch(code):
            return code
        found.add(code)
        return " "

    maybe = frozenset(f"{each[1]}{each[2]}".translate(_PLAIN).casefold() for each in _APART.finditer(text))
    if any(map(str.isdigit, text)):
        for pattern in (_DOTTED, _LETTERS_FIRST, _DIGITS_FIRST):
            text = pattern.sub(taken, text)
    sure = frozenset(each.translate(_PLAIN).casefold() for each in found)
    return Codes(frozenset(each[1:] if _VERSION.match(each) else each for each in sure), maybe), text


def lacking(these: Codes, those: Codes, numbers: Container[float] = ()) -> list[str]:
    """Return the codes of one text that the other does not hold.

    Args:
        these: Of one text.
        those: Of the other.
        numbers: The numbers of the other: of a code that is gone its number may stand there alone.
    """
    found = these.sure - those.sure - those.maybe
    if those.sure - these.sure - these.maybe:
        return sorted(found)
    return sorted(
        each
        for each in found
        if sum(map(str.isdigit, each)) >= LONG_DIGITS
        and not all(float(number) in numbers for number in _DIGITS.findall(each))
    )
