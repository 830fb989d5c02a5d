"""The use case behind `workbench judge`: ask a third model which of two answers is better, in both orders.

It goes through the replay's own loop: the privacy gate, total deadlines, retries, the limiter, the budget,
the lease, and the ledger that loses nothing to a kill.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from workbench.access import requires
from workbench.compare import basis, evaluator_version
from workbench.config import CONFIG_NAME, Workspace
from workbench.engines import open_engine
from workbench.engines.privacy import open_gate
from workbench.errors import StoreBusy, UsageError
from workbench.normal import content_hash
from workbench.progress import Listener, silent
from workbench.records import Basis
from workbench.replay.apart import run_apart
from workbench.replay.budget import CHARS_PER_TOKEN, Budget, open_budget, spent_usd
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.judge_report import JudgeReport
from workbench.replay.judge_run import Ask, Asking, Judging, UselessJudge, prompts
from workbench.replay.judge_setup import Arms, arms_of, eval_for_judge, refuse_an_arm
from workbench.replay.lease import LeaseLost, ReplayLease
from workbench.replay.loop import Ended
from workbench.roles import Right
from workbench.scoring.judging import judge_of, judge_results, scope_of
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.specs import EvalConfig
from workbench.store import Store, judgements
from workbench.store import comparisons as compared_rows
from workbench.store.judgements import VOTES, JudgePair, JudgeScope

ESTIMATED_FROM = 500
"""Pairs whose prompts a dry run writes; those of the others are taken to be as long on average."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a run is to do: the pairs of its limit, and the votes that these still lack."""

    pairs: int
    chosen: tuple[JudgePair, ...]
    asks: tuple[Ask, ...]

    @property
    def judged(self) -> int:
        """Return how many of the chosen pairs have both votes."""
        return sum(each.is_judged for each in self.chosen)


@requires(Right.REPLAY)
def judge(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    limit: int | None = None,
    concurrency: int | None = None,
    dry_run: bool = False,
    seed: int = 0,
    budget_usd: float | None = None,
    budget_minutes: float | None = None,
    listener: Listener = silent,
) -> JudgeReport:
    """Ask a task's judge for pairs of a candidate, blind and in both orders; the same again resumes.

    Pairs that people labelled are asked first, so that it is known how far the judge can be believed.

    Args:
        workspace: The workspace.
        store: Its store. It is free for others while the judge answers.
        task: Whose pairs; its eval names the judge.
        candidate: Whose answers stand beside the frontier's.
        limit: Pairs in all, those of earlier runs included; None for every pair.
        concurrency: Requests in flight at most; the judge's own otherwise.
        dry_run: Say what would be sent; send nothing, store nothing.
        seed: Seed of the order of asking.
        budget_usd: Pause when the judge has cost so much on this candidate, by the price table.
        budget_minutes: Pause when this run has lasted so long.
        listener: Told about once a second.

    Returns:
        What the judge has said so far, and what this run added. Where most verdicts can't be used it says
        so, with `exit_code` 2.

    Raises:
        UsageError: The task, the candidate or the judge is wrong, or nothing is compared yet.
        ConfigError: The judge is one of the two models, as far as these are known.
        PrivacyRefused: The task's data may not go to the judge; nothing was sent.
        EndpointUnreachable: The judge does not answer; a resume goes on.
        EnvironmentalError: Another process asks this judge already.
        KeyboardInterrupt: Stopped by a signal, after all votes were written.
    """
    if limit is not None and limit < 1:
        raise UsageError("`limit` must be at least 1.", "Leave it out for every pair.")
    config = workspace.eval_for(task)
    refuse_control(candidate)
    compared = workspace.candidate(candidate)
    spec = judge_of(workspace, config)
    open_gate(spec, config)
    open_budget(workspace, spec, usd=budget_usd, minutes=budget_minutes)
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    store.absorb(wait_s=0 if dry_run else None)
    arms = arms_of(workspace, store, task, compared, fingerprint)
    refuse_an_arm(workspace, config, spec, compared, arms)
    scope = scope_of(workspace, config, fingerprint, spec)
    notes = _notes(store, config, scope, candidate, arms)

    def planned() -> _Plan:
        return _plan(store, config, scope, limit, seed)

    def budgeted() -> Budget:
        budget = open_budget(workspace, spec, usd=budget_usd, minutes=budget_minutes)
        budget.begin_with(judgements.judging_spent(store, scope))
        return budget

    judging = Judging(workspace, store, config, spec, scope, arms)
    work = _Work(judging, candidate, notes)
    if dry_run:
        return work.estimate(planned(), budgeted())
    name = f"judge@{task}-{fingerprint}-{scope.judge}"
    doing = "asking this judge about this candidate's answers"
    with ReplayLease(workspace.spool, name, doing=doing) as lease:
        lease.recover(VOTES)
        store.absorb()
        plan = planned()
        if not plan.asks:
            return work.report(plan)
        budget = budgeted()
        engine = open_engine(workspace, spec, eval_for_judge(config))
        beat = Heartbeat(
            workspace.spool, f"judge-{content_hash(*scope.params)[:32]}", 2 * len(plan.chosen), 0
        )
        beat.before = beat.total - len(plan.asks)
        asking = Asking(judging, engine, lease, beat, budget, plan.asks, concurrency, listener)
        judgements.note_run(store, scope, "started", {"judge": spec.name, "seed": seed, "limit": limit})
        try:
            ended = run_apart(asking.run)
        except BaseException as error:
            if lease.held():
                asking.note_end("failed", type(error).__name__)
            raise
        if isinstance(ended.error, LeaseLost):
            raise ended.error
        asking.note_end(ended.state, ended.error.message if ended.error else ended.why)
        with contextlib.suppress(StoreBusy):
            # What can't be loaded now stays in the spool, and the next to open the store loads it.
            store.absorb()
        if ended.error is not None and not isinstance(ended.error, UselessJudge):
            raise ended.error
        if ended.state == "interrupted":
            left = len(plan.asks) - beat.done
            raise KeyboardInterrupt(
                f"Interrupted; all votes so far are kept, {left:,} are missing. "
                "Run the same command again to go on."
            )
        return work.report(planned(), asking, ended)


def _notes(
    store: Store, config: EvalConfig, scope: JudgeScope, candidate: str, arms: Arms
) -> tuple[str, ...]:
    """Say what the pairs lack; refuse where there are none at all.

    Raises:
        UsageError: Nothing is compared yet.
    """
    version = evaluator_version(config)
    summary = compared_rows.summary(store, config.task, scope.fingerprint, version)
    if not sum(int(row["n"]) for row in summary):
        raise UsageError(
            f"Nothing is compared yet for task {config.task!r} and candidate {candidate!r}.",
            f"Run `workbench compare --task {config.task} --candidate {candidate}` first.",
        )
    notes = []
    waiting = compared_rows.pending_count(store, config.task, scope.fingerprint, version)
    if waiting:
        notes.append(f"{waiting:,} answers are not compared yet and were left out: run `workbench compare`.")
    unknown = [
        side for side, names in (("frontier", arms.control), ("candidate", arms.candidate)) if not names
    ]
    if unknown:
        notes.append(
            f"Which model the {' and the '.join(unknown)} is, is not known here: see to it yourself that the "
            "judge is a third one."
        )
    return tuple(notes)


def _plan(store: Store, config: EvalConfig, scope: JudgeScope, limit: int | None, seed: int) -> _Plan:
    """Return which pairs are asked: those with votes already, then the rest in order, up to the limit."""
    every = judgements.pairs_for(
        store,
        scope,
        evaluator_version(config),
        all_differing=basis(config) is Basis.SEMANTIC,
        seed=seed,
    )
    begun = [each for each in every if each.has_first or each.has_second]
    fresh = [each for each in every if not (each.has_first or each.has_second)]
    more = len(fresh) if limit is None else max(limit - len(begun), 0)
    chosen = (*begun, *fresh[:more])
    asks = tuple(
        Ask(each.replay_id, each.call_id, control_first)
        for each in chosen
        for control_first, is_there in ((True, each.has_first), (False, each.has_second))
        if not is_there
    )
    return _Plan(len(every), chosen, asks)


@dataclass(frozen=True, slots=True)
class _Work:
    """What a report of any kind needs."""

    judging: Judging
    candidate: str
    notes: tuple[str, ...]

    def estimate(self, plan: _Plan, budget: Budget) -> JudgeReport:
        """Say what a run would send; nothing is sent."""
        sample = plan.asks[: 2 * ESTIMATED_FROM]
        lengths = [len(each) for each in prompts(self.judging, sample).values()]
        characters = sum(lengths) / len(lengths) * len(plan.asks) if lengths else 0.0
        notes, cost = list(self.notes), None
        if budget.price is not None:
            cost = len(plan.asks) * budget.estimate_usd(round(characters / max(len(plan.asks), 1)))
        elif plan.asks:
            notes.append(
                f"What it costs is not known: {CONFIG_NAME} has no [[prices]] row of "
                f"{self.judging.spec.price or self.judging.spec.model!r}."
            )
        if budget.usd is not None and cost is not None and budget.spent_usd + cost > budget.usd:
            notes.append(f"The budget of {budget.usd:g} USD will not do: it will pause before the end.")
        return self._report(
            plan,
            "planned",
            dry_run=True,
            requests=len(plan.asks),
            estimated_input_tokens=round(characters / CHARS_PER_TOKEN),
            estimated_cost_usd=cost,
            notes=tuple(notes),
        )

    def report(self, plan: _Plan, asking: Asking | None = None, ended: Ended | None = None) -> JudgeReport:
        """Return what the judge has said so far, and what a run added."""
        notes = list(self.notes)
        done: dict[str, Any] = {}
        state = "finished" if not plan.asks else "incomplete"
        useless = False
        if asking is not None and ended is not None:
            beat, failed = asking.beat, asking.failed
            useless = 2 * failed > beat.done > 0 or isinstance(ended.error, UselessJudge)
            done = {
                "answered": beat.done,
                "failed": failed,
                "seconds": beat.seconds,
                "retried": dict(beat.retried),
            }
            if ended.state == "paused":
                state = "paused"
            if ended.why:
                notes.append(f"{ended.why} The same command with a larger budget goes on.")
            if useless:
                notes.append(
                    f"Most of what the judge answered is no vote: {failed:,} of {beat.done:,}, mostly: "
                    f"{asking.commonest_error}. They count as errors, never as ties. Use a judge that "
                    "keeps a JSON schema, or raise its max_tokens."
                )
        price = self.judging.workspace.price_of(self.judging.spec.price or self.judging.spec.model)
        spent = judgements.judging_spent(self.judging.store, self.judging.scope)
        return self._report(
            plan,
            state,
            cost_usd=None if price is None else spent_usd(spent, price),
            exit_code=UselessJudge.exit_code if useless else 0,
            notes=tuple(notes),
            **done,
        )

    def _report(self, plan: _Plan, state: str, **more: Any) -> JudgeReport:
        return JudgeReport(
            task=self.judging.config.task,
            candidate=self.candidate,
            judge=self.judging.spec.name,
            model=self.judging.spec.model,
            fingerprint=self.judging.scope.judge,
            prompt_version=self.judging.scope.prompt_version,
            state=state,
            pairs=plan.pairs,
            planned=len(plan.chosen),
            judged=plan.judged,
            labelled=sum(each.labelled for each in plan.chosen),
            results=judge_results(
                self.judging.workspace,
                self.judging.store,
                self.judging.config,
                self.judging.scope.fingerprint,
            ),
            **more,
        )
