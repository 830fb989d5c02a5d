"""What moving a share of a task's calls saves a month, with limits: volume, costs and fall-backs measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.costing import DAYS_PER_MONTH
from workbench.costing.ways import Amount, difference, exactly, product, saved_at_frontier, total
from workbench.profiling.measuring import fallback_share, mean_amount, traffic_a_day, use_of
from workbench.profiling.report import told_prices
from workbench.specs import Candidate, EvalConfig
from workbench.store import overview as rows
from workbench.store import traffic_days
from workbench.store.workloads import UNPRICED, candidate_costs

if TYPE_CHECKING:
    from workbench.store import Store

NO_TOKENS = " (no token counts)"
NOTHING = exactly(0.0)


@dataclass(frozen=True, slots=True)
class TaskMoney:
    """What a task's calls cost on either model. Limits are one-sided at `LEVEL`, for one look.

    `calls_per_day` counts the calls of priced models alone; None where the log does not say.
    `control_usd` and `candidate_usd` are the mean cost of a call, None without a price or token counts.
    `fallback` is the share of the candidate's calls that the frontier answers after all, and that are
    paid twice. `left_out` names the models that none of it holds,
    and `imputed` counts the answers without tokens, which cost what their model's others cost. `price_notes`
    say which answers were priced otherwise than by the table alone.
    """

    calls_per_day: Amount | None
    control_usd: Amount | None
    candidate_usd: Amount | None
    fallback: Amount
    left_out: tuple[str, ...]
    imputed: int = 0
    price_notes: tuple[str, ...] = ()

    @property
    def now_usd_month(self) -> Amount | None:
        """Return what a month costs with all calls on the frontier."""
        if self.calls_per_day is None or self.control_usd is None:
            return None
        return product(self.calls_per_day.times(DAYS_PER_MONTH), self.control_usd)

    def saving_usd_month(self, share: float) -> Amount | None:
        """Return what a month costs less with a share of the calls, 0..1, on the candidate."""
        if self.calls_per_day is None or self.control_usd is None:
            return None
        if share <= 0:
            return NOTHING
        if self.candidate_usd is None:
            return None
        saved = difference(saved_at_frontier(self.control_usd, self.fallback), self.candidate_usd)
        return product(self.calls_per_day.times(DAYS_PER_MONTH), saved).times(share)


def money_of(
    workspace: Workspace,
    store: Store,
    config: EvalConfig,
    spec: Candidate,
    fingerprint: str,
    *,
    calls_per_day: float | None,
) -> TaskMoney:
    """Return what the calls of a task cost on the frontier and on a candidate.

    Args:
        workspace: Its prices.
        store: Holds the token counts.
        config: The task's eval.
        spec: The candidate.
        fingerprint: The candidate's.
        calls_per_day: The task's volume; None where it is not known.
    """
    left_out: list[str] = []
    parts: list[tuple[float, Amount]] = []
    calls, imputed = 0.0, 0
    found = rows.control_costs(store, config.task, workspace.model_prices(), config.exclude_marks)
    for row in found:
        calls += row["weight"]
        name = row["model"] or "unnamed model"
        if row["usd"] is None or not row["measured"]:
            left_out.append(name if workspace.price_of(row["model"]) is None else name + NO_TOKENS)
        else:
            imputed += row["calls"] - row["measured"]
            amount = mean_amount(row["usd"], row["usd_deviation"], row["measured"])
            parts.append((row["weight"], amount))
    priced = sum(n for n, _ in parts)
    control = total([amount.times(n / priced) for n, amount in parts]) if priced else None
    price = workspace.price_of(spec.price or spec.model)
    candidate = None
    per_million = price.per_million if price is not None else UNPRICED
    own = candidate_costs(store, config.task, fingerprint, evaluator_version(config), per_million)
    if price is None:
        left_out.append(spec.name)
    elif own["measured"]:
        candidate = mean_amount(own["usd"], own["usd_deviation"], own["measured"])
    else:
        left_out.append(spec.name + NO_TOKENS)
    # Calls of unpriced models are left out of all sums, not counted as free.
    volume = _volume(store, config, calls_per_day)
    share = priced / calls if calls else 0.0
    return TaskMoney(
        volume.times(share) if volume else None,
        control,
        candidate,
        fallback_share(own),
        tuple(left_out),
        imputed,
        told_prices([use_of(row) for row in found]),
    )


def _volume(store: Store, config: EvalConfig, calls_per_day: float | None) -> Amount | None:
    """Return the calls a day with limits from how days differ; a declared number has none but itself."""
    if calls_per_day is None or config.calls_per_day is not None:
        return None if calls_per_day is None else exactly(calls_per_day)
    days = traffic_days.of_task(store, config.task, config.exclude_marks)
    if traffic_days.mean_a_day(days) is None:
        return exactly(calls_per_day)
    found = traffic_a_day(days)
    if not found.point:
        return exactly(calls_per_day)
    return Amount(
        calls_per_day, calls_per_day * found.low / found.point, calls_per_day * found.high / found.point
    )
