"""What traffic costs now and otherwise: four ways side by side, where a GPU pays, and the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.access import requires
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.costing.plan import CostPlan, Gpu
from workbench.costing.savings import monthly_savings
from workbench.costing.ways import (
    Amount,
    BreakEven,
    ModelTokens,
    Way,
    Workload,
    break_even,
    curve,
    exactly,
    fallen_share,
    mean_tokens,
    total,
    ways_together,
)
from workbench.costing.wording import amount
from workbench.errors import UsageError
from workbench.profiling import ProfileReport, WorkloadReport, budget_warning, current, profile, workload_of
from workbench.profiling.measuring import LEVEL, fallback_share, mean_amount, small_model
from workbench.profiling.report import told_imputed, told_prices
from workbench.progress import Listener, silent
from workbench.roles import Right
from workbench.specs import CONTROL, Price
from workbench.stats.wording import measured

if TYPE_CHECKING:
    from workbench.store import Store

CURVE_POINTS = 120
MOST_BASES = 6
FEWEST_MEASURED = 20
"""Below so many answers with token counts, a candidate's cost is taken from its price alone."""


@dataclass(frozen=True, slots=True)
class CostReport:
    """What one workload, or all of them together, cost a month in four ways.

    `basis` says what the small model's figures rest on. `left_out` names models without a price, and
    `left_out_workloads` what the sum of all can't hold. `imputed` counts answers without tokens, which
    cost what their model's others cost, and `price_notes` says which were priced otherwise than by the table
    alone. `no_volume` says why calls a day are not known. `curve` is the cost of each way at `volumes`.
    """

    workload: str | None
    share: float
    calls_per_day: Amount | None
    usd_per_call: Amount | None
    candidate: str | None
    candidate_usd: Amount | None
    candidate_tokens: float | None
    fallback: Amount
    basis: str
    ways: tuple[Way, ...]
    break_even: BreakEven | None
    volumes: tuple[float, ...]
    curve: dict[str, list[float]]
    left_out: tuple[str, ...]
    left_out_workloads: tuple[str, ...]
    priced_share: float
    plan: CostPlan
    gpu: Gpu | None
    warning: str
    level: float = LEVEL
    imputed: int = 0
    price_notes: tuple[str, ...] = ()
    no_volume: str = ""

    @property
    def told_fallback(self) -> str:
        """Return how many of the calls fall back to the frontier, or nothing where none is counted."""
        back = self.fallback
        if not back.high:
            return ""
        return (
            f"Fall-backs: {measured(back.point)} of its calls ({measured(back.low)} to "
            f"{measured(back.high)}) are asked at the frontier too, and paid for twice. The sum holds them."
        )

    @property
    def text(self) -> str:
        """Return the report for a terminal."""
        lines = [f"{self.workload or 'All workloads'}, {100 * self.share:g} % on the small model", ""]
        for way in self.ways:
            lines.append(f"{way.name:<42} {amount(way.usd_month):>34}")
            if way.saving_usd_month is not None and way.saving_usd_month.point:
                lines.append(f"    saves {amount(way.saving_usd_month)}")
            if way.pay_back_months is not None:
                lines.append(f"    pays back in {way.pay_back_months.point:.1f} months")
            lines += [f"    not known: {each}" for each in way.missing]
            lines += [f"    {each}" for each in way.notes]
        lines += ["", f"Small model: {self.basis}"]
        if told := self.told_fallback:
            lines.append(told)
        if self.break_even is not None:
            lines.append(told_break_even(self.break_even, self.share))
        if self.imputed:
            lines.append(told_imputed(self.imputed))
        lines += self.price_notes
        if self.left_out:
            lines.append("Left out, no price or no tokens: " + ", ".join(self.left_out[:12]))
        if self.left_out_workloads:
            lines.append("Left out of the sum: " + ", ".join(self.left_out_workloads[:12]))
        if self.warning:
            lines.append(f"WARNING: {self.warning}")
        return "\n".join(lines)


@requires(Right.SEE, task="workload")
def costs(
    workspace: Workspace,
    store: Store,
    workload: str | None = None,
    *,
    candidate: str | None = None,
    share: float = 1.0,
    plan: CostPlan | None = None,
    listener: Listener = silent,
) -> CostReport:
    """Return what a workload, or all of them, cost a month in four ways.

    Args:
        workspace: Its prices and `[costs]`.
        store: Holds the calls and what candidates answered.
        workload: Its name or id; None for all together.
        candidate: The small model; its measured tokens and fall-backs count where it was replayed.
        share: Of the calls that go to it, 0..1.
        plan: In place of `[costs]`, to try other figures.
        listener: Is told where it stands.

    Raises:
        UsageError: A name is unknown, or the share is none.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"{share:g} is no share.", "Use 0 to 1.")
    if candidate is not None:
        if candidate == CONTROL:
            raise UsageError("`control` is the frontier itself.", "Name a small model.")
        workspace.candidate(candidate)
    report = profile(workspace, store, listener=listener)
    plan = plan or workspace.config.costs
    chosen = [workload_of(report, workload)] if workload is not None else list(report.workloads)
    loads = [_load(workspace, store, each, candidate) for each in chosen]
    whole = loads[0] if workload is not None and loads else _together(loads)
    gpu = workspace.gpu_of(plan.self_hosted.gpu) if plan.self_hosted else None
    ways = ways_together(whole.parts, plan, gpu, share)
    fallen = fallen_share(whole.parts)
    even = _break_even(whole.load, fallen, plan, gpu, share)
    volumes = _volumes(whole.load, even)
    drawn = {}
    if whole.load.control_usd is not None and volumes:
        drawn = curve(
            volumes,
            whole.load.control_usd.point,
            whole.load.candidate_usd.point if whole.load.candidate_usd else None,
            fallen,
            whole.load.candidate_tokens,
            plan,
            gpu,
            share,
        )
    now = report.forecast_usd_month
    return CostReport(
        workload=chosen[0].name if workload is not None else None,
        share=share,
        calls_per_day=whole.load.calls_per_day,
        usd_per_call=whole.load.control_usd,
        candidate=candidate,
        candidate_usd=whole.load.candidate_usd,
        candidate_tokens=whole.load.candidate_tokens,
        fallback=whole.load.fallback,
        basis=whole.basis,
        ways=ways,
        break_even=even,
        volumes=tuple(volumes),
        curve=drawn,
        left_out=tuple(sorted({name for each in chosen for name in each.left_out})),
        left_out_workloads=whole.left_out,
        priced_share=_priced(report, chosen),
        plan=plan,
        gpu=gpu,
        warning=budget_warning(now.point if now else None, now.high if now else None, plan.budget_usd_month),
        imputed=sum(each.imputed for each in chosen),
        no_volume="; ".join(dict.fromkeys(each.no_volume for each in chosen if each.no_volume)),
        price_notes=told_prices([use for each in chosen for use in each.models]),
    )


@dataclass(frozen=True, slots=True)
class MeasuredSaving:
    """What all calls of a task on a candidate would save, from its own tokens and fall-backs.

    `usd_month` is below 0 where the candidate costs more.
    """

    candidate: str
    usd_month: float


@requires(Right.SEE, task=None)
def measured_savings(workspace: Workspace, store: Store) -> dict[str, MeasuredSaving]:
    """Return for each task of the newest profile the measured candidate that would save the most.

    Tasks without one are left out, and so are synthetic candidates.

    Args:
        workspace: Names candidates and prices.
        store: Holds the profile and what candidates answered.
    """
    from workbench.store import pages

    report = current(workspace, store)
    replayed = set(pages.replayed(store))
    found: dict[str, MeasuredSaving] = {}
    for each in report.workloads if report is not None else ():
        if not each.has_eval:
            continue
        for spec in workspace.config.candidates:
            if spec.synthetic or (each.name, spec.name) not in replayed:
                continue
            own = _load(workspace, store, each, spec.name)
            load = own.load
            saving = monthly_savings(
                calls_per_day=load.calls_per_day.point if load.calls_per_day else None,
                control_usd_per_call=load.control_usd.point if load.control_usd else None,
                candidate_usd_per_call=load.candidate_usd.point if load.candidate_usd else None,
                share=1.0,
                fallback_share=load.fallback.point,
            ).saving_usd_month
            best = found.get(each.name)
            if own.is_measured and saving is not None and (best is None or saving > best.usd_month):
                found[each.name] = MeasuredSaving(spec.name, saving)
    return found


@dataclass(frozen=True, slots=True)
class _Load:
    """What is known of a workload, or of all: `load` is their mean call, `parts` what money adds up from.

    `is_measured` says that the candidate's own tokens and fall-backs are counted.
    """

    name: str
    load: Workload
    parts: tuple[Workload, ...]
    basis: str
    left_out: tuple[str, ...] = ()
    is_measured: bool = False


def _load(workspace: Workspace, store: Store, each: WorkloadReport, candidate: str | None) -> _Load:
    models = tuple(
        ModelTokens(
            use.model,
            use.weight,
            use.input_tokens or 0.0,
            use.cached_input_tokens or 0.0,
            use.output_tokens or 0.0,
            workspace.price_of(use.model),
            each.constant_prefix_share,
            use.batched_share,
            use.usd,
        )
        for use in each.models
        if use.measured and use.usd is not None
    )
    volume = each.calls_per_day.times(each.priced_share) if each.calls_per_day is not None else None
    own = None if candidate is None else _measured(workspace, store, each, candidate)
    usd, tokens, fallback, basis = own or _by_price(workspace, candidate, models)
    load = Workload(volume, each.usd_per_call, models, usd, tokens, fallback, each.no_volume)
    return _Load(each.name, load, (load,), basis, is_measured=own is not None)


_Basis = tuple[Amount | None, float | None, Amount, str]
"""Cost and tokens of a call on the small model, its fall-back share, and what they rest on."""


def _measured(workspace: Workspace, store: Store, each: WorkloadReport, candidate: str) -> _Basis | None:
    """Return what a candidate's answers took, or None where too few of them tell."""
    from workbench.store import workloads

    config = workspace.evals.get(each.name) if each.is_task else None
    if config is None:
        return None
    spec = workspace.candidate(candidate)
    price = workspace.price_of(spec.price or spec.model)
    row = workloads.candidate_costs(
        store,
        each.name,
        workspace.fingerprint(spec),
        evaluator_version(config),
        price.per_million if price is not None else workloads.UNPRICED,
    )
    if row["measured"] < FEWEST_MEASURED:
        return None
    fallback = fallback_share(row)
    basis = f"{candidate}, measured on {row['measured']:,} calls"
    if price is None:
        return None, row["tokens"], fallback, f"{basis}; it has no price"
    usd = mean_amount(row["usd"], row["usd_deviation"], row["measured"])
    return usd, row["tokens"], fallback, basis


def _by_price(workspace: Workspace, candidate: str | None, models: tuple[ModelTokens, ...]) -> _Basis:
    """Return what the frontier's tokens would cost at a small model's price."""
    price = small_model(workspace)
    if candidate is not None:
        spec = workspace.candidate(candidate)
        price = workspace.price_of(spec.price or spec.model)
    none = exactly(0.0)
    # What costs as the log says may have no tokens: nothing tells what it would cost on another model.
    models = tuple(use for use in models if use.price is not None or use.output_tokens)
    calls = sum(use.calls for use in models)
    if not calls:
        return None, None, none, "no token counts of a priced model to go by"
    whole = [use.input_tokens + use.cached_input_tokens for use in models]
    tokens = sum(use.calls * (i + use.output_tokens) for use, i in zip(models, whole, strict=True)) / calls
    if price is None:
        if candidate is not None:
            return None, tokens, none, f"{candidate} has no price: add it to [[prices]]"
        return None, tokens, none, "none has a price: add one to [[prices]] and name it in costs.hosted_model"
    mean = (
        sum(use.calls * _usd(i, use.output_tokens, price) for use, i in zip(models, whole, strict=True))
        / calls
    )
    basis = f"price of {price.model} at the frontier's tokens, without fall-backs (not measured)"
    return exactly(mean), tokens, none, basis


def _usd(input_tokens: float, output_tokens: float, price: Price) -> float:
    return (input_tokens * price.input_usd_per_million + output_tokens * price.output_usd_per_million) / 1e6


def _together(loads: list[_Load]) -> _Load:
    """Return all workloads as one: a deployment serves them together. What lacks a figure is named."""
    good = [
        each for each in loads if each.load.calls_per_day is not None and each.load.control_usd is not None
    ]
    left_out = tuple(each.name for each in loads if each not in good)
    basis = _bases(good or loads)
    if not good:
        # What each of them lacks says what is missing of all.
        volumes = [each.load.calls_per_day for each in loads if each.load.calls_per_day is not None]
        volume = total(volumes) if volumes and len(volumes) == len(loads) else None
        return _Load("all", Workload(volume, None), tuple(each.load for each in loads), basis, left_out)
    parts = tuple(each.load for each in good)
    calls = [each.calls_per_day.point for each in parts if each.calls_per_day is not None]
    if sum(calls) <= 0:
        return _Load("all", Workload(None, None), (), basis, left_out)
    weights = [each / sum(calls) for each in calls]
    known = [each.candidate_usd for each in parts if each.candidate_usd is not None]
    load = Workload(
        calls_per_day=total([each.calls_per_day or exactly(0.0) for each in parts]),
        control_usd=_sum([each.control_usd or exactly(0.0) for each in parts], weights),
        candidate_usd=_sum(known, weights) if len(known) == len(parts) else None,
        candidate_tokens=mean_tokens(parts),
        fallback=_sum([each.fallback for each in parts], weights),
    )
    return _Load("all", load, parts, basis, left_out)


def _bases(loads: list[_Load]) -> str:
    """Return what the small model's figures rest on, workload by workload where it is not the same."""
    found: dict[str, list[str]] = {}
    for each in loads:
        found.setdefault(each.basis, []).append(each.name)
    if len(found) < 2:
        return next(iter(found), "nothing is known of one")
    told = [f"{', '.join(names)}: {basis}" for basis, names in found.items()]
    more = [f"and {len(told) - MOST_BASES} more"] if len(told) > MOST_BASES else []
    return "; ".join([*told[:MOST_BASES], *more])


def _sum(amounts: list[Amount], weights: list[float]) -> Amount:
    return total([each.times(weight) for each, weight in zip(amounts, weights, strict=True)])


def _break_even(
    load: Workload, fallen: float, plan: CostPlan, gpu: Gpu | None, share: float
) -> BreakEven | None:
    if plan.self_hosted is None or gpu is None or load.control_usd is None or not load.candidate_tokens:
        return None
    return break_even(
        load.control_usd.point,
        fallen,
        load.candidate_tokens,
        plan.self_hosted,
        gpu,
        plan.fixed_usd_month,
        share,
    )


def _volumes(load: Workload, even: BreakEven | None) -> list[float]:
    marks = [load.calls_per_day.point if load.calls_per_day else 0.0]
    if even is not None:
        marks.append(even.calls_per_day or even.capacity_per_day)
    top = 2.0 * max(marks)
    return [top * step / CURVE_POINTS for step in range(CURVE_POINTS + 1)] if top > 0 else []


def _priced(report: ProfileReport, chosen: list[WorkloadReport]) -> float:
    calls = sum(each.calls for each in chosen)
    return sum(each.calls * each.priced_share for each in chosen) / calls if calls else 0.0


def told_break_even(even: BreakEven, share: float) -> str:
    """Return in words from where on a GPU of one's own pays, at the share of calls that go to it."""
    if share <= 0:
        return "No call is on the small model, so that no GPU pays."
    if even.calls_per_day is None or even.tokens_per_day is None or even.moved_per_day is None:
        return "A GPU of your own never pays at this throughput: a call costs more there than now."
    moved = f"{math.ceil(even.moved_per_day):,} of them on the small model, " if share < 1 else ""
    return (
        f"A GPU of your own pays from {math.ceil(even.calls_per_day):,} calls a day on, {moved}which are "
        f"{math.ceil(even.tokens_per_day):,} tokens, with {even.replicas} running."
    )
