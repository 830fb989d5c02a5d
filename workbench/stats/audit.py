"""From rows to evidence: which looked-at calls count, in which order, and as what.

Structural evidence is a prefix: calls stand in the order (batch, audit key), and
`audited` ends before the first disagreement that is still open. A skipped
disagreement, or one whose lease has run out, counts as audited and harmful until it
is resolved. Semantic evidence is a prefix of the queue's draws by the same rules.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from workbench.records import Basis, Estimate, LabelVerdict
from workbench.stats.cluster import design_effect
from workbench.stats.evidence import (
    GROUP_MINIMUM,
    Evidence,
    OutcomeGroup,
    Population,
    SliceCell,
    SliceEvidence,
    WeightedOutcome,
)

SEVERITY = (
    LabelVerdict.CANDIDATE_BETTER,
    LabelVerdict.EQUAL,
    LabelVerdict.BOTH_BAD,
    LabelVerdict.CONTROL_BETTER,
)
"""Verdicts from best to worst for the candidate."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One compared call, repeat 0, of a closed batch.

    `batch` numbers batches in the order they were closed, over all replays.
    `identical` says that the raw outputs are equal. `verdict` is the one people
    arrived at (see `combine`). `lapsed` says that it was drawn, then skipped or its
    lease ran out, without a verdict since. `picked` says that its verdict came by
    hand, by import or from a gold answer rather than from the queue. `confirmed` says of
    a pair that agrees only after normalisation that a second reviewer, or the lapse
    of the second review, confirmed the harm. `critical` says that a critical label
    or field differs, `critical_reason` that a reviewer called the harm critical.
    `fields` holds, for each required field of the control, whether it agrees.
    """

    call_id: str
    batch: int
    audit_key: str
    agrees: bool
    identical: bool = False
    invalid: bool = False
    ignored: bool = False
    session: str | None = None
    request_hash: str | None = None
    verdict: LabelVerdict | None = None
    lapsed: bool = False
    picked: bool = False
    confirmed: bool = False
    critical: bool = False
    critical_reason: bool = False
    control_group: str | None = None
    candidate_group: str | None = None
    slices: tuple[tuple[str, str], ...] = ()
    fields: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrawRow:
    """One draw of the queue, in draw order.

    `verdict` None without `lapsed` means that the draw is still open. `probability` is
    that of its stratum when it was drawn, `weight` the stratum's share over it.
    """

    call_id: str
    weight: float
    verdict: LabelVerdict | None = None
    lapsed: bool = False
    critical_reason: bool = False


def combine(verdicts: Sequence[LabelVerdict], adjudicated: LabelVerdict | None = None) -> LabelVerdict | None:
    """Return the verdict that counts: the adjudicated one, else the worst for the candidate.

    Args:
        verdicts: The standing verdict of each reviewer.
        adjudicated: What an adjudicator decided, if anyone did.
    """
    if adjudicated is not None:
        return adjudicated
    return max(verdicts, key=SEVERITY.index, default=None)


def in_audit_order(rows: Iterable[AuditRow]) -> list[AuditRow]:
    """Return rows in the order in which disagreements are to be labelled."""
    return sorted(rows, key=lambda row: (row.batch, row.audit_key, row.call_id))


def structural(rows: Iterable[AuditRow], *, icc: float = 0.05, revoked: bool = False) -> Population:
    """Return the evidence of a structural comparison.

    Args:
        rows: Compared calls in any order, each call once.
        icc: Planned correlation within a cluster.
        revoked: Whether the structural assumption fell elsewhere in the same task.
    """
    ordered = [_strict(row) for row in in_audit_order(rows)]
    disagreeing = [row for row in ordered if not row.agrees]
    covered = _covered(disagreeing)
    audited = len(ordered)
    for place, row in enumerate(ordered):
        if not row.agrees and not _resolved(row, covered):
            audited = place
            break
    prefix = ordered[:audited]
    labelled = [row for row in disagreeing if _counts(row, covered)]
    cleared = [row for row in labelled if row.verdict is not LabelVerdict.CONTROL_BETTER]
    normalised = [row for row in ordered if _normalised(row)]
    checked = all(map(_settled, normalised))
    looked_at = [row for row in normalised if _resolved(row, checked)]
    harmful = [not row.agrees and _harmful(row, covered) for row in prefix]
    return Population(
        basis=Basis.STRUCTURAL,
        compared=len(ordered),
        disagreements=len(disagreeing),
        audited=audited,
        audited_disagreements=sum(not row.agrees for row in prefix),
        harms=sum(harmful),
        audited_better=sum(not row.agrees and _better(row, covered) for row in prefix),
        cleared=len(cleared),
        cleared_better=sum(row.verdict is LabelVerdict.CANDIDATE_BETTER for row in cleared),
        normalised=len(normalised),
        normalised_labelled=len(looked_at),
        normalised_harms=sum(_harmful(row, checked) for row in looked_at),
        revoked=revoked or _falls(normalised, checked),
        looked=sum(row.verdict is not None for row in ordered),
        disagreement_effect=design_effect([not row.agrees for row in ordered], _clusters(ordered), icc),
        harm_effect=design_effect(harmful, _clusters(prefix), icc),
    )


def semantic(
    rows: Iterable[AuditRow],
    draws: Sequence[DrawRow],
    *,
    weight_max: float,
    part: Iterable[AuditRow] | None = None,
    icc: float = 0.05,
) -> Population:
    """Return the evidence of a semantic comparison, or that of a part of its calls.

    Draws that fall into a part are a sample of it whose weights are off by one
    factor: the part's chance of being drawn over its share of traffic. It follows from
    the weight of the draw and the share of mismatches, inside the part and overall.

    Args:
        rows: Every compared call, each once.
        draws: The queue's draws of the whole task, in draw order.
        weight_max: The largest weight of the plan.
        part: The rows of a slice or group; the whole task if left out.
        icc: Planned correlation within a cluster.
    """
    everything = [_strict(row) for row in rows]
    chosen = everything if part is None else [_strict(row) for row in part]
    by_id = {row.call_id: row for row in chosen}
    closed = closed_draws(draws)
    overall, within = _mismatch_share(everything), _mismatch_share(chosen)
    outcomes: list[WeightedOutcome] = []
    members: list[AuditRow | None] = []
    largest = weight_max
    factors: list[float] = []
    for draw in closed:
        row = by_id.get(draw.call_id)
        if row is None and part is not None:
            continue
        factor = 1.0 if part is None or row is None else _factor(draw.weight, row.agrees, overall, within)
        factors.append(factor)
        outcomes.append(WeightedOutcome(draw.weight * factor, outcome_of(draw)))
        members.append(row)
    if factors:
        largest = max(weight_max * max(factors), *(each.weight for each in outcomes))
    return Population(
        basis=Basis.SEMANTIC,
        compared=len(chosen),
        disagreements=sum(not row.agrees for row in chosen),
        draws=tuple(outcomes),
        weight_max=largest,
        looked=len(
            {row.call_id for row in chosen if row.verdict is not None}
            | {draw.call_id for draw in draws if draw.verdict is not None and draw.call_id in by_id}
        ),
        disagreement_effect=design_effect([not row.agrees for row in chosen], _clusters(chosen), icc),
        harm_effect=design_effect([each.outcome > 0 for each in outcomes], _clusters(members), icc),
    )


def closed_draws(draws: Sequence[DrawRow]) -> list[DrawRow]:
    """Return the draws that count: those before the first one still open."""
    closed: list[DrawRow] = []
    for draw in draws:
        if draw.verdict is None and not draw.lapsed:
            break
        closed.append(draw)
    return closed


def outcome_of(draw: DrawRow) -> int:
    """Return +1 for harm or a lapse, -1 for a better candidate, 0 otherwise."""
    if draw.verdict is None or draw.verdict is LabelVerdict.CONTROL_BETTER:
        return 1
    return -1 if draw.verdict is LabelVerdict.CANDIDATE_BETTER else 0


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
    ordered = [_strict(row) for row in in_audit_order(rows)]
    by_id = {row.call_id: row for row in ordered}
    if basis is Basis.SEMANTIC:
        grave = [
            replace(draw, verdict=LabelVerdict.EQUAL)
            if draw.verdict is not None and not _critical_draw(draw, by_id.get(draw.call_id))
            else draw
            for draw in draws
        ]
        return semantic(ordered, grave, weight_max=weight_max, icc=icc)
    whole = structural(ordered, icc=icc)
    covered = _covered(ordered)
    harmful = [not row.agrees and _critical_harm(row, covered) for row in ordered]
    still_open = [
        not row.agrees and not _resolved(row, covered) and (row.critical or not marked) for row in ordered
    ]
    prefix = harmful[: whole.audited]
    bad = [first or second for first, second in zip(harmful, still_open, strict=True)]
    return Population(
        basis=Basis.STRUCTURAL,
        compared=whole.compared,
        disagreements=sum(bad),
        audited=whole.audited,
        audited_disagreements=whole.audited_disagreements,
        harms=sum(prefix),
        looked=whole.looked,
        disagreement_effect=design_effect(bad, _clusters(ordered), icc),
        harm_effect=design_effect(prefix, _clusters(ordered[: whole.audited]), icc),
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
    traffic: Mapping[tuple[tuple[str, str], ...], int] | None = None,
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
        traffic: Calls of the task's whole log by their slices, so that a slice of which
            nothing was compared is known, too; the compared calls if left out.
        latched: (kind, name) of outcome groups found collapsed in this window.
        latency_p95_ms: Measured interval at production rate.
        candidates: Number of candidates the best was picked from on these data.
        drift_alarm: Whether the drift detector has alarmed.
        noise: The frontier's agreement with itself.
    """
    ordered = [_strict(row) for row in in_audit_order(rows)]
    normalised = [row for row in ordered if _normalised(row)]
    fallen = _falls(normalised, all(map(_settled, normalised)))
    traffic = traffic or Counter(row.slices for row in ordered)
    calls = sum(traffic.values())
    parts = _by_slice(ordered)
    shares: Counter[tuple[str, str]] = Counter()
    for keys, count in traffic.items():
        shares.update(dict.fromkeys(keys, count))

    def population(part: list[AuditRow]) -> Population:
        if basis is Basis.STRUCTURAL:
            return structural(part, icc=icc, revoked=fallen)
        whole = None if part is ordered else part
        return semantic(ordered, draws, weight_max=weight_max, part=whole, icc=icc)

    return Evidence(
        task=population(ordered),
        uncomparable=uncomparable,
        invalid=sum(row.invalid for row in ordered),
        ignored=sum(row.ignored for row in ordered),
        days=days,
        calls_per_day=calls_per_day,
        slices=tuple(
            SliceEvidence(name, value, shares[name, value] / calls, population(parts.get((name, value), [])))
            for name, value in sorted(shares.keys() | parts.keys())
        ),
        cells=tuple(
            SliceCell(keys, count / calls)
            for keys, count in sorted((tuple(sorted(keys)), count) for keys, count in traffic.items())
            if keys
        ),
        groups=tuple(
            OutcomeGroup(
                kind,
                name,
                len(part),
                sum(row.agrees for row in part),
                population(part),
                (kind, name) in latched,
            )
            for (kind, name), part in sorted(_by_group(ordered).items())
            if len(part) >= GROUP_MINIMUM or (kind, name) in latched
        ),
        kappa=kappa(
            [(row.control_group, row.candidate_group) for row in ordered if row.control_group is not None]
        ),
        critical=critical(
            ordered, basis=basis, marked=critical_marked, draws=draws, weight_max=weight_max, icc=icc
        ),
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
    observed = sum(first == second for first, second in pairs) / n
    left, right = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    chance = math.fsum(left[key] * right[key] for key in left) / (n * n)
    return (observed - chance) / (1 - chance) if chance < 1 - 1e-12 else None


def _strict(row: AuditRow) -> AuditRow:
    """An invalid output is a disagreement, whatever the comparator made of it."""
    return replace(row, agrees=False) if row.invalid and row.agrees else row


def _covered(rows: Iterable[AuditRow]) -> bool:
    """Say whether every disagreement is settled: only then do hand-picked verdicts count.

    A lapse settles, so that letting an item lapse never takes harm out of the count.
    """
    return all(_settled(row) for row in rows if not row.agrees)


def _settled(row: AuditRow) -> bool:
    return row.verdict is not None or row.lapsed


def _normalised(row: AuditRow) -> bool:
    return row.agrees and not row.identical


def _counts(row: AuditRow, covered: bool) -> bool:
    return row.verdict is not None and (covered or not row.picked)


def _resolved(row: AuditRow, covered: bool) -> bool:
    return _counts(row, covered) or row.lapsed


def _harmful(row: AuditRow, covered: bool) -> bool:
    return _resolved(row, covered) and (
        not _counts(row, covered) or row.verdict is LabelVerdict.CONTROL_BETTER
    )


def _better(row: AuditRow, covered: bool) -> bool:
    return _counts(row, covered) and row.verdict is LabelVerdict.CANDIDATE_BETTER


def _critical_harm(row: AuditRow, covered: bool) -> bool:
    lapse = row.lapsed and not _counts(row, covered)
    return lapse or (_harmful(row, covered) and (row.critical or row.critical_reason))


def _critical_draw(draw: DrawRow, row: AuditRow | None) -> bool:
    grave = draw.critical_reason or (row is not None and row.critical)
    return draw.verdict is LabelVerdict.CONTROL_BETTER and grave


def _falls(normalised: Iterable[AuditRow], checked: bool) -> bool:
    """Say whether pairs that agree only after normalisation revoke the structural assumption.

    A lapsed audit counts as confirmed harm, so does a lapsed second review (`confirmed`).
    """
    return any(
        (row.lapsed and not _counts(row, checked))
        or (row.verdict is LabelVerdict.CONTROL_BETTER and row.confirmed)
        for row in normalised
    )


def _mismatch_share(rows: Sequence[AuditRow]) -> float:
    return sum(not row.agrees for row in rows) / len(rows) if rows else 0.0


def _factor(weight: float, agrees: bool, overall: float, within: float) -> float:
    """Return the part's chance of being drawn over its share, when this draw was made.

    The plan has two odds of being drawn: of mismatches and of the rest. The draw's own
    is 1 / weight, and the other follows because all probabilities sum to 1.
    """
    own, other = (1 - overall, overall) if agrees else (overall, 1 - overall)
    odds = 1 / weight
    others = (1 - own * odds) / other if other > 0 else odds
    share = 1 - within if agrees else within
    return share * odds + (1 - share) * max(others, 0.0)


def _clusters(rows: Sequence[AuditRow | None]) -> list[list[str | None]]:
    return [
        [row.session if row else None for row in rows],
        [row.request_hash if row else None for row in rows],
    ]


def _by_slice(rows: Iterable[AuditRow]) -> dict[tuple[str, str], list[AuditRow]]:
    parts: defaultdict[tuple[str, str], list[AuditRow]] = defaultdict(list)
    for row in rows:
        for key in row.slices:
            parts[key].append(row)
    return parts


def _by_group(rows: Iterable[AuditRow]) -> dict[tuple[str, str], list[AuditRow]]:
    parts: defaultdict[tuple[str, str], list[AuditRow]] = defaultdict(list)
    for row in rows:
        if row.control_group is not None:
            parts["label", row.control_group].append(row)
        for name, agrees in row.fields.items():
            parts["field", name].append(replace(row, agrees=agrees, identical=agrees))
    return parts
