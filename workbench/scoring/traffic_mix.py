"""Is newer traffic mixed like what a candidate was evaluated on, and what is its harm by the new mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.normal import content_hash
from workbench.records import LEAST_RATE, Estimate, to_json
from workbench.scoring.held import Held, Look, level_for, look_at, refuted
from workbench.scoring.sliced import Sliced, sliced
from workbench.slices import OTHER, UNKNOWN, slice_values
from workbench.specs import EvalConfig, SliceRule
from workbench.stats.content import FOLDS
from workbench.stats.evidence import SliceEvidence
from workbench.stats.mix import moved_limits, moved_share, population_stability
from workbench.stats.reweighting import reweighted
from workbench.stats.weighted_mix import TrafficMix, traffic_mix
from workbench.stats.wording import measured
from workbench.store.drift import some_calls

if TYPE_CHECKING:
    from workbench.store import Store

MIX_CALLS = 20_000
"""Calls of either window whose mix is compared."""
USUAL = (SliceRule("language"), SliceRule("input_length"), SliceRule("model"))
"""What a mix is made of where the eval declares no slices."""


@dataclass(frozen=True, slots=True)
class MixShift:
    """How far the mix of one slice moved: population stability index, its p-value, share of calls.

    `shifted` says that it counts as another: a look saw it, with p times the number of mixes looked at no
    more than the level of that look (`held.level_for`), and at least half as many calls `moved` to another
    value as the policy tolerates to get worse (fewer could not raise harm by more, and in large logs no two
    days are mixed alike); and no look since could tell that it is gone. `held` says since when, `seen`
    whether this look saw it. `low` and `high` limit the share of calls that moved. `sample` is the new mix
    of one that counts, as calls of a random sample that tells as much, and `reweighted` the evaluated harm
    by it, where the slice is a declared one.

    Shares are those of the traffic that the calls were sampled from; where of some, `unrated` in number,
    nobody knows how likely they were logged, they are those of the log. `begins` is when the newer calls
    begin that were looked at (UTC), None where they are all that were imported since the evaluation.
    """

    slice: str
    stability: float
    p_value: float
    moved: float
    shifted: bool
    reweighted: Estimate | None = None
    sample: dict[str, int] | None = None
    low: float = 0.0
    high: float = 1.0
    held: Held | None = None
    seen: bool = True
    unrated: int = 0
    begins: datetime | None = None

    @property
    def window(self) -> tuple[str, bool]:
        """Return what was looked at: the slice, and whether the newest calls alone."""
        return self.slice, self.begins is not None

    @property
    def lines(self) -> list[str]:
        """Return what was found, as lines."""
        state = "another mix" if self.shifted else "no shift that counts"
        of = "" if self.begins is None else f" since {self.begins:%Y-%m-%d}"
        lines = [
            f"Mix by {self.slice}{of}: {measured(self.moved)} of calls moved, stability index "
            f"{self.stability:.3f}, p = {self.p_value:.2g}: {state}."
        ]
        if self.shifted and not self.seen and self.held is not None:
            lines.append(
                f"  It was seen on {self.held.at:%Y-%m-%d}, at least {measured(self.held.at_least)}; "
                f"this look does not see it, but up to {measured(self.high)} may have moved."
            )
        if self.reweighted is not None:
            most = measured(self.reweighted.high)
            lines.append(f"  By the new mix at most {most} of calls get worse, as evaluated part by part.")
        return lines


def mix_of(
    store: Store,
    config: EvalConfig,
    moment: datetime,
    *,
    begins: datetime | None,
    now: datetime,
    earlier: Mapping[str, int],
    uncounted: int,
    before: Sequence[MixShift],
    slices: Callable[[], Sequence[SliceEvidence]],
    seed: int,
) -> tuple[tuple[MixShift, ...], Look | None]:
    """Set the mix of the calls imported after a moment against that of those before.

    Args:
        store: Holds the calls.
        config: The eval.
        moment: UTC without a zone.
        begins: When the newest calls begin, that are looked at by themselves, too; UTC without a zone.
        now: When this is looked at.
        earlier: Looks that were kept, by the hash of what they looked at.
        uncounted: Looks from before they were counted.
        before: What the last check found; what counted then is to be refuted.
        slices: Returns the evidence by slice; asked only where a mix moved.
        seed: Of permutations.

    Returns:
        What was found by slice, and which look it was; None where a window is empty.
    """
    wanted = partial(some_calls, store, config.task, moment, limit=MIX_CALLS, exclude=config.exclude_marks)
    since: list[datetime | None] = [None] if begins is None else [None, begins]
    windows = [wanted(after=False), *(wanted(after=True, begins=each) for each in since)]
    held = {each.window: each for each in before if each.shifted}
    if not all(windows):
        return tuple(replace(each, seen=False) for each in held.values()), None
    known = sliced(store, config)
    calls = [row for window in windows for row in window]
    values = slice_values(USUAL, calls) if known is None else _by_name(known, [row["seq"] for row in calls])
    unrated = sum(
        not _is_rate(row["sampling_rate"]) for row in {row["call_id"]: row for row in calls}.values()
    )
    ends = list(accumulate(map(len, windows), initial=0))
    mixes = {
        name: [
            _weighed(window, mine[at : at + len(window)], config, rated=not unrated)
            for window, at in zip(windows, ends, strict=False)
        ]
        for name, mine in values.items()
    }
    said = [[name, *([*side.calls.items(), *side.shares.items()] for side in mixes[name])] for name in mixes]
    look = look_at(content_hash("mix", to_json(said).decode()), earlier, uncounted)
    found = []
    for name, (old, *newer) in mixes.items():
        for at, later in zip(since, newer, strict=True):
            each = shift_of(
                name,
                old,
                later,
                look=look,
                together=len(mixes) * len(since),
                before=held.pop((name, at is not None), None),
                matters=config.policy.tolerance / 2,
                now=now,
                begins=None if at is None else at.replace(tzinfo=UTC),
                seed=seed,
            )
            each = replace(each, unrated=unrated)
            if each.shifted and known is not None:
                each = replace(each, sample=later.calls)
                each = replace(each, reweighted=by_new_mix(each, slices(), config.policy.delta, look))
            found.append(each)
    # What the eval declares no more can't be looked at, which is no sign that it went away.
    return (*found, *(replace(each, seen=False) for each in held.values())), look


def shift_of(
    name: str,
    old: TrafficMix,
    later: TrafficMix,
    *,
    look: Look,
    together: int,
    before: MixShift | None,
    matters: float,
    now: datetime,
    begins: datetime | None = None,
    seed: int = 0,
) -> MixShift:
    """Return what a look finds of one slice.

    Args:
        name: The slice.
        old: The mix of the evaluated window.
        later: The same, newer.
        look: Which look it is.
        together: How many mixes it looks at: slices times windows.
        before: What the look before found, where it counted.
        matters: Share of calls below which a move doesn't count, 0..1.
        now: When this is looked at.
        begins: When the newer window begins, UTC; None where it is all that was imported since.
        seed: Of permutations.
    """
    level = level_for(look, before is not None)
    shift = population_stability(old.calls, later.calls, seed=seed, level=level / together)
    moved = moved_share(old.shares, later.shares)
    low, high = moved_limits(old.calls, later.calls, look.limit_level / together)
    told = shift.p_value * together <= level
    seen = told and moved >= matters
    held = None
    if before is not None and high >= matters:
        held = before.held or Held(now, 0.0)
        if not told and refuted(held, high):
            held = None
    if seen:
        held = Held(now, low, begins=begins) if held is None else held.seen_again(low)
    return MixShift(
        name,
        shift.value,
        shift.p_value,
        moved,
        shifted=held is not None,
        low=low,
        high=high,
        held=held,
        seen=seen,
        begins=begins,
    )


def _is_rate(rate: float | None) -> bool:
    return rate is not None and rate >= LEAST_RATE


def _weighed(
    window: Sequence[Mapping[str, Any]], values: Sequence[str], config: EvalConfig, *, rated: bool
) -> TrafficMix:
    """Return the mix of one window, as large as independent calls that tell as much."""
    sessions = [row["session_id"] for row in window]
    # So few sessions are hardly what a log calls one: better a shift too many than none that could be seen.
    few = len({each or row["call_id"] for each, row in zip(sessions, window, strict=True)}) < FOLDS
    rates = [row["sampling_rate"] for row in window] if rated else None
    return traffic_mix(values, rates, None if few else sessions, config.policy.icc)


def by_new_mix(shift: MixShift, slices: Sequence[SliceEvidence], delta: float, look: Look) -> Estimate | None:
    """Return the evaluated harm by the new mix of a slice; None where it is no declared one.

    What is put together as `other` may be other values than it was: it counts as never evaluated.

    Args:
        shift: Holds the new mix.
        slices: The evidence by slice.
        delta: Error probability of each limit, 0..1.
        look: Which look at the mix found it.
    """
    own = [part for part in slices if part.name == shift.slice and part.value != OTHER]
    return reweighted(own, shift.sample or {}, delta, look=look.number)


def independent(
    store: Store,
    config: EvalConfig,
    moment: datetime,
    *,
    after: bool,
    limit: int,
    begins: datetime | None = None,
    by_rate: bool = False,
) -> list[dict[str, Any]]:
    """Return a random part of one window with requests, one call of each session: those of one are alike.

    Args:
        store: Holds the calls.
        config: The eval.
        moment: UTC without a zone.
        after: Whether those imported after it are asked for.
        limit: Calls at most.
        begins: Calls made before it are left out; UTC without a zone.
        by_rate: Whether calls that were seldom logged are taken the sooner, as they were in the traffic.
    """
    wanted = partial(
        some_calls,
        store,
        config.task,
        moment,
        after=after,
        limit=limit,
        begins=begins,
        exclude=config.exclude_marks,
        requests=True,
        by_rate=by_rate,
    )
    found = wanted(one_a_session=True)
    # So few sessions are hardly what a log calls one: better a shift too many than none that could be seen.
    return found if len(found) >= FOLDS else wanted()


def _by_name(known: Sliced, seqs: Sequence[int] | pd.Series[int]) -> dict[str, list[str]]:
    """Return the value of each declared slice for some calls, as the evidence has them."""
    kind, kinds = known.of(pd.Series(seqs, dtype="int64"))
    names = list(dict.fromkeys(name for keys in known.kinds for name, _ in keys))
    own = [dict(keys) for keys in kinds]
    return {name: [own[at].get(name, UNKNOWN) for at in kind.tolist()] for name in names}
