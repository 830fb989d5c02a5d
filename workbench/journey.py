"""The way from an empty workspace to a recommendation, and the next step from wherever a team stands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench import access, scoring
from workbench.access import requires_somewhere
from workbench.config import Workspace
from workbench.progress import Listener, silent
from workbench.ramp import Lack
from workbench.records import UNASSIGNED, Action, Recommendation
from workbench.roles import Right
from workbench.rollout import shares_in_force
from workbench.scoring import OverviewRow
from workbench.scoring.portfolio import furthest
from workbench.scoring.targets import targets
from workbench.specs import CONTROL
from workbench.stats.ladder import EPSILON
from workbench.stats.wording import percent, plural
from workbench.store import overview as aggregates
from workbench.store import pages

if TYPE_CHECKING:
    from workbench.store import Store

DONE, NEXT, LATER = "done", "next", "later"
ENOUGH_AT = 1.0
"""A cap that labels can't raise."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do about a task: in words, as a page of the app with its query, and as a command."""

    words: str
    page: str
    command: str
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the way. `state` is done, next or later; `said` what was found."""

    name: str
    title: str
    state: str
    said: str
    step: NextStep


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """Where a task stands with the candidate that may go furthest, and what to do next."""

    task: str
    candidate: str
    headline: str
    reason: str
    share: float
    cap: float
    synthetic: bool
    step: NextStep


@dataclass(frozen=True, slots=True)
class Journey:
    """Where a workspace stands. `next_step` is the one thing to do, None where all is done.

    `urgent` is where most traffic has to be taken back; that comes before all else.
    """

    stages: tuple[Stage, ...]
    tasks: tuple[TaskStatus, ...]
    next_step: NextStep | None
    urgent: TaskStatus | None = None

    @property
    def finished(self) -> bool:
        """Return whether a first recommendation has been reached."""
        return all(each.state == DONE for each in self.stages)

    @property
    def text(self) -> str:
        """Return the journey for a terminal."""
        marks = {DONE: "[x]", NEXT: "[>]", LATER: "[ ]"}
        lines = [f"{marks[each.state]} {each.title}. {each.said}" for each in self.stages]
        if self.tasks:
            lines.append("")
        for task in self.tasks:
            made_up = " (synthetic)" if task.synthetic else ""
            lines += [
                f"{task.task} / {task.candidate}{made_up}: {task.headline}",
                f"  {task.reason}",
                f"  {task.step.words}: {task.step.command}",
            ]
        if self.next_step is not None:
            lines += ["", f"Next: {self.next_step.words}", f"  {self.next_step.command}"]
        return "\n".join(lines)


def journey(
    workspace: Workspace,
    store: Store,
    rows: Sequence[OverviewRow] | None = None,
    *,
    listener: Listener = silent,
) -> Journey:
    """Return where a workspace stands, from what its store holds.

    Args:
        workspace: Its evals and candidates.
        store: Its calls, replays and labels.
        rows: What `scoring.overview` returned; worked out here unless given.
        listener: Is told how far that is.
    """
    if rows is None:
        rows = scoring.overview(
            workspace, store, share_of=shares_in_force(workspace, store), listener=listener
        )
    return told(facts(workspace, store), rows)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the stages are told from, beside the rows. `tasks` are names and calls, the largest first.

    `replayed` are tasks and candidates, synthetic ones left out; `labels` stand on their pairs.
    """

    tasks: tuple[tuple[str, int], ...]
    named: tuple[str, ...]
    real: tuple[str, ...]
    declared: int
    replayed: tuple[tuple[str, str], ...]
    labels: int


@requires_somewhere(*Right)
def facts(workspace: Workspace, store: Store) -> Facts:
    """Return what the stages are told from.

    Args:
        workspace: Its evals and candidates.
        store: Its calls, replays and labels.
    """
    counted = tuple((each.task, each.calls) for each in pages.tasks(store))
    declared = [each for each in workspace.config.candidates if each.name != CONTROL]
    real = tuple(each.name for each in declared if not each.synthetic)
    replayed = [
        found
        for found in targets(workspace, store)
        if found[1] in real and access.may(Right.SEE, found[0].task)
    ]
    labels = aggregates.labelled(store)
    return Facts(
        tasks=counted,
        named=tuple(task for task, _ in counted if task in workspace.evals),
        real=real,
        declared=len(declared),
        replayed=tuple((config.task, name) for config, name, _ in replayed),
        labels=sum(labels.get((config.task, fingerprint), 0) for config, _, fingerprint in replayed),
    )


def told(known: Facts, rows: Sequence[OverviewRow]) -> Journey:
    """Return the journey that facts and rows tell. Pure.

    Args:
        known: What `facts` returned.
        rows: What `scoring.overview` returned.
    """
    stages = _stages(known, rows)
    tasks = tuple(_status(furthest(found)) for found in _by_task(rows))
    falling = [row for found in _by_task(rows) for row in found if falls(row)]
    if falling:
        urgent = _status(max(falling, key=lambda row: row.recommendation.current_share - _carried(row)))
        return Journey(stages, tasks, urgent.step, urgent)
    first = next((each.step for each in stages if each.state == NEXT), None)
    ahead = [each for each in tasks if not each.synthetic] or list(tasks)
    if first is None and ahead:
        first = max(ahead, key=lambda each: (each.share, each.cap)).step
    return Journey(stages, tasks, first)


def _stages(known: Facts, rows: Sequence[OverviewRow]) -> tuple[Stage, ...]:
    calls = sum(n for _, n in known.tasks)
    assigned = [task for task, _ in known.tasks if task != UNASSIGNED]
    unnamed = sum(n for task, n in known.tasks if task not in known.named)
    compared = sum(row.compared for row in rows if not row.synthetic)
    moving = [row for row in rows if not row.synthetic and row.recommendation.effective_share > EPSILON]
    task = known.named[0] if known.named else "TASK"
    candidate = known.real[0] if known.real else "NAME"
    own = [row for row in rows if not row.synthetic]
    ahead = furthest(own) if own else None
    waiting = [row for row in own if wants_labels(row)]
    found = [
        (
            "log",
            "Import a log",
            bool(calls),
            f"{plural(calls, 'call')} in {plural(len(assigned), 'task')}." if calls else "No calls yet.",
            NextStep("Upload a log", "upload", "workbench import LOG.jsonl --task NAME"),
        ),
        (
            "task",
            "Name a task",
            bool(known.named),
            _named(len(known.named), unnamed),
            NextStep("See what the traffic consists of", "traffic", "workbench profile"),
        ),
        (
            "candidate",
            "Declare a small model",
            bool(known.real),
            _declared(len(known.real), known.declared),
            NextStep(
                "Declare a candidate",
                "replays",
                "workbench candidate add NAME --engine openai --base-url URL --model MODEL",
            ),
        ),
        (
            "replay",
            "Replay a sample through it",
            bool(compared),
            f"{plural(compared, 'pair')} compared."
            if compared
            else "No candidate of your own has been compared yet.",
            _replay_step(*known.replayed[0], begun=True)
            if known.replayed and not compared
            else _replay_step(task, candidate),
        ),
        (
            "labels",
            "Label blind",
            bool(known.labels) or bool(moving),
            _labelled(known.labels, bool(moving), bool(waiting) or not own),
            _labels_asked(waiting) if waiting else label_step(task, candidate),
        ),
        (
            "ramp",
            "Move the first traffic",
            bool(moving),
            f"{plural(len(moving), 'candidate')} may take traffic."
            if moving
            else "No candidate may take traffic yet.",
            next_steps(ahead)[0] if ahead else _ramp_step("See why and what is missing", task, candidate),
        ),
    ]
    # Labels that would help no candidate are not what to do next.
    skipped = {"labels"} if own and not waiting else set()
    open_ones = [name for name, _, is_done, *_ in found if not is_done and name not in skipped]
    return tuple(
        Stage(name, title, DONE if is_done else NEXT if name == open_ones[0] else LATER, said, step)
        for name, title, is_done, said, step in found
    )


def _named(named: int, unnamed_calls: int) -> str:
    if not named:
        return "No task with calls has an eval yet: evals/TASK/eval.toml says how answers are compared."
    said = f"{plural(named, 'task')} with calls and an eval."
    return f"{said} {plural(unnamed_calls, 'call')} belong to none." if unnamed_calls else said


def _declared(real: int, declared: int) -> str:
    if real:
        return f"{plural(real, 'candidate')} in workbench.toml."
    return "Only synthetic candidates are declared." if declared else "No candidate in workbench.toml yet."


def _labelled(labels: int, moving: bool, wanted: bool) -> str:
    if labels:
        return f"{plural(labels, 'label')}, given here or imported."
    if moving:
        return "Not needed for the first stage; labels let it go further."
    if not wanted:
        return "No candidate of your own has a label yet, and none would help what has been compared."
    return "No candidate of your own has a label yet."


def _labels_asked(waiting: Sequence[OverviewRow]) -> NextStep:
    best = furthest(waiting)
    return label_step(best.task, best.candidate)


def _status(best: OverviewRow) -> TaskStatus:
    found = best.recommendation
    return TaskStatus(
        task=best.task,
        candidate=best.candidate,
        headline=headline(best),
        reason=found.binding_reason,
        share=found.share,
        cap=found.cap,
        synthetic=best.synthetic,
        step=next_steps(best)[0],
    )


def _by_task(rows: Sequence[OverviewRow]) -> list[list[OverviewRow]]:
    """Return the rows of each task, without made-up candidates where it has a real one."""
    found: dict[str, list[OverviewRow]] = {}
    for row in rows:
        found.setdefault(row.task, []).append(row)
    return [[row for row in each if not row.synthetic] or each for each in found.values()]


def headline(row: OverviewRow) -> str:
    """Return the recommendation of a row in a few words."""
    answer = row.recommendation
    cap = f", evidence reaches {percent(answer.cap)}" if answer.cap > answer.share else ""
    if held_back(answer):
        return f"{told_held_back(answer)}."
    if answer.action is Action.RAMP:
        return f"Move {percent(answer.share)} of the traffic next{cap}."
    if answer.action is Action.COLLECT:
        return "Too little evidence yet: nothing moves."
    if answer.action is Action.HOLD and answer.share <= 0:
        return f"Nothing may move yet{cap}."
    if answer.action is Action.HOLD:
        return f"Hold at {percent(answer.share)}{cap}."
    if answer.action is Action.STOP:
        return "Stop: too many calls get worse."
    return f"{_FALLS[answer.action]} to {percent(answer.share)}."


def held_back(answer: Recommendation) -> bool:
    """Say whether a task may have a share, and yet nothing would move: its slices hold all of it back."""
    may_move = answer.action in (Action.RAMP, Action.HOLD) and answer.share > EPSILON
    return may_move and answer.effective_share <= EPSILON


def falls(row: OverviewRow) -> bool:
    """Say whether a candidate serves more than is recommended, so that traffic has to be taken back."""
    return row.recommendation.current_share > _carried(row) + EPSILON


def _carried(row: OverviewRow) -> float:
    return 0.0 if held_back(row.recommendation) else row.recommendation.share


def told_held_back(answer: Recommendation) -> str:
    """Return in words what comes of a share that slices hold back whole, without the full stop."""
    share = percent(answer.share)
    if answer.current_share > EPSILON:
        current = percent(answer.current_share)
        return f"Take back the {current} of now: the evidence allows {share}, slices hold all of it back"
    return f"Nothing may move yet: the evidence allows {share}, slices hold all of it back"


_FALLS = {Action.STEP_DOWN: "Step down", Action.ROLLBACK: "Roll back"}


def next_steps(row: OverviewRow) -> tuple[NextStep, ...]:
    """Return what to do about a task and a candidate, the most useful first; two or three steps.

    Args:
        row: A row of the overview.
    """
    task, candidate = row.task, row.candidate
    why = _ramp_step("See why and what is missing", task, candidate)
    label = label_step(task, candidate)
    cases = NextStep(
        "See the cases",
        "compare",
        _command("report", task, candidate),
        {"task": task, "candidate": candidate},
    )
    if falls(row):
        back = _ramp_step("See what to take back", task, candidate)
        steps = [back, label if wants_labels(row) else cases]
    elif row.recommendation.action is Action.COLLECT:
        steps = [_replay_step(task, candidate, words="Replay more calls"), why]
    elif held_back(row.recommendation):
        steps = [why, label if wants_labels(row) else cases]
    elif row.recommendation.action is Action.RAMP:
        steps = [_ramp_step("See what to move", task, candidate), label if wants_labels(row) else cases]
    elif _fails(row, "invalid_outputs") or _lacks(row, Lack.CANDIDATE):
        # No evidence about this candidate would help: what it gets wrong is what to look at.
        steps = [cases, why]
    elif wants_latency(row):
        query = {"task": task, "candidate": candidate, "measure": "latency"}
        command = f"{_command('replay', task, candidate)} --probe latency"
        steps = [
            NextStep("Measure latency", "replays", command, query),
            label if wants_labels(row) else why,
        ]
    elif _lacks(row, Lack.LIVE) and row.recommendation.cap > row.recommendation.share + EPSILON:
        query = {"task": task, "candidate": candidate, "measure": "live"}
        command = f"{_command('replay', task, candidate)} --live"
        steps = [NextStep("Compare live calls", "replays", command, query), why]
    elif wants_labels(row):
        steps = [label, why]
    else:
        steps = [why, cases]
    if row.ages.newer and all(each.page != "replays" for each in steps):
        steps.append(_replay_step(task, candidate, words="Replay newer calls"))
    return tuple(steps)


def label_step(task: str, candidate: str) -> NextStep:
    """Return the step to the blind queue of a task and a candidate."""
    command = f"{_command('label next', task, candidate)} --as YOUR-NAME"
    return NextStep("Label cases", "review", command, {"task": task, "candidate": candidate})


def _ramp_step(words: str, task: str, candidate: str) -> NextStep:
    query = {"task": task, "candidate": candidate}
    return NextStep(words, "ramp", _command("recommend", task, candidate), query)


def _replay_step(
    task: str, candidate: str, *, begun: bool = False, words: str = "Start a replay"
) -> NextStep:
    if begun:
        return NextStep("Compare what was answered", "replays", _command("compare", task, candidate))
    query = {"task": task, "candidate": candidate}
    return NextStep(words, "replays", _command("replay", task, candidate), query)


def _command(name: str, task: str, candidate: str) -> str:
    return f"workbench {name} --task {shlex.quote(task)} --candidate {shlex.quote(candidate)}"


def wants_labels(row: OverviewRow) -> bool:
    """Say whether labels by people are what a row waits for."""
    answer = row.recommendation
    if answer.cap >= ENOUGH_AT - EPSILON or answer.action in (Action.STOP, Action.ROLLBACK):
        return False
    return _lacks(row, Lack.LABELS)


def wants_latency(row: OverviewRow) -> bool:
    """Say whether a measurement of latency is what a row waits for, and no label would help it."""
    return _fails(row, "latency") and _lacks(row, Lack.LATENCY)


def _lacks(row: OverviewRow, kind: Lack) -> bool:
    return kind in row.recommendation.details["missing_kinds"]


def _fails(row: OverviewRow, guard: str) -> bool:
    return any(each.name == guard and not each.ok for each in row.recommendation.guards)
