"""One row a task and candidate: how well it does, how much may move, and what that saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import ramp
from workbench.access import may, requires, requires_somewhere
from workbench.compare import basis, evaluator_version
from workbench.config import Workspace
from workbench.costing import Savings, monthly_savings, tokens_cost_usd
from workbench.errors import UsageError
from workbench.records import Basis, Estimate, EvalKind, Policy, Recommendation
from workbench.review import effective_verdicts
from workbench.roles import Right
from workbench.scoring.comparing import agreement_of
from workbench.scoring.deciding import decided
from workbench.scoring.evidence import gather
from workbench.scoring.noise import NoiseFloor, floor_of
from workbench.scoring.targets import refuse_control, targets
from workbench.specs import EvalConfig
from workbench.store import comparisons as rows

if TYPE_CHECKING:
    from workbench.store import Store

NO_TOKENS = " (no token counts)"


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """What one card shows. `calls` are the task's usable calls, `labels` pairs with a verdict.

    Money is None where a price, token counts or the volume is not known; `left_out`
    names the models that it leaves out. `synthetic` marks a candidate made up for
    the demonstration. `floor` is the frontier's agreement with itself, where measured.
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


@requires_somewhere(Right.SEE)
def overview(workspace: Workspace, store: Store) -> list[OverviewRow]:
    """Return one row for each task and candidate that has comparisons, as configured now.

    Args:
        workspace: Names evals, candidates and prices.
        store: Holds everything else.
    """
    return [
        row
        for config, name, fingerprint in targets(workspace, store)
        if may(Right.SEE, config.task)
        and (row := _row(workspace, store, config, name, fingerprint)) is not None
    ]


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
    row = _row(workspace, store, config, name, fingerprint, current_share)
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
    left_out: list[str] = []
    cost, priced_calls, calls = 0.0, 0, 0
    for row in rows.control_usage(store, task):
        calls += row["calls"]
        price = workspace.price_of(row["model"])
        if price is None or not row["measured"]:
            name = row["model"] or "unnamed model"
            left_out.append(name if price is None else name + NO_TOKENS)
            continue
        priced_calls += row["calls"]
        # Each model's calls without token counts cost what its other calls cost.
        tokens = row["input_tokens"], row["cached_input_tokens"], row["output_tokens"]
        cost += row["calls"] * tokens_cost_usd(*tokens, price) / row["measured"]
    usage = rows.candidate_usage(store, task, fingerprint)
    price = workspace.price_of(spec.price or spec.model)
    each: float | None = None
    if price is None or not usage["measured"]:
        left_out.append(candidate if price is None else candidate + NO_TOKENS)
    else:
        tokens = (usage["input_tokens"], usage["cached_input_tokens"], usage["output_tokens"])
        each = tokens_cost_usd(*tokens, price) / usage["measured"]
    # Calls of unpriced models are left out of both sums, not counted as free.
    volume = None if calls_per_day is None or not calls else calls_per_day * priced_calls / calls
    return monthly_savings(
        calls_per_day=volume,
        control_usd_per_call=cost / priced_calls if priced_calls else None,
        candidate_usd_per_call=each,
        share=share,
        fallback_share=fallback_share,
        left_out=left_out,
    )


def agreement_estimate(found: ramp.Evidence, policy: Policy) -> Estimate:
    """Return the share of compared calls that agree, with anytime limits."""
    task = found.task
    agreeing = task.compared - task.disagreements
    return agreement_of(agreeing, task.compared, policy.delta, task.disagreement_effect.value)


def _row(
    workspace: Workspace,
    store: Store,
    config: EvalConfig,
    name: str,
    fingerprint: str,
    current_share: float = 0.0,
) -> OverviewRow | None:
    version = evaluator_version(config)
    if not rows.summary(store, config.task, fingerprint, version):
        return None
    found = gather(store, config, fingerprint, config.policy, workspace.serving(workspace.candidate(name)))
    decision = decided(store, config, fingerprint, found, config.policy, ramp.State(share=current_share))
    compared = found.task.compared
    money = savings(
        workspace,
        store,
        config.task,
        name,
        share=decision.effective_share,
        fallback_share=found.invalid / compared if compared else 0.0,
        calls_per_day=found.calls_per_day,
    )
    return OverviewRow(
        task=config.task,
        candidate=name,
        fingerprint=fingerprint,
        kind=config.kind,
        basis=basis(config),
        calls=int(rows.volume(store, config.task)["calls"]),
        compared=compared,
        invalid=found.invalid,
        uncomparable=found.uncomparable,
        labels=len(effective_verdicts(store, config.task, fingerprint, version)),
        agreement=agreement_estimate(found, config.policy),
        recommendation=decision,
        cost_now_usd_month=money.now_usd_month,
        cost_at_share_usd_month=money.at_share_usd_month,
        saving_usd_month=money.saving_usd_month,
        calls_per_day=found.calls_per_day,
        left_out=money.left_out,
        synthetic=workspace.candidate(name).synthetic,
        floor=floor_of(store, config),
    )
