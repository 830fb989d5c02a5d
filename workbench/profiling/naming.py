"""What people decide on the page of traffic, written into the workspace: names, merges, rules, budget."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.access import requires
from workbench.checks import NAME_HINT
from workbench.config import CONFIG_NAME, Workspace, convert, read_config, read_words
from workbench.errors import ConfigError, UsageError
from workbench.eval_checks import check_eval
from workbench.profiling import ProfileReport, WorkloadReport, is_stale, kept, made_anew, workload_of
from workbench.profiling.mining import apply_rules
from workbench.progress import Listener, silent
from workbench.records import UNASSIGNED, EvalKind
from workbench.roles import Right
from workbench.specs import NAME_PATTERN, EvalConfig
from workbench.traffic.drafts import append_rules, draft_eval, told_apart, unknown_labels
from workbench.traffic.shapes import EVAL_KINDS, ShapeKind, joined
from workbench.writing import replace_text

if TYPE_CHECKING:
    from workbench.store import Store

LABELS_TOLD = 10


@dataclass(frozen=True, slots=True)
class Named:
    """A task that workloads became. `moved` counts stored calls that its rules took from `unassigned`.

    `remarks` say what of their answers does not fit the eval.
    """

    task: str
    path: str
    created: bool
    moved: int
    draft: str
    remarks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return what was done for a terminal."""
        what = "Drafted" if self.created else "Added rules to"
        done = f"{what} {self.path}. {self.moved:,} stored calls now belong to {self.task}."
        return "\n".join([done, *self.remarks, "", self.draft])


@requires(Right.IMPORT, task=None)
def name_workloads(
    workspace: Workspace,
    store: Store,
    workloads: Sequence[str],
    task: str | None = None,
    *,
    listener: Listener = silent,
) -> Named:
    """Make workloads a task: draft its `eval.toml`, or add their rules to the one that is there.

    Several workloads are merged into the one task. Comments of a file that is there stay.

    Args:
        workspace: Where the eval is written.
        store: Holds the profile and the calls.
        workloads: Names or ids; at least one.
        task: Its name; the workload's own unless given.
        listener: Is told where it stands.

    Raises:
        UsageError: A name is wrong, or a workload has no rule, or the task has an eval and no rule is new.
    """
    if not workloads:
        raise UsageError("No workload is named.", "Name one that `workbench profile` lists.")
    report = None if is_stale(workspace, store) else kept(store)
    report = report or made_anew(workspace, store, listener)
    chosen = [workload_of(report, each) for each in dict.fromkeys(workloads)]
    name = task or chosen[0].name
    if not NAME_PATTERN.fullmatch(name) or name == UNASSIGNED:
        raise UsageError(f"{name!r} is no name for a task.", NAME_HINT)
    _check(chosen, name)
    rules = [each.rule for each in chosen if each.rule is not None]
    config = workspace.every_eval.get(name)
    if config is not None:
        path = Path(config.root) / "eval.toml"
        if not rules:
            raise UsageError(f"Task {name!r} has an eval already: {path}.", "Edit it.")
        text, remarks = append_rules(read_words(path), rules), misfits(config, chosen)
    else:
        path = workspace.root / workspace.config.evals / name / "eval.toml"
        text, remarks = draft(report, chosen, name), _apart(chosen)
    _refuse_wrong(text, path)
    replace_text(path, text, new=config is None)
    moved = apply_rules(Workspace.load(workspace.root), store, listener) if rules else {}
    return Named(name, str(path), config is None, moved.get(name, 0), text, tuple(remarks))


def misfits(config: EvalConfig, chosen: Sequence[WorkloadReport]) -> list[str]:
    """Say which answers of workloads do not fit an eval whose task they become part of.

    Args:
        config: The eval.
        chosen: The workloads.
    """
    shapes = [each.shape for each in chosen]
    found = [
        f"The answers of {each.name} are {each.shape.kind.value}; the eval of {config.task} compares "
        f"answers of kind {config.kind.value}."
        for each in chosen
        if config.kind in EVAL_KINDS.values()
        and each.shape.kind is not ShapeKind.NONE
        and each.shape.eval_kind is not config.kind
    ]
    if config.kind is EvalKind.LABEL:
        missing = unknown_labels(shapes, [*config.labels, *config.aliases])
        if missing:
            more = f" and {len(missing) - LABELS_TOLD:,} more" if len(missing) > LABELS_TOLD else ""
            found.append(f"Labels that the eval lacks: {', '.join(missing[:LABELS_TOLD])}{more}.")
    return found


def _apart(chosen: Sequence[WorkloadReport]) -> list[str]:
    shapes = [each.shape for each in chosen]
    return told_apart(shapes, joined(shapes).kind)


def draft(report: ProfileReport, chosen: Sequence[WorkloadReport], task: str) -> str:
    """Return the text of an `eval.toml` for workloads that become one task."""
    languages: dict[str, int] = {}
    for each in chosen:
        for language, calls in each.languages.items():
            languages[language] = languages.get(language, 0) + calls
    known = [each.calls_per_day.point for each in chosen if each.calls_per_day is not None]
    return draft_eval(
        task,
        joined([each.shape for each in chosen]),
        [each.rule for each in chosen if each.rule is not None],
        calls_per_day=sum(known) if len(known) == len(chosen) else None,
        languages={name: calls for name, calls in languages.items() if name},
        turn_depth=max(each.turns_max for each in chosen),
        remarks=_apart(chosen),
    )


@requires(Right.IMPORT, task=None)
def set_budget(workspace: Workspace, usd_month: float | None) -> None:
    """Write the monthly budget into `workbench.toml`, or take it out; comments stay.

    Args:
        workspace: Whose file.
        usd_month: US dollars a month; None for no budget.

    Raises:
        ConfigError: It is no amount; nothing is written.
    """
    import tomlkit

    path = workspace.root / CONFIG_NAME
    document = tomlkit.parse(read_words(path))
    table = document.get("costs")
    if table is None:
        if usd_month is None:
            return
        table = tomlkit.table()
        document.append("costs", table)
    if usd_month is None:
        table.pop("budget_usd_month", None)
    else:
        table["budget_usd_month"] = float(usd_month)
    text = tomlkit.dumps(document)
    read_config(tomllib.loads(text), path)
    replace_text(path, text)


def _check(chosen: Sequence[WorkloadReport], name: str) -> None:
    for each in chosen:
        if each.is_task and (len(chosen) > 1 or each.name != name):
            raise UsageError(
                f"{each.name!r} is a task of the log already, and can't become {name!r}.",
                "Only workloads that were found can be named or merged.",
            )
        if not each.is_task and each.rule is None:
            raise UsageError(
                f"The calls of {each.name!r} share no prompt, so that no rule takes them.",
                "Write a [match] rule by hand, or import them with --task.",
            )


def _refuse_wrong(text: str, path: Path) -> None:
    """Refuse a text that the workspace would not load.

    Raises:
        ConfigError: It is wrong; nothing has been written.
    """
    try:
        data = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}", "Mend the file first.") from error
    check_eval(convert(data, EvalConfig, str(path)), path)
