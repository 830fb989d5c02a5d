"""How old the evidence of a task and a candidate is, and what of it has gone stale."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from workbench.stats.wording import count, plural
from workbench.store import overview as rows
from workbench.store.calls import in_utc

if TYPE_CHECKING:
    from workbench.store import Store

STALE_AFTER = timedelta(days=28)
"""As long as the window that a task's volume is measured over: beyond it, traffic may be another."""


@dataclass(frozen=True, slots=True)
class Ages:
    """When something last happened, in UTC; None where it never did, or the log has no times.

    `newer` counts calls that were stored after the candidate's last replay was planned: no evidence
    holds them.
    """

    last_call_at: datetime | None
    last_replay_at: datetime | None
    last_label_at: datetime | None
    newer: int = 0


def ages_of(store: Store, task: str, fingerprint: str) -> Ages:
    """Return the ages of a candidate's evidence on a task.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
    """
    row = rows.ages(store, task, fingerprint)
    return Ages(
        in_utc(row["last_call_at"]),
        in_utc(row["last_replay_at"]),
        in_utc(row["last_label_at"]),
        int(row["newer"]),
    )


def stale(ages: Ages, now: datetime) -> tuple[str, ...]:
    """Return what has gone stale, a sentence each, the most pressing first; nothing where all is fresh.

    Args:
        ages: What `ages_of` returned.
        now: The present, in UTC.
    """
    said = []
    if ages.newer:
        are = "is" if ages.newer == 1 else "are"
        said.append(f"{plural(ages.newer, 'call')} came in after the last replay and {are} in no evidence.")
    for what, moment in (
        ("newest logged call", ages.last_call_at),
        ("last replay", ages.last_replay_at),
        ("last label", ages.last_label_at),
    ):
        if moment is not None and is_old(moment, now):
            said.append(f"The {what} is {count((now - moment).days)} days old.")
    return tuple(said)


def is_old(moment: datetime | None, now: datetime) -> bool:
    """Say whether something was so long ago that `stale` names it with its age."""
    return moment is not None and now - moment > STALE_AFTER
