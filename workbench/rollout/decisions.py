"""Accepted decisions, and which of them is in force. Pure.

A decision is a share that a person accepted. One that is not the recommended share is an override: it
has a reason and an end. When it ends, traffic never rises by itself: what was accepted before and what
the evidence carried at the time both still bound it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from workbench.errors import UsageError
from workbench.normal import clean_text, content_hash
from workbench.records import Estimate, SliceShare, as_builtins
from workbench.stats.ladder import EPSILON
from workbench.stats.wording import percent

LONGEST_OVERRIDE = timedelta(days=30)
"""An override that is needed for longer is another policy, and belongs into eval.toml."""
REASON_CHARS = 2_000


class Override(StrEnum):
    """Which way a decision departs from the recommendation."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Moves:
    """What moves at a share of the task: each slice at its own, and `effective_share` in all."""

    share: float
    effective_share: float
    slices: tuple[SliceShare, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """One share that a person accepted. Immutable; `seq` orders decisions where the clock can't.

    `recommended_share` and `supported_share` (the cap of the evidence) are those of the recommendation
    that was shown, `current_share` what was served then. `fallback` is what holds once an override has
    expired. `entry_hash` covers all of it and `previous_hash`, that of the decision before.
    """

    decision_id: str
    seq: int
    task: str
    candidate: str
    candidate_fingerprint: str
    evaluator_version: str
    action: str
    share: float
    recommended_share: float
    supported_share: float
    current_share: float
    moves: Moves
    fallback: Moves
    harm: Estimate
    binding_reason: str
    reason: str
    expires_at: datetime | None
    decided_by: str
    decided_at: datetime
    evidence_hash: str
    policy_version: str
    policy: str
    previous_hash: str
    entry_hash: str

    @property
    def override(self) -> Override | None:
        """Return which way it departs from the recommendation, or None."""
        return override_of(self.share, self.recommended_share)

    def has_expired(self, now: datetime) -> bool:
        """Say whether it is an override that has ended."""
        return self.expires_at is not None and now >= self.expires_at


class Force(StrEnum):
    """What the newest decision means today."""

    NONE = "none"
    ACCEPTED = "accepted"
    OVERRIDE = "override"
    EXPIRED = "expired"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in force of a task and candidate: what moves, by which decision, and a sentence on it.

    `raised` says that an override holds the share above the recommended one.
    """

    force: Force
    moves: Moves
    decision: Decision | None
    sentence: str

    @property
    def share(self) -> float:
        """Return the share in force, 0..1."""
        return self.moves.share

    @property
    def raised(self) -> bool:
        """Say whether an upward override is in force."""
        return (
            self.force is Force.OVERRIDE
            and self.decision is not None
            and self.decision.override is Override.UP
        )

    @property
    def without_override(self) -> float:
        """Return the share in force that no override raised, 0..1."""
        return self.decision.fallback.share if self.raised and self.decision is not None else self.share


NOTHING = Moves(0.0, 0.0)


def override_of(share: float, recommended: float) -> Override | None:
    """Return which way a share departs from the recommended one, or None."""
    if abs(share - recommended) <= EPSILON:
        return None
    return Override.UP if share > recommended else Override.DOWN


def is_claim(served: float, in_force: float) -> bool:
    """Say whether more is said to be served than is in force, 0..1: nobody accepted the difference."""
    return served > in_force + EPSILON


def checked_claim(served: float, in_force: float, reason: str) -> None:
    """Refuse a share that is said to be served and that nobody accepted, unless somebody says why.

    The next stage is reckoned from what is served, so that a claim takes traffic further than the log did.

    Args:
        served: What is said to be served, 0..1.
        in_force: What the log has in force.
        reason: Why, as it is kept.

    Raises:
        UsageError: There is no reason.
    """
    if is_claim(served, in_force) and not reason:
        raise UsageError(
            f"{percent(served)} is said to be served, and {percent(in_force)} is in force: that needs a "
            "reason.",
            "Say why more is served than was accepted, or leave the share at what is in force.",
        )


def checked_override(
    override: Override | None, reason: str, until: datetime | None, now: datetime
) -> tuple[str, datetime | None]:
    """Return reason and end of a decision as they are kept.

    Args:
        override: Which way it departs from the recommendation.
        reason: Why; needed for an override.
        until: When it ends; needed for an override, and only there.
        now: The present.

    Raises:
        UsageError: One of them is missing, or the end is past or too far.
    """
    said = clean_text(reason)[0].strip()
    if len(said) > REASON_CHARS:
        raise UsageError(
            f"The reason has {len(said):,} characters; {REASON_CHARS:,} are kept.", "Shorten it."
        )
    if override is None:
        if until is not None:
            raise UsageError(
                "The recommended share needs no end: it stands until another one is accepted.",
                "Leave the end out.",
            )
        return said, None
    which = "above" if override is Override.UP else "below"
    if not said:
        raise UsageError(f"This share is {which} the recommended one: it needs a reason.", "Say why.")
    if until is None:
        raise UsageError(
            f"This share is {which} the recommended one: it needs an end.",
            f"Say until when, at most {LONGEST_OVERRIDE.days} days from now.",
        )
    end = in_utc(until)
    if end <= now:
        raise UsageError("The end of the override is past.", "Name a later one.")
    if end > now + LONGEST_OVERRIDE:
        raise UsageError(
            f"An override lasts at most {LONGEST_OVERRIDE.days} days.",
            "Name an earlier end; where it is needed for longer, the policy in eval.toml is another one.",
        )
    return said, end


def slices_at(slices: Sequence[SliceShare], share: float) -> tuple[SliceShare, ...]:
    """Return what each slice carries at a share of the task: never more than its own evidence does."""
    return tuple(
        replace(each, share=min(share, each.cap) if each.status == "active" else 0.0) for each in slices
    )


def fallback_share(share: float, recommended: float, in_force: float) -> float:
    """Return the share that holds once a decision has expired: traffic never rises by itself.

    Args:
        share: The accepted share.
        recommended: What the evidence carried when it was accepted.
        in_force: What was in force before, without an override that raised it.
    """
    return min(share, recommended, in_force)


def standing(log: Sequence[Decision], fingerprint: str, now: datetime) -> Standing:
    """Return what is in force of one task and candidate.

    Args:
        log: Its decisions in order.
        fingerprint: The candidate's, as it is configured now.
        now: The present. A clock that went back revives no override that had ended.
    """
    if not log:
        return Standing(Force.NONE, NOTHING, None, "No share was accepted yet: nothing moves.")
    last = log[-1]
    now = max(now, *(each.decided_at for each in log))
    when, who = moment(last.decided_at), last.decided_by
    if last.candidate_fingerprint != fingerprint:
        return Standing(
            Force.REPLACED,
            NOTHING,
            last,
            f"{percent(last.share)} was accepted by {who} on {when} for the candidate as it was configured "
            "then. It is configured otherwise now, so nothing of it is in force.",
        )
    if last.has_expired(now):
        return Standing(
            Force.EXPIRED,
            last.fallback,
            last,
            f"The override to {percent(last.share)} by {who} ended on {moment(last.expires_at)}: "
            f"{percent(last.fallback.share)} holds until a share is accepted.",
        )
    if last.override is None:
        return Standing(
            Force.ACCEPTED, last.moves, last, f"{percent(last.share)} was accepted by {who} on {when}."
        )
    which = "above" if last.override is Override.UP else "below"
    return Standing(
        Force.OVERRIDE,
        last.moves,
        last,
        f"Override: {percent(last.share)} by {who} on {when}, {which} the recommended "
        f"{percent(last.recommended_share)}, until {moment(last.expires_at)}; then "
        f"{percent(last.fallback.share)}. Reason: {' '.join(last.reason.split())}",
    )


def entry_hash(row: dict[str, Any]) -> str:
    """Return the hash of a decision as it is stored, over all columns but `seq` and the hash itself."""
    content = {key: value for key, value in row.items() if key not in ("seq", "decision_id", "entry_hash")}
    for name in ("decided_at", "expires_at"):
        moment_of = content[name]
        content[name] = None if moment_of is None else in_utc(moment_of).isoformat()
    return content_hash("decision", as_builtins(content))


def in_utc(when: datetime) -> datetime:
    """Return a time in UTC; one without a zone counts as UTC."""
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def moment(when: datetime | None) -> str:
    """Return a time as text, in UTC."""
    return "-" if when is None else f"{in_utc(when):%Y-%m-%d %H:%M} UTC"
