"""Four ways to pay for the same traffic, side by side, and where a GPU of one's own pays. Pure.

Limits of sums and differences come from the limits of their parts (Zou and Donner, 2008, method of
variance estimates recovery): half-widths add in quadrature. That holds for independent parts only, so a
figure that is measured once stands in a formula once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.costing.plan import CostPlan, Gpu, SelfHosted
from workbench.costing.savings import DAYS_PER_MONTH, tokens_cost_usd
from workbench.specs import Price

HOURS_PER_MONTH = 24 * DAYS_PER_MONTH
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Amount:
    """A figure with its limits; each holds with the confidence of the report, one-sided."""

    point: float
    low: float
    high: float

    def times(self, factor: float) -> Amount:
        """Return the amount multiplied by a known factor."""
        ends = sorted((self.low * factor, self.high * factor))
        return Amount(self.point * factor, ends[0], ends[1])


def exactly(value: float) -> Amount:
    """Return a figure that is declared, not measured."""
    return Amount(value, value, value)


def total(parts: Sequence[Amount]) -> Amount:
    """Return the sum of independent figures."""
    point = sum(each.point for each in parts)
    below = math.sqrt(sum((each.point - each.low) ** 2 for each in parts))
    above = math.sqrt(sum((each.high - each.point) ** 2 for each in parts))
    return Amount(point, point - below, point + above)


def difference(left: Amount, right: Amount) -> Amount:
    """Return left - right of independent figures."""
    return total([left, right.times(-1)])


def product(left: Amount, right: Amount) -> Amount:
    """Return the product of two independent figures; a cost that may be negative keeps its sign."""
    point = left.point * right.point
    first = left.times(right.point)
    second = right.times(left.point)
    return Amount(
        point,
        point - math.hypot(point - first.low, point - second.low),
        point + math.hypot(first.high - point, second.high - point),
    )


@dataclass(frozen=True, slots=True)
class ModelTokens:
    """Mean tokens of a call to one model, how many calls it weighs, and its price.

    `cacheable_share` is the share of its input that is the same from call to call, 0..1, and
    `batched_share` the share of its list price that is billed at `batch_discount` already. Without a
    price, `logged_usd` is what a call costs by the log: no discount of it is known.
    """

    model: str
    calls: float
    input_tokens: float
    cached_input_tokens: float
    output_tokens: float
    price: Price | None
    cacheable_share: float = 0.0
    batched_share: float = 0.0
    logged_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Workload:
    """What money is worked out from. Amounts are a call's, in US dollars.

    `control_usd` is what a call costs now, `candidate_usd` what it costs on the small model;
    `fallback` is the share of the small model's calls that the frontier answers after all. None where
    something is not known; `no_volume` says why calls a day are not.
    """

    calls_per_day: Amount | None
    control_usd: Amount | None
    models: tuple[ModelTokens, ...] = ()
    candidate_usd: Amount | None = None
    candidate_tokens: float | None = None
    fallback: Amount = Amount(0.0, 0.0, 0.0)
    no_volume: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to pay. `usd_month` is None where `missing` says what is not known."""

    name: str
    usd_month: Amount | None
    saving_usd_month: Amount | None = None
    pay_back_months: Amount | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    replicas: int | None = None


STAY, CHEAPER, HOSTED, SELF = (
    "stay",
    "stay, with caching and batch discounts",
    "small model hosted by a provider",
    "small model self-hosted",
)
WAYS = (STAY, CHEAPER, HOSTED, SELF)
NO_GPU = (
    "the price of a GPU and the throughput measured on it (workbench.toml: [[gpus]], [costs.self_hosted])"
)


NO_PRICE = "the price or the tokens of the model that answers now (workbench.toml: [[prices]])"


def four_ways(load: Workload, plan: CostPlan, gpu: Gpu | None, share: float = 1.0) -> tuple[Way, ...]:
    """Return what a month of one workload costs in each way, see `ways_together`."""
    return ways_together((load,), plan, gpu, share)


def ways_together(
    loads: Sequence[Workload], plan: CostPlan, gpu: Gpu | None, share: float = 1.0
) -> tuple[Way, ...]:
    """Return what a month of all workloads costs in each way, at a share of the calls on the small model.

    Each workload is worked out by itself and then added: a product of means over workloads is no mean of
    products. Machines and fixed costs are those of one deployment that serves them all. Within a workload
    every measured figure stands once in its product, so that its error counts in full.

    Args:
        loads: The traffic of each workload, as measured; the workloads are taken as independent.
        plan: What is declared beside it.
        gpu: The row of `[[gpus]]` that the plan names.
        share: Of the calls that go to the small model, 0..1; those that fall back are paid twice.
    """
    known = [_Priced.of(each) for each in loads]
    priced = [each for each in known if each is not None]
    if not priced or len(priced) < len(known):
        what = []
        if not loads or any(each.calls_per_day is None for each in loads):
            why = "; ".join(dict.fromkeys(each.no_volume for each in loads if each.no_volume))
            what.append(f"calls a day: {why}" if why else "calls a day")
        if not loads or any(each.control_usd is None for each in loads):
            what.append(NO_PRICE)
        return tuple(Way(each, None, missing=tuple(what)) for each in WAYS)
    return (
        Way(STAY, total([product(each.month, each.control) for each in priced]), exactly(0.0)),
        _cheaper(priced, plan),
        _hosted(priced, plan, share),
        _self_hosted(priced, plan, gpu, share),
    )


@dataclass(frozen=True, slots=True)
class _Priced:
    """A workload whose calls a month and cost of a call are known."""

    month: Amount
    control: Amount
    load: Workload

    @classmethod
    def of(cls, load: Workload) -> _Priced | None:
        if load.calls_per_day is None or load.control_usd is None:
            return None
        return cls(load.calls_per_day.times(DAYS_PER_MONTH), load.control_usd, load)

    def paid_to_frontier(self, share: float) -> Amount:
        """Return what a call costs at the frontier: all that stays there, and what falls back to it."""
        fallback = self.load.fallback
        return product(
            self.control,
            Amount(*(1 - share * (1 - each) for each in (fallback.point, fallback.low, fallback.high))),
        )

    def saved_at_frontier(self) -> Amount:
        """Return what a call on the small model no longer costs at the frontier."""
        return saved_at_frontier(self.control, self.load.fallback)


def saved_at_frontier(control: Amount, fallback: Amount) -> Amount:
    """Return what a call on another model no longer costs at the frontier, in the unit of `control`.

    Args:
        control: What a call costs there.
        fallback: Share of the other model's calls that are asked there after all, 0..1.
    """
    return product(control, Amount(1 - fallback.point, 1 - fallback.high, 1 - fallback.low))


def cheaper_usd(tokens: ModelTokens, batchable_share: float) -> float:
    """Return what a call to one model costs with all discounts that its price row names.

    Args:
        tokens: Mean tokens of its calls.
        batchable_share: Share of the calls that can wait, 0..1. Those that are asked in batches already
            are the first of them.
    """
    if tokens.price is None:
        return tokens.logged_usd
    whole = tokens.input_tokens + tokens.cached_input_tokens
    shared = 0.0 if _is_short(tokens, tokens.price) else _same_tokens(tokens)
    cached = max(tokens.cached_input_tokens, shared)
    cost = tokens_cost_usd(whole - cached, cached, tokens.output_tokens, tokens.price)
    waiting = max(batchable_share, tokens.batched_share)
    return cost * (1 - waiting * (tokens.price.batch_discount or 0.0))


def _same_tokens(tokens: ModelTokens) -> float:
    """Return how much of a call's input is the same from call to call."""
    return tokens.cacheable_share * (tokens.input_tokens + tokens.cached_input_tokens)


def _is_short(tokens: ModelTokens, price: Price) -> bool:
    """Tell whether a provider caches nothing of what calls share, since it is too little."""
    return _same_tokens(tokens) < price.cache_min_tokens


def _cheaper(priced: Sequence[_Priced], plan: CostPlan) -> Way:
    if any(not sum(use.calls for use in each.load.models) for each in priced):
        return Way(CHEAPER, None, missing=("tokens by model",))
    waiting = plan.batchable_share or 0.0
    costs, savings = [], []
    for each in priced:
        before = sum(use.calls * _mean_usd(use) for use in each.load.models)
        after = sum(use.calls * cheaper_usd(use, waiting) for use in each.load.models)
        ratio = after / before if before else 1.0
        costs.append(product(each.month, each.control.times(ratio)))
        savings.append(product(each.month, each.control.times(1 - ratio)))
    uses = [use for each in priced for use in each.load.models]
    notes = []
    if plan.batchable_share is None and any(use.batched_share < 1 for use in uses):
        notes.append(
            "no further call is counted as able to wait for a batch: how many can is not given "
            "(workbench.toml: costs.batchable_share)"
        )
    if batched := sorted({use.model for use in uses if use.batched_share}):
        notes.append(f"asked in batches already, and not discounted again: {', '.join(batched)}")
    if unpriced := sorted({use.model for use in uses if use.price is None}):
        notes.append(f"without a price no discount is known: {', '.join(unpriced)}")
    for what, key in (("cached input", "cached_input_usd_per_million"), ("batches", "batch_discount")):
        lacking = sorted({use.model for use in uses if use.price and getattr(use.price, key) is None})
        if lacking:
            notes.append(f"no price for {what}: {', '.join(lacking)}")
    short = {use.model for use in uses if use.price and _same_tokens(use) and _is_short(use, use.price)}
    if short:
        names = ", ".join(sorted(short))
        notes.append(f"what calls share is too short for a cache (workbench.toml: cache_min_tokens): {names}")
    return Way(CHEAPER, total(costs), total(savings), notes=tuple(notes))


def _mean_usd(each: ModelTokens) -> float:
    if each.price is None:
        return each.logged_usd
    cost = tokens_cost_usd(each.input_tokens, each.cached_input_tokens, each.output_tokens, each.price)
    return cost * (1 - each.batched_share * (each.price.batch_discount or 0.0))


def _hosted(priced: Sequence[_Priced], plan: CostPlan, share: float) -> Way:
    costs, savings = [], []
    for each in priced:
        candidate = each.load.candidate_usd
        if candidate is None:
            return Way(HOSTED, None, missing=("price or tokens of a small model",))
        costs.append(product(each.month, total([each.paid_to_frontier(share), candidate.times(share)])))
        savings.append(product(each.month, difference(each.saved_at_frontier(), candidate).times(share)))
    fixed = _fixed(plan, share)
    cost, saving = total([*costs, fixed]), difference(total(savings), fixed)
    return _paid_back(Way(HOSTED, cost, saving, notes=_left_out(plan)), plan)


def _self_hosted(priced: Sequence[_Priced], plan: CostPlan, gpu: Gpu | None, share: float) -> Way:
    setup = plan.self_hosted
    if setup is None or gpu is None:
        return Way(SELF, None, missing=(NO_GPU,))
    tokens = mean_tokens([each.load for each in priced])
    if not tokens:
        return Way(SELF, None, missing=("tokens of a call",))
    calls_per_day = sum(each.month.point for each in priced) / DAYS_PER_MONTH
    count = replicas(calls_per_day * share, tokens, setup) if share > 0 else 0
    running = total([exactly(count * replica_usd_month(setup, gpu)), _fixed(plan, share)])
    costs = [product(each.month, each.paid_to_frontier(share)) for each in priced]
    savings = [product(each.month, each.saved_at_frontier()).times(share) for each in priced]
    cost, saving = total([*costs, running]), difference(total(savings), running)
    return _paid_back(Way(SELF, cost, saving, notes=_left_out(plan), replicas=count), plan)


def mean_tokens(loads: Sequence[Workload]) -> float | None:
    """Return the tokens of a call over all workloads on the small model; None where one is not known."""
    return _mean(loads, [each.candidate_tokens for each in loads])


def fallen_share(loads: Sequence[Workload]) -> float:
    """Return which share of what calls cost now is paid all the same, since answers fall back, 0..1.

    Over several workloads this is not the share of calls that fall back: dear calls weigh more.
    """
    usd = [each.control_usd.point if each.control_usd else None for each in loads]
    paid = _mean(loads, usd)
    fallen = [
        None if each is None else each * load.fallback.point for each, load in zip(usd, loads, strict=True)
    ]
    kept = _mean(loads, fallen)
    return kept / paid if paid and kept is not None else 0.0


def _mean(loads: Sequence[Workload], values: Sequence[float | None]) -> float | None:
    """Return the mean over calls; one workload alone needs no volume. None where a value is not known."""
    if any(each is None for each in values) or not loads:
        return None
    calls = [each.calls_per_day.point if each.calls_per_day else 0.0 for each in loads]
    if len(loads) == 1 or sum(calls) <= 0:
        return sum(each or 0.0 for each in values) / len(loads)
    return sum(count * (each or 0.0) for count, each in zip(calls, values, strict=True)) / sum(calls)


def _fixed(plan: CostPlan, share: float) -> Amount:
    return exactly(plan.fixed_usd_month if share > 0 else 0.0)


def _left_out(plan: CostPlan) -> tuple[str, ...]:
    names = [each.removesuffix("_usd_month") for each in plan.unknown]
    return (f"not given and not counted: {', '.join(names)}",) if names else ()


def _paid_back(way: Way, plan: CostPlan) -> Way:
    if plan.one_off_usd is None or way.saving_usd_month is None:
        return way
    return replace(way, pay_back_months=pay_back(plan.one_off_usd, way.saving_usd_month))


def pay_back(one_off_usd: float, saving_usd_month: Amount) -> Amount | None:
    """Return after how many months savings have paid for the move; None if they never do.

    The upper limit is infinite where the savings' lower limit is not above nothing.
    """
    if saving_usd_month.point <= 0:
        return None
    slowest = one_off_usd / saving_usd_month.low if saving_usd_month.low > 0 else math.inf
    return Amount(one_off_usd / saving_usd_month.point, one_off_usd / saving_usd_month.high, slowest)


def replica_usd_month(setup: SelfHosted, gpu: Gpu) -> float:
    """Return what one replica costs a month that runs all the time."""
    return setup.gpus_per_replica * gpu.usd_per_hour * HOURS_PER_MONTH


def capacity_per_day(setup: SelfHosted, tokens_per_call: float) -> float:
    """Return how many calls a day one replica carries at the planned utilisation, peaks included."""
    return setup.tokens_per_s * setup.utilisation * SECONDS_PER_DAY / (tokens_per_call * setup.peak_to_mean)


def replicas(calls_per_day: float, tokens_per_call: float, setup: SelfHosted) -> int:
    """Return how many replicas the busiest minutes need; the warm ones at least."""
    needed = calls_per_day / capacity_per_day(setup, tokens_per_call)
    # What rounding adds to a whole number of replicas is no further one.
    return max(math.ceil(needed - 1e-9), setup.warm_replicas, 1)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From where on a GPU of one's own is cheaper than staying. None where it never is.

    `calls_per_day` are all calls, `moved_per_day` those of them on the small model, whose tokens
    `tokens_per_day` are. `capacity_per_day` is what one replica carries; `replicas` run at the break-even.
    """

    calls_per_day: float | None
    tokens_per_day: float | None
    replicas: int | None
    replica_usd_month: float
    capacity_per_day: float
    moved_per_day: float | None = None


def break_even(
    control_usd: float,
    fallback: float,
    tokens_per_call: float,
    setup: SelfHosted,
    gpu: Gpu,
    fixed_usd: float,
    share: float = 1.0,
) -> BreakEven:
    """Return the smallest volume at which self-hosting costs no more than staying.

    With r replicas a month costs r G + F, and saves s a call; r replicas carry up to r K calls a month.
    They pay from (r G + F) / s calls on, which they can carry if r (K s - G) >= F. Those are the calls on
    the small model: where it gets a share of all calls, there are as many more of them.

    Args:
        control_usd: What a call costs now.
        fallback: Share of what calls cost that falls back, 0..1, see `fallen_share`: it is paid to the
            frontier all the same.
        tokens_per_call: Of the small model, in and out.
        setup: Measured throughput, utilisation, peak, warm replicas.
        gpu: Its price.
        fixed_usd: Other costs of a small model a month.
        share: Of the calls that go to the small model, 0..1.
    """
    machine = replica_usd_month(setup, gpu)
    capacity = capacity_per_day(setup, tokens_per_call)
    least = max(setup.warm_replicas, 1)
    saved = control_usd * (1 - fallback)
    gain = capacity * DAYS_PER_MONTH * saved - machine
    nothing = BreakEven(None, None, None, machine, capacity)
    if share <= 0 or saved <= 0 or gain < 0 or (gain == 0 and fixed_usd > 0):
        return nothing
    count = max(math.ceil(fixed_usd / gain - 1e-9) if gain > 0 else 1, least)
    calls = (count * machine + fixed_usd) / (saved * DAYS_PER_MONTH)
    if count > least:
        # One replica fewer could not pay; so many run only from its capacity on.
        calls = max(calls, (count - 1) * capacity)
    return BreakEven(calls / share, calls * tokens_per_call, count, machine, capacity, calls)


def curve(
    volumes: Sequence[float],
    control_usd: float,
    candidate_usd: float | None,
    fallback: float,
    tokens_per_call: float | None,
    plan: CostPlan,
    gpu: Gpu | None,
    share: float = 1.0,
) -> dict[str, list[float]]:
    """Return what a month costs in each way at each volume, in calls a day; unknown ways are left out.

    Figures are those of a mean call; `fallback` is a share of cost, see `fallen_share`, and `share` that of
    the calls that go to the small model.
    """
    found = {STAY: [each * DAYS_PER_MONTH * control_usd for each in volumes]}
    fixed = plan.fixed_usd_month if share > 0 else 0.0
    kept = control_usd * (1 - share * (1 - fallback))
    if candidate_usd is not None:
        call = kept + share * candidate_usd
        found[HOSTED] = [each * DAYS_PER_MONTH * call + fixed for each in volumes]
    setup = plan.self_hosted
    if setup is not None and gpu is not None and tokens_per_call:
        machine = replica_usd_month(setup, gpu)
        running = [replicas(each * share, tokens_per_call, setup) if share > 0 else 0 for each in volumes]
        found[SELF] = [
            count * machine + each * DAYS_PER_MONTH * kept + fixed
            for each, count in zip(volumes, running, strict=True)
        ]
    return found
