"""The part of `Workbench` that rolls out: accept a share, read the log, export it, try a policy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.facade_deciding import Deciding
from workbench.records import Policy, Recommendation

if TYPE_CHECKING:
    from workbench.rollout import Decision, LogEntry, RampExport, Standing, WhatIf
    from workbench.scoring.trail import Trail


class RollingOut(Deciding):
    """One workspace, opened, and what people decide about its traffic."""

    def recommend(
        self, task: str, candidate: str, *, current_share: float | None = None, policy: Policy | None = None
    ) -> Recommendation:
        """Say how much traffic may move, how sure that is, and what is missing.

        The share served now is the one in force unless it is given.
        """
        from workbench.scoring import recommend

        if current_share is None:
            current_share = self.in_force(task, candidate).share
        return recommend(
            self.workspace, self.store, task, candidate, current_share=current_share, policy=policy
        )

    def accept(
        self,
        task: str,
        candidate: str,
        share: float,
        *,
        shown: str,
        who: str | None = None,
        latest: str | None = None,
        current_share: float | None = None,
        reason: str = "",
        until: datetime | None = None,
    ) -> Decision:
        """Accept a share on the evidence that was shown: `recommend(...).details["evidence_hash"]`."""
        from workbench.rollout import accept

        return accept(
            self.workspace,
            self.store,
            task,
            candidate,
            share=share,
            shown=shown,
            who=who,
            latest=latest,
            current_share=current_share,
            reason=reason,
            until=until,
        )

    def decisions(self, task: str | None = None, candidate: str | None = None) -> list[LogEntry]:
        """Return the log of accepted shares, newest first."""
        from workbench.rollout import decisions

        return decisions(self.store, task, candidate)

    def in_force(self, task: str, candidate: str) -> Standing:
        """Return which share is in force, by which decision, and until when."""
        from workbench.rollout import in_force

        return in_force(self.workspace, self.store, task, candidate)

    def export_ramp(
        self, task: str | None = None, candidate: str | None = None, path: Path | str | None = None
    ) -> RampExport:
        """Return what is in force, for a gateway, and write it to a file as JSON if one is named."""
        from workbench.rollout import export_ramp, write_ramp

        found = export_ramp(self.workspace, self.store, task, candidate)
        if path is not None:
            write_ramp(found, Path(path))
        return found

    def what_if(self, task: str, candidate: str, policy: Policy, *, current_share: float = 0.0) -> WhatIf:
        """Say what another policy would recommend. Nothing is saved, nothing can be accepted by it."""
        from workbench.rollout import what_if

        return what_if(self.workspace, self.store, task, candidate, policy, current_share=current_share)

    def evidence_over_time(self, task: str, candidate: str, *, policy: Policy | None = None) -> Trail:
        """Return how the bound moved as evidence came in, and when each stage came within reach."""
        from workbench.scoring.trail import evidence_over_time

        return evidence_over_time(self.workspace, self.store, task, candidate, policy=policy)
