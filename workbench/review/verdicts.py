"""What people said of a pair so far, for whoever does not have to judge it blind any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbench import access
from workbench.access import requires, requires_somewhere
from workbench.errors import UsageError
from workbench.review.items import reviewer_name
from workbench.review.states import BLIND_SOURCES, DESK_PLANS, Clock, Pair, in_utc, utc_now
from workbench.roles import Right
from workbench.store import Store, desk, verdicts
from workbench.store.labels import task_of_replay

PLANS = frozenset(each.value for each in DESK_PLANS)


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """One thing that somebody said of a pair; `superseded` says that it counts no longer."""

    verdict: str | None
    annotator: str
    reasons: tuple[str, ...]
    note: str
    corrected: str | None
    source: str
    guideline_version: str | None
    created_at: datetime
    superseded: bool


@dataclass(frozen=True, slots=True)
class VerdictHistory:
    """What was said of a pair, the earliest first, or that it stays hidden.

    `labels` is how many stand. Where `hidden`, `verdicts` is empty: the asker may still be asked for
    a blind verdict. `barred` says why they may not open it now; empty where they may.
    """

    labels: int
    verdicts: tuple[PastVerdict, ...] = ()
    hidden: bool = False
    barred: str = ""


@requires(Right.READ, task=lambda given: task_of_replay(given["store"], given["pair"][0]))
def verdict_history(
    store: Store, pair: Pair, annotator: str | None, *, now: Clock = utc_now
) -> VerdictHistory:
    """Return what was said of a pair, unless the asker may still have to judge it blind.

    Whoever has judged the pair, or has read what others said of it, may read it.

    Args:
        store: Where the labels are.
        pair: Replay and call.
        annotator: Who asks; None where nobody has said who they are, and nothing is shown before they
            open it.
        now: The clock.
    """
    annotator = _asker(annotator)
    found = verdicts.verdicts_on(store, pair)
    standing = sum(row["current"] for row in found)
    if not found:
        return VerdictHistory(0)
    if annotator is None:
        return VerdictHistory(standing, hidden=True)
    name = reviewer_name(annotator)
    if pair in verdicts.known_to(store, [pair], name, BLIND_SOURCES):
        return _told(found)
    judging = verdicts.is_judging(store, pair, name, in_utc(now()), PLANS)
    barred = "You are judging this pair yourself: say what you think first." if judging else ""
    return VerdictHistory(standing, hidden=True, barred=barred)


@requires(Right.READ, task=lambda given: task_of_replay(given["store"], given["pair"][0]))
def open_history(store: Store, pair: Pair, annotator: str | None, *, now: Clock = utc_now) -> VerdictHistory:
    """Return what was said of a pair. Who reads it is not asked to judge the pair blind any more.

    Args:
        store: Where the labels are.
        pair: Replay and call.
        annotator: Who reads; of None nothing can be noted, see `note_read`.
        now: The clock.

    Raises:
        UsageError: They are judging the pair at this moment.
    """
    annotator = _asker(annotator)
    if annotator is not None:
        known = verdict_history(store, pair, annotator, now=now)
        if known.barred:
            raise UsageError(known.barred, "Then open it again.")
        if not known.hidden:
            return known
        desk.add_opening(store, pair, reviewer_name(annotator), in_utc(now()))
    return _told(verdicts.verdicts_on(store, pair))


@requires_somewhere(Right.READ, Right.LABEL)
def note_read(store: Store, pairs: Iterable[Pair], annotator: str, *, now: Clock = utc_now) -> int:
    """Note what somebody read before they said who they are; return how many pairs were new.

    Args:
        store: Where it is noted.
        pairs: On which they read what was said.
        annotator: Who.
        now: The clock.
    """
    name = reviewer_name(annotator)
    read = list(dict.fromkeys(pairs))
    if not read:
        return 0
    with store.writing() as writer:
        fresh = [each for each in read if not desk.has_opened(writer, each, name)]
        for each in fresh:
            desk.add_opening(writer, each, name, in_utc(now()))
    return len(fresh)


@requires_somewhere(Right.READ)
def hidden_from(store: Store, pairs: Sequence[Pair], annotator: str | None) -> frozenset[Pair]:
    """Return the pairs of which a reviewer may not read yet what others said.

    Args:
        store: Where the labels are.
        pairs: Replay and call of each.
        annotator: Who; None is nobody's reviewer, and nothing is hidden.
    """
    if annotator is None or not pairs:
        return frozenset()
    return frozenset(pairs) - verdicts.known_to(store, pairs, reviewer_name(annotator), BLIND_SOURCES)


def _asker(annotator: str | None) -> str | None:
    """Return under which name somebody asks: a signed-in person who labels can't ask as nobody."""
    actor = access.current()
    if annotator is None and actor.signed_in and actor.may_somewhere(Right.LABEL):
        return actor.name
    return annotator


def _told(found: list[dict[str, Any]]) -> VerdictHistory:
    told = tuple(
        PastVerdict(
            verdict=row["verdict"],
            annotator=row["annotator"],
            reasons=tuple(row["reasons"]),
            note=row["note"],
            corrected=row["corrected"],
            # Nobody learns here which pairs were checks of attention.
            source="queue" if row["source"] == "attention" else row["source"],
            guideline_version=row["guideline_version"],
            created_at=row["created_at"],
            superseded=not row["current"],
        )
        for row in found
    )
    return VerdictHistory(sum(not each.superseded for each in told), told)
