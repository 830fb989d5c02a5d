"""What a decision refuses: numbers that can't be, which would look like any other evidence. Pure."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from workbench.records import Policy
from workbench.stats.arguments import check_counts, check_delta, check_rate
from workbench.stats.evidence import Evidence

if TYPE_CHECKING:
    from workbench.ramp import State

RATES = ("icc", "maximum_uncomparable", "maximum_invalid", "frontier_reserve")
OPTIONAL_RATES = ("exploration_budget", "critical_tolerance", "session_tolerance")
LEAST = ("minimum_pairs", "minimum_live_calls", "minimum_days_in_stage", "minimum_days_of_traffic")


def check_policy(policy: Policy) -> None:
    """Refuse a policy whose numbers can't be; an eval's own is checked with its file.

    Args:
        policy: What a team accepts.

    Raises:
        ValueError: A rate is none, as where percent are given, or stages don't rise from 0 to 1.
    """
    check_delta(policy.delta)
    check_rate(policy.tolerance, "tolerance")
    for name in RATES:
        check_rate(getattr(policy, name), name)
    for name in OPTIONAL_RATES:
        if (rate := getattr(policy, name)) is not None:
            check_rate(rate, name)
    for name in LEAST:
        _check_size(getattr(policy, name), name)
    if policy.latency_p95_ms is not None:
        _check_size(policy.latency_p95_ms, "latency_p95_ms")
    if policy.harm not in ("regressions", "net"):
        raise ValueError(f"harm is 'regressions' or 'net'; it is {policy.harm!r}")
    stages = policy.ladder
    if len(stages) < 2 or stages[0] != 0 or stages[-1] != 1 or any(a >= b for a, b in pairwise(stages)):
        raise ValueError(f"the stages of a ladder rise from 0 to 1; they are {stages}")


def check_evidence(evidence: Evidence) -> None:
    """Refuse evidence whose numbers can't be.

    Args:
        evidence: What is known.

    Raises:
        ValueError: A count is negative, missing or more than there are, or a share is none.
    """
    compared = evidence.task.compared
    for bad in (evidence.invalid, evidence.ignored, evidence.task.disagreements):
        check_counts(bad, compared)
    check_counts(0, evidence.uncomparable)
    for size, name in ((evidence.days, "days"), (evidence.calls_per_day, "calls_per_day")):
        if size is not None:
            _check_size(size, name)
    for each in evidence.slices:
        check_rate(each.traffic_share, f"the traffic share of {each.name} = {each.value}")
    measured = evidence.latency_p95_ms
    if measured is not None and math.isnan(measured.high):
        raise ValueError("the upper end of latency is missing; infinite is one that isn't known")


def check_state(state: State) -> None:
    """Refuse a state whose numbers can't be.

    Args:
        state: Where the roll-out stands.

    Raises:
        ValueError: The share is none, or a number is negative or missing.
    """
    check_rate(state.share, "the present share")
    if state.without_override is not None:
        check_rate(state.without_override, "the share without the override")
    for size, name in ((state.days_in_stage, "days_in_stage"), (state.live_compared, "live_compared")):
        if size is not None:
            _check_size(size, name)


def _check_size(size: float, name: str) -> None:
    # Asked this way round, what is not a number is refused, too.
    if not 0 <= size < math.inf:
        raise ValueError(f"{name} can't be {size:g}")
