"""Rows of a CSV file, each with its lines: a quote that is opened by mistake costs its own row alone."""

from __future__ import annotations

import csv
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

MOST_AGAIN_CHARS = 256 * 1024**2
"""What is read again of a file at most: each stray quote may cost a second look at what follows it."""
ALIKE = 0.8
"""Of the lines that a quote took in, so many have to be rows, for it to be a mistake and no long text."""


@dataclass(slots=True)
class Row:
    """Cells, or why there are none, with the first line and the number of lines; `said` is how it begins."""

    line: int
    lines: int
    cells: list[str] | None
    reason: str = ""
    said: str = ""


class Rows:
    """Reads rows.

    Args:
        lines: The lines with their ends.
        delimiter: Between cells.
        width: Cells that a row has.
        most_chars: The longest that a row may be.
    """

    def __init__(self, lines: Iterator[str], delimiter: str, width: int, most_chars: int) -> None:
        self._lines = _Lines(lines, most_chars)
        self._strict = csv.reader(self._lines, delimiter=delimiter, strict=True)
        self._lax = csv.reader(self._lines, delimiter=delimiter)
        self._delimiter, self._width = delimiter, width
        cell = rf'(?:"(?:[^"]|"")*+"|[^"{re.escape(delimiter)}\r\n]*+)'
        self._plain = re.compile(rf"{cell}(?:{re.escape(delimiter)}{cell})*+\r?\n?")

    def __iter__(self) -> Iterator[Row]:
        """Give the rows in order; each line is in one of them."""
        self._lines.begin()
        next(self._lax, None)
        while (row := self._next()) is not None:
            yield row

    @property
    def line(self) -> int:
        """Return the number of the line that the row at hand begins in."""
        return self._lines.first

    def _next(self) -> Row | None:
        lines = self._lines
        lines.begin()
        try:
            cells = next(self._strict, None)
        except csv.Error as error:
            return self._odd(error)
        return None if cells is None else Row(lines.first, len(lines.taken), cells)

    def _odd(self, error: csv.Error) -> Row:
        """Read what is no row by the book: a quote within a cell, or one that takes in what follows."""
        lines, why = self._lines, error
        if len(lines.taken) == 1 and lines.first > lines.doubtful_until:
            lines.back(0)
            lines.begin()
            try:
                cells = next(self._lax)
            except csv.Error as again:
                why = again
            else:
                if len(lines.taken) == 1:
                    return Row(lines.first, 1, cells)
        first, taken = lines.first, lines.taken
        said = taken[0][:4096] if taken else ""
        if self._are_rows(taken[1:]) and lines.back(1):
            return Row(first, 1, None, "a quote is opened here that no cell ends with", said)
        more = f", {len(taken):,} lines" if len(taken) > 1 else ""
        return Row(first, len(taken), None, f"not a CSV row{more}: {why}", said)

    def _are_rows(self, lines: list[str]) -> bool:
        """Say whether lines that a quote took in are rows of their own, and not the lines of a text."""
        if self._width < 2 or not lines:
            return False
        plain = [each for each in lines if self._plain.fullmatch(each)]
        fitting = sum(len(cells) == self._width for cells in csv.reader(plain, delimiter=self._delimiter))
        return fitting >= ALIKE * len(lines)


class _Lines:
    """Gives lines to a reader of rows and takes them back; an iterator that goes on after an error."""

    def __init__(self, lines: Iterator[str], most_chars: int) -> None:
        self._source, self._most_chars = lines, most_chars
        self._again: deque[str] = deque()
        self._left = MOST_AGAIN_CHARS
        self._chars = 0
        self.taken: list[str] = []
        self.first, self.number, self.doubtful_until = 1, 0, 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._source)
        self.number += 1
        self._chars += len(line)
        self.taken.append(line)
        if self._chars > self._most_chars and len(self.taken) > 1:
            raise csv.Error(f"longer than {self._most_chars >> 20} MB")
        return line

    def begin(self) -> None:
        """Begin a row with the next line."""
        self.taken, self._chars, self.first = [], 0, self.number + 1

    def back(self, kept: int) -> bool:
        """Take back all lines of the row but the first ones, unless too much was read again already.

        All of it, to be read in another way, costs nothing: that happens to each row once.
        """
        lines = self.taken[kept:]
        if kept:
            self._left -= sum(map(len, lines))
            if self._left < 0:
                return False
            self.doubtful_until = max(self.doubtful_until, self.number)
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)
        return True


def has_between(numbers: list[int], first: int, last: int) -> bool:
    """Say whether one of some rising numbers lies between two, both included."""
    place = bisect_left(numbers, first)
    return place < len(numbers) and numbers[place] <= last
