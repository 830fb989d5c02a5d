"""Compared rows of the store as the columns that evidence is computed from, without an object a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from workbench.records import Verdict
from workbench.review import DrawState, EffectiveVerdict, Plan
from workbench.review.states import SEVERITY, UNRESOLVED
from workbench.scoring.groups import critical_labels, field_agreement, guarded_fields
from workbench.scoring.sliced import Sliced
from workbench.specs import EvalConfig
from workbench.stats.calls import NO_NAME, Calls, Named
from workbench.stats.cluster import numbered
from workbench.stats.rows import NO_VERDICT, Bools, Places, Table, place_of_verdict
from workbench.store.compared import NO_SESSION

AGREES = (Verdict.MATCH.value, Verdict.IGNORED.value)

Pair = tuple[str, str]


def calls_of(
    config: EvalConfig,
    frame: pd.DataFrame,
    verdicts: Mapping[Pair, EffectiveVerdict],
    states: Iterable[DrawState],
    place_of: Mapping[str, int],
    sliced: Sliced | None = None,
    session_calls: pd.Series[Any] | None = None,
) -> Calls:
    """Return compared calls as columns, with what people said of them.

    The same as `Calls.of` of an `AuditRow` for each row.

    Args:
        config: The eval.
        frame: Rows of `evidence_frame` in audit order, without the uncomparable ones, with their
            parts where the eval is of fields.
        verdicts: What people said, by (replay, call).
        states: Every draw of the queue.
        place_of: Where at least those calls stand that were judged or drawn, by id (see `judged`).
        sliced: Slices of the task's calls, if wanted.
        session_calls: Comparable calls of the log by session; if left out, all were compared.
    """
    n = len(frame)
    lapsed, confirmed = confirmations(verdicts, states := list(states))
    replay_of = frame["replay_id"].iloc[list(place_of.values())].tolist()
    at = {(replay, call): place for replay, (call, place) in zip(replay_of, place_of.items(), strict=True)}

    def marked(pairs: Iterable[Pair]) -> Bools:
        found = np.zeros(n, dtype=np.bool_)
        found[[at[pair] for pair in pairs if pair in at]] = True
        return found

    verdict = np.full(n, NO_VERDICT, dtype=np.int8)
    for pair, each in verdicts.items():
        if pair in at:
            verdict[at[pair]] = place_of_verdict(each.verdict)
    agrees = _is_one_of(frame["verdict"], AGREES)
    invalid = frame["invalid"].to_numpy(dtype=np.bool_)
    control, candidate = named(frame["control_group"]), named(frame["candidate_group"])
    parts, whole, grave_field, grave_label = _guarded(config, frame, control, candidate, invalid)
    kind, kinds = (np.zeros(n, dtype=np.int64), ((),)) if sliced is None else sliced.of(frame["call_seq"])
    return Calls(
        table=Table(
            agrees=agrees & ~invalid,
            identical=frame["identical"].to_numpy(dtype=np.bool_),
            invalid=invalid,
            verdict=verdict,
            lapsed=marked(lapsed),
            picked=marked(pair for pair, each in verdicts.items() if not each.counted),
            elsewhere=marked(pair for pair, each in verdicts.items() if each.elsewhere),
            confirmed=marked(confirmed),
            critical=grave_field | (~agrees & grave_label),
            critical_reason=marked(pair for pair, each in verdicts.items() if each.critical),
            session=clusters_of(frame["session"]),
            request=clusters_of(frame["request"]),
        ),
        batch=frame["batch_order"].to_numpy(dtype=np.int64),
        place_of=place_of,
        kind=kind,
        kinds=kinds,
        control=control,
        candidate=candidate,
        whole=whole,
        parts=parts,
        ignored=int((frame["verdict"] == Verdict.IGNORED.value).sum()),
        logged=None if session_calls is None else _logged(frame["session"], session_calls),
    )


def confirmations(
    verdicts: Mapping[Pair, EffectiveVerdict], states: Iterable[DrawState]
) -> tuple[set[Pair], set[Pair]]:
    """Return which pairs were drawn and never judged, and on which harm was confirmed by a second person."""
    lapsed, confirmed = set(), set()
    for state in states:
        pair = (state.replay_id, state.call_id)
        if state.plan is Plan.SECOND_REVIEW:
            harmful = state.verdict is not None and SEVERITY[state.verdict] == max(SEVERITY.values())
            if harmful or state.state in UNRESOLVED:
                confirmed.add(pair)
        elif state.state in UNRESOLVED:
            lapsed.add(pair)
    return lapsed, confirmed | {pair for pair, each in verdicts.items() if each.adjudicated}


def judged(verdicts: Mapping[Pair, EffectiveVerdict], states: Iterable[DrawState]) -> set[str]:
    """Return the ids of all calls that were judged or drawn."""
    return {call for _, call in verdicts} | {each.call_id for each in states}


def _is_one_of(column: pd.Series[Any], values: tuple[str, ...]) -> Bools:
    return column.isin(values).to_numpy(dtype=np.bool_)


def named(column: pd.Series[Any]) -> Named:
    """Return the name that each call has in a column of names."""
    held = column.astype("category").cat
    return Named(tuple(held.categories.tolist()), held.codes.to_numpy().astype(np.int64))


def agreeing(frame: pd.DataFrame) -> Bools:
    """Return which calls of an `evidence_frame` agree: an answer that is invalid never does."""
    valid: Bools = ~frame["invalid"].to_numpy(dtype=np.bool_)
    return _is_one_of(frame["verdict"], AGREES) & valid


def clusters_in(frame: pd.DataFrame) -> list[Places]:
    """Return the number of each call's session, and of its request, among the rows of an `evidence_frame`."""
    return [clusters_of(frame[name]) for name in ("session", "request")]


def clusters_of(column: pd.Series[Any]) -> Places:
    """Return the number of each call's cluster; a call without one has a number of its own."""
    keys = column.to_numpy(dtype=np.int64)
    codes = pd.factorize(keys)[0].astype(np.int64)
    alone = np.flatnonzero(keys == NO_SESSION)
    if alone.size:
        codes[alone] = codes.max() + 1 + np.arange(alone.size)
        return numbered(codes)
    return codes


def _logged(sessions: pd.Series[Any], calls: pd.Series[Any]) -> Places:
    """Return how many comparable calls the session of each call has in the log."""
    codes, names = pd.factorize(sessions)
    counts = calls.reindex(names).fillna(0).to_numpy(dtype=np.int64)
    return np.asarray(np.where(sessions == NO_SESSION, 0, counts[codes]), dtype=np.int64)


_Guarded = tuple[dict[tuple[str, str], tuple[Places, Bools]], Bools, Bools, Bools]


def _guarded(
    config: EvalConfig, frame: pd.DataFrame, control: Named, candidate: Named, invalid: Bools
) -> _Guarded:
    """Return the guarded parts of answers, which calls count whole, and which differ critically.

    Each distinct pair of answers is looked at once.
    """
    whole = control.codes != NO_NAME
    nothing = np.zeros(len(frame), dtype=np.bool_)
    parts: dict[tuple[str, str], tuple[Places, Bools]] = {}
    grave_field, grave_label = nothing, nothing
    if required := guarded_fields(config):
        held = frame["parts"].astype("category").cat
        codes = held.codes.to_numpy().astype(np.int64)
        said = [*held.categories.tolist(), None]  # Code -1 is the last of them.
        kinds, kind = np.unique(codes * 2 + invalid, return_inverse=True)
        found = [
            field_agreement(said[code // 2], required, invalid=bool(code % 2)) for code in kinds.tolist()
        ]
        parts |= _spread("field", found, kind)
        grave_field = np.asarray([grave for _, grave in found], dtype=np.bool_)[kind]
    if config.critical_labels:
        width = len(candidate.names) + 1
        other = np.where(invalid, NO_NAME, candidate.codes)
        kinds, kind = np.unique(control.codes * width + other + 1, return_inverse=True)
        ours, theirs = (*control.names, None), (None, *candidate.names)
        pairs = [divmod(code, width) for code in kinds.tolist()]
        found = [critical_labels(config, ours[first], theirs[second]) for first, second in pairs]
        parts |= _spread("label", found, kind)
        grave_label = np.asarray([grave for _, grave in found], dtype=np.bool_)[kind]
        by_part = [ours[first] in kept for (first, _), (kept, _) in zip(pairs, found, strict=True)]
        whole &= ~np.asarray(by_part, dtype=np.bool_)[kind]
    return parts, whole, grave_field, grave_label


def _spread(
    what: str, found: list[tuple[dict[str, bool], bool]], kind: Places
) -> dict[tuple[str, str], tuple[Places, Bools]]:
    """Return, for each part of the answers, the calls that have it and whether the candidate agrees."""
    spread = {}
    for name in dict.fromkeys(name for kept, _ in found for name in kept):
        there = np.asarray([name in kept for kept, _ in found], dtype=np.bool_)
        agrees = np.asarray([kept.get(name, False) for kept, _ in found], dtype=np.bool_)
        places = np.flatnonzero(there[kind])
        spread[what, name] = (places, agrees[kind[places]])
    return spread
