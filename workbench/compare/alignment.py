"""Pairing the items of two lists whose order does not count."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import zip_longest
from typing import Any

Pairs = list[tuple[Any, Any]]

MAX_ALIGNED = 100
"""Of longer lists the equal items are paired first: an assignment takes the product of both lengths."""


def best_pairs(
    first: Sequence[Any],
    second: Sequence[Any],
    equal_parts: Callable[[Any, Any], Sequence[bool]],
    missing: Any,
) -> Pairs:
    """Pair the items so that the most of them are equal, and then the most of their parts.

    Swapping the lists swaps the pairs and changes nothing else, also where several
    assignments are equally good.

    Args:
        first: The items of one side.
        second: The items of the other.
        equal_parts: Says for two items which of their parts are equal.
        missing: Stands for the partner of an item that has none.
    """
    if _order(first) > _order(second):
        return [(a, b) for b, a in best_pairs(second, first, equal_parts, missing)]
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    same = np.zeros((len(first), len(second)))
    parts = np.zeros((len(first), len(second)))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            found = equal_parts(a, b)
            parts[i, j] = sum(found)
            same[i, j] = all(found)
    # An equal item outweighs all the equal parts there may be elsewhere.
    rows, columns = linear_sum_assignment(
        parts + same * (parts.max(initial=0) * len(first) + 1), maximize=True
    )
    pairs = [(first[i], second[j]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)]
    pairs += [(a, missing) for i, a in enumerate(first) if i not in set(rows.tolist())]
    return pairs + [(missing, b) for j, b in enumerate(second) if j not in set(columns.tolist())]


def near_best_pairs(
    first: Sequence[Any],
    second: Sequence[Any],
    key: Callable[[Any], Hashable],
    equal_parts: Callable[[Any, Any], Sequence[bool]],
    missing: Any,
) -> Pairs:
    """Pair the items of long lists: those that are equal, then the rest by the best assignment.

    Where more than `MAX_ALIGNED` are left, these are paired by their places.

    Args:
        first: The items of one side.
        second: The items of the other.
        key: Equal for equal items.
        equal_parts: Says for two items which of their parts are equal.
        missing: Stands for the partner of an item that has none.
    """
    waiting: dict[Hashable, deque[int]] = {}
    for place, item in enumerate(second):
        waiting.setdefault(key(item), deque()).append(place)
    pairs: Pairs = []
    rest, taken = [], set()
    for item in first:
        same = waiting.get(key(item))
        if same:
            # Of equal items the first is taken, whichever side asks: the rest keeps its order.
            place = same.popleft()
            taken.add(place)
            pairs.append((item, second[place]))
        else:
            rest.append(item)
    left_over = [item for place, item in enumerate(second) if place not in taken]
    if max(len(rest), len(left_over)) <= MAX_ALIGNED:
        return pairs + best_pairs(rest, left_over, equal_parts, missing)
    return pairs + list(zip_longest(rest, left_over, fillvalue=missing))


def _order(items: Sequence[Any]) -> str:
    """Return what tells two lists apart, so that either can be called the first."""
    return repr(items)
