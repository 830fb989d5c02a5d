"""The use case behind `replay --candidate control`: how often the frontier agrees with itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from workbench.access import requires
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.embed import Embedder
from workbench.errors import UsageError
from workbench.progress import Listener, silent
from workbench.records import Estimate, Verdict
from workbench.replay.control import is_declared, models_of, with_model
from workbench.replay.ending import without_new
from workbench.replay.report import ReplayReport, duration
from workbench.replay.run import replay
from workbench.roles import Right
from workbench.scoring.comparing import bring_up_to_date, open_embedder
from workbench.scoring.noise import (
    LEFT_OUT,
    Measured,
    NoiseFloor,
    from_duplicates,
    from_second_answers,
    keep,
    utc_now,
)
from workbench.scoring.retirement import leaving
from workbench.scoring.targets import targets
from workbench.specs import CONTROL, EvalConfig
from workbench.stats.noise import MINIMUM, sentence
from workbench.stats.wording import count, measured
from workbench.store import Store
from workbench.store import comparisons as rows
from workbench.store.noise import recorded_models
from workbench.store.replays import drawn, replays_of

SAMPLE = 200
"""Calls that are asked again where no limit is given: 90 % of them agreeing, r lies between 82 % and 96 %."""


@dataclass(frozen=True, slots=True)
class NoiseReport:
    """What `replay --candidate control` found.

    `state` is measured, not_measurable, incomplete (not everything is asked yet) or
    planned (a dry run). `agreement` is the frontier's with itself, `ceiling` the most any
    candidate can agree with its logged answers, `candidates` what each agrees now.
    `left_out` counts answers that say nothing. `replay` is the asking, None without one.
    """

    task: str
    state: str
    source: str | None = None
    agreement: Estimate | None = None
    ceiling: Estimate | None = None
    structural: bool = True
    models: dict[str, int] = field(default_factory=dict)
    candidates: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    why_not: str = ""
    what_to_do: str = ""
    notes: tuple[str, ...] = ()
    replay: ReplayReport | None = None

    @property
    def exit_code(self) -> int:
        """Return the code that the asking ended with."""
        return self.replay.exit_code if self.replay else 0

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        if self.state == "planned" and self.replay:
            return self.replay.text
        lines = [f"{self.task}: noise floor {self.state.replace('_', ' ')}."]
        if self.agreement:
            lines.append(sentence(self.agreement, structural=self.structural))
            lines += [f"{name} agrees on {measured(share)}." for name, share in self.candidates.items()]
        if self.why_not:
            lines.append(f"Why: {self.why_not}.")
        if self.what_to_do:
            lines.append(f"What to do: {self.what_to_do}")
        if self.replay and self.replay.answered:
            cost = "" if self.replay.cost_usd is None else f", {self.replay.cost_usd:.4f} USD in all"
            asked = f"{count(self.replay.answered)} asked in {duration(self.replay.seconds)}"
            lines.append(f"This run: {asked}{cost}.")
        lines += [f"Left out: {count(n)} that {LEFT_OUT[why]}." for why, n in self.left_out.items() if n]
        return "\n  ".join([*lines, *self.notes])


@requires(Right.REPLAY)
def measure_noise_floor(
    workspace: Workspace,
    store: Store,
    task: str,
    *,
    limit: int | None = None,
    concurrency: int | None = None,
    new: bool = False,
    dry_run: bool = False,
    seed: int = 0,
    budget_usd: float | None = None,
    budget_minutes: float | None = None,
    checks: bool = True,
    listener: Listener = silent,
    now: datetime | None = None,
    embedder: Callable[[str], Embedder] | None = None,
) -> NoiseReport:
    """Measure how often the frontier agrees with itself, and keep what was found.

    Where workbench.toml declares a candidate named `control`, it is asked a sample of
    the calls that it answered itself, with the parameters of the log, through the
    ordinary replay: gate, lease, resume and growth are the same. Elsewhere requests that
    the log holds more than once are compared pair by pair. Both use the eval's own
    comparator under the evaluator version that candidates are compared with.

    Args:
        workspace: Names eval and control.
        store: Its store.
        task: The task.
        limit: Calls to ask again in all; 200, or the earlier sample, unless given.
        concurrency: Requests in flight at most.
        new: Ask another sample instead of going on with the last.
        dry_run: Say what would be sent; send and keep nothing.
        seed: Seed of the drawn sample.
        budget_usd: Pause when the asking has cost so much.
        budget_minutes: Pause when this run has lasted so long.
        checks: Check with a few calls of no task first.
        listener: Hears how far it is.
        now: The time of the measurement, in UTC; the clock's unless given.
        embedder: Opens an embedder by name; for texts alone.

    Raises:
        UsageError: The task has no eval, or no call of the control.
        PrivacyRefused: The task's data may not go where the control is; nothing was sent.
        WorkbenchError: As `replay` does.
    """
    config = workspace.eval_for(task)
    now = now or utc_now()
    if not is_declared(workspace):
        found = from_duplicates(store, config, now, embedder=embedder or open_embedder, listener=listener)
        if found.floor and not dry_run:
            keep(store, found.floor)
        return _report(workspace, store, config, found, None, now)
    asking = with_model(workspace, store, task)
    spec = asking.candidate(CONTROL)
    fingerprint = asking.fingerprint(spec)
    if limit is None and spec.engine != "recorded":
        limit = max(
            [SAMPLE, *(len(drawn(store, row.replay_id)) for row in replays_of(store, task, fingerprint))]
        )
    asked = replay(
        asking,
        store,
        task,
        CONTROL,
        limit=limit,
        concurrency=concurrency,
        new=new,
        dry_run=dry_run,
        seed=seed,
        budget_usd=budget_usd,
        budget_minutes=budget_minutes,
        checks=checks,
        listener=listener,
    )
    if dry_run:
        return NoiseReport(task, "planned", replay=asked, notes=asked.notes)
    scope = (store, task, fingerprint, evaluator_version(config))
    bring_up_to_date(workspace, config, scope, listener, embedder)
    found = from_second_answers(store, config, fingerprint, now)
    if found.floor:
        keep(store, found.floor)
    return _report(asking, store, config, found, asked, now, new)


def _report(
    workspace: Workspace,
    store: Store,
    config: EvalConfig,
    found: Measured,
    asked: ReplayReport | None,
    now: datetime,
    new: bool = False,
) -> NoiseReport:
    floor = found.floor
    notes = [*(floor.notes if floor else ()), *(asked.notes if asked else ())]
    if asked:
        notes += _whose_calls(store, config.task, workspace.candidate(CONTROL).model)
    unfinished = asked is not None and asked.done < asked.planned
    if floor is None:
        notes += [each.text for each in leaving(workspace, store, now.date(), task=config.task)]
    return NoiseReport(
        task=config.task,
        state="measured" if floor and not unfinished else "incomplete" if unfinished else "not_measurable",
        source=floor.source if floor else None,
        agreement=floor.agreement if floor else None,
        ceiling=floor.ceiling if floor else None,
        structural=floor.structural if floor else True,
        models=dict(floor.models) if floor else {},
        candidates=_candidates(workspace, store, config) if floor else {},
        left_out=found.left_out,
        why_not=found.why_not,
        what_to_do=_next_step(config, found, asked, new),
        notes=tuple(dict.fromkeys(notes)),
        replay=asked,
    )


def _whose_calls(store: Store, task: str, model: str | None) -> list[str]:
    """Say which calls were asked again, where the log holds others too."""
    logged = recorded_models(store, task)
    mine = models_of(store, task, model)
    total, own = sum(logged.values()), sum(logged[each] for each in mine if each in logged)
    named = ", ".join(each for each in mine if each)
    if not named:
        return [f"The log names no model; all its calls are taken to be {model}'s." if model else ""]
    if own == total:
        return [f"Asked again: {named}."]
    return [f"Asked again: only calls that {named} answered, {measured(own / total)} of the task's calls."]


def _next_step(config: EvalConfig, found: Measured, asked: ReplayReport | None, new: bool) -> str:
    if asked is not None and asked.done < asked.planned:
        return without_new("run the same command again: it goes on where it stopped.", new)
    if found.floor is not None:
        return ""
    if asked is not None:
        return f"ask more calls again (--limit), so that at least {MINIMUM} answers can be compared."
    return (
        f"say where the recorded model can be asked: workbench candidate add {CONTROL} --engine openai "
        f"--base-url URL --api-key-env NAME. Its model is taken from the log, and `allowed_zone` of "
        f"{config.task!r} must allow its zone. Or import a log that holds requests more than once, with "
        "their ids and times."
    )


def _candidates(workspace: Workspace, store: Store, config: EvalConfig) -> dict[str, float]:
    """Return what share of compared calls each candidate agrees on, as compared so far."""
    try:
        known = targets(workspace, store, config.task)
    except UsageError:
        return {}
    shares = {}
    for _, name, fingerprint in known:
        counts: dict[str, int] = {}
        for row in rows.summary(store, config.task, fingerprint, evaluator_version(config)):
            counts[row["verdict"]] = counts.get(row["verdict"], 0) + int(row["n"])
        agreeing = counts.get(Verdict.MATCH, 0) + counts.get(Verdict.IGNORED, 0)
        compared = agreeing + counts.get(Verdict.MISMATCH, 0)
        if compared:
            shares[name] = agreeing / compared
    return shares


__all__ = ["NoiseFloor", "NoiseReport", "measure_noise_floor"]
