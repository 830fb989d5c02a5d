"""The compared calls of a task and candidate with what people said of them, for claims about parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from workbench.compare import basis, evaluator_version
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import Basis, Policy
from workbench.review import DrawState, EffectiveVerdict, Plan, draw_states, effective_verdicts
from workbench.review.states import NEW_CONTENT
from workbench.scoring.evidence import FOR_ROWS, aims_of, audit_rows, draw_rows
from workbench.scoring.sliced import sliced
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.specs import EvalConfig
from workbench.stats.audit import AuditRow, DrawRow
from workbench.stats.calls import inside
from workbench.store.compared import comparable, evidence_frame

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True)
class Gathered:
    """Comparable calls of closed batches, each once, in audit order; verdicts and draws of people.

    `aims` are the calls that draws were aimed at, by their focus: without them such a draw says nothing of a
    part.
    """

    config: EvalConfig
    policy: Policy
    fingerprint: str
    frame: pd.DataFrame
    verdicts: Mapping[tuple[str, str], EffectiveVerdict]
    states: Sequence[DrawState]
    aims: Mapping[tuple[str, str], frozenset[str]]

    @property
    def basis(self) -> Basis:
        """Return what agreement proves."""
        return basis(self.config)

    @property
    def draws(self) -> list[DrawRow]:
        """Return the queue's draws in order, for a semantic comparison."""
        return draw_rows(self.states, self.aims)[0] if self.basis is Basis.SEMANTIC else []

    @property
    def weight_max(self) -> float:
        """Return the largest weight of the queue's plan."""
        return draw_rows(self.states)[1]

    @cached_property
    def audit(self) -> list[AuditRow]:
        """Return the calls as the evidence builders take them, in the order of `frame`."""
        return self.rows({})

    def rows(self, slices: Mapping[str, tuple[tuple[str, str], ...]]) -> list[AuditRow]:
        """Return the same with their slices, by call id."""
        return audit_rows(self.config, self.frame, self.verdicts, self.states, slices)


def gather_compared(
    workspace: Workspace, store: Store, task: str, candidate: str, policy: Policy | None = None
) -> Gathered:
    """Return what is compared of a candidate on a task, as both are configured now.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        policy: Another policy than the eval's own.

    Raises:
        UsageError: Task or candidate is unknown, or no batch of it is compared.
    """
    config = workspace.eval_for(task)
    refuse_control(candidate)
    workspace.candidate(candidate)
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    found = gather_of(store, config, fingerprint, policy)
    if found.frame.empty:
        raise UsageError(
            f"Nothing of {candidate!r} on {task!r} is compared yet.",
            f"Run `workbench replay --task {task} --candidate {candidate}`, then `workbench compare`.",
        )
    return found


def gather_of(store: Store, config: EvalConfig, fingerprint: str, policy: Policy | None = None) -> Gathered:
    """Return the same of a fingerprint, whatever its name; without calls where nothing is compared."""
    scope = (store, config.task, fingerprint, evaluator_version(config))
    frame = evidence_frame(*scope, wanted=FOR_ROWS)
    states = draw_states(*scope)
    compared = comparable(frame)
    return Gathered(
        config=config,
        policy=policy or config.policy,
        fingerprint=fingerprint,
        frame=compared,
        verdicts=effective_verdicts(*scope),
        states=states,
        aims=aims_of(store, (config.task, fingerprint), states) | _in_slices(store, config, compared, states),
    )


def _in_slices(
    store: Store, config: EvalConfig, compared: pd.DataFrame, states: Sequence[DrawState]
) -> dict[tuple[str, str], frozenset[str]]:
    """Return the compared calls of each slice that a draw of the queue was aimed at."""
    aimed = {each.focus for each in states if each.plan is Plan.MIX and each.focus}
    wanted = [focus for focus in aimed if focus and focus[0] != NEW_CONTENT]
    found = sliced(store, config) if wanted else None
    if found is None:
        return {}
    kind, kinds = found.of(compared["call_seq"])
    return {focus: frozenset(compared["call_id"][inside(kind, kinds, focus)]) for focus in wanted}
