"""How money reads: the same on pages, in reports and on the command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.costing.ways import Amount

LEAST_USD = 1e-6
"""Smaller sums are said to be below it."""


def money(usd: float) -> str:
    """Return US dollars with cents, and below a cent with three digits that count: $482.10, $0.00114.

    Args:
        usd: The sum; below 0 its minus sign stands in front. Smaller than `LEAST_USD` it reads so, never
            as nothing where something was paid.
    """
    size = abs(usd)
    if 0 < size < LEAST_USD:
        return f"<${LEAST_USD:.6f}"
    text = f"{size:,.2f}"
    if 0 < size < 0.01:
        text = f"{size:.{2 - math.floor(math.log10(size))}f}".rstrip("0")
    return f"{'−' if usd < 0 else ''}${text}"


def between(low: float, high: float) -> str:
    """Return limits in brackets behind a sum: " ($1.09 to $1.60)"; nothing where both read alike.

    Args:
        low: The lower limit, in US dollars.
        high: The upper one.
    """
    if money(low) == money(high):
        return ""
    return f" ({money(low)} to {money(high)})"


def amount(found: Amount | None) -> str:
    """Return US dollars with their limits, where these say more than the sum, or that they are not known."""
    return "not known" if found is None else f"{money(found.point)}{between(found.low, found.high)}"
