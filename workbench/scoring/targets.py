"""Which tasks and candidates there is something to compare of: never the control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.access import requires_somewhere
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.roles import Right
from workbench.specs import CONTROL, EvalConfig
from workbench.store import comparisons as rows

if TYPE_CHECKING:
    from workbench.store import Store


@requires_somewhere(Right.SEE, Right.REPLAY)
def targets(
    workspace: Workspace, store: Store, task: str | None = None, candidate: str | None = None
) -> list[tuple[EvalConfig, str, str]]:
    """Return (eval, candidate name, fingerprint) of what was replayed, as configured now.

    Args:
        workspace: Names evals and candidates.
        store: Knows what was replayed.
        task: One task; None for all that have an eval.
        candidate: One candidate by name; None for all that are configured.

    Raises:
        UsageError: What was named is unknown, or nothing of it was replayed.
    """
    if task is not None:
        workspace.eval_for(task)
    refuse_control(candidate)
    names = [workspace.candidate(candidate)] if candidate is not None else workspace.config.candidates
    replayed = {(row["task"], row["fingerprint"]) for row in rows.replayed(store)}
    found: list[tuple[EvalConfig, str, str]] = []
    for each in names:
        if each.name == CONTROL:
            continue
        fingerprint = fingerprint_of(workspace, store, each.name)
        if fingerprint is None:
            continue
        found += [
            (workspace.evals[of], each.name, fingerprint)
            for of, known in sorted(replayed)
            if known == fingerprint and of in workspace.evals and task in (None, of)
        ]
    if not found and (task is not None or candidate is not None):
        what = " and ".join(
            words
            for words in (f"task {task!r}" if task else "", f"candidate {candidate!r}" if candidate else "")
            if words
        )
        raise UsageError(
            f"Nothing was replayed for {what} as it is configured now.",
            f"Run `workbench replay --task {task or 'TASK'} --candidate {candidate or 'NAME'}` first.",
        )
    return sorted(found, key=lambda each: (each[0].task, each[1]))


def refuse_control(candidate: str | None) -> None:
    """Refuse the name of the frontier where a candidate is meant: traffic can't move to where it is.

    Raises:
        UsageError: It is that name.
    """
    if candidate == CONTROL:
        raise UsageError(
            f"{CONTROL!r} is the frontier model itself, asked again for the noise floor: no candidate, so "
            "nothing can be compared with it or moved to it.",
            f"Its answers are compared by `workbench replay --task TASK --candidate {CONTROL}`.",
        )


def fingerprint_of(workspace: Workspace, store: Store, name: str) -> str | None:
    """Return a candidate's fingerprint; if its outputs file is gone, the newest one in the store."""
    try:
        return workspace.fingerprint(workspace.candidate(name))
    except UsageError:
        known = rows.fingerprint_by_name(store, name)
        if known is None and name not in {each.name for each in workspace.config.candidates}:
            raise
        return known
