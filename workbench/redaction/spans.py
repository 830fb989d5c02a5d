"""What a detector says: where in a text something personal stands, and who it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Span:
    """A found piece of text. `normal` is one spelling for one person: it makes the placeholder.

    `kind` is in capitals, such as EMAIL; `end` is exclusive.
    """

    start: int
    end: int
    kind: str
    normal: str


class Detector(Protocol):
    """Finds what is personal. Pure, linear in the length of the text, never raises on it."""

    name: str

    def find(self, text: str) -> Iterable[Span]:
        """Return what it finds, in any order; spans may overlap those of others."""
        ...


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order without overlaps.

    Of two that overlap the earlier, then the longer, gives the kind; it grows over the
    other, so that nothing found stays.
    """
    found: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        if found and span.start < found[-1].end:
            last = found[-1]
            if span.end > last.end:
                found[-1] = Span(last.start, span.end, last.kind, f"{last.normal}\0{span.normal}")
        elif span.end > span.start:
            found.append(span)
    return found
