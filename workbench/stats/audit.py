"""From rows to evidence: which looked-at calls count, in which order, and as what.

Structural evidence is a prefix: calls stand in the order (batch, audit key), and
`audited` ends before the first disagreement that is still open. A skipped
disagreement, or one whose lease has run out, counts as audited and harmful until it
is resolved. Semantic evidence is a prefix of the queue's draws by the same rules.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.records import Basis, Estimate, LabelVerdict
from workbench.stats.calls import NO_NAME, Calls, SliceKeys
from workbench.stats.cluster import DesignEffect, design_effect
from workbench.stats.drawn import Draws, closed_draws, outcome_of, semantic
from workbench.stats.evidence import (
    GROUP_MINIMUM,
    Evidence,
    OutcomeGroup,
    Population,
    SessionEvidence,
    SliceCell,
    SliceEvidence,
)
from workbench.stats.rows import (
    AuditRow,
    Bools,
    DrawRow,
    Places,
    Table,
    combine,
    count,
    in_audit_order,
)
from workbench.stats.sessions import drawn_sessions, structural_sessions, unseen_sessions

__all__ = [
    "Audit",
    "AuditRow",
    "Calls",
    "DrawRow",
    "closed_draws",
    "combine",
    "critical",
    "falls",
    "from_calls",
    "from_rows",
    "in_audit_order",
    "kappa",
    "outcome_of",
    "population_of",
    "semantic",
    "structural",
    "structural_of",
]


def structural(rows: Iterable[AuditRow], *, icc: float = 0.05, revoked: bool = False) -> Population:
    """Return the evidence of a structural comparison.

    Args:
        rows: Compared calls in any order, each call once.
        icc: Planned correlation within a cluster.
        revoked: Whether the structural assumption fell elsewhere in the same task.
    """
    return structural_of(Table.of(in_audit_order(rows)), icc, revoked)


def structural_of(table: Table, icc: float, revoked: bool = False) -> Population:
    """Return the same from calls that stand in audit order as columns."""
    audit = Audit.of(table)
    prefix = slice(audit.audited)
    effects = (
        design_effect(~table.agrees, table.clusters, icc),
        design_effect(audit.harmful[prefix], [each[prefix] for each in table.clusters], icc),
    )
    return population_of(
        table, audit, compared=len(table), audited=audit.audited, effects=effects, revoked=revoked
    )


def population_of(
    table: Table,
    audit: Audit,
    *,
    compared: int,
    audited: int,
    effects: tuple[DesignEffect, DesignEffect],
    revoked: bool = False,
) -> Population:
    """Return the same from calls of which those that agree as they are and have no verdict may be left out.

    Args:
        table: Calls in audit order; at least all that differ, agree only after normalisation, or have a
            verdict.
        audit: What labels say of them.
        compared: How many calls there are with those left out.
        audited: How many of them are audited.
        effects: Design effects of disagreements and of harms.
        revoked: Whether the structural assumption fell elsewhere in the same task.
    """
    prefix = slice(audit.audited)
    normalised = table.normalised
    checked = bool(table.settled[normalised].all())
    looked_at = normalised & (table.counting(checked) | table.lapsed)
    return Population(
        basis=Basis.STRUCTURAL,
        compared=compared,
        disagreements=count(~table.agrees),
        audited=audited,
        audited_disagreements=count(~table.agrees[prefix]),
        audited_lapses=count(audit.lapses[prefix]),
        harms=count(audit.harmful[prefix]),
        audited_better=count((audit.cleared & table.better)[prefix]),
        cleared=count(audit.cleared),
        cleared_better=count(audit.cleared & table.better),
        set_aside=count((~table.agrees & (table.invalid | audit.resolved))[audit.audited :]),
        normalised=count(normalised),
        normalised_labelled=count(looked_at),
        normalised_harms=count(looked_at & _harm(table, table.counting(checked))),
        revoked=revoked or falls(table),
        looked=count(table.looked),
        unseen=count(table.unseen),
        disagreement_effect=effects[0],
        harm_effect=effects[1],
    )


@dataclass(frozen=True, slots=True)
class Audit:
    """What labels say of the disagreements: how far they reach, and which are harmful or cleared."""

    audited: int
    resolved: Bools
    harmful: Bools
    cleared: Bools
    lapses: Bools

    @classmethod
    def of(cls, table: Table) -> Audit:
        """Return what labels say of calls that stand in audit order."""
        differs = ~table.agrees
        # A lapse settles, so that letting an item lapse never takes harm out of the count.
        counts = table.counting(bool(table.settled[differs].all()))
        resolved = counts | table.lapsed
        waiting = np.flatnonzero(differs & ~resolved)
        return cls(
            audited=int(waiting[0]) if waiting.size else len(table),
            resolved=resolved,
            harmful=differs & resolved & _harm(table, counts),
            cleared=differs & counts & ~table.harmful,
            lapses=differs & table.lapsed & ~counts,
        )


def _harm(table: Table, counts: Bools) -> Bools:
    """Return which calls count as harm once they are resolved: lapsed, or labelled as worse."""
    return ~counts | table.harmful


def falls(table: Table) -> bool:
    """Say whether pairs that agree only after normalisation revoke the structural assumption.

    A lapsed audit counts as confirmed harm, so does a lapsed second review (`confirmed`).
    """
    normalised = table.normalised
    lapsed = table.lapsed & ~table.counting(bool(table.settled[normalised].all()))
    return bool((normalised & (lapsed | (table.harmful & table.confirmed))).any())


def critical(
    rows: Iterable[AuditRow],
    *,
    basis: Basis,
    marked: bool,
    draws: Sequence[DrawRow] = (),
    weight_max: float = 1.0,
    icc: float = 0.05,
) -> Population:
    """Return the evidence of critical harm over all calls.

    Args:
        rows: Every compared call, each once.
        basis: Structural or semantic.
        marked: Whether the eval marks labels or fields as critical. Where it marks
            none, every open disagreement may be critical and counts as such.
        draws: The queue's draws, for a semantic comparison.
        weight_max: The largest weight of the plan.
        icc: Planned correlation within a cluster.
    """
    return _critical(Calls.of(rows), basis, marked, draws, weight_max, icc)


def _critical(
    calls: Calls,
    basis: Basis,
    marked: bool,
    draws: Sequence[DrawRow],
    weight_max: float,
    icc: float,
) -> Population:
    table = calls.table
    if basis is Basis.SEMANTIC:

        def is_grave(draw: DrawRow) -> bool:
            place = calls.place_of.get(draw.call_id)
            return draw.critical_reason or (place is not None and bool(table.critical[place]))

        grave = [
            replace(draw, verdict=LabelVerdict.EQUAL)
            if draw.verdict is not None
            and not (draw.verdict is LabelVerdict.CONTROL_BETTER and is_grave(draw))
            else draw
            for draw in draws
        ]
        return Draws(calls, grave, weight_max, icc).population()
    audit = Audit.of(table)
    differs = ~table.agrees
    counts = table.counting(bool(table.settled[differs].all()))
    lapses = differs & table.lapsed & ~counts
    harmful = lapses | (audit.harmful & (table.critical | table.critical_reason))
    bad = harmful | (differs & ~audit.resolved & (table.critical | (not marked)))
    prefix = slice(audit.audited)
    return Population(
        basis=Basis.STRUCTURAL,
        compared=len(table),
        disagreements=count(bad),
        audited=audit.audited,
        audited_disagreements=count(differs[prefix]),
        audited_lapses=count(audit.lapses[prefix]),
        harms=count(harmful[prefix]),
        looked=count(table.looked),
        disagreement_effect=design_effect(bad, table.clusters, icc),
        harm_effect=design_effect(harmful[prefix], [each[prefix] for each in table.clusters], icc),
    )


def _sessions(calls: Calls, task: Population, queue: Draws, icc: float) -> SessionEvidence | None:
    table = calls.table
    if not len(table):
        return None
    unseen = unseen_sessions(table, calls.logged)
    if task.basis is Basis.SEMANTIC:
        places = [queue.place_of.get(draw.call_id) for draw in queue.closed]
        return drawn_sessions(task, table.session, places, unseen)
    audit = Audit.of(table)
    differs, harmful = ~table.agrees, audit.harmful
    doubtful = np.zeros(len(table), dtype=np.bool_)
    if task.revoked:
        counts = table.counting(bool(table.settled[table.normalised].all()))
        looked_at = table.normalised & (counts | table.lapsed)
        harmful = harmful | (looked_at & _harm(table, counts))
        doubtful = table.normalised & ~looked_at
    return structural_sessions(
        table,
        harmful=harmful,
        waiting=differs & ~audit.resolved,
        lapsed=audit.lapses,
        differs=differs,
        doubtful=doubtful,
        unseen=unseen,
        icc=icc,
    )


def from_rows(
    rows: Iterable[AuditRow],
    *,
    basis: Basis,
    draws: Sequence[DrawRow] = (),
    weight_max: float = 1.0,
    icc: float = 0.05,
    uncomparable: int = 0,
    days: float | None = None,
    calls_per_day: float | None = None,
    critical_marked: bool = False,
    critical_groups: Collection[tuple[str, str]] = (),
    session_calls: Mapping[str, int] | None = None,
    traffic: Mapping[SliceKeys, int] | None = None,
    latched: Collection[tuple[str, str]] = (),
    latency_p95_ms: Estimate | None = None,
    candidates: int = 1,
    drift_alarm: bool = False,
    noise: Estimate | None = None,
) -> Evidence:
    """Return all evidence about a candidate.

    Args:
        rows: Compared calls in any order, each once: closed batches only, repeat 0,
            without the uncomparable ones.
        basis: What agreement proves.
        draws: The queue's draws in draw order, for a semantic comparison.
        weight_max: The largest weight of the queue's plan.
        icc: Planned correlation within a cluster.
        uncomparable: Calls whose control is an error, truncated or refused.
        days: How much traffic the evidence spans.
        calls_per_day: Volume of the task.
        critical_marked: Whether the eval marks labels or fields as critical.
        critical_groups: (kind, name) of the outcome groups that the eval marks: they are
            evidence however few calls they have, and where they have none.
        session_calls: Comparable calls of the task's log by session, so that a session that
            was compared in part is known; if left out, all of them were compared.
        traffic: Calls of the task's whole log by their slices, so that a slice of which
            nothing was compared is known, too; the compared calls if left out.
        latched: (kind, name) of outcome groups found collapsed in this window.
        latency_p95_ms: Measured interval at production rate.
        candidates: Number of candidates the best was picked from on these data.
        drift_alarm: Whether the drift detector has alarmed.
        noise: The frontier's agreement with itself.
    """
    return from_calls(
        Calls.of(rows, session_calls),
        basis=basis,
        draws=draws,
        weight_max=weight_max,
        icc=icc,
        uncomparable=uncomparable,
        days=days,
        calls_per_day=calls_per_day,
        critical_marked=critical_marked,
        critical_groups=critical_groups,
        traffic=traffic,
        latched=latched,
        latency_p95_ms=latency_p95_ms,
        candidates=candidates,
        drift_alarm=drift_alarm,
        noise=noise,
    )


def from_calls(
    calls: Calls,
    *,
    basis: Basis,
    draws: Sequence[DrawRow] = (),
    weight_max: float = 1.0,
    icc: float = 0.05,
    uncomparable: int = 0,
    days: float | None = None,
    calls_per_day: float | None = None,
    critical_marked: bool = False,
    critical_groups: Collection[tuple[str, str]] = (),
    traffic: Mapping[SliceKeys, int] | None = None,
    latched: Collection[tuple[str, str]] = (),
    latency_p95_ms: Estimate | None = None,
    candidates: int = 1,
    drift_alarm: bool = False,
    noise: Estimate | None = None,
) -> Evidence:
    """Return all evidence about a candidate from calls that stand as columns; see `from_rows`."""
    table = calls.table
    fallen = falls(table)
    queue = Draws(calls, draws, weight_max, icc)

    def population(places: Places, agrees: Bools | None = None) -> Population:
        if basis is Basis.STRUCTURAL:
            return structural_of(table.take(places, agrees), icc, fallen)
        return queue.population(places)

    parts = calls.slices()
    traffic = traffic or calls.traffic()
    logged = sum(traffic.values())
    shares: Counter[tuple[str, str]] = Counter()
    for keys, n in traffic.items():
        shares.update(dict.fromkeys(keys, n))
    nowhere = np.zeros(0, dtype=np.int64)
    task = structural_of(table, icc, fallen) if basis is Basis.STRUCTURAL else queue.population()
    return Evidence(
        task=task,
        uncomparable=uncomparable,
        invalid=count(table.invalid),
        ignored=calls.ignored,
        days=days,
        calls_per_day=calls_per_day,
        slices=tuple(
            SliceEvidence(
                name, value, shares[name, value] / logged, population(parts.get((name, value), nowhere))
            )
            for name, value in sorted(shares.keys() | parts.keys())
        ),
        cells=tuple(
            SliceCell(keys, n / logged)
            for keys, n in sorted((tuple(sorted(keys)), n) for keys, n in traffic.items())
            if keys
        ),
        groups=tuple(
            OutcomeGroup(
                kind,
                name,
                int(places.size),
                count(agrees),
                population(places, agrees if by_part else None),
                (kind, name) in latched,
                (kind, name) in critical_groups,
            )
            for kind, name, places, agrees, by_part in sorted(
                calls.groups(critical_groups), key=lambda each: each[:2]
            )
            if places.size >= GROUP_MINIMUM or (kind, name) in {*latched, *critical_groups}
        ),
        kappa=_kappa_of(calls),
        critical=_critical(calls, basis, critical_marked, draws, weight_max, icc),
        sessions=_sessions(calls, task, queue, icc),
        latency_p95_ms=latency_p95_ms,
        candidates=candidates,
        drift_alarm=drift_alarm,
        noise=noise,
    )


def kappa(pairs: Sequence[tuple[str | None, str | None]]) -> float | None:
    """Return Cohen's kappa (1960) between two answers to the same calls.

    Args:
        pairs: Answer of the control and of the candidate; None is an answer of its own.

    Returns:
        The coefficient, or None where chance alone explains everything.
    """
    n = len(pairs)
    if not n:
        return None
    number: dict[str | None, int] = {}
    first, second = (
        np.asarray([number.setdefault(pair[side], len(number)) for pair in pairs]) for side in (0, 1)
    )
    return _kappa(first, second)


def _kappa_of(calls: Calls) -> float | None:
    """Return kappa over the calls whose control has an outcome group."""
    known = np.flatnonzero(calls.control.codes != NO_NAME)
    if not known.size:
        return None
    number = {name: place for place, name in enumerate(calls.control.names)}
    # The candidate's names by the control's numbers; no name is an answer of its own.
    other = [number.setdefault(name, len(number)) for name in calls.candidate.names]
    renamed = np.asarray([*other, len(number)], dtype=np.int64)
    return _kappa(calls.control.codes[known], renamed[calls.candidate.codes[known]])


def _kappa(first: Places, second: Places) -> float | None:
    n, kinds = first.size, int(max(first.max(), second.max())) + 1
    observed = count(first == second) / n
    left, right = np.bincount(first, minlength=kinds), np.bincount(second, minlength=kinds)
    chance = math.fsum((left.astype(np.float64) * right).tolist()) / (n * n)
    return (observed - chance) / (1 - chance) if chance < 1 - 1e-12 else None
