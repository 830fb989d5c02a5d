"""Evidence over time: what the page would have said after each batch of calls and each verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.compare import basis, evaluator_version
from workbench.config import Workspace
from workbench.records import Basis, Policy, Verdict
from workbench.review import DrawState, EffectiveVerdict, Plan, draw_states, effective_verdicts
from workbench.review.chronicle import VerdictChange, verdict_changes
from workbench.review.states import Pair
from workbench.scoring.evidence import AGREES, draw_rows, marks_of
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.stats.cluster import design_effect
from workbench.stats.drawn import Draws
from workbench.stats.rows import NO_VERDICT, SEVERITY, AuditRow, Places, Table
from workbench.stats.trail import Arrival, AuditBoard, Board, DrawBoard, Reached, Said, Step, limits, walk
from workbench.store import comparisons as rows
from workbench.store import labels

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Trail:
    """How the bound moved. Every step is what would have been said then, with the verdicts of then.

    `limits` holds (bound, stage): the largest stage that each bound on harm still supports. `reached`
    says at which step the evidence first supported each stage. Guards and slices are not replayed.
    """

    task: str
    candidate: str
    basis: Basis
    policy: Policy
    steps: tuple[Step, ...]
    reached: tuple[Reached, ...]
    limits: tuple[tuple[float, float], ...]


def evidence_over_time(
    workspace: Workspace, store: Store, task: str, candidate: str, *, policy: Policy | None = None
) -> Trail:
    """Replay the evidence on a candidate in the order in which it came.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        policy: Another policy than the eval's own.

    Returns:
        The steps, the last of which is the decision's own bound; none where nothing is compared.

    Raises:
        UsageError: The task or the candidate is unknown.
    """
    config = workspace.eval_for(task)
    refuse_control(candidate)
    workspace.candidate(candidate)
    chosen = policy or config.policy
    scope = (task, fingerprint_of(workspace, store, candidate) or "", evaluator_version(config))
    frame = rows.evidence_frame(store, *scope)
    frame = frame[frame["verdict"] != Verdict.UNCOMPARABLE.value].reset_index(drop=True)
    changes = verdict_changes(store, *scope[:2])
    wanted = {each.pair[1] for each in changes}
    states = draw_states(store, *scope)
    wanted |= {each.call_id for each in states}
    places = _places(frame, wanted)
    said = _said(changes, places)
    verdicts = effective_verdicts(store, *scope)
    table = _table(frame, places, verdicts, states)
    board: Board
    if basis(config) is Basis.STRUCTURAL:
        board = AuditBoard(table, said, chosen.icc)
    else:
        board = _queue(store, labels.Scope(*scope), table, places, states, chosen)
    batches = _batches(store, frame)
    steps, reached = walk(board, basis(config), batches, said, chosen)
    return Trail(task, candidate, basis(config), chosen, tuple(steps), tuple(reached), tuple(limits(chosen)))


def _places(frame: pd.DataFrame, wanted: set[str]) -> dict[Pair, int]:
    """Return where the pairs of some calls stand in audit order."""
    found = frame.loc[frame["call_id"].isin(wanted), ["replay_id", "call_id"]]
    return {
        (replay_id, call_id): int(place)
        for place, replay_id, call_id in zip(found.index, found["replay_id"], found["call_id"], strict=True)
    }


def _said(changes: Sequence[VerdictChange], places: Mapping[Pair, int]) -> list[Said]:
    return [
        Said(
            place=places[each.pair],
            verdict=each.effective.verdict if each.effective else None,
            order=each.seq,
            picked=each.effective is not None and not each.effective.counted,
            at=each.at,
        )
        for each in changes
        if each.pair in places
    ]


def _table(
    frame: pd.DataFrame,
    places: Mapping[Pair, int],
    verdicts: Mapping[Pair, EffectiveVerdict],
    states: Sequence[DrawState],
) -> Table:
    """Return the compared calls as columns, with what stands now."""
    n = len(frame)
    verdict = np.full(n, NO_VERDICT, dtype=np.int8)
    picked, lapsed, confirmed = (np.zeros(n, dtype=np.bool_) for _ in range(3))
    for pair, each in verdicts.items():
        if pair in places:
            verdict[places[pair]] = SEVERITY.index(each.verdict)
            picked[places[pair]] = not each.counted
    left, agreed = marks_of(verdicts, states)
    for marked, pairs in ((lapsed, left), (confirmed, agreed)):
        marked[[places[pair] for pair in pairs if pair in places]] = True
    invalid = frame["invalid"].to_numpy(dtype=np.bool_)
    return Table(
        agrees=frame["verdict"].isin(AGREES).to_numpy(dtype=np.bool_) & ~invalid,
        identical=frame["identical"].to_numpy(dtype=np.bool_),
        invalid=invalid,
        verdict=verdict,
        lapsed=lapsed,
        picked=picked,
        confirmed=confirmed,
        critical=np.zeros(n, dtype=np.bool_),
        critical_reason=np.zeros(n, dtype=np.bool_),
        session=_clusters(frame["session_id"]),
        request=_clusters(frame["request_hash"]),
    )


def _clusters(column: pd.Series[Any]) -> Places:
    """Return the number of each call's cluster; a call without one has a number of its own."""
    codes = pd.factorize(column)[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return codes


def _queue(
    store: Store,
    scope: labels.Scope,
    table: Table,
    places: Mapping[Pair, int],
    states: Sequence[DrawState],
    policy: Policy,
) -> DrawBoard:
    draws, weight_max = draw_rows(states)
    mixed = [each for each in states if each.plan is Plan.MIX]
    orders = {row["draw_id"]: int(row["seq"]) for row in labels.draw_rows(store, scope)}
    at = {call_id: place for (_, call_id), place in places.items()}
    drawn = sorted({at[each.call_id] for each in mixed if each.call_id in at})
    names = {place: call_id for call_id, place in at.items()}
    few = [AuditRow(names[place], 0, "", agrees=bool(table.agrees[place])) for place in drawn]
    part = table.take(np.asarray(drawn, dtype=np.int64))
    whole = replace(
        Draws(few, part, draws, weight_max, policy.icc).population(),
        disagreement_effect=design_effect(~table.agrees, table.clusters, policy.icc),
    )
    return DrawBoard(
        whole,
        draws,
        [at.get(each.call_id) for each in mixed],
        [orders[each.draw_id] for each in mixed],
        ~table.agrees,
    )


def _batches(store: Store, frame: pd.DataFrame) -> list[Arrival]:
    """Return the batches in the order in which they closed, each with the time of its last answer."""
    if frame.empty:
        return []
    order = frame["batch_order"].to_numpy()
    firsts = np.flatnonzero(np.r_[True, order[1:] != order[:-1]])
    closed = frame["last_seq"].to_numpy()[firsts].astype(int).tolist()
    times = rows.answer_times(store, closed)
    ends = [*firsts[1:].tolist(), len(frame)]
    return [
        Arrival(first, last, seq, times.get(seq))
        for first, last, seq in zip(firsts.tolist(), ends, closed, strict=True)
    ]
