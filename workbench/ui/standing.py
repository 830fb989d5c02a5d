"""How every task and candidate stands, remembered by pair: a label of one makes no other be weighed again.

Weighing the evidence of ten thousand compared calls takes about a second. So rows are kept for the whole
server, each under a stamp of its own evidence, and a page shows what it knows before it weighs the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import streamlit as st

from workbench import access
from workbench.compare import evaluator_version
from workbench.review.states import LEASE
from workbench.roles import Right
from workbench.rollout import in_force
from workbench.scoring import OverviewRow
from workbench.scoring.overview import row_of as weigh
from workbench.scoring.stage import has_lasted
from workbench.scoring.targets import targets
from workbench.store import Store
from workbench.store import overview as aggregates
from workbench.ui.session import ask, here, read

AT_ONCE = 12_000
"""Compared calls that a page weighs before it shows anything: about a second."""
EACH = 2_500
"""A pair costs as much as so many of its calls, however few it has."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pair whose evidence is not weighed as it stands now; `compared` and `differing` are counted.

    `share` is what the candidate serves by the decision in force.
    """

    task: str
    candidate: str
    fingerprint: str
    compared: int
    differing: int
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known. `rows` may hold rows from before a change; those pairs are among `waiting`."""

    rows: tuple[OverviewRow, ...]
    waiting: tuple[Waiting, ...]

    @property
    def is_small(self) -> bool:
        """Return whether what waits can be weighed before the page is shown."""
        return sum(each.compared + EACH for each in self.waiting) <= AT_ONCE


@dataclass
class _Kept:
    """Rows of one workspace by task and candidate, each with the key it holds under."""

    rows: dict[tuple[str, str], tuple[str, OverviewRow | None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def look() -> Standing:
    """Return every row that is known, and what has to be weighed."""
    rows, waiting = [], []
    kept = _kept(str(here().workspace.root)).rows
    for each, key in _pairs():
        known = kept.get((each.task, each.candidate))
        if known is None or known[0] != key:
            waiting.append(each)
        if known is not None and known[1] is not None:
            rows.append(known[1])
    return Standing(tuple(rows), tuple(waiting))


def weigh_waiting() -> Iterator[int]:
    """Weigh what waits, one pair after the other; yields how many are left after each."""
    left = look().waiting
    for number, each in enumerate(left, start=1):
        _weighed(each.task, each.candidate)
        yield len(left) - number


def rows() -> list[OverviewRow]:
    """Return every row as it stands now; what is not known is weighed first."""
    for _ in weigh_waiting():
        pass
    return list(look().rows)


def row_of(task: str, candidate: str) -> OverviewRow | None:
    """Return the row of one task and candidate as it stands now, or None where nothing is compared."""
    return _weighed(task, candidate)


def _weighed(task: str, candidate: str) -> OverviewRow | None:
    now = here()
    kept = _kept(str(now.workspace.root))
    with kept.lock:
        # Somebody else may have weighed it while this one waited.
        found = _pairs((task, candidate))
        if not found:
            return None
        waiting, key = found[0]
        known = kept.rows.get((task, candidate))
        if known is not None and known[0] == key:
            return known[1]
        config = now.workspace.eval_for(task)
        fingerprint = next(found for of, name, found in ask(targets, task) if name == candidate)
        row = weigh(now.workspace, now.store, config, candidate, fingerprint, waiting.share)
        kept.rows[task, candidate] = (key, row)
        return row


def _pairs(only: tuple[str, str] | None = None) -> list[tuple[Waiting, str]]:
    """Return every pair that was replayed, or only one, with the key that its row holds under now."""
    now = here()
    stamps, counts = read(_stamps, _minute()), read(aggregates.compared)
    found = []
    for config, name, fingerprint in ask(targets):
        if only not in (None, (config.task, name)) or not access.may(Right.SEE, config.task):
            continue
        version = evaluator_version(config)
        compared, differing = counts.get((config.task, fingerprint, version), (0, 0))
        share = ask(in_force, config.task, name, now=_minute()).share
        each = Waiting(config.task, name, fingerprint, compared, differing, share)
        lasted = share > 0 and read(
            has_lasted, config.task, name, fingerprint, config.policy.minimum_days_in_stage, _minute()
        )
        stamp = stamps.get((config.task, fingerprint), "")
        found.append((each, f"{now.signature} {share} {lasted} {stamp}"))
    return found


def _stamps(store: Store, minute: datetime) -> dict[tuple[str, str], str]:
    return aggregates.stamps(store, lapse_after=LEASE, now=minute)


def _minute() -> datetime:
    """Return the present to the minute: a draw that lapses is seen within one, without a query a run."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


@st.cache_resource(show_spinner=False, max_entries=16)
def _kept(root: str) -> _Kept:
    return _Kept()
