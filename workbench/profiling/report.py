"""What a profile says: plain records, and the text a person reads at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from workbench.costing.ways import Amount
from workbench.costing.wording import between, money
from workbench.records import UNASSIGNED, EvalKind
from workbench.specs import MatchRule
from workbench.traffic.shapes import Shape
from workbench.traffic.suitability import Check, Speaks


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model answered of a workload. Tokens are means of a call; `usd` is None without a price.

    `measured` counts calls with token counts, and failed ones without: those cost nothing. `as_logged`
    counts those that cost what the log says, since their model has no price; `batched_share` is the share
    of the others' list price that was billed as a batch, 0..1. `weight` is how many calls it stands for:
    where the workload's calls were logged at different rates, means count each as 1 / its rate. `plain_usd`
    is the mean of the logged calls as they are.
    """

    model: str
    calls: int
    measured: int
    input_tokens: float | None
    cached_input_tokens: float | None
    output_tokens: float | None
    usd: float | None
    usd_deviation: float = 0.0
    as_logged: int = 0
    batched_share: float = 0.0
    weight: float = 0.0
    plain_usd: float | None = None


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """One workload: a task, or calls without one that share a prompt template.

    `rule` takes the calls of a mined one; the rest has none. `calls_per_day` is None where the log does
    not tell, as `no_volume` says, and so is all that rests on it; `undated` calls without a time are
    taken to be spread as the others. `priced_share` is the
    share of its calls whose model has a price and token counts: money is about those alone. `imputed` of them
    were answered without token counts, and cost what their model's other answers cost. `unread` calls of the
    sample whose texts are read could not be looked at, and count in nothing that texts say. `quiet_since` is
    the time of its last call, where its log goes on for more than a week without another. `percentiles_of` is
    how many of its calls, drawn at random, percentiles rest on; None for all of them.
    """

    workload: str
    name: str
    is_task: bool
    has_eval: bool
    template: str
    rule: MatchRule | None
    calls: int
    share: float
    calls_per_day: Amount | None
    first_at: datetime | None
    last_at: datetime | None
    input_tokens: float | None
    output_tokens: float | None
    cached_share: float | None
    constant_prefix_share: float
    models: tuple[ModelUse, ...]
    priced_share: float
    left_out: tuple[str, ...]
    usd_per_call: Amount | None
    logged_usd: float | None
    usd_month: Amount | None
    could_save_usd_month: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    latencies: int
    languages: dict[str, int]
    turns_p50: float
    turns_max: int
    multi_turn_share: float
    tool_share: float
    duplicate_share: float
    shape: Shape
    eval_kind: EvalKind
    checks: tuple[Check, ...]
    imputed: int = 0
    unread: int = 0
    no_volume: str = ""
    undated: int = 0
    quiet_since: datetime | None = None
    percentiles_of: int | None = None

    @property
    def told_percentiles(self) -> str:
        """Return in words that percentiles rest on a sample; nothing where they are those of all calls."""
        if self.percentiles_of is None:
            return ""
        return (
            f"percentiles of latency and turns rest on {self.percentiles_of:,} of {self.calls:,} calls, "
            "drawn at random"
        )

    @property
    def told_quiet(self) -> str:
        """Return in words since when it has no calls, while its log goes on; nothing where it has some."""
        return f"no calls since {self.quiet_since:%Y-%m-%d}" if self.quiet_since else ""

    @property
    def told_undated(self) -> str:
        """Return in words that calls without a time are counted with the others; nothing where none is."""
        if not self.undated or self.calls_per_day is None:
            return ""
        one = self.undated == 1
        return (
            f"{self.undated:,} of {self.calls:,} calls {'has' if one else 'have'} no time that can be: "
            f"{'it is' if one else 'they are'} taken to be spread over the days as the others"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of its prices: what the log told, and what was billed as a batch."""
        return told_prices(self.models)

    @property
    def speaks_for(self) -> int:
        """Return how many lines of the checklist speak for a small model."""
        return sum(each.speaks is Speaks.FOR for each in self.checks)


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """What the traffic consists of. Workloads come in the order of what could be saved.

    `small_model` is the row of the price table that savings are worked out with, at the frontier's
    tokens. `forecast_usd_month` leaves out what `left_out` names. `moved` counts stored calls that
    rules of evals took out of `unassigned` this time, `excluded` those that are left out of all figures by
    their marks, by task; `exclude_marks` were given beside those of the evals.
    """

    profile_id: str
    created_at: datetime
    calls: int
    unassigned: int
    workloads: tuple[WorkloadReport, ...]
    forecast_usd_month: Amount | None
    unknown_volume: tuple[str, ...]
    left_out: tuple[str, ...]
    budget_usd_month: float | None
    warning: str
    small_model: str | None
    price_dates: tuple[date, ...] = ()
    level: float = 0.95
    moved: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    exclude_marks: tuple[str, ...] = ()

    @property
    def told_excluded(self) -> str:
        """Return in words how many calls are left out by their marks; nothing where none is."""
        told = ", ".join(
            f"{count:,} {'without a task' if task == UNASSIGNED else f'of {task}'}"
            for task, count in self.excluded.items()
        )
        return f"Left out by their marks: {told}" if told else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of the prices of all workloads."""
        return told_prices([use for each in self.workloads for use in each.models])

    @property
    def told_unknown(self) -> str:
        """Return the workloads whose calls a day are not known, each reason with those it is true of."""
        found: dict[str, list[str]] = {}
        for each in self.workloads:
            if each.calls_per_day is None:
                found.setdefault(each.no_volume, []).append(each.name)
        return "; ".join(f"{_some(names)} ({why})" if why else _some(names) for why, names in found.items())

    @property
    def imputed(self) -> int:
        """Return how many answers without token counts cost what their model's other answers cost."""
        return sum(each.imputed for each in self.workloads)

    @property
    def told_unread(self) -> str:
        """Return in words how many calls could not be looked at; nothing where none is."""
        count = sum(each.unread for each in self.workloads)
        calls = "call" if count == 1 else "calls"
        return f"Texts of {count:,} {calls} could not be looked at: no shape rests on them" if count else ""

    @property
    def text(self) -> str:
        """Return the report for a terminal."""
        if not self.calls:
            return "There are no calls yet. Import a log: workbench import LOG"
        lines = [f"{self.calls:,} calls in {len(self.workloads)} workloads"]
        if self.excluded:
            lines.append(self.told_excluded)
        if self.moved:
            told = ", ".join(f"{count:,} to {task}" for task, count in self.moved.items())
            lines.append(f"Rules took calls out of unassigned: {told}")
        if self.told_unread:
            lines.append(self.told_unread)
        lines.append("")
        # A name is what --draft-eval and --workload take: never cut.
        width = max([34, *(len(_called(each)) for each in self.workloads)])
        lines.append(f"{'workload':<{width}} {'calls':>9} {'a day':>9} {'USD/month':>10} {'for':>4}  answers")
        lines += [self._line(each, width) for each in self.workloads]
        lines.append("")
        lines += self._money()
        mined = [each for each in self.workloads if each.rule is not None]
        if mined:
            lines.append("Name a workload: workbench profile --draft-eval " + mined[0].name + " --as TASK")
        return "\n".join(lines)

    def _line(self, each: WorkloadReport, width: int) -> str:
        a_day = "unknown" if each.calls_per_day is None else f"{each.calls_per_day.point:,.0f}"
        if each.usd_per_call is None:
            cost = "not priced"
        else:
            cost = "unknown" if each.usd_month is None else f"{each.usd_month.point:,.2f}"
        checks = f"{each.speaks_for:>2}/{len(each.checks)}"
        figures = f"{each.calls:>9,} {a_day:>9} {cost:>10} {checks}"
        return f"{_called(each):<{width}} {figures}  {each.shape.kind.value}"

    def _money(self) -> list[str]:
        lines = []
        if self.forecast_usd_month is not None:
            low, high = self.forecast_usd_month.low, self.forecast_usd_month.high
            lines.append(f"Forecast: {money(self.forecast_usd_month.point)} a month{between(low, high)}")
        if self.imputed:
            lines.append(told_imputed(self.imputed))
        lines += self.notes
        if self.unknown_volume:
            lines.append("Calls a day unknown, so not in the forecast: " + self.told_unknown)
        lines += [f"{each.name}: {each.told_undated}" for each in self.workloads if each.told_undated]
        lines += [f"{each.name}: {each.told_quiet}" for each in self.workloads if each.told_quiet]
        lines += [f"{each.name}: {each.told_percentiles}" for each in self.workloads if each.told_percentiles]
        if self.left_out:
            lines.append("Left out, no price or no tokens: " + ", ".join(self.left_out[:12]))
        if self.warning:
            lines.append(f"WARNING: {self.warning}")
        return lines


NAMED = 8
"""So many workloads are named in one sentence; of the others their number is told."""


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many others there are."""
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {left:,} other{'' if left == 1 else 's'}" if left > 0 else "")


def told_imputed(count: int) -> str:
    """Return in words how many answers have no token counts, and what they cost all the same."""
    answers, their = ("answer", "its") if count == 1 else ("answers", "their")
    return f"Without token counts: {count:,} {answers}, priced like {their} model's other answers"


def told_prices(uses: Sequence[ModelUse]) -> tuple[str, ...]:
    """Return in words which calls cost what the log says, and which were billed as those of a batch."""
    logged: dict[str, int] = {}
    batched: dict[str, list[ModelUse]] = {}
    for each in uses:
        if each.as_logged:
            logged[each.model] = logged.get(each.model, 0) + each.as_logged
        if each.batched_share and each.usd is not None:
            batched.setdefault(each.model, []).append(each)
    told = []
    if logged:
        of = ", ".join(f"{model} ({_calls(count)})" for model, count in logged.items())
        told.append(f"Without a price, at the cost that the log says: {of}")
    if batched:
        shares = []
        for model, found in batched.items():
            calls = sum(each.weight for each in found)
            share = sum(each.weight * each.batched_share for each in found) / calls
            shares.append(f"{model} ({100 * share:.3g} %)")
        told.append(f"Asked in batches or as flex, at batch_discount: {', '.join(shares)}")
    return tuple(told)


def _called(workload: WorkloadReport) -> str:
    return workload.name if workload.is_task else f"{workload.name} (found)"


def _calls(count: int) -> str:
    return f"{count:,} call" if count == 1 else f"{count:,} calls"
