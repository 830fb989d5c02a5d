"""What a look found and another must refute: a hold ends on evidence, and not on a look that saw nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from workbench.stats.looks import level_of_look

LIKELY = 0.05
"""Error probability of all looks at one evaluation together: that any of them ever holds a share falsely."""
PART = LIKELY / 2
"""Of it, what all looks at the mix may cost, and all looks at content."""


@dataclass(frozen=True, slots=True)
class Held:
    """Since when something counts as moved, and what was seen then.

    `at_least` is the largest lower limit, of all looks since that saw it, of the share of calls that had
    moved. What is known only through a classifier may be missed by one that learns from less: `looked_at`
    calls of the smaller window were what that look was at. `begins` is when the calls begin among which it
    was first seen (UTC), None where they were all that were imported since the evaluation.
    """

    at: datetime
    at_least: float
    looked_at: int = 0
    begins: datetime | None = None

    def seen_again(self, at_least: float, looked_at: int = 0) -> Held:
        """Return what is to be refuted after another look saw it."""
        return replace(self, at_least=at_least, looked_at=looked_at) if at_least > self.at_least else self


@dataclass(frozen=True, slots=True)
class Look:
    """One look: its number among those that were kept, and a hash of what it looked at."""

    number: int
    windows: str

    @property
    def level(self) -> float:
        """Return the error probability that this look may cost."""
        return level_of_look(self.number, PART)

    @property
    def limit_level(self) -> float:
        """Return the error probability of a limit at this look: of two, all looks together err at `PART`."""
        return self.level / 2


def look_at(windows: str, earlier: Mapping[str, int], uncounted: int) -> Look:
    """Return which look it is to look at some windows: an earlier one where they are the same.

    Args:
        windows: A hash of all that the look depends on.
        earlier: Number of each look that was kept, by the hash of its windows.
        uncounted: Looks from before they were counted.
    """
    known = earlier.get(windows)
    return Look(known or max(earlier.values(), default=uncounted) + 1, windows)


def level_for(look: Look, held: bool) -> float:
    """Return what a p-value is set against.

    Args:
        look: Which look it is.
        held: Whether it is about what is held already: what an ordinary test still sees is not gone.
    """
    return LIKELY if held else look.level


def refuted(held: Held, at_most: float, looked_at: int = 0) -> bool:
    """Say whether a look that sees nothing of what was held shows that it is gone.

    It learns from no fewer calls, and the most that can have moved is less than the least that had. Where
    what was seen is still there, one of the two limits is wrong then: over all looks with probability `PART`
    at most.

    Args:
        held: What was seen.
        at_most: Upper limit of the share of calls that moved, by this look, 0..1.
        looked_at: Calls of the smaller window, where a classifier learns from them.
    """
    return at_most < held.at_least and looked_at >= held.looked_at
