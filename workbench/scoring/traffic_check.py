"""Is newly imported traffic like what a candidate was evaluated on: its mix of slices, and its content?

Each check is kept, and the newest counts: it holds a share (`traffic_window`), and reviewers are asked for
what is new first. What an earlier one found counts in it until it is refuted (`held`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.access import requires
from workbench.config import Workspace
from workbench.normal import content_hash, naive_utc
from workbench.progress import Listener, silent
from workbench.records import from_json, to_json
from workbench.roles import Right
from workbench.scoring.held import LIKELY, Held, Look, level_for, look_at, refuted
from workbench.scoring.recent import recent_begins
from workbench.scoring.targets import fingerprint_of
from workbench.scoring.traffic_inputs import Inputs, named_of
from workbench.scoring.traffic_mix import MixShift, mix_of
from workbench.specs import EvalConfig
from workbench.stats.content import FOLDS, told_limits, two_sample
from workbench.stats.evidence import SliceEvidence
from workbench.stats.permuted import Shift
from workbench.stats.wording import measured, percent, plural
from workbench.store.drift import imported_after
from workbench.store.traffic_checks import CONTENT, MIX, add_check, calls_named, looks_kept, newest_check

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class TrafficCheck:
    """What a check found of the calls imported after `since` (UTC), set against those before.

    A late change would be lost among all that came before it: the newest calls, those of the last week
    (`recent`: since when, UTC; None where all are), are looked at, their mix beside that of all.
    `content` is None where too few inputs of a window have embeddings; `content_moved` says that it counts
    as new, since what `content_held` says, whether or not this look saw it (`content_seen`). `notes`, which
    are not kept, say why something is missing. `told_apart` are compared calls of new content that no earlier
    check named. `mix_look` and `content_look` say which look it was and what at.
    """

    since: datetime
    checked_at: datetime
    new_calls: int
    mix: tuple[MixShift, ...] = ()
    content: Shift | None = None
    content_moved: bool = False
    told_apart: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    content_held: Held | None = None
    content_seen: bool = True
    mix_look: Look | None = None
    content_look: Look | None = None
    recent: datetime | None = None

    @property
    def moved(self) -> tuple[str, ...]:
        """Return what is another than it was, in words."""
        shifted = tuple(dict.fromkeys(f"mix by {each.slice}" for each in self.mix if each.shifted))
        return (*shifted, "content") if self.content_moved else shifted

    @property
    def begins(self) -> datetime | None:
        """Return when the calls begin that are another than they were, UTC; None where all newer ones are."""
        held = [*(each.held for each in self.mix if each.shifted), self.content_held]
        return max((each.begins for each in held if each and each.begins), default=None)

    @property
    def lines(self) -> list[str]:
        """Return what was found, as lines."""
        lines = [line for each in self.mix for line in each.lines]
        unrated = max((each.unrated for each in self.mix), default=0)
        if unrated:
            lines.append(
                f"Of {plural(unrated, 'call')} nobody knows what share of the traffic was logged: the mix is "
                "that of the log, and moves where other calls are logged. State the sampling rate "
                "at import; where they are in already, undo that first (workbench import --undo MANIFEST)."
            )
        if self.content is not None:
            state = "new content" if self.content_moved else "no shift seen"
            of = "" if self.recent is None else f" since {self.recent:%Y-%m-%d}"
            lines.append(
                f"Inputs{of}: told apart in {measured(self.content.value)} (chance 50 %), "
                f"p = {self.content.p_value:.2g}: {state}."
            )
            if self.content_moved and not self.content_seen and self.content_held is not None:
                lines.append(
                    f"  It was seen on {self.content_held.at:%Y-%m-%d}; a look that does not see it is no "
                    "proof that it is gone."
                )
        elif self.new_calls:
            lines.append("Inputs are not compared: too few of both windows are embedded.")
        looks = {"mix": self.mix_look, "content": self.content_look}
        said = [f"{each.level:.2g} for {name} (look {each.number})" for name, each in looks.items() if each]
        if said:
            lines.append(
                f"A new shift is one with p up to {' and '.join(said)}, that of a mix times the number of "
                f"mixes: all looks together hold a share falsely with {percent(LIKELY)} at most."
            )
        if self.told_apart:
            lines.append(f"Review asks for {plural(len(self.told_apart), 'compared call')} of it first.")
        return lines


def check_traffic(
    store: Store,
    config: EvalConfig,
    fingerprint: str,
    moment: datetime,
    *,
    compared: Sequence[str],
    slices: Callable[[], Sequence[SliceEvidence]],
    standing: TrafficCheck | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> TrafficCheck:
    """Set the calls imported after a moment against those before.

    Inputs that have no embedding yet are embedded for whoever may replay the task. The k-th look costs
    delta / (k (k + 1)) of the error probability, half of it for the mix and half for content; a look at the
    same windows as an earlier one is that look.

    Args:
        store: Holds calls and embeddings.
        config: The eval.
        fingerprint: The candidate's.
        moment: UTC without a zone.
        compared: Ids of the candidate's compared calls.
        slices: Returns the evidence by slice; asked only where a mix moved.
        standing: The check before: what counted in it does until it is refuted.
        seed: Of permutations and folds.
        listener: Hears how many inputs are embedded.
    """
    new = imported_after(store, config.task, moment, config.exclude_marks)
    now = datetime.now(UTC)
    begins = recent_begins(new["at"])
    recent = None if begins is None else begins.replace(tzinfo=UTC)
    head = TrafficCheck(moment.replace(tzinfo=UTC), now, len(new), recent=recent)
    if not len(new):
        return head
    kept = looks_kept(store, config.task, fingerprint)
    mix, mix_look = mix_of(
        store,
        config,
        moment,
        begins=begins,
        now=now,
        earlier=kept.numbers[MIX],
        uncounted=kept.uncounted[MIX],
        before=() if standing is None else standing.mix,
        slices=slices,
        seed=seed,
    )
    inputs = Inputs(store, config, listener, by_rate=not any(each.unrated for each in mix))
    windows = [inputs.some(moment, after=False), inputs.some(moment, after=True, begins=begins)]
    found = replace(head, mix=mix, mix_look=mix_look)
    if inputs.suffice and min(len(each) for each in windows) >= FOLDS:
        points = [np.stack([*each.values()]) for each in windows]
        look = look_at(
            content_hash("content", *(each.tobytes() for each in points)),
            kept.numbers[CONTENT],
            kept.uncounted[CONTENT],
        )
        found = _with_content(found, points, look, standing, seed)
        if found.content_moved and found.content_seen:
            mine = set(new["call_id"]).intersection(compared)
            earlier = frozenset[str]().union(*calls_named(store, config.task, fingerprint).values())
            named = named_of(inputs, windows, mine - earlier, mine & earlier, seed)
            found = replace(found, told_apart=named)
        return replace(found, notes=tuple(inputs.notes))
    notes = inputs.notes
    if standing is not None and standing.content_moved:
        # What can't be looked at now is no sign that it went away.
        held = standing.content_held
        found = replace(
            found, content=standing.content, content_moved=True, content_held=held, content_seen=False
        )
        when = f"{standing.checked_at:%Y-%m-%d}"
        notes = [f"What the check of {when} said of inputs stands: they can't be compared now.", *notes]
    return replace(found, notes=tuple(notes))


def _with_content(
    check: TrafficCheck,
    points: Sequence[NDArray[np.float64]],
    look: Look,
    standing: TrafficCheck | None,
    seed: int,
) -> TrafficCheck:
    """Return a check with what is found of the inputs of both windows."""
    moved = standing is not None and standing.content_moved
    level = level_for(look, moved)
    content = two_sample(*points, seed=seed, level=level)
    sizes = [len(each) for each in points]
    low, high = told_limits(content.value, sizes[0], sizes[1], look.limit_level)
    seen = content.p_value <= level
    held = None
    if standing is not None and standing.content_moved:
        held = standing.content_held or Held(standing.checked_at, 0.0, min(sizes))
        if not seen and refuted(held, high, min(sizes)):
            held = None
    if seen:
        new = Held(check.checked_at, low, min(sizes), check.recent)
        held = new if held is None else held.seen_again(low, min(sizes))
    return replace(
        check,
        content=content,
        content_moved=held is not None,
        content_held=held,
        content_seen=seen,
        content_look=look,
    )


def keep(
    store: Store, task: str, fingerprint: str, check: TrafficCheck, standing: TrafficCheck | None
) -> bool:
    """Keep a check, which counts from now on, unless somebody kept another one meanwhile.

    Two that look in one moment would be one look, and the later would not know what the other found.

    Args:
        store: Holds the checks.
        task: The task.
        fingerprint: The candidate's.
        check: What was found.
        standing: The newest check when the look began, which it knows of.

    Returns:
        Whether it is kept.
    """
    row = {
        "check_id": content_hash("traffic_check", task, fingerprint, check.checked_at.isoformat()),
        "task": task,
        "candidate_fingerprint": fingerprint,
        "since": naive_utc(check.since),
        "checked_at": naive_utc(check.checked_at),
        "new_calls": check.new_calls,
        "mix": to_json(check.mix).decode(),
        "content": None if check.content is None else to_json(check.content).decode(),
        "content_moved": check.content_moved,
        "told_apart": list(check.told_apart),
        "content_held": None if check.content_held is None else to_json(check.content_held).decode(),
        "content_seen": check.content_seen,
        "recent": None if check.recent is None else naive_utc(check.recent),
        **_look_columns(MIX, check.mix_look),
        **_look_columns(CONTENT, check.content_look),
    }
    with store.writing() as writer:
        newest = newest_check(writer, task, fingerprint)
        known = None if standing is None else naive_utc(standing.checked_at)
        if (None if newest is None else newest["checked_at"]) != known:
            return False
        add_check(writer, row)
    return True


def _look_columns(kind: str, look: Look | None) -> dict[str, Any]:
    return {
        f"{kind}_look": None if look is None else look.number,
        f"{kind}_windows": None if look is None else look.windows,
    }


@requires(Right.SEE)
def last_check(workspace: Workspace, store: Store, task: str, candidate: str) -> TrafficCheck | None:
    """Return the newest check of a candidate as it is configured now, or None.

    Args:
        workspace: Names the candidate.
        store: Holds the checks.
        task: The task.
        candidate: The candidate's name.

    Raises:
        UsageError: The candidate is unknown.
    """
    fingerprint = fingerprint_of(workspace, store, candidate)
    return None if fingerprint is None else standing_check(store, task, fingerprint)


def standing_check(store: Store, task: str, fingerprint: str) -> TrafficCheck | None:
    """Return the newest check of a task and candidate, or None."""
    row = newest_check(store, task, fingerprint)
    if row is None:
        return None
    return TrafficCheck(
        row["since"].replace(tzinfo=UTC),
        row["checked_at"].replace(tzinfo=UTC),
        row["new_calls"],
        mix=tuple(from_json(row["mix"], list[MixShift])),
        content=None if row["content"] is None else from_json(row["content"], Shift),
        content_moved=row["content_moved"],
        told_apart=tuple(row["told_apart"]),
        content_held=None if row["content_held"] is None else from_json(row["content_held"], Held),
        content_seen=row["content_seen"] is not False,
        mix_look=_look_of(MIX, row),
        content_look=_look_of(CONTENT, row),
        recent=None if row["recent"] is None else row["recent"].replace(tzinfo=UTC),
    )


def _look_of(kind: str, row: Mapping[str, Any]) -> Look | None:
    number = row[f"{kind}_look"]
    return None if number is None else Look(number, row[f"{kind}_windows"])
