"""Other costs and assumptions than those of `[costs]`, as an address and a command line carry them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.costing.plan import CostPlan

NOT_GIVEN = "none"
"""Stands for an amount that nobody has given, where `[costs]` gives one."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """One figure that may be tried: its key in the plan, its limits, and how it reads.

    `per` is what one of the plan's own is in the unit that people type: 100 for a share in %. `hosted` says
    that it is a key of `[costs.self_hosted]`.
    """

    key: str
    label: str
    most: float
    least: float = 0.0
    per: float = 1.0
    hosted: bool = False
    whole: bool = False


MOST_USD = 1e12
ASSUMPTIONS: dict[str, Assumption] = {
    "engineering": Assumption("engineering_usd_month", "Engineering a month, USD", MOST_USD),
    "labelling": Assumption("labelling_usd_month", "Labelling a month, USD", MOST_USD),
    "retraining": Assumption("retraining_usd_month", "Re-training a month, USD", MOST_USD),
    "moving": Assumption("one_off_usd", "Work of moving, once, USD", MOST_USD),
    "waiting": Assumption("batchable_share", "Calls that can wait, %", 100.0, per=100.0),
    "used": Assumption("utilisation", "GPU used, %", 100.0, 1.0, per=100.0, hosted=True),
    "peak": Assumption("peak_to_mean", "Peak over mean", 1_000.0, 1.0, hosted=True),
    "warm": Assumption("warm_replicas", "Warm replicas", 10_000.0, hosted=True, whole=True),
}
"""All of them by their word in an address."""


def figure_of(plan: CostPlan, word: str) -> float | None:
    """Return what a plan says of an assumption, in the unit that people type; None where it says nothing."""
    each = ASSUMPTIONS[word]
    holder = plan.self_hosted if each.hosted else plan
    value = getattr(holder, each.key) if holder is not None else None
    return None if value is None else each.per * value


def read(word: str, said: str) -> float | None:
    """Return the figure that a word of an address stands for, in the unit that people type.

    Args:
        word: One of `ASSUMPTIONS`.
        said: A number, or `NOT_GIVEN`.

    Returns:
        The figure; None for `NOT_GIVEN`.

    Raises:
        ValueError: It is no number, or outside the limits.
    """
    each = ASSUMPTIONS[word]
    if said == NOT_GIVEN and not each.hosted:
        return None
    value = float(said)
    if not (math.isfinite(value) and each.least <= value <= each.most) or (
        each.whole and value != int(value)
    ):
        raise ValueError(said)
    return value


def tried(plan: CostPlan, figures: Mapping[str, float | None]) -> CostPlan:
    """Return a plan with other figures; those that it has already stay to the last digit.

    Args:
        plan: As `[costs]` has it.
        figures: By the words of `ASSUMPTIONS`, in the unit that people type; None where none is given.
    """
    changes: dict[bool, dict[str, Any]] = {False: {}, True: {}}
    for word, value in figures.items():
        each = ASSUMPTIONS[word]
        if value == figure_of(plan, word):
            continue
        own = None if value is None else value / each.per
        changes[each.hosted][each.key] = int(own) if own is not None and each.whole else own
    hosted = plan.self_hosted
    if hosted is not None and changes[True]:
        hosted = replace(hosted, **changes[True])
    return replace(plan, **changes[False], self_hosted=hosted)
