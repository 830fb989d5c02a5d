"""Evidence about sets of calls, such as those above a confidence, and known outcomes call by call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.records import Basis, LabelVerdict
from workbench.stats.audit import Audit, falls, structural_of
from workbench.stats.calls import Calls
from workbench.stats.drawn import Draws, closed_draws, outcome_of
from workbench.stats.evidence import Population
from workbench.stats.rows import AuditRow, Bools, DrawRow, Places, Table


def parts_of(
    rows: Sequence[AuditRow],
    members: Sequence[Bools],
    *,
    basis: Basis,
    draws: Sequence[DrawRow] = (),
    weight_max: float = 1.0,
    icc: float = 0.05,
    whole: Bools | None = None,
) -> list[Population]:
    """Return the evidence of sets of calls, for claims about each of them.

    Args:
        rows: Compared calls in any order, each call once.
        members: Which calls belong to each set, arrays of the length of `rows`.
        basis: What agreement proves.
        draws: The queue's draws in draw order, for a semantic comparison.
        weight_max: The largest weight of the queue's plan.
        icc: Planned correlation within a cluster.
        whole: Return the evidence of these calls instead, once for each set, calls outside the
            set being harmless whatever was answered: the share of `whole` that is in the
            set and harmed.
    """
    places = sorted(range(len(rows)), key=lambda at: (rows[at].batch, rows[at].audit_key, rows[at].call_id))
    ordered = [rows[at] for at in places]
    sets = [np.asarray(each, dtype=np.bool_)[places] for each in members]
    inside = None if whole is None else np.asarray(whole, dtype=np.bool_)[places]
    table = Table.of(ordered)
    if basis is Basis.STRUCTURAL:
        fallen = falls(table)
        if inside is None:
            return [structural_of(table.take(np.flatnonzero(each)), icc, fallen) for each in sets]
        return [
            structural_of(_spared(table, ~each).take(np.flatnonzero(inside)), icc, fallen) for each in sets
        ]
    calls = Calls.of(ordered)
    queue = Draws(calls, draws, weight_max, icc)
    if inside is None:
        return [queue.population(np.flatnonzero(each)) for each in sets]
    found = []
    for each in sets:
        routed = {row.call_id for row, member in zip(ordered, each.tolist(), strict=True) if member}
        spared = [
            draw if draw.call_id in routed else replace(draw, verdict=LabelVerdict.EQUAL, lapsed=False)
            for draw in draws
        ]
        found.append(Draws(calls, spared, weight_max, icc).population(np.flatnonzero(inside)))
    return found


def part_of(
    calls: Calls,
    places: Places,
    *,
    basis: Basis,
    draws: Sequence[DrawRow] = (),
    weight_max: float = 1.0,
    icc: float = 0.05,
) -> Population:
    """Return the evidence of one set of calls that stand as columns; see `parts_of`.

    Args:
        calls: Every compared call.
        places: Where those of the set stand, ascending.
        basis: What agreement proves.
        draws: The queue's draws in draw order, for a semantic comparison.
        weight_max: The largest weight of the queue's plan.
        icc: Planned correlation within a cluster.
    """
    if basis is Basis.STRUCTURAL:
        return structural_of(calls.table.take(places), icc, falls(calls.table))
    return Draws(calls, draws, weight_max, icc).population(places)


def _spared(table: Table, spared: Bools) -> Table:
    """Return the calls with some of them harmless."""
    return replace(
        table,
        agrees=table.agrees | spared,
        identical=table.identical | spared,
        invalid=table.invalid & ~spared,
    )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Calls whose outcome is known as a bound takes it: where they stand, whether harmed, and their weight.

    `places` are those of the rows that were given; `harmed` is 1 or 0, a lapse counting as harm. Each
    outcome was drawn among the calls of one of the `pools` (which rows belong to it), `pool` says which:
    the calls of its batch that are not audited yet, or for the queue all those of the batches there were.
    """

    places: NDArray[np.int64]
    harmed: NDArray[np.float64]
    weights: NDArray[np.float64]
    pool: NDArray[np.int64]
    pools: tuple[Bools, ...]


def outcomes_of(rows: Sequence[AuditRow], *, basis: Basis, draws: Sequence[DrawRow] = ()) -> Outcomes | None:
    """Return the calls with a known outcome: the audited ones, or the closed draws.

    Args:
        rows: Compared calls in any order, each call once.
        basis: What agreement proves.
        draws: The queue's draws in draw order, for a semantic comparison.

    Returns:
        Them, or None where equality has turned out to prove nothing (see `falls`).
    """
    batch = np.asarray([row.batch for row in rows], dtype=np.int64)
    if basis is Basis.SEMANTIC:
        place_of = {row.call_id: place for place, row in enumerate(rows)}
        closed = [draw for draw in closed_draws(draws) if draw.call_id in place_of]
        after = int(batch.max(initial=-1)) + 1
        seen = [after if draw.batches is None else min(draw.batches, after) for draw in closed]
        ends, pool = np.unique(np.asarray(seen, dtype=np.int64), return_inverse=True)
        return Outcomes(
            np.asarray([place_of[draw.call_id] for draw in closed], dtype=np.int64),
            np.asarray([outcome_of(draw) > 0 for draw in closed], dtype=np.float64),
            np.asarray([draw.weight for draw in closed], dtype=np.float64),
            pool,
            tuple(batch < end for end in ends.tolist()),
        )
    places = sorted(range(len(rows)), key=lambda at: (rows[at].batch, rows[at].audit_key, rows[at].call_id))
    table = Table.of([rows[at] for at in places])
    if falls(table):
        return None
    audit = Audit.of(table)
    audited = np.asarray(places[: audit.audited], dtype=np.int64)
    waiting = np.ones(len(rows), dtype=np.bool_)
    waiting[audited] = False
    touched, pool = np.unique(batch[audited], return_inverse=True)
    return Outcomes(
        audited,
        audit.harmful[: audit.audited].astype(np.float64),
        np.ones(audit.audited),
        pool,
        tuple(waiting & (batch == each) for each in touched.tolist()),
    )


def beside_predictions(
    outcomes: Outcomes, predictions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predictions of the known outcomes, and those of other calls that may be set beside them.

    A prediction tells something by how it differs from those of the calls it was drawn among. Set
    beside calls of other times it would carry every change of traffic into the estimate, so calls of
    batches that nobody was asked about are left out, and each prediction is moved by as much as
    its own pool differs from all pools. Without such calls a prediction says nothing.

    Args:
        outcomes: Calls with a known outcome.
        predictions: One for each row, NaN where it is missing; none of them for an outcome.

    Returns:
        Arrays of the length of the outcomes and of the other calls.
    """
    known = np.isfinite(predictions)
    members = [pool & known for pool in outcomes.pools]
    others = predictions[np.logical_or.reduce(members)] if members else np.empty(0)
    middle = float(others.mean()) if others.size else 0.0
    means = np.asarray([predictions[each].mean() if each.any() else np.nan for each in members])
    own = predictions[outcomes.places]
    if not own.size:
        return own, others
    moved = own + (middle - means[outcomes.pool]) / outcomes.weights
    return np.where(np.isnan(moved), middle / outcomes.weights, moved), others
