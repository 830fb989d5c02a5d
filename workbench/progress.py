"""How long work reports where it stands, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a piece of long work stands. `total` is None while it is unknown.

    `per_s` and `left_s` are what the work itself knows of its pace; without them the
    listener goes by what it has heard. What `stays` is no state that the next one replaces:
    its note is to be read, on a line of its own.
    """

    stage: str
    done: int
    total: int | None = None
    unit: str = "calls"
    note: str = ""
    per_s: float | None = None
    left_s: float | None = None
    stays: bool = False


Listener = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Listen to nothing."""
