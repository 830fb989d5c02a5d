"""Stages of a roll-out: what a bound supports, and the next stage up and down."""

from __future__ import annotations

from workbench.records import Policy

EPSILON = 1e-9
"""Shares times bounds are compared with this slack: 0.1 * 0.1 > 0.01 in floating point."""
CEILING = 4.0
"""Live traffic needs a bound of at most this many tolerances."""


def cap_of(bound: float, policy: Policy) -> float:
    """Return the largest share that an upper bound on harm supports.

    Args:
        bound: Upper bound on harm (or on net harm, which may be below 0).
        policy: Tolerance, exploration budget and ladder.
    """
    if bound <= policy.tolerance + EPSILON:
        return policy.ladder[-1]
    if bound > CEILING * policy.tolerance + EPSILON:
        return 0.0
    return max(
        (stage for stage in policy.ladder[:-1] if stage * bound <= policy.budget + EPSILON), default=0.0
    )


def bound_needed(stage: float, policy: Policy) -> float:
    """Return the largest upper bound on harm that still supports a stage above 0."""
    if stage >= policy.ladder[-1]:
        return policy.tolerance
    return max(policy.tolerance, min(CEILING * policy.tolerance, policy.budget / stage))


def allowed(share: float, policy: Policy) -> tuple[float, float] | None:
    """Return a share above 0, or else the first stage, and the largest bound that it allows.

    None where that is the tolerance itself, as for all of the traffic, and where worse minus better decides:
    that is then what a stage allows a bound on.

    Args:
        share: Share of traffic, 0..1.
        policy: Tolerance, exploration budget and ladder.
    """
    stage = share if share > EPSILON else stage_above(0.0, policy)
    if stage is None or policy.harm == "net":
        return None
    bound = bound_needed(stage, policy)
    return None if bound <= policy.tolerance + EPSILON else (stage, bound)


def stage_above(share: float, policy: Policy) -> float | None:
    """Return the first stage above a share, or None at the top."""
    return next((stage for stage in policy.ladder if stage > share + EPSILON), None)


def stage_below(share: float, policy: Policy) -> float:
    """Return the last stage below a share; 0 at the bottom."""
    return max((stage for stage in policy.ladder if stage < share - EPSILON), default=0.0)


def floor_stage(share: float, policy: Policy) -> float:
    """Return the last stage that does not exceed a share."""
    return max((stage for stage in policy.ladder if stage <= share + EPSILON), default=0.0)
