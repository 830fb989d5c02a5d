"""The demo: a workspace from the bundled logs, replayed, compared, with its recommendations.

Two candidates answer. `smollm2` is a real small model that runs here and is far too
small to win. `planted` is synthetic: the recorded answers with a known share of harm
put in, so that everybody can check whether the workbench finds what was planted.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.bundle import bundled
from workbench.config import CONFIG_NAME, Workspace
from workbench.errors import ConfigError, UsageError
from workbench.progress import Listener, Progress, silent
from workbench.records import Action, Estimate
from workbench.store import Store

FOLDER = "demo"
SYNTHETIC = "planted"
MODEL = "smollm2"
TASKS = ("support_triage", "order_fields", "message_rewriting")
LABELLED_TASK = "order_fields"
"""The task that gets labels made from the truth, so that the demo shows what labels change."""

MODEL_CALLS: Mapping[str, int] = {"support_triage": 96, "order_fields": 20, "message_rewriting": 24}
"""Calls that the real model answers, in passes of 24: what two cores can do in less than three minutes."""

SAMPLING_RATE = 0.001
"""Invented for the demo: its logs stand for a thousandth of the shop's traffic."""

REASON_COLUMNS = 31

_LOGS = Path("sample_logs/demo")
_LABELS = _LOGS / "planted_outputs" / f"labels_{LABELLED_TASK}.csv"
_COPIED = (CONFIG_NAME, *(f"evals/{task}" for task in TASKS), str(_LOGS))
_LEFT_OUT = ("__pycache__", ".*", "*.py", "texts")


@dataclass(frozen=True, slots=True)
class DemoRow:
    """What the demo found for one task and one candidate."""

    task: str
    candidate: str
    synthetic: bool
    calls: int
    agreement: Estimate
    harm: Estimate
    action: Action
    share: float
    cap: float
    reason: str


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Where the demo lies and what it found. `duration_s` is this run's, not all runs' together."""

    root: str
    imported: int
    rows: tuple[DemoRow, ...]
    duration_s: float


def build(
    root: Path,
    *,
    without_model: bool = False,
    model_calls: Mapping[str, int] = MODEL_CALLS,
    listener: Listener = silent,
) -> DemoReport:
    """Make the demo's workspace, or go on where an earlier run stopped.

    Args:
        root: The workspace folder; made if it is not there. Files in it are kept.
        without_model: Leave the real small model out.
        model_calls: How many calls of each task the real model answers.
        listener: Hears where the work stands.

    Raises:
        UsageError: The folder holds something else.
        ModelMissing: The model's weights or packages are not installed.
    """
    from workbench.ingest import import_files
    from workbench.scoring import overview

    started = time.monotonic()
    workspace = prepare(root)
    if not without_model:
        _require_model(workspace)
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        logs = [workspace.root / _LOGS / f"{task}.jsonl" for task in TASKS]
        imported = import_files(workspace, store, logs, sampling_rate=SAMPLING_RATE, listener=listener)
        for task in TASKS:
            _run(workspace, store, task, SYNTHETIC, None, listener)
        _label(workspace, store)
        if not without_model:
            for task in TASKS:
                _run(workspace, store, task, MODEL, model_calls[task], listener)
        rows = [
            DemoRow(
                task=each.task,
                candidate=each.candidate,
                synthetic=workspace.candidate(each.candidate).synthetic,
                calls=each.compared,
                agreement=each.agreement,
                harm=each.recommendation.harm,
                action=each.recommendation.action,
                share=each.recommendation.share,
                cap=each.recommendation.cap,
                reason=each.recommendation.binding_reason,
            )
            for each in overview(workspace, store)
        ]
    order = {name: place for place, name in enumerate(TASKS)}
    rows.sort(key=lambda row: (not row.synthetic, order.get(row.task, len(order)), row.task))
    return DemoReport(str(workspace.root), imported.accepted, tuple(rows), time.monotonic() - started)


def prepare(root: Path) -> Workspace:
    """Put the configuration, evals and logs of the demo into a folder, and load it.

    Args:
        root: The folder. What is already there is kept, so that edits survive.

    Raises:
        UsageError: The folder holds something else than the demo.
        ConfigError: The demo's configuration was edited and is wrong now.
    """
    root = root.resolve()
    _refuse_other(root)
    for name in _COPIED:
        source = bundled(name)
        if source.is_dir():
            shutil.copytree(
                source,
                root / name,
                ignore=shutil.ignore_patterns(*_LEFT_OUT),
                copy_function=_copy_new,
                dirs_exist_ok=True,
            )
        else:
            root.mkdir(parents=True, exist_ok=True)
            _copy_new(source, root / name)
    return Workspace.load(root)


def beside(workspace: Workspace) -> Path:
    """Return where the demo of a workspace lies, whether or not it is there: a folder of its own in it."""
    return workspace.root / FOLDER


def is_demo(root: Path) -> bool:
    """Say whether a folder holds the demo's workspace."""
    try:
        return (root / _LOGS).is_dir() and Workspace.load(root).candidate(SYNTHETIC).synthetic
    except (ConfigError, UsageError):
        return False


def _copy_new(source: Path | str, target: Path | str) -> None:
    if not Path(target).exists():
        shutil.copyfile(source, target)


def _refuse_other(root: Path) -> None:
    if not root.exists():
        return
    hint = "Name another folder with --root, or remove this one."
    if not root.is_dir():
        raise UsageError(f"{root} is a file.", hint)
    if not any(root.iterdir()):
        return
    try:
        Workspace.load(root).candidate(SYNTHETIC)
    except (ConfigError, UsageError) as error:
        raise UsageError(f"{root} is not empty and is not a demo workspace.", hint) from error
    if not is_demo(root):
        raise UsageError(f"{root} is a workspace, but not the demo's.", hint)


def _require_model(workspace: Workspace) -> None:
    """Find out before anything else whether the model can run, since the rest takes a minute."""
    from workbench.engines import open_engine

    async def check() -> None:
        engine = open_engine(workspace, workspace.candidate(MODEL), workspace.eval_for(TASKS[0]))
        try:
            await engine.check()
        finally:
            await engine.close()

    asyncio.run(check())


def _run(
    workspace: Workspace, store: Store, task: str, candidate: str, limit: int | None, listener: Listener
) -> None:
    from workbench.replay import replay
    from workbench.scoring import compare

    def named(event: Progress) -> None:
        listener(replace(event, stage=f"{event.stage} {task} {candidate}"))

    replay(workspace, store, task, candidate, limit=limit, listener=named)
    compare(workspace, store, task, candidate, listener=named)


def _label(workspace: Workspace, store: Store) -> None:
    from workbench.review import import_labels

    import_labels(workspace, store, workspace.root / _LABELS, task=LABELLED_TASK, candidate=SYNTHETIC)


def render_table(report: DemoReport) -> str:
    """Return what a person reads at the end of the demo, at most 100 columns wide."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_lines=True)
    table.add_column("Task", no_wrap=True)
    table.add_column("Candidate", no_wrap=True)
    table.add_column("Calls", justify="right", no_wrap=True)
    table.add_column("Agreement", justify="right", width=9)
    table.add_column("Harm at most (U)", justify="right", width=8)
    table.add_column("Share", justify="right", width=8)
    table.add_column("Why", min_width=REASON_COLUMNS)
    for row in report.rows:
        table.add_row(
            row.task,
            f"{row.candidate} *" if row.synthetic else row.candidate,
            f"{row.calls:,}",
            f"{_percent(row.agreement.point)}\n≥ {_percent(row.agreement.low)}",
            _percent(row.harm.high),
            f"{_share(row.share)}\ncap {_share(row.cap)}",
            _wrapped(f"{row.action.value}. {row.reason}"),
        )
    page = io.StringIO()
    console = Console(file=page, width=100, color_system=None, highlight=False)
    console.print(table)
    text = "\n".join(line.rstrip() for line in page.getvalue().rstrip().splitlines())
    return f"{text}\n\n{_FOOT}\nThe workspace is {report.root}; this run took {report.duration_s:.0f} s."


_FOOT = (
    "* Synthetic, no model: the recorded answers with 2.5 %, 3 % and 10 % of harm planted. The labels of\n"
    f"  {LABELLED_TASK} are made from that truth too; nobody labelled them. Logs and prices are invented.\n"
    "Agreement comes with its lower limit. Share: how much traffic may move now, and what the evidence\n"
    "would support at most, one stage at a time."
)


def _wrapped(text: str) -> str:
    """Break a sentence into lines, but never between a number and its percent sign."""
    lines = textwrap.wrap(text.replace(" %", "\0%"), REASON_COLUMNS)
    return "\n".join(lines).replace("\0", " ")


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _share(share: float) -> str:
    return f"{100 * share:g} %"
