"""What a workspace says about moving traffic: the half of `Workbench` that asks the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from workbench import access
from workbench.config import Workspace
from workbench.local_name import local_name
from workbench.progress import Listener, silent
from workbench.records import Policy
from workbench.roles import all_rights

if TYPE_CHECKING:
    from workbench.costing import CostPlan
    from workbench.journey import Journey
    from workbench.profiling import ProfileReport
    from workbench.profiling.costs import CostReport
    from workbench.profiling.naming import Named
    from workbench.report import PortfolioReport, Report
    from workbench.routing import RoutingReport
    from workbench.scoring.found import FoundReport
    from workbench.scoring.judging import JudgeResults
    from workbench.scoring.latency_pairs import PairedLatency
    from workbench.scoring.predicted import PredictedHarm
    from workbench.scoring.replay_pairs import ReplayPair
    from workbench.scoring.thresholds import ThresholdReport
    from workbench.scoring.watching import WatchReport
    from workbench.settings import Settings
    from workbench.specs import EvalConfig
    from workbench.store import Store
    from workbench.store.accesses import Access


class Deciding:
    """One workspace, opened, and the questions that a decision needs answered.

    Args:
        root: The folder that holds `workbench.toml`.

    Raises:
        ConfigError: There is none, or it is wrong.
    """

    def __init__(self, root: Path | str) -> None:
        self.workspace = Workspace.load(root)
        access.run_as(all_rights(local_name(self.workspace)))
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """Return the store, opened on first use."""
        if self._store is None:
            from workbench.store import Store

            self._store = Store.open(self.workspace.store_path, spool=self.workspace.spool)
        return self._store

    def report(
        self, task: str, candidate: str, path: Path | str | None = None, *, current_share: float | None = None
    ) -> Report:
        """Gather a report on a candidate, and write it to a file (.html or .md) if one is named.

        Without a current share it is about the one in force.
        """
        from workbench.report import gather_report, write_report

        found = gather_report(self.workspace, self.store, task, candidate, current_share=current_share)
        if path is not None:
            write_report(found, Path(path))
        return found

    def portfolio_report(
        self, path: Path | str | None = None, *, listener: Listener = silent
    ) -> PortfolioReport:
        """Gather a report on all tasks together, and write it to a file (.html or .md) if one is named."""
        from workbench.report import gather_portfolio, write_report

        found = gather_portfolio(self.workspace, self.store, listener=listener)
        if path is not None:
            write_report(found, Path(path))
        return found

    def status(self, *, listener: Listener = silent) -> Journey:
        """Say how far the way to a recommendation is done, where each task stands, and the next step."""
        from workbench.journey import journey

        return journey(self.workspace, self.store, listener=listener)

    def thresholds(
        self,
        task: str,
        candidate: str,
        *,
        signal: str | None = None,
        budget_mode: bool = False,
        planned_labels: int | None = None,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> ThresholdReport:
        """Find the lowest confidence from which a candidate's answers are proven to be good enough."""
        from workbench.scoring.thresholds import thresholds

        return thresholds(
            self.workspace,
            self.store,
            task,
            candidate,
            signal=signal,
            budget_mode=budget_mode,
            planned_labels=planned_labels,
            policy=policy,
            seed=seed,
        )

    def predicted(
        self,
        task: str,
        candidate: str,
        *,
        predictions: Mapping[str, float] | None = None,
        policy: Policy | None = None,
    ) -> PredictedHarm:
        """Estimate harm with a prediction for every call (PPI++). Shown, never a gate."""
        from workbench.scoring.predicted import predicted

        return predicted(self.workspace, self.store, task, candidate, predictions=predictions, policy=policy)

    def judge_results(self, task: str, candidate: str) -> JudgeResults | None:
        """Return what the eval's judge said, and how far it can be believed; None where it said nothing."""
        from workbench.scoring.judging import judge_results

        config, fingerprint = self._whose(task, candidate)
        return judge_results(self.workspace, self.store, config, fingerprint)

    def judged_harm(self, task: str, candidate: str) -> PredictedHarm | None:
        """Estimate harm with the judge's verdicts for all calls (PPI++). Shown, never a gate.

        None where the judge may not predict: too few pairs in common with people, or not all judged.
        """
        from workbench.scoring.judging import judged_harm

        config, fingerprint = self._whose(task, candidate)
        return judged_harm(self.workspace, self.store, config, fingerprint)

    def _whose(self, task: str, candidate: str) -> tuple[EvalConfig, str]:
        config = self.workspace.eval_for(task)
        return config, self.workspace.fingerprint(self.workspace.candidate(candidate))

    def replay_pair(self, first: str, second: str) -> ReplayPair:
        """Set two replays of one task side by side, by their ids, over the calls that both asked."""
        from workbench.scoring.replay_pairs import replay_pair

        return replay_pair(self.workspace, self.store, first, second)

    def paired_latency(self, task: str, candidate: str, *, policy: Policy | None = None) -> PairedLatency:
        """Set the frontier's recorded latency against the candidate's at production's pace."""
        from workbench.scoring.latency_pairs import paired_latency

        return paired_latency(self.workspace, self.store, task, candidate, policy=policy)

    def slices(
        self,
        task: str,
        candidate: str,
        *,
        policy: Policy | None = None,
        similar: bool = True,
        seed: int = 0,
        listener: Listener = silent,
    ) -> FoundReport:
        """Find the slices in which a candidate does worst, though nobody declared them."""
        from workbench.scoring.found import found_slices

        return found_slices(
            self.workspace,
            self.store,
            task,
            candidate,
            policy=policy,
            similar=similar,
            seed=seed,
            listener=listener,
        )

    def routing_rule(
        self, task: str, candidate: str, *, policy: Policy | None = None, seed: int = 0
    ) -> RoutingReport:
        """Learn where to send a call before the candidate is asked, and prove it on other calls."""
        from workbench.scoring.found import routing_rule

        return routing_rule(self.workspace, self.store, task, candidate, policy=policy, seed=seed)

    def watch(
        self,
        task: str,
        candidate: str,
        *,
        since: datetime | None = None,
        current_share: float | None = None,
        policy: Policy | None = None,
        seed: int = 0,
        listener: Listener = silent,
    ) -> WatchReport:
        """Look for drift in what was imported after the evaluation: outcomes, mix, content."""
        from workbench.scoring.watching import watch

        return watch(
            self.workspace,
            self.store,
            task,
            candidate,
            since=since,
            current_share=current_share,
            policy=policy,
            seed=seed,
            listener=listener,
        )

    def profile(
        self, *, again: bool = False, exclude_marks: Sequence[str] = (), listener: Listener = silent
    ) -> ProfileReport:
        """Say what the traffic consists of, what it costs, and what of it could move."""
        from workbench.profiling import profile

        return profile(
            self.workspace, self.store, again=again, exclude_marks=exclude_marks, listener=listener
        )

    def draft_eval(self, *workloads: str, task: str | None = None, listener: Listener = silent) -> Named:
        """Make workloads a task: draft its eval.toml, or add their rules to the one that is there."""
        from workbench.profiling.naming import name_workloads

        named = name_workloads(self.workspace, self.store, workloads, task, listener=listener)
        self.workspace = Workspace.load(self.workspace.root)
        return named

    def costs(
        self,
        workload: str | None = None,
        *,
        candidate: str | None = None,
        share: float = 1.0,
        plan: CostPlan | None = None,
        listener: Listener = silent,
    ) -> CostReport:
        """Say what a workload, or all of them, cost a month in four ways."""
        from workbench.profiling.costs import costs

        return costs(
            self.workspace,
            self.store,
            workload,
            candidate=candidate,
            share=share,
            plan=plan,
            listener=listener,
        )

    def settings(self) -> Settings:
        """Say what the workspace is set to; no secret is in it."""
        from workbench.settings import settings

        return settings(self.workspace, self.store)

    def access_log(self, *, limit: int = 100, actor: str | None = None) -> list[Access]:
        """Say who read or took out the text of calls, newest first."""
        from workbench.settings import access_log

        return access_log(self.workspace, self.store, limit=limit, actor=actor)

    def close(self) -> None:
        """Give the store up."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
