"""From which confidence on a candidate may answer alone, and what the blend costs.

Calls are split by a hash of what they share (session, request): a threshold is found on one
half by fixed-sequence testing and reported on the other. Thresholds and the places where the
walks start are fixed by the confidences of the first closed batches, before any outcome counts,
so that the answer holds however often anyone looks while evidence grows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.access import requires
from workbench.config import Workspace
from workbench.costing import tokens_cost_usd
from workbench.costing.wording import money
from workbench.errors import UsageError
from workbench.records import Basis, Estimate, Policy
from workbench.roles import Right
from workbench.routing.certified import losses_of
from workbench.scoring.confidences import chosen_signal, signals_of
from workbench.scoring.gathered import Gathered, gather_compared
from workbench.scoring.latency_pairs import unmeasured
from workbench.specs import Candidate, Price
from workbench.stats import bounds
from workbench.stats.calibration import calibrated
from workbench.stats.harm import regressions
from workbench.stats.parts import parts_of
from workbench.stats.rows import AuditRow
from workbench.stats.thresholds import (
    GRID,
    SHARES,
    UNINFORMATIVE,
    Threshold,
    ThresholdTable,
    auroc,
    blend,
    frozen_grid,
    is_for_tuning,
    lowest_proven,
    of_each,
    starting_places,
    walked,
)
from workbench.stats.wording import confidence, count, measured, percent, plural
from workbench.store.confidences import SIGNALS
from workbench.store.probes import newest_probe

if TYPE_CHECKING:
    from workbench.store import Store

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """One threshold: calls with at least this confidence are left to the candidate.

    `routed` is their share of all answers, `risk` the harm among them on the half that was tuned
    on (in budget mode among all calls), `proven` whether that is within tolerance, `tested`
    whether the walk came there. `reported` is the harm on the other half. `chance_fine` is the
    estimated chance that a call of just this confidence is not harmed, for display. Cost and
    latency are those of the blend; None where they are not known.
    """

    confidence: float
    routed: float
    risk: Estimate
    proven: bool
    tested: bool
    reported: Estimate
    chance_fine: float | None
    cost_usd: float | None
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class ThresholdReport:
    """All thresholds of a task and candidate, most cautious first, and the lowest proven one.

    `signal` is the confidence that is used, None where the answers have none; `calls` were
    compared, `known` of them have it. `tuned_on` and `reported_on` count the calls with a known
    outcome of either half: labels, or all calls where equality is compared. `auroc` is the chance
    that a harmed call has the lower confidence. `control_*` are those of the frontier alone.
    """

    task: str
    candidate: str
    signal: str | None
    basis: Basis
    budget_mode: bool
    tolerance: float
    level: float
    calls: int
    known: int
    tuned_on: int
    reported_on: int
    planned_labels: int | None
    auroc: float | None
    informative: bool | None
    rows: tuple[ThresholdRow, ...]
    best: ThresholdRow | None
    control_cost_usd: float | None
    control_latency_ms: float | None
    sentence: str
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the report as lines."""
        lines = [f"{self.task}, {self.candidate}: {self.sentence}"]
        if self.rows:
            lines.append(
                f"  {'confidence':>10} {'routed':>7} {'risk at most':>12} {'on others':>15} "
                f"{'cost a call':>11} {'latency':>9}"
            )
            lines += [f"  {_line(row)}" for row in self.rows]
            alone = [
                None if self.control_cost_usd is None else f"{_usd(self.control_cost_usd)} a call",
                None if self.control_latency_ms is None else f"{self.control_latency_ms:,.0f} ms",
            ]
            known = ", ".join(each for each in alone if each)
            if known:
                lines.append(f"  The frontier alone: {known}.")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def _line(row: ThresholdRow) -> str:
    others = f"{measured(row.reported.high)} of {count(row.reported.n)}"
    latency = "-" if row.latency_ms is None else f"{row.latency_ms:,.0f} ms"
    mark = "proven" if row.proven else "failed" if row.tested else ""
    return (
        f"{confidence(row.confidence):>10} {measured(row.routed):>7} {measured(row.risk.high):>12} "
        f"{others:>15} {_usd(row.cost_usd):>11} {latency:>9}  {mark}"
    ).rstrip()


def _usd(usd: float | None) -> str:
    return "-" if usd is None else money(usd)


@requires(Right.SEE)
def thresholds(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    signal: str | None = None,
    budget_mode: bool = False,
    planned_labels: int | None = None,
    policy: Policy | None = None,
    seed: int = 0,
) -> ThresholdReport:
    """Find the lowest confidence from which a candidate's answers are proven to be within tolerance.

    Where equality is compared, every disagreement is a loss until a person finds it harmless.
    Elsewhere only drawn labels count, with their weights; a draw that lapsed is a loss. An answer
    without a confidence is never left to the candidate. Regressions are bounded, whatever harm the
    policy looks at elsewhere.

    Args:
        workspace: Names the eval, the candidate and the prices.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        signal: One of `SIGNALS`; the first that most answers have unless given.
        budget_mode: Bound the share of all calls that are routed and harmed, instead of the harm among
            the routed.
        planned_labels: How many labels (or compared calls) there will be, both halves together, fixed before
            the first look: one walk starts where so many would be enough. The policy's own unless given;
            without any, three walks share the error.
        policy: Another policy than the eval's own.
        seed: Of the halves.

    Raises:
        UsageError: Task, candidate or signal is unknown, or no batch is compared.
    """
    if signal is not None and signal not in SIGNALS:
        raise UsageError(f"No confidence is called {signal!r}.", f"There are {', '.join(SIGNALS)}.")
    found = gather_compared(workspace, store, task, candidate, policy)
    return threshold_report(
        workspace,
        store,
        candidate,
        found,
        signal=signal,
        budget_mode=budget_mode,
        planned_labels=planned_labels,
        seed=seed,
    )


def threshold_report(
    workspace: Workspace,
    store: Store,
    candidate: str,
    found: Gathered,
    *,
    signal: str | None = None,
    budget_mode: bool = False,
    planned_labels: int | None = None,
    seed: int = 0,
) -> ThresholdReport:
    """Return the report from calls that are gathered already; see `thresholds`."""
    task, chosen = found.config.task, found.policy
    planned = chosen.planned_labels if planned_labels is None else planned_labels
    answers = signals_of(store, found)
    used = signal or chosen_signal(answers)
    scores = np.full(len(answers), math.nan)
    if used is not None:
        scores = answers[used].to_numpy(dtype=np.float64, na_value=math.nan)
    if used is None or np.isnan(scores).all():
        return _without(found, task, candidate, signal, budget_mode, planned)
    audit = found.audit
    frozen = _first_batches(answers["batch_order"].to_numpy(), scores)
    grid = frozen_grid(frozen) if int((~np.isnan(frozen)).sum()) >= GRID else ()
    table = _Table(found, audit, scores, grid, seed)
    begins, delta = _begins(frozen, grid, chosen, planned, budget_mode)
    spec = workspace.candidate(candidate)
    costs = _costs(workspace, spec, answers)
    latencies, note = _latencies(workspace, store, task, spec, found.fingerprint, answers)
    rows = walked(
        [
            Threshold(step, routed, risk, cost_usd=blend(costs, sent), latency_ms=blend(latencies, sent))
            for step, routed, risk, sent in zip(
                grid,
                [float((scores >= step).mean()) for step in grid],
                table.risks(delta, budget_mode=budget_mode),
                [scores >= step for step in grid],
                strict=True,
            )
        ],
        chosen.tolerance,
        begins,
    )
    outcome, weight = losses_of(audit, found.draws, found.basis)
    judged = weight > 0
    area = auroc(scores[judged], outcome[judged])
    reported = table.reported(chosen.delta, budget_mode=budget_mode)
    chances = _chances(scores, outcome, judged & table.tuning, grid)
    shown = tuple(
        ThresholdRow(
            row.confidence,
            row.routed,
            row.risk,
            row.proven,
            row.tested,
            other,
            chance,
            row.cost_usd,
            row.latency_ms,
        )
        for row, other, chance in zip(rows, reported, chances, strict=True)
    )
    low = lowest_proven(rows)
    best = None if low is None else next(row for row in shown if row.confidence == low.confidence)
    sentence = ThresholdTable(
        tuple(rows), low, chosen.tolerance, area, max(len(begins), 1), budget_mode
    ).sentence
    if best is not None:
        sentence += f" On other calls: at most {measured(best.reported.high)} (n = {count(best.reported.n)})."
    report = ThresholdReport(
        task=task,
        candidate=candidate,
        signal=used,
        basis=found.basis,
        budget_mode=budget_mode,
        tolerance=chosen.tolerance,
        level=chosen.level,
        calls=len(scores),
        known=int((~np.isnan(scores)).sum()),
        tuned_on=int((judged & table.tuning).sum()),
        reported_on=int((judged & ~table.tuning).sum()),
        planned_labels=planned,
        auroc=area,
        informative=None if area is None else area > UNINFORMATIVE,
        rows=shown,
        best=best,
        control_cost_usd=_mean(costs),
        control_latency_ms=_mean(latencies),
        sentence=sentence,
    )
    return replace(report, notes=_notes(report, chosen, bool(grid), note))


class _Table:
    """The compared calls with their confidences, halved."""

    def __init__(
        self, found: Gathered, audit: Sequence[AuditRow], scores: Floats, grid: Sequence[float], seed: int
    ) -> None:
        self._found, self._audit = found, audit
        self._sets = [np.asarray(scores >= step, dtype=np.bool_) for step in grid]
        keys = (row.session or row.request_hash or row.call_id for row in audit)
        self.tuning: Bools = np.fromiter((is_for_tuning(key, seed) for key in keys), np.bool_, len(audit))

    def risks(self, delta: float, *, budget_mode: bool) -> list[Estimate]:
        """Return the risk at each threshold on the half that is tuned on."""
        return self._bounded(self.tuning, delta, budget_mode)

    def reported(self, delta: float, *, budget_mode: bool) -> list[Estimate]:
        """Return the risk at each threshold on the other half."""
        return self._bounded(~self.tuning, delta, budget_mode)

    def _bounded(self, half: Bools, delta: float, budget_mode: bool) -> list[Estimate]:
        found = self._found
        populations = parts_of(
            self._audit,
            [each & half for each in self._sets],
            basis=found.basis,
            draws=found.draws,
            weight_max=found.weight_max,
            icc=found.policy.icc,
            whole=half if budget_mode else None,
        )
        return [regressions(each, delta).estimate for each in populations]


def _first_batches(batches: NDArray[np.int64], scores: Floats) -> Floats:
    """Return the confidences of the first closed batches that hold enough of them for a grid."""
    known = 0
    for batch in np.unique(batches):
        known += int((~np.isnan(scores[batches == batch])).sum())
        if known >= GRID:
            return np.asarray(scores[batches <= batch], dtype=np.float64)
    return scores


def _begins(
    frozen: Floats, grid: Sequence[float], policy: Policy, planned: int | None, budget_mode: bool
) -> tuple[tuple[int, ...], float]:
    """Return where the walks start and the error probability of each, known before any outcome."""
    routed = [float((frozen >= step).mean()) for step in grid]
    if planned is None:
        begins = (0,) if budget_mode and grid else starting_places(routed)
        return begins, policy.delta / max(len(begins), 1)
    least = bounds.calls_needed(0, policy.tolerance, policy.delta) or math.inf
    enough = (place for place, share in enumerate(routed) if budget_mode or planned / 2 * share >= least)
    first = next(enough, None)
    return (() if first is None else (first,)), policy.delta


def _costs(workspace: Workspace, spec: Candidate, answers: pd.DataFrame) -> tuple[Floats, Floats] | None:
    """Return what each call costs on the candidate and on the frontier, NaN where it is not known."""

    def paid(price: Price | None, tokens: pd.DataFrame) -> Floats:
        if price is None:
            return np.full(len(tokens), math.nan)
        columns = [tokens[name].to_numpy(dtype=np.float64, na_value=math.nan).tolist() for name in tokens]
        return np.asarray(
            [
                tokens_cost_usd(read, 0.0 if math.isnan(cached) else cached, written, price)
                for read, cached, written in zip(*columns, strict=True)
            ],
            dtype=np.float64,
        )

    own = answers[["input_tokens", "output_tokens"]].copy()
    own.insert(1, "cached_input_tokens", 0.0)
    candidate = paid(workspace.price_of(spec.price or spec.model), own)
    control = np.full(len(answers), math.nan)
    names = ["control_input_tokens", "control_cached_input_tokens", "control_output_tokens"]
    models = answers["control_model"].astype(object).where(answers["control_model"].notna(), None)
    for model in set(models):
        here = np.asarray([each == model for each in models], dtype=np.bool_)
        price = workspace.price_of(model)
        discount = answers.loc[here, "control_batched"].to_numpy(dtype=np.bool_) * (
            (price.batch_discount or 0.0) if price else 0.0
        )
        usd = paid(price, answers.loc[here, names]) * (1 - discount)
        logged = answers.loc[here, "control_logged_usd"].to_numpy(dtype=np.float64, na_value=math.nan)
        control[here] = np.where(np.isnan(usd), logged, usd)
    return None if np.isnan(candidate).all() or np.isnan(control).all() else (candidate, control)


def _latencies(
    workspace: Workspace, store: Store, task: str, spec: Candidate, fingerprint: str, answers: pd.DataFrame
) -> tuple[tuple[Floats, Floats] | None, str]:
    """Return a typical latency of the candidate and the recorded one of each call, or why there is none.

    A replay asks as fast as the server answers: only a probe at production's pace says what the
    candidate takes.
    """
    control = answers["control_latency_ms"].to_numpy(dtype=np.float64, na_value=math.nan)
    if np.isnan(control).all():
        return None, "The log holds no latency of the frontier, so none is shown for the blend."
    probe = newest_probe(store, task, fingerprint, least_speed=1.0, serving=workspace.serving(spec))
    finite = [each for each in probe.latencies_ms if math.isfinite(each)] if probe else []
    if not finite:
        return None, unmeasured(task, spec)
    return of_each((float(np.mean(finite)), control), len(control)), ""


def _mean(pair: tuple[Floats, Floats] | None) -> float | None:
    if pair is None:
        return None
    known = ~(np.isnan(pair[0]) | np.isnan(pair[1]))
    return float(pair[1][known].mean()) if known.any() else None


def _chances(scores: Floats, outcome: Floats, judged: Bools, grid: Sequence[float]) -> list[float | None]:
    known = judged & ~np.isnan(scores)
    if not known.any() or not grid:
        return [None] * len(grid)
    return [float(each) for each in calibrated(scores[known], outcome[known])(np.asarray(grid))]


def _notes(report: ThresholdReport, policy: Policy, has_grid: bool, latency: str) -> tuple[str, ...]:
    notes = []
    noun = "label" if report.basis is Basis.SEMANTIC else "compared call"
    if not has_grid:
        notes.append(
            f"{plural(report.known, 'answer')} with a confidence: thresholds are fixed from {GRID} on."
        )
    if report.known < report.calls:
        notes.append(
            f"{count(report.calls - report.known)} of {plural(report.calls, 'answer')} have no "
            f"{report.signal} and always fall back to the frontier."
        )
    if report.basis is Basis.SEMANTIC and not report.tuned_on:
        notes.append(
            "No label of a drawn case counts yet, so no threshold is proven: label what the queue draws."
        )
    elif has_grid and report.best is None:
        notes.append(_needed(report, policy, noun))
    if report.control_cost_usd is None:
        notes.append(
            "What a call costs is not known on both sides: prices in workbench.toml and token counts are "
            "needed."
        )
    return (*notes, *((latency,) if latency else ()))


def _needed(report: ThresholdReport, policy: Policy, noun: str) -> str:
    """Say how many calls or labels a threshold needs at the least."""
    if report.planned_labels is not None:
        return (
            f"One walk, planned for {plural(report.planned_labels, noun)}; {count(report.tuned_on)} of them "
            "are in the half that thresholds are tuned on."
        )
    walks = 1 if report.budget_mode else len(SHARES)
    least = bounds.calls_needed(0, policy.tolerance, policy.delta / walks)
    if least is None:
        return "The tolerance is too small to be proven by threshold."
    calls = math.ceil(2 * least / (1 if report.budget_mode else max(SHARES)))
    where = "" if report.budget_mode else f" that routes {percent(max(SHARES))} of the calls"
    return (
        f"The half that is tuned on holds {plural(report.tuned_on, noun)}. A threshold{where} needs about "
        f"{plural(calls, noun)} in all where nothing is harmed, a more cautious one more; with a plan "
        "(`--planned-labels`) fewer are needed."
    )


def _without(
    found: Gathered, task: str, candidate: str, signal: str | None, budget_mode: bool, planned: int | None
) -> ThresholdReport:
    what = signal or "confidence"
    return ThresholdReport(
        task=task,
        candidate=candidate,
        signal=None,
        basis=found.basis,
        budget_mode=budget_mode,
        tolerance=found.policy.tolerance,
        level=found.policy.level,
        calls=len(found.frame),
        known=0,
        tuned_on=0,
        reported_on=0,
        planned_labels=planned,
        auroc=None,
        informative=None,
        rows=(),
        best=None,
        control_cost_usd=None,
        control_latency_ms=None,
        sentence=f"No {what} is recorded with most of the candidate's answers, so none can be a threshold.",
        notes=(
            "Replay with a candidate whose server returns log-probabilities (the openai and vllm engines ask "
            "for them unless parameters.logprobs is false), or set `samples = 5` on it: how often samples "
            "agree is a confidence, too. `workbench candidate test NAME` says what a server returns.",
        ),
    )
