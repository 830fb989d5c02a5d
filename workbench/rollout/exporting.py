"""The ramp as a file for a gateway: what people accepted, what ends when, and what to look at first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.access import requires
from workbench.config import Workspace
from workbench.records import FRONTIER_RESERVE, Recommendation, SliceShare, to_json
from workbench.roles import Right
from workbench.rollout.decisions import Decision, Force, Override, Standing
from workbench.rollout.log import decisions, in_force
from workbench.scoring.considered import consider
from workbench.scoring.targets import targets
from workbench.stats.ladder import EPSILON
from workbench.stats.wording import percent
from workbench.store.decisions import decision_rows
from workbench.writing import replace_text

if TYPE_CHECKING:
    from workbench.store import Store

VERSION = 1
"""Of the document's form."""


@dataclass(frozen=True, slots=True)
class ExportedSlice:
    """What one slice carries: the share of its calls that go to the candidate."""

    name: str
    value: str
    share: float
    status: str


@dataclass(frozen=True, slots=True)
class ExportedOverride:
    """A share that is not the recommended one, how long it holds, and what holds after it."""

    direction: Override
    recommended_share: float
    reason: str
    expires_at: datetime | None
    then_share: float
    then_slices: tuple[ExportedSlice, ...]


@dataclass(frozen=True, slots=True)
class ExportedRamp:
    """One task and candidate. `share` is what is in force: 0 where nobody accepted anything.

    `share`, `effective_share` and slices never take what stays on the frontier for the drift detector
    (`frontier_reserve`): at an accepted share of 1 they are at most 1 less that. `accepted_share` is what was
    accepted.
    `override` is there while one is in force; a gateway falls back to its `then_share` when it ends.
    `warnings` say what a person should look at before this is served.
    """

    task: str
    candidate: str
    model: str | None
    candidate_fingerprint: str
    share: float
    effective_share: float
    slices: tuple[ExportedSlice, ...]
    force: Force
    decided_by: str | None
    decided_at: datetime | None
    evidence_hash: str | None
    policy_version: str | None
    override: ExportedOverride | None
    recommended_share: float
    supported_share: float
    warnings: tuple[str, ...]
    accepted_share: float = 0.0
    frontier_reserve: float = FRONTIER_RESERVE


@dataclass(frozen=True, slots=True)
class RampExport:
    """What `workbench export ramp` writes."""

    version: int
    made_at: datetime
    ramps: tuple[ExportedRamp, ...]
    warnings: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the export as lines."""
        lines = []
        for each in self.ramps:
            loud = ""
            if each.override is not None:
                arrow = "ABOVE" if each.override.direction is Override.UP else "below"
                loud = f"  OVERRIDE {arrow} the recommended {percent(each.override.recommended_share)}"
            lines.append(f"{each.task} / {each.candidate}: {percent(each.share)} ({each.force}){loud}")
            lines += [
                f"  slice {one.name}={one.value}: {percent(one.share)} {one.status}" for one in each.slices
            ]
            lines += [f"  warning: {warning}" for warning in each.warnings]
        lines += [f"warning: {each}" for each in self.warnings]
        return "\n".join(lines) or "Nothing to export: no candidate was replayed and no share accepted."


@requires(Right.SEE)
def export_ramp(
    workspace: Workspace,
    store: Store,
    task: str | None = None,
    candidate: str | None = None,
    *,
    now: datetime | None = None,
) -> RampExport:
    """Return what is in force, for a gateway: the last accepted share of each task and candidate.

    A recommendation is never exported in place of a decision: without one the share is 0, and a
    warning says so.

    Args:
        workspace: Names evals and candidates.
        store: Holds the decision log and the evidence.
        task: One task; None for all.
        candidate: One candidate; None for all.
        now: The present; this moment unless given.

    Raises:
        UsageError: A name is unknown.
        ConfigError: An eval is wrong: a gateway would take the share of its task back.
    """
    present = now or datetime.now(UTC)
    evals = workspace.every_eval
    if task is not None:
        workspace.eval_for(task)
    if candidate is not None:
        workspace.candidate(candidate)
    pairs = {(config.task, name) for config, name, _ in targets(workspace, store)}
    known = {each.name for each in workspace.config.candidates}
    gone = []
    for row in decision_rows(store, task, candidate):
        pair = (row["task"], row["candidate"])
        if row["task"] in evals and row["candidate"] in known:
            pairs.add(pair)
        elif pair not in gone:
            gone.append(pair)
    ramps = tuple(
        _exported(workspace, store, of, name, present)
        for of, name in sorted(pairs)
        if task in (None, of) and candidate in (None, name)
    )
    warnings = [
        f"A share of {of} was accepted for {name}, which is declared no more: nothing of it is exported."
        for of, name in gone
    ]
    return RampExport(VERSION, present, ramps, (*warnings, *_all_warnings(store, ramps)))


def write_ramp(export: RampExport, path: Path) -> None:
    """Write an export as JSON; what was there before stays until the new one is complete.

    Raises:
        UsageError: The file can't be written.
    """
    replace_text(path, to_json(export).decode() + "\n")


def _exported(workspace: Workspace, store: Store, task: str, candidate: str, now: datetime) -> ExportedRamp:
    now_in_force = in_force(workspace, store, task, candidate, now=now)
    made = consider(workspace, store, task, candidate, current_share=now_in_force.share, now=now)
    reserve = made.policy.frontier_reserve
    spec, decision = workspace.candidate(candidate), now_in_force.decision
    return ExportedRamp(
        task=task,
        candidate=candidate,
        model=spec.model,
        candidate_fingerprint=made.fingerprint,
        share=min(now_in_force.share, 1 - reserve),
        effective_share=min(now_in_force.moves.effective_share, 1 - reserve),
        slices=_slices(now_in_force.moves.slices, reserve),
        force=now_in_force.force,
        decided_by=decision.decided_by if decision else None,
        decided_at=decision.decided_at if decision else None,
        evidence_hash=decision.evidence_hash if decision else None,
        policy_version=decision.policy_version if decision else None,
        override=_override(now_in_force, reserve),
        recommended_share=made.recommendation.share,
        supported_share=made.recommendation.cap,
        warnings=tuple(
            warnings_of(now_in_force, made.recommendation, made.policy_version, made.evaluator_version)
            + (
                ["The candidate is synthetic: made from the frontier's answers for a demonstration."]
                if spec.synthetic
                else []
            )
        ),
        accepted_share=now_in_force.share,
        frontier_reserve=reserve,
    )


def warnings_of(
    now_in_force: Standing, answer: Recommendation, policy_version: str, evaluator_version: str
) -> list[str]:
    """Return what a person should know about what is in force, the gravest first.

    Args:
        now_in_force: What is in force.
        answer: What is recommended now, at the share in force.
        policy_version: Of the policy as it is saved now.
        evaluator_version: Of the eval as it stands now.
    """
    decision, share = now_in_force.decision, now_in_force.share
    if decision is None:
        return [
            f"No share was accepted, so nothing moves. Recommended now: {percent(answer.share)}. "
            "Accept it on the Ramp page or with `workbench accept`."
        ]
    found = []
    if now_in_force.force is not Force.ACCEPTED:
        found.append(now_in_force.sentence)
    if answer.share < share - EPSILON:
        found.append(
            f"The evidence no longer carries this share: {answer.action} to {percent(answer.share)} is "
            f"recommended. {answer.binding_reason}"
        )
    if now_in_force.force is Force.REPLACED:
        return found
    if decision.policy_version != policy_version:
        found.append("It was accepted under another policy than eval.toml has now.")
    if decision.evaluator_version != evaluator_version:
        found.append("It was accepted under another eval than the task has now.")
    return found


def _override(now_in_force: Standing, reserve: float) -> ExportedOverride | None:
    decision: Decision | None = now_in_force.decision
    if now_in_force.force is not Force.OVERRIDE or decision is None or decision.override is None:
        return None
    return ExportedOverride(
        direction=decision.override,
        recommended_share=decision.recommended_share,
        reason=decision.reason,
        expires_at=decision.expires_at,
        then_share=min(decision.fallback.share, 1 - reserve),
        then_slices=_slices(decision.fallback.slices, reserve),
    )


def _slices(slices: tuple[SliceShare, ...], reserve: float) -> tuple[ExportedSlice, ...]:
    return tuple(
        ExportedSlice(each.name, each.value, min(each.share, 1 - reserve), each.status) for each in slices
    )


def _all_warnings(store: Store, ramps: tuple[ExportedRamp, ...]) -> list[str]:
    found = []
    if any(not each.intact for each in decisions(store)):
        found.append("The decision log is not as it was written: `workbench decisions` names the entries.")
    for task in sorted({each.task for each in ramps}):
        whole = sum(each.share for each in ramps if each.task == task)
        if whole > 1 + EPSILON:
            found.append(f"The candidates of {task} were given {percent(whole)} of its traffic together.")
    return found
