"""What a call names a phone number or a key is that in all of the call, however it is written there.

A model that puts numbers into order writes `4155552671` for the `(415) 555-2671` of its request: ten digits
that no detector could take for a phone by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.redaction.dialling import code_of
from workbench.redaction.numbers import PHONE, digits_of
from workbench.redaction.spans import Span
from workbench.redaction.words import KEY

LEAST_DIGITS = 8
"""Fewer digits, without what a country or a trunk line puts before them, could be any other number."""
LEAST_KEY_CHARS = 6
MOST_KEYS = 50
"""Each is looked for by itself: more in one call are an attack on the time that this takes."""
_NUMBER = re.compile(r"(?<![\w.])\+?\(?\d(?:[ .()/\u00a0\u202f-]{0,2}\d){6,17}(?![\w])")


class Recall:
    """A detector that finds again what a call has named already."""

    name = "recall"

    def __init__(self) -> None:
        self._phones: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Say whether there is anything to be found again."""
        return bool(self._phones or self._keys)

    def forget(self) -> None:
        """Begin with another call."""
        self._phones.clear()
        self._keys.clear()

    def note(self, span: Span, written: str) -> None:
        """Keep what was found.

        Args:
            span: What a detector found.
            written: Its text.
        """
        if span.kind == PHONE:
            digits, is_whole = digits_of(span.normal), span.normal.startswith("+")
            bare = _without_prefix(digits, code_of(digits, certain=True) if is_whole else "")
            if len(bare) >= LEAST_DIGITS:
                self._phones.setdefault(bare, span.normal)
        elif span.kind == KEY:
            value = written.strip()
            if len(value) >= LEAST_KEY_CHARS and not value.isalpha() and len(self._keys) < MOST_KEYS:
                self._keys.setdefault(value, span.normal)

    def find(self, text: str) -> Iterator[Span]:
        """Give what stands there of it."""
        for value, normal in self._keys.items():
            at = text.find(value)
            while at >= 0:
                end = at + len(value)
                if not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum()):
                    yield Span(at, end, KEY, normal)
                at = text.find(value, end)
        for found in _NUMBER.finditer(text) if self._phones else ():
            digits = digits_of(found[0])
            bare = digits.lstrip("0")
            for code in (code_of(bare, certain="+" in found[0]), ""):
                if (known := _without_prefix(digits, code)) in self._phones:
                    yield Span(found.start(), found.end(), PHONE, self._phones[known])
                    break


def _without_prefix(digits: str, code: str) -> str:
    """Return a number without its country's code and without zeros before it."""
    return digits.lstrip("0").removeprefix(code).lstrip("0")
