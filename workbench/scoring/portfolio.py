"""All tasks together: what could move, what that saves, and a bound on harm over what moves.

The bound is a union bound (Bonferroni 1936) over anytime bounds: with T tasks of which K candidates
each were compared, a task's bound is taken at its error probability over T K, so that all of them hold
at once, however often anyone looks, and whichever candidates are picked by looking. Their mean,
weighted by the calls that move, then bounds the share of moved calls that get worse. No part of it
is ever below the bound of its own task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.costing.ways import Amount, total
from workbench.scoring.overview import OverviewRow
from workbench.stats.wording import a_day, measured, percent, plural


@dataclass(frozen=True, slots=True)
class PortfolioPart:
    """The candidate of a task that may go furthest. `weight` is the task's part of all traffic, 0..1.

    `harm_high` is the task's bound on harm as it enters that of the portfolio; 1 where nothing moves.
    """

    task: str
    candidate: str
    share: float
    effective_share: float
    cap: float
    weight: float
    calls_per_day: float | None
    harm_high: float
    saving_usd_month: Amount | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Portfolio:
    """All compared tasks together, made-up candidates left out.

    `share` of all traffic could move next, `reach` is what the evidence carries at most, `present` what
    candidates serve now, others than the furthest of a task among them. `by_volume`
    says that tasks weigh by their calls a day; where those of one are not known, by calls in the log.
    `harm_high` bounds the share of moved calls that get worse, `harm_per_day` the number of them;
    None where nothing moves, or the volume is not known. `saving_usd_month` sums the parts whose
    money is known; `unpriced` names the moving tasks without.
    """

    parts: tuple[PortfolioPart, ...]
    compared_tasks: int
    moving: int
    share: float | None
    reach: float | None
    by_volume: bool
    calls_per_day: float | None
    moved_per_day: float | None
    harm_high: float | None
    harm_per_day: float | None
    level: float | None
    saving_usd_month: Amount | None
    unpriced: tuple[str, ...]
    synthetic_left_out: bool
    present: float | None = None

    @property
    def harm_sentence(self) -> str:
        """Return the bound on harm with its method, or why there is none."""
        if self.harm_high is None or self.level is None:
            if self.present:
                return "Nothing may move. The bound on what moves now stands with its candidate."
            return "Nothing moves yet, so nothing gets worse."
        how = (
            "weighted by the calls that move"
            if self.by_volume
            else "the largest of the moving tasks, since the volume of a task is not known"
        )
        said = (
            f"At most {measured(self.harm_high)} of the moved calls get worse ({percent(self.level)} sure): "
            f"{plural(self.compared_tasks, 'compared task')} bounded at once (a union bound), {how}."
        )
        if self.harm_per_day is not None:
            said += f" That is at most {a_day(self.harm_per_day)} calls a day."
        return said


def portfolio(rows: Sequence[OverviewRow]) -> Portfolio:
    """Return all tasks together, with the candidate of each that may go furthest.

    Args:
        rows: What `overview` returned.
    """
    real = [row for row in rows if not row.synthetic]
    by_task: dict[str, list[OverviewRow]] = {}
    for row in real:
        by_task.setdefault(row.task, []).append(row)
    best = {task: furthest(found) for task, found in sorted(by_task.items())}
    by_volume = bool(best) and all(row.calls_per_day is not None for row in best.values())
    weights = {
        task: float(row.calls_per_day or 0.0) if by_volume else float(row.calls) for task, row in best.items()
    }
    whole = sum(weights.values())
    parts = tuple(
        PortfolioPart(
            task=task,
            candidate=row.candidate,
            share=row.recommendation.share,
            effective_share=row.recommendation.effective_share,
            cap=row.recommendation.cap,
            weight=weights[task] / whole if whole else 0.0,
            calls_per_day=row.calls_per_day,
            harm_high=_bound(row, len(best) * max(row.candidates_tried, len(by_task[task]))),
            saving_usd_month=row.saving,
            left_out=row.left_out,
        )
        for task, row in best.items()
    )
    moving = [each for each in parts if each.effective_share > 0]
    priced = [each.saving_usd_month for each in moving if each.saving_usd_month is not None]
    high = per_day = moved = None
    if by_volume:
        moved = sum(each.effective_share * weights[each.task] for each in moving)
    if moving and by_volume and moved:
        # Slices may hold some of a task's traffic back. Of the calls that move, no more can get worse
        # than of the task's calls at its own share, so that share stands above the line; nor more than move.
        per_day = sum(
            min(each.effective_share * weights[each.task], each.share * weights[each.task] * each.harm_high)
            for each in moving
        )
        high = min(1.0, per_day / moved)
    elif moving:
        high = max(min(1.0, each.share * each.harm_high / each.effective_share) for each in moving)
    return Portfolio(
        parts=parts,
        compared_tasks=len(best),
        moving=len(moving),
        share=sum(each.weight * each.effective_share for each in parts) if whole else None,
        reach=sum(each.weight * each.cap for each in parts) if whole else None,
        by_volume=by_volume,
        calls_per_day=whole if by_volume else None,
        moved_per_day=moved,
        harm_high=high,
        harm_per_day=per_day,
        level=min(row.recommendation.harm.level for row in best.values()) if moving else None,
        saving_usd_month=total(priced) if priced else None,
        unpriced=tuple(each.task for each in moving if each.saving_usd_month is None),
        synthetic_left_out=len(real) < len(rows),
        present=sum(each.weight * min(_served(by_task[each.task]), 1.0) for each in parts) if whole else None,
    )


def _served(rows: Sequence[OverviewRow]) -> float:
    """Return what all candidates of a task serve now: another one than the furthest may."""
    return sum(row.recommendation.current_share for row in rows)


def furthest(rows: Sequence[OverviewRow]) -> OverviewRow:
    """Return the candidate that may take most next; of equals, the one that evidence carries further."""
    return max(
        rows,
        key=lambda row: (
            row.recommendation.effective_share,
            row.recommendation.cap,
            row.saving.point if row.saving else 0.0,
            -row.recommendation.harm.high,
        ),
    )


def _bound(row: OverviewRow, claims: int) -> float:
    """Return the upper bound on a task's harm at its error probability over so many claims."""
    halvings = max(claims - 1, 0).bit_length()
    return row.harm_highs[halvings] if halvings < len(row.harm_highs) else 1.0
