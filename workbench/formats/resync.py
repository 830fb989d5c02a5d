"""Where a broken item of a list ends, so that it alone is lost.

Brackets are counted outside of strings. What was cut short has too few of them: there, the next
line that begins as the item's own line did is the next item.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"?|[{}\[\],]')
_PAIRS = {"}": "{", "]": "["}


@dataclass(slots=True)
class Scan:
    """Counts brackets from the beginning of an item on, over as much text as there is yet.

    Args:
        position: Where the item begins.
        alone: Whether it stands in no list: it ends with its own last bracket.
    """

    position: int
    alone: bool = False
    end: int | None = None
    """The place of the comma, or of the list's bracket, behind the item."""
    odd: bool = False
    """Whether brackets or quotes did not fit, so that the end may be that of another item."""
    _open: list[str] = field(default_factory=list)

    def go_on(self, text: str, *, whole: bool) -> bool:
        """Count on; say whether the end was found.

        Args:
            text: All that was read.
            whole: Whether nothing will follow.
        """
        for token in _TOKEN.finditer(text, self.position):
            found = token.group()
            if token.end() == len(text) and found[0] == '"' and not whole:
                return False  # The string may go on.
            if self._take(found):
                self.end = token.start()
                return True
            self.position = token.end()
            if self.alone and not self._open:
                self.end = token.end()
                return True
        if whole:
            self.odd = True
        return False

    def _take(self, sign: str) -> bool:
        if sign[0] == '"':
            self.odd = self.odd or len(sign) == 1 or sign[-1] != '"'
        elif sign in "{[":
            self._open.append(sign)
        elif sign == ",":
            return not self._open
        elif _PAIRS[sign] in self._open:
            while (last := self._open.pop()) != _PAIRS[sign]:
                self.odd = self.odd or last != _PAIRS[sign]
        else:
            # What closes nothing of the item closes the list around it.
            self.odd = self.odd or bool(self._open) or sign == "}"
            return sign == "]"
        return False


def line_like(text: str, position: int) -> re.Pattern[str] | None:
    """Return what finds the beginning of a line like an item's; None where the item began amid its line.

    Args:
        text: Holds the line from its beginning on.
        position: Where the item begins.
    """
    before = text[text.rfind("\n", 0, position) + 1 : position]
    # A comma too many before it leaves it the first of its line.
    margin = before[: len(before) - len(before.lstrip(" \t"))]
    return re.compile(rf"\n{margin}(?=\{{)") if not before.strip(" \t,") else None
