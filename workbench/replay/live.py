"""The use case behind `replay --live`: what the frontier says of calls that a candidate served itself.

Advancing a stage needs compared live calls. Their log holds the candidate's answer and no frontier's, so the
control is asked a sample of them through the ordinary replay: gate, lease, budget and resume are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from workbench.access import requires
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.embed import Embedder
from workbench.errors import UsageError
from workbench.normal import content_hash, naive_utc
from workbench.progress import Listener, silent
from workbench.records import told_errors
from workbench.replay.control import is_declared, with_model
from workbench.replay.ending import without_new
from workbench.replay.plan import Plan, new_row, ordered
from workbench.replay.report import ReplayReport, duration
from workbench.replay.run import replay_planned
from workbench.roles import Right
from workbench.sampling import draw_sample
from workbench.scoring.comparing import bring_up_to_date
from workbench.scoring.stage import Stage, live_compared, stage_of
from workbench.scoring.targets import refuse_control
from workbench.specs import CONTROL, EvalConfig
from workbench.stats.wording import count, percent, plural
from workbench.store import Store
from workbench.store import live as rows
from workbench.store.labels import Scope
from workbench.store.marked import marked_calls
from workbench.store.replays import ASKING, drawn


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """Where the live calls of a stage stand.

    `share` is in force since `since`. `served` are the calls that the log says the candidate served since,
    `asked` those of them that the frontier answered, `failed` those that it answered with an error, by kind,
    `compared` those that count, `agreeing` those of them that agree; an advance needs `needed`, and that the
    stage lasts until `until` (UTC).
    """

    share: float
    since: datetime
    until: datetime
    served: int
    asked: int
    compared: int
    agreeing: int
    needed: int
    failed: dict[str, int]


@dataclass(frozen=True, slots=True)
class LiveReport(LiveStatus):
    """What `replay --live` found; `replay` is the asking."""

    task: str
    candidate: str
    notes: tuple[str, ...]
    replay: ReplayReport

    @property
    def exit_code(self) -> int:
        """Return the code that the asking ended with."""
        return self.replay.exit_code

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        if self.replay.dry_run:
            return self.replay.text
        lines = [
            f"{self.task} / {self.candidate}: {percent(self.share)} since {self.since:%Y-%m-%d %H:%M} UTC; "
            f"{plural(self.served, 'call')} served, the frontier asked for {count(self.asked)}, "
            f"{count(self.compared)} compared, of which {count(self.agreeing)} agree (an advance needs "
            f"{count(self.needed)} compared, and that the stage lasts until {self.until:%Y-%m-%d %H:%M} UTC)."
        ]
        if self.replay.answered:
            cost = "" if self.replay.cost_usd is None else f", {self.replay.cost_usd:.4f} USD in all"
            lines.append(
                f"This run: {count(self.replay.answered)} asked in {duration(self.replay.seconds)}{cost}."
            )
        if self.failed:
            failed = count(sum(self.failed.values()))
            lines.append(f"The frontier failed on {failed} of them: {told_errors(self.failed)}.")
        return "\n  ".join([*lines, *self.notes])


@requires(Right.REPLAY)
def replay_live(
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
    checks: bool = True,
    listener: Listener = silent,
    now: datetime | None = None,
    embedder: Callable[[str], Embedder] | None = None,
) -> LiveReport:
    """Ask the frontier for some of the calls that a candidate served in this stage, and compare.

    The same command again goes on where it stopped, then does nothing until more is wanted: `limit` counts
    the calls of the stage in all. Which calls are asked is drawn by chance, whatever the answers are.

    Args:
        workspace: Names eval, candidate and control.
        store: Its store.
        task: The task.
        candidate: Who served them. A share of the task must be in force for it.
        limit: Calls of this stage to ask for in all; as many as an advance needs unless given.
        concurrency: Requests in flight at most.
        dry_run: Say what would be sent; send and keep nothing.
        seed: Seed of the drawn sample.
        budget_usd: Pause when the asking has cost so much.
        budget_minutes: Pause when this run has lasted so long.
        checks: Check the control with a few calls of no task first.
        listener: Hears how far it is.
        now: The present; the clock's unless given.
        embedder: Opens an embedder by name; for texts alone.

    Raises:
        UsageError: Nothing is in force, nothing was served, or the control can't be asked.
        PrivacyRefused: The task's data may not go where the control is; nothing was sent.
        WorkbenchError: As `replay` does.
    """
    config = workspace.eval_for(task)
    refuse_control(candidate)
    fingerprint = workspace.fingerprint(workspace.candidate(candidate))
    stage = stage_of(store, task, candidate, fingerprint, now or datetime.now(UTC))
    if stage.serving_since is None or stage.entered_at is None:
        raise UsageError(
            f"No share of {task!r} is in force for {candidate!r} as it is configured, so that none of its "
            "answers is known to be live.",
            f"Accept the share that it serves: workbench accept --task {task} --candidate {candidate} ...",
        )
    if not is_declared(workspace):
        raise UsageError(
            "The frontier can't be asked: workbench.toml declares no candidate named 'control'.",
            f"workbench candidate add {CONTROL} --engine openai --base-url URL --api-key-env NAME",
        )
    asking = with_model(workspace, store, task)
    spec = asking.candidate(CONTROL)
    if spec.engine == "recorded":
        raise UsageError(
            "The control is recorded: it holds no answers to calls that the frontier was never asked.",
            f"Declare {CONTROL!r} with an engine that can be asked.",
        )
    asked_as = content_hash("live", asking.fingerprint(spec), fingerprint)
    wanted = limit or config.policy.minimum_live_calls

    def drawing() -> Plan:
        _settle(store, task, candidate, fingerprint)
        exclude = config.exclude_marks
        return _plan(store, task, candidate, fingerprint, asked_as, stage, wanted, seed, exclude)

    asked = replay_planned(
        asking,
        store,
        task,
        spec,
        asked_as,
        drawing,
        concurrency=concurrency,
        new=False,
        dry_run=dry_run,
        budgets={"usd": budget_usd, "minutes": budget_minutes},
        checks=checks,
        listener=listener,
    )
    if not dry_run:
        _settle(store, task, candidate, fingerprint)
        scope = (store, task, fingerprint, evaluator_version(config))
        bring_up_to_date(workspace, config, scope, listener, embedder)
    return _report(store, config, candidate, fingerprint, stage, asked)


def _settle(store: Store, task: str, candidate: str, fingerprint: str) -> None:
    asking = rows.asking_of(store, task, fingerprint)
    if asking is not None:
        store.absorb()
        rows.settle(store, asking, candidate, fingerprint)


def _plan(
    store: Store,
    task: str,
    candidate: str,
    fingerprint: str,
    asked_as: str,
    stage: Stage,
    limit: int,
    seed: int,
    exclude_marks: Sequence[str],
) -> Plan:
    """Draw what is missing from the sample of this stage's calls."""
    found = rows.served_calls(store, task, candidate, _began(stage))
    marked = marked_calls(store, task, exclude_marks)
    calls = {each.call_id: each for each in found if each.call_id not in marked}
    row = rows.asking_of(store, task, fingerprint)
    if row is not None and row.candidate_fingerprint != asked_as:
        row = None  # Another control is asked now: its answers are a sample of their own.
    if row is not None and row.seed != seed:
        raise UsageError(
            f"The live calls of {candidate!r} are drawn with seed {row.seed}; this command says {seed}.",
            f"Go on with it: --seed {row.seed}.",
        )
    known = drawn(store, row.replay_id) if row else {}
    if not calls and not known:
        raise UsageError(
            f"The log holds no call of {task!r} that {candidate!r} served since "
            f"{stage.entered_at:%Y-%m-%d %H:%M} UTC.",
            "Import what the gateway logged since. A record says who served it by `served_by` in its "
            "metadata, or by a model's name that the candidate lists in `served_as`.",
        )
    taken = rows.already_asked(store, calls)
    sampled = draw_sample(calls, limit, seed, [each for each in calls if each in known or each in taken])
    is_new = row is None
    if row is None:
        row = new_row(task, CONTROL, asked_as, seed, 1, {ASKING: fingerprint, "usable": len(calls)})
    batch = max(known.values(), default=0) + 1
    added = ordered(row.replay_id, sampled, calls, batch)
    return Plan(row, is_new, len(known), added, len(calls), ())


def _began(stage: Stage) -> datetime:
    if stage.entered_at is None:
        raise AssertionError("a stage that never began has no calls")
    return naive_utc(stage.entered_at)


def _report(
    store: Store, config: EvalConfig, candidate: str, fingerprint: str, stage: Stage, asked: ReplayReport
) -> LiveReport:
    found = _status(store, config, candidate, fingerprint, stage)
    notes = list(asked.notes)
    if asked.done < asked.planned and not asked.dry_run:
        notes.append(without_new("Run the same command again: it goes on where it stopped.", False))
    elif found.asked < found.needed and found.asked + sum(found.failed.values()) >= found.served:
        notes.append("Every call it served is asked for: import what the gateway logged since, then go on.")
    return LiveReport(
        **asdict(found),
        task=config.task,
        candidate=candidate,
        notes=tuple(dict.fromkeys(notes)),
        replay=asked,
    )


def _status(store: Store, config: EvalConfig, candidate: str, fingerprint: str, stage: Stage) -> LiveStatus:
    calls = [each.call_id for each in rows.served_calls(store, config.task, candidate, _began(stage))]
    scope = Scope(config.task, fingerprint, evaluator_version(config))
    asked = rows.already_asked(store, calls)
    since = _began(stage).replace(tzinfo=UTC)
    compared, agreeing = live_compared(store, scope, stage)
    return LiveStatus(
        share=stage.share,
        since=since,
        until=since + timedelta(days=config.policy.minimum_days_in_stage),
        served=len(calls),
        asked=sum(kind is None for kind in asked.values()),
        compared=compared,
        agreeing=agreeing,
        needed=config.policy.minimum_live_calls,
        failed=dict(Counter(kind for kind in asked.values() if kind is not None).most_common()),
    )


@requires(Right.SEE)
def live_status(
    workspace: Workspace, store: Store, task: str, candidate: str, *, now: datetime | None = None
) -> LiveStatus | None:
    """Return where the live calls of the present stage stand, or None where no share is in force.

    Args:
        workspace: Names eval and candidate.
        store: Holds the log of decisions and the calls.
        task: The task.
        candidate: The candidate's name.
        now: The present; the clock's unless given.

    Raises:
        UsageError: A name is unknown, or the candidate is the control.
    """
    config = workspace.eval_for(task)
    refuse_control(candidate)
    fingerprint = workspace.fingerprint(workspace.candidate(candidate))
    stage = stage_of(store, task, candidate, fingerprint, now or datetime.now(UTC))
    return None if stage.serving_since is None else _status(store, config, candidate, fingerprint, stage)
