"""Parts that several readers complete, in the order of their rows."""

from __future__ import annotations

from collections import deque


class InOrder:
    """Gives names in order as soon as no earlier one can come any more.

    Args:
        readers: How many there are; each completes its parts in order.
    """

    def __init__(self, readers: int) -> None:
        self._waiting: list[deque[str]] = [deque() for _ in range(readers)]
        self._going = set(range(readers))

    def add(self, reader: int, name: str) -> list[str]:
        """Take a part that a reader completed, and return those that are settled by it."""
        self._waiting[reader].append(name)
        return self._settled()

    def end(self, reader: int) -> list[str]:
        """Take that a reader is done, and return the parts that are settled by it."""
        self._going.discard(reader)
        return self._settled()

    def _settled(self) -> list[str]:
        found: list[str] = []
        while all(self._waiting[each] for each in self._going):
            heads = [each for each in self._waiting if each]
            if not heads:
                break
            found.append(min(heads, key=lambda each: each[0]).popleft())
        return found
