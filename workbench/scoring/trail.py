"""Evidence over time: what the page would have said after each batch of calls and each verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.access import requires
from workbench.compare import basis, evaluator_version
from workbench.config import Workspace
from workbench.records import Basis, Policy
from workbench.review import DrawState, Plan, draw_states, effective_verdicts
from workbench.review.chronicle import VerdictChange, verdict_changes
from workbench.review.states import Pair
from workbench.roles import Right
from workbench.scoring.columns import calls_of, judged
from workbench.scoring.evidence import draw_rows, wanted_of
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.stats.calls import Calls
from workbench.stats.drawn import Draws
from workbench.stats.trail import Arrival, AuditBoard, Board, DrawBoard, Reached, Said, Step, limits, walk
from workbench.store import labels
from workbench.store.compared import answer_times, comparable, evidence_frame, places

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


@requires(Right.SEE)
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
    frame = comparable(evidence_frame(store, *scope, wanted=wanted_of(config)))
    changes = verdict_changes(store, *scope[:2])
    states = draw_states(store, *scope)
    verdicts = effective_verdicts(store, *scope)
    at = places(store, frame, {each.pair[1] for each in changes} | judged(verdicts, states))
    replays = frame["replay_id"].tolist() if at else []
    said = _said(changes, {(replays[place], call_id): place for call_id, place in at.items()})
    calls = calls_of(config, frame, verdicts, states, at)
    board: Board
    if basis(config) is Basis.STRUCTURAL:
        board = AuditBoard(calls.table, said, chosen.icc)
    else:
        board = _queue(store, labels.Scope(*scope), calls, at, states, chosen)
    batches = _batches(store, frame)
    steps, reached = walk(board, basis(config), batches, said, chosen)
    return Trail(task, candidate, basis(config), chosen, tuple(steps), tuple(reached), tuple(limits(chosen)))


def _said(changes: Sequence[VerdictChange], places: Mapping[Pair, int]) -> list[Said]:
    return [
        Said(
            place=places[each.pair],
            verdict=each.effective.verdict if each.effective else None,
            order=each.seq,
            picked=each.effective is not None and not each.effective.counted,
            elsewhere=each.effective is not None and each.effective.elsewhere,
            at=each.at,
        )
        for each in changes
        if each.pair in places
    ]


def _queue(
    store: Store,
    scope: labels.Scope,
    calls: Calls,
    at: Mapping[str, int],
    states: Sequence[DrawState],
    policy: Policy,
) -> DrawBoard:
    draws, weight_max = draw_rows(states)
    mixed = [each for each in states if each.plan is Plan.MIX]
    orders = {row["draw_id"]: int(row["seq"]) for row in labels.draw_rows(store, scope)}
    return DrawBoard(
        Draws(calls, draws, weight_max, policy.icc).population(),
        draws,
        [at.get(each.call_id) for each in mixed],
        [orders[each.draw_id] for each in mixed],
        ~calls.table.agrees,
    )


def _batches(store: Store, frame: pd.DataFrame) -> list[Arrival]:
    """Return the batches in the order in which they closed, each with the time of its last answer."""
    if frame.empty:
        return []
    order = frame["batch_order"].to_numpy()
    firsts = np.flatnonzero(np.r_[True, order[1:] != order[:-1]])
    closed = frame["last_seq"].to_numpy()[firsts].astype(int).tolist()
    times = answer_times(store, closed)
    ends = [*firsts[1:].tolist(), len(frame)]
    return [
        Arrival(first, last, seq, times.get(seq))
        for first, last, seq in zip(firsts.tolist(), ends, closed, strict=True)
    ]
