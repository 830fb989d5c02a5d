"""What reviewers went by: every version of a task's guidelines that labels were made under."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.roles import Right
from workbench.store import Store, guidelines


@dataclass(frozen=True, slots=True)
class GuidelineText:
    """One version of a task's guidelines.

    `text` is None where only the version is known: of labels from a file that did not bring it, or from
    before texts were kept. `labels` counts verdicts and skips given under it, `current` says that
    guidelines.md reads so now.
    """

    version: str
    text: str | None
    labels: int
    current: bool
    kept_at: datetime | None


@requires(Right.LABEL, Right.ADJUDICATE, Right.READ)
def guideline_texts(workspace: Workspace, store: Store, task: str) -> list[GuidelineText]:
    """Return every version of a task's guidelines: those that stand first, then the newest.

    Args:
        workspace: Names the eval, whose guidelines stand now.
        store: Where earlier texts are.
        task: The task.
    """
    config = workspace.eval_for(task)
    now = config.guideline_version
    found = [
        GuidelineText(
            version=row["version"],
            text=config.guidelines if row["version"] == now else row["text"],
            labels=int(row["labels"]),
            current=row["version"] == now,
            kept_at=row["created_at"],
        )
        for row in guidelines.versions(store, task)
    ]
    if all(not each.current for each in found):
        found.append(GuidelineText(now, config.guidelines, 0, True, None))
    return sorted(found, key=lambda each: not each.current)


@requires(Right.LABEL, Right.ADJUDICATE, Right.READ)
def guideline_text(workspace: Workspace, store: Store, task: str, version: str) -> GuidelineText:
    """Return the guidelines of one version.

    Args:
        workspace: Names the eval.
        store: Where earlier texts are.
        task: The task.
        version: The version, or how it begins.

    Raises:
        UsageError: No version of the task begins so, or several do.
    """
    known = guideline_texts(workspace, store, task)
    asked = version.strip().lower()
    found = [each for each in known if asked and each.version.startswith(asked)]
    if len(found) != 1:
        several = (
            "Several versions begin"
            if found
            else f"No guidelines of task {task!r} have a version that begins"
        )
        names = ", ".join(each.version for each in found or known)
        raise UsageError(f"{several} with {version!r}.", f"Known: {names}.")
    return found[0]
