"""One row a task and candidate: how well it does, how much may move, and what that saves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.access import may, requires, requires_somewhere
from workbench.compare import basis, evaluator_version
from workbench.config import Workspace
from workbench.costing import Savings, monthly_savings
from workbench.costing.ways import Amount
from workbench.errors import UsageError
from workbench.progress import Listener, Progress, silent
from workbench.records import Basis, Estimate, EvalKind, Policy, Recommendation
from workbench.review import effective_verdicts
from workbench.roles import Right
from workbench.scoring.comparing import agreement_of
from workbench.scoring.considered import at_share, decided
from workbench.scoring.evidence import gather, probed_latency
from workbench.scoring.freshness import Ages, ages_of
from workbench.scoring.money import TaskMoney, money_of
from workbench.scoring.noise import NoiseFloor, floor_of
from workbench.scoring.targets import refuse_control, targets
from workbench.specs import EvalConfig, size_billions
from workbench.stats.evidence import Evidence
from workbench.stats.harm import regressions
from workbench.store import comparisons as rows

if TYPE_CHECKING:
    from workbench.store import Store

HALVINGS = 13
"""How often the error probability is halved for claims about many tasks and candidates at once."""


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """What one card shows. `calls` are the task's usable calls, `labels` pairs with a verdict.

    Of these `labels_imported` rest on imported labels and `labels_gold` on right answers known before: nobody
    gave them here.

    Money is None where a price, token counts or the volume is not known; `left_out`
    names the models that it leaves out, `imputed` counts the frontier's answers without tokens, which
    cost what their model's others cost. `saving` is that of the effective share, `saving_of_all`
    that of all traffic, both with limits; `control_usd` and `candidate_usd` are the cost of a call.
    `synthetic` marks a candidate made up for the demonstration. `floor` is the frontier's agreement
    with itself, where measured. `latency_p95_ms` is measured at production's pace or not at all.
    `harm_highs` are upper bounds on harm at the policy's error probability halved 0, 1, 2, ... times,
    for claims about several tasks; empty where nothing moves. `candidates_tried` counts the
    candidates that were compared on the same calls.
    """

    task: str
    candidate: str
    fingerprint: str
    kind: EvalKind
    basis: Basis
    calls: int
    compared: int
    invalid: int
    uncomparable: int
    labels: int
    agreement: Estimate
    recommendation: Recommendation
    cost_now_usd_month: float | None
    cost_at_share_usd_month: float | None
    saving_usd_month: float | None
    calls_per_day: float | None
    left_out: tuple[str, ...]
    synthetic: bool
    floor: NoiseFloor | None = None
    saving: Amount | None = None
    saving_of_all: Amount | None = None
    control_usd: Amount | None = None
    candidate_usd: Amount | None = None
    latency_p95_ms: Estimate | None = None
    ages: Ages = Ages(None, None, None)
    size_billions: float | None = None
    candidates_tried: int = 1
    harm_highs: tuple[float, ...] = ()
    imputed: int = 0
    price_notes: tuple[str, ...] = ()
    labels_imported: int = 0
    labels_gold: int = 0

    @property
    def coverage(self) -> float:
        """Return the share of the task's usable calls that were compared, 0..1."""
        return min(1.0, self.compared / self.calls) if self.calls else 0.0


@requires_somewhere(Right.SEE)
def overview(
    workspace: Workspace,
    store: Store,
    *,
    share_of: Callable[[str, str], float] = lambda task, candidate: 0.0,
    listener: Listener = silent,
) -> list[OverviewRow]:
    """Return one row for each task and candidate that has comparisons, as configured now.

    Args:
        workspace: Names evals, candidates and prices.
        store: Holds everything else.
        share_of: Tells which share of a task a candidate serves now, 0..1; see `rollout.shares_in_force`.
        listener: Is told how many are done.
    """
    found = []
    pairs = [each for each in targets(workspace, store) if may(Right.SEE, each[0].task)]
    for done, (config, name, fingerprint) in enumerate(pairs):
        listener(Progress("weighing", done, len(pairs), "candidates"))
        row = row_of(workspace, store, config, name, fingerprint, share_of(config.task, name))
        if row is not None:
            found.append(row)
    return found


@requires(Right.SEE)
def overview_row(
    workspace: Workspace, store: Store, task: str, candidate: str, *, current_share: float = 0.0
) -> OverviewRow:
    """Return the row of one task and candidate.

    Args:
        workspace: Names evals, candidates and prices.
        store: Holds everything else.
        task: The task.
        candidate: The candidate's name.
        current_share: Share that it serves now, 0..1.

    Raises:
        UsageError: Either is unknown, nothing was replayed, or nothing is compared.
    """
    (config, name, fingerprint), *_ = targets(workspace, store, task, candidate)
    row = row_of(workspace, store, config, name, fingerprint, current_share)
    if row is None:
        raise UsageError(
            f"Nothing is compared for task {task!r} and candidate {candidate!r}.",
            "Run `workbench compare` first.",
        )
    return row


@requires(Right.SEE)
def savings(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    share: float,
    fallback_share: float = 0.0,
    calls_per_day: float | None = None,
) -> Savings:
    """Return what a task costs a month now and at a share on a candidate.

    Args:
        workspace: Names the candidate and the prices.
        store: Holds the measured tokens.
        task: The task.
        candidate: The candidate's name.
        share: Share of calls on the candidate, 0..1.
        fallback_share: Share of those that fall back to the frontier, 0..1.
        calls_per_day: Volume of the task; None where it is not known.

    Raises:
        UsageError: The candidate is unknown.
    """
    refuse_control(candidate)
    spec = workspace.candidate(candidate)
    fingerprint = next((known for _, name, known in targets(workspace, store, task) if name == candidate), "")
    money = money_of(
        workspace,
        store,
        workspace.eval_for(task),
        spec,
        fingerprint,
        calls_per_day=calls_per_day,
    )
    return _savings(money, share, fallback_share)


def _savings(money: TaskMoney, share: float, fallback_share: float) -> Savings:
    return monthly_savings(
        calls_per_day=money.calls_per_day.point if money.calls_per_day else None,
        control_usd_per_call=money.control_usd.point if money.control_usd else None,
        candidate_usd_per_call=money.candidate_usd.point if money.candidate_usd else None,
        share=share,
        fallback_share=fallback_share,
        left_out=money.left_out,
    )


def agreement_estimate(found: Evidence, policy: Policy) -> Estimate:
    """Return the share of compared calls that agree, with anytime limits."""
    task = found.task
    agreeing = task.compared - task.disagreements
    return agreement_of(agreeing, task.compared, policy.delta, task.disagreement_effect.value)


def row_of(
    workspace: Workspace,
    store: Store,
    config: EvalConfig,
    name: str,
    fingerprint: str,
    current_share: float = 0.0,
) -> OverviewRow | None:
    """Return the row of what `targets` named, or None where nothing is compared under the eval as it stands.

    Args:
        workspace: Names the candidate and the prices.
        store: Holds everything else.
        config: The task's eval.
        name: The candidate's name.
        fingerprint: The candidate's.
        current_share: Share that it serves now, 0..1.
    """
    version = evaluator_version(config)
    if not rows.has_compared(store, config.task, fingerprint, version):
        return None
    found = gather(store, config, fingerprint, config.policy, workspace.serving(workspace.candidate(name)))
    found, state = at_share(
        store, config, name, fingerprint, found, config.policy, current_share, datetime.now(UTC)
    )
    decision = decided(store, config, fingerprint, found, config.policy, state)
    compared = found.task.compared
    spec = workspace.candidate(name)
    share = decision.effective_share
    money = money_of(
        workspace,
        store,
        config,
        spec,
        fingerprint,
        calls_per_day=found.calls_per_day,
    )
    sums = _savings(money, share, money.fallback.point)
    verdicts = effective_verdicts(store, config.task, fingerprint, version).values()
    elsewhere = Counter(each.source for each in verdicts if each.elsewhere)
    return OverviewRow(
        task=config.task,
        candidate=name,
        fingerprint=fingerprint,
        kind=config.kind,
        basis=basis(config),
        calls=int(rows.volume(store, config.task, config.exclude_marks)["calls"]),
        compared=compared,
        invalid=found.invalid,
        uncomparable=found.uncomparable,
        labels=len(verdicts),
        labels_imported=elsewhere["imported"],
        labels_gold=elsewhere["gold"],
        agreement=agreement_estimate(found, config.policy),
        recommendation=decision,
        cost_now_usd_month=sums.now_usd_month,
        cost_at_share_usd_month=sums.at_share_usd_month,
        saving_usd_month=sums.saving_usd_month,
        calls_per_day=found.calls_per_day,
        left_out=sums.left_out,
        imputed=money.imputed,
        price_notes=money.price_notes,
        synthetic=spec.synthetic,
        floor=floor_of(store, config),
        saving=money.saving_usd_month(share),
        saving_of_all=money.saving_usd_month(1.0),
        control_usd=money.control_usd,
        candidate_usd=money.candidate_usd,
        latency_p95_ms=probed_latency(
            store, config.task, fingerprint, config.policy, workspace.serving(spec)
        ),
        ages=ages_of(store, config.task, fingerprint),
        size_billions=size_billions(spec),
        candidates_tried=int(decision.details.get("candidates_tried", 1)),
        harm_highs=tuple(
            regressions(found.task, config.policy.delta / 2**halvings).estimate.high
            for halvings in range(HALVINGS if share > 0 else 0)
        ),
    )
