"""Is newly imported traffic like what a candidate was evaluated on: its mix of slices, and its content?

Each check is kept, and the newest counts: it holds a share (`traffic_window`), and reviewers are asked for
what is new first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench import access
from workbench.access import requires
from workbench.config import Workspace
from workbench.embed import text_hash, vectors_of
from workbench.errors import ModelMissing
from workbench.normal import content_hash, last_user_text, naive_utc
from workbench.progress import Listener, silent
from workbench.records import Estimate, Request, from_json, to_json
from workbench.roles import Right
from workbench.scoring.comparing import open_embedder
from workbench.scoring.sliced import Sliced, sliced
from workbench.scoring.targets import fingerprint_of
from workbench.slices import OTHER, UNKNOWN, slice_values
from workbench.specs import EvalConfig, SliceRule
from workbench.stats.drift import FOLDS, Shift, moved_share, population_stability, told_apart, two_sample
from workbench.stats.evidence import SliceEvidence
from workbench.stats.reweighting import reweighted
from workbench.stats.wording import measured, plural
from workbench.store.drift import imported_after, some_calls
from workbench.store.replays import requests_of
from workbench.store.traffic_checks import add_check, calls_named, newest_check

if TYPE_CHECKING:
    from workbench.store import Store

MIX_CALLS = 20_000
"""Calls of either window whose mix is compared."""
CONTENT_CALLS = 400
"""Calls of either window whose embeddings are compared."""
ASKED_CALLS = 5_000
"""Compared calls among which new content is looked for."""
LIKELY = 0.05
"""Up to this p-value a window counts as another: for the mix over all slices together, and for content."""
USUAL = (SliceRule("language"), SliceRule("input_length"), SliceRule("model"))
"""What a mix is made of where the eval declares no slices."""


@dataclass(frozen=True, slots=True)
class MixShift:
    """How far the mix of one slice moved: population stability index, permutation p-value, share of calls.

    `shifted` says that p times the number of slices is at most .05, and that at least half as many calls
    `moved` to another value as the policy tolerates to get worse: fewer could not raise harm by more, and in
    large logs no two days are mixed alike. `calls` is the new mix then, and `reweighted` the evaluated harm
    by it, where the slice is a declared one.
    """

    slice: str
    stability: float
    p_value: float
    moved: float
    shifted: bool
    reweighted: Estimate | None = None
    calls: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class TrafficCheck:
    """What a check found of the calls imported after `since` (UTC), set against those before.

    `content` is None where too few inputs of a window have embeddings; `notes`, which are not kept, say why.
    `told_apart` are compared calls of new content that no earlier check named.
    """

    since: datetime
    checked_at: datetime
    new_calls: int
    mix: tuple[MixShift, ...] = ()
    content: Shift | None = None
    content_moved: bool = False
    told_apart: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def moved(self) -> tuple[str, ...]:
        """Return what is another than it was, in words."""
        shifted = tuple(f"mix by {each.slice}" for each in self.mix if each.shifted)
        return (*shifted, "content") if self.content_moved else shifted

    @property
    def lines(self) -> list[str]:
        """Return what was found, as lines."""
        lines = []
        for each in self.mix:
            state = "another mix" if each.shifted else "no shift that counts"
            lines.append(
                f"Mix by {each.slice}: {measured(each.moved)} of calls moved, stability index "
                f"{each.stability:.3f}, p = {each.p_value:.3f}: {state}."
            )
            if each.reweighted is not None:
                most = measured(each.reweighted.high)
                lines.append(
                    f"  By the new mix at most {most} of calls get worse, as evaluated part by part."
                )
        if self.content is not None:
            state = "new content" if self.content_moved else "no shift seen"
            lines.append(
                f"Inputs: told apart in {measured(self.content.value)} (chance 50 %), "
                f"p = {self.content.p_value:.3f}: {state}."
            )
        elif self.new_calls:
            lines.append("Inputs are not compared: too few of both windows are embedded.")
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
    seed: int = 0,
    listener: Listener = silent,
) -> TrafficCheck:
    """Set the calls imported after a moment against those before.

    Inputs that have no embedding yet are embedded for whoever may replay the task.

    Args:
        store: Holds calls and embeddings.
        config: The eval.
        fingerprint: The candidate's.
        moment: UTC without a zone.
        compared: Ids of the candidate's compared calls.
        slices: Returns the evidence by slice; asked only where a mix moved.
        seed: Of permutations and folds.
        listener: Hears how many inputs are embedded.
    """
    new = imported_after(store, config.task, moment, config.exclude_marks)
    head = TrafficCheck(moment.replace(tzinfo=UTC), datetime.now(UTC), len(new))
    if not len(new):
        return head
    mix = _mix(store, config, moment, new["seq"], seed, slices)
    inputs = _Inputs(store, config, listener)
    windows = [inputs.some(moment, after=after) for after in (False, True)]
    content = None
    if inputs.suffice and min(len(each) for each in windows) >= FOLDS:
        content = two_sample(np.stack([*windows[0].values()]), np.stack([*windows[1].values()]), seed=seed)
    moved = content is not None and content.p_value <= LIKELY
    named: tuple[str, ...] = ()
    if moved:
        mine = set(new["call_id"]).intersection(compared)
        earlier = frozenset[str]().union(*calls_named(store, config.task, fingerprint).values())
        named = _told_apart(inputs, windows, mine - earlier, mine & earlier, seed)
    notes = inputs.notes
    if content is None:
        before = standing_check(store, config.task, fingerprint)
        if before is not None and before.content_moved:
            # What can't be looked at now is no sign that it went away.
            content, moved = before.content, True
            when = f"{before.checked_at:%Y-%m-%d}"
            notes = [f"What the check of {when} said of inputs stands: they can't be compared now.", *notes]
    return replace(head, mix=mix, content=content, content_moved=moved, told_apart=named, notes=tuple(notes))


def keep(store: Store, task: str, fingerprint: str, check: TrafficCheck) -> None:
    """Keep a check, which counts from now on."""
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
    }
    with store.writing() as writer:
        add_check(writer, row)


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
    )


def _independent(
    store: Store, config: EvalConfig, moment: datetime, *, after: bool, limit: int, requests: bool = False
) -> list[dict[str, Any]]:
    """Return a random part of one window, one call of each session: those of one are alike."""
    wanted = partial(
        some_calls,
        store,
        config.task,
        moment,
        after=after,
        limit=limit,
        exclude=config.exclude_marks,
        requests=requests,
    )
    found = wanted(one_a_session=True)
    # So few sessions are hardly what a log calls one: better a shift too many than none that could be seen.
    return found if len(found) >= FOLDS else wanted()


def _mix(
    store: Store,
    config: EvalConfig,
    moment: datetime,
    new: pd.Series[int],
    seed: int,
    slices: Callable[[], Sequence[SliceEvidence]],
) -> tuple[MixShift, ...]:
    before, after = (
        _independent(store, config, moment, after=side, limit=MIX_CALLS) for side in (False, True)
    )
    if not before or not after:
        return ()
    known = sliced(store, config)
    calls = [*before, *after]
    values = slice_values(USUAL, calls) if known is None else _by_name(known, [row["seq"] for row in calls])
    found = []
    for name, mine in values.items():
        old, later = Counter(mine[: len(before)]), Counter(mine[len(before) :])
        shift, moved = population_stability(old, later, seed=seed), moved_share(old, later)
        counts = shift.p_value * len(values) <= LIKELY and moved >= config.policy.tolerance / 2
        each = MixShift(name, shift.value, shift.p_value, moved, shifted=counts)
        if each.shifted and known is not None:
            each = replace(each, calls=dict(Counter(_by_name(known, new)[name])))
            each = replace(each, reweighted=by_new_mix(each, slices(), config.policy.delta))
        found.append(each)
    return tuple(found)


def _by_name(known: Sliced, seqs: Sequence[int] | pd.Series[int]) -> dict[str, list[str]]:
    """Return the value of each declared slice for some calls, as the evidence has them."""
    kind, kinds = known.of(pd.Series(seqs, dtype="int64"))
    names = list(dict.fromkeys(name for keys in known.kinds for name, _ in keys))
    own = [dict(keys) for keys in kinds]
    return {name: [own[at].get(name, UNKNOWN) for at in kind.tolist()] for name in names}


def by_new_mix(shift: MixShift, slices: Sequence[SliceEvidence], delta: float) -> Estimate | None:
    """Return the evaluated harm by the new mix of a slice; None where it is no declared one.

    What is put together as `other` may be other values than it was: it counts as never evaluated.

    Args:
        shift: Holds the new mix.
        slices: The evidence by slice.
        delta: Error probability of each limit, 0..1.
    """
    own = [part for part in slices if part.name == shift.slice and part.value != OTHER]
    return reweighted(own, shift.calls or {}, delta)


class _Inputs:
    """Embeddings of the calls' last user messages: what the store holds, and what may be made.

    `suffice` says that in each window most of the inputs that were asked for have one.
    """

    def __init__(
        self,
        store: Store,
        config: EvalConfig,
        listener: Listener,
    ) -> None:
        self.notes: list[str] = []
        self.suffice = True
        self._store, self._config, self._listener = store, config, listener
        self._makes = access.may(Right.REPLAY, config.task)

    def some(self, moment: datetime, *, after: bool) -> dict[str, NDArray[np.float64]]:
        """Return the embeddings of a random part of one window, by call."""
        # For whoever makes none, more are looked at, of which some may have been made.
        limit = CONTENT_CALLS if self._makes else 5 * CONTENT_CALLS
        calls = _independent(self._store, self._config, moment, after=after, limit=limit, requests=True)
        texts = _texts({each["call_id"]: each["request"] for each in calls})
        found = self._vectors(texts)
        asked = sum(bool(text.strip()) for text in texts.values())
        self.suffice &= 2 * len(found) >= min(asked, CONTENT_CALLS)
        return dict(list(found.items())[:CONTENT_CALLS])

    def of(self, call_ids: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return the embeddings of some calls, by call."""
        found = requests_of(self._store, call_ids)
        return self._vectors(_texts({call_id: request for call_id, (_, request) in found.items()}))

    def _vectors(self, texts: Mapping[str, str]) -> dict[str, NDArray[np.float64]]:
        known = self._known([text for text in texts.values() if text.strip()])
        return {
            call_id: np.asarray(known[key], dtype=np.float64)
            for call_id, text in texts.items()
            if (key := text_hash(text)) in known
        }

    def _known(self, texts: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        embedder = open_embedder(self._config.embedder)
        try:
            found = vectors_of(self._store, embedder, texts, listener=self._listener, makes=self._makes)
        except ModelMissing as missing:
            self._makes = False
            self._say(f"{missing.message} {missing.hint}".strip())
            found = vectors_of(self._store, embedder, texts, makes=False)
        for each in found.failures:
            self._say(f"Inputs without an embedding: {each}.")
        return found.by_hash

    def _say(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _texts(requests: Mapping[str, str]) -> dict[str, str]:
    """Return the last user message of each call, from requests as JSON by call."""
    return {call_id: last_user_text(from_json(text, Request).messages) for call_id, text in requests.items()}


def _told_apart(
    inputs: _Inputs,
    windows: Sequence[Mapping[str, NDArray[np.float64]]],
    asked: Collection[str],
    named: Collection[str],
    seed: int,
) -> tuple[str, ...]:
    """Return those of some new calls whose content is told apart from what was evaluated.

    What was named before is learnt from again: without it another look would name what is left, which is
    as usual as the rest.
    """
    known, others = inputs.of(_some_of(asked)), inputs.of(_some_of(named))
    learnt = dict(sorted({**windows[1], **others, **known}.items()))
    if not known or len(learnt) < FOLDS:
        return ()
    marks = told_apart(np.stack([*windows[0].values()]), np.stack([*learnt.values()]), seed=seed)
    return tuple(sorted(known.keys() & {name for name, new in zip(learnt, marks, strict=True) if new}))


def _some_of(call_ids: Collection[str]) -> list[str]:
    """Return as many of some calls as are looked at, by a hash of their ids: a random part."""
    return sorted(call_ids, key=lambda call_id: content_hash("told apart", call_id))[:ASKED_CALLS]
