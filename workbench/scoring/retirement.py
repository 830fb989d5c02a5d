"""Models about to leave: whose noise floor can't be measured for much longer, or not any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from workbench.access import may, requires_somewhere
from workbench.config import Workspace
from workbench.engines.wire import is_same_model
from workbench.records import from_json
from workbench.roles import Right
from workbench.scoring.noise import NoiseFloor
from workbench.specs import CONTROL
from workbench.stats.wording import plural
from workbench.store import noise as kept

if TYPE_CHECKING:
    from workbench.store import Store

SOON_DAYS = 60
"""A warning begins so long before a model leaves."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A model that leaves, or has left, while the floor of a task that it answered is unmeasured."""

    task: str
    model: str
    retires_on: date
    days_left: int
    source: str
    calls: int

    @property
    def text(self) -> str:
        """Return the warning as one or two sentences."""
        answered = f"it answered {plural(self.calls, 'logged call')} of {self.task!r}"
        if self.days_left < 0:
            return (
                f"The model {self.model} left on {self.retires_on} ({self.source}); {answered}, and how "
                "often it agrees with itself can no longer be measured, but for duplicates in the log: "
                f"{self._command}."
            )
        when = "today" if not self.days_left else f"in {plural(self.days_left, 'day')}"
        return (
            f"The model {self.model} leaves {when}, on {self.retires_on} ({self.source}); {answered}, and "
            f"how often it agrees with itself is not measured yet: {self._command}."
        )

    @property
    def _command(self) -> str:
        return f"workbench replay --task {self.task} --candidate {CONTROL}"


@requires_somewhere(Right.SEE)
def leaving(
    workspace: Workspace, store: Store, today: date | None = None, *, task: str | None = None
) -> list[Leaving]:
    """Return models of `[[models]]` that leave soon or have left, with tasks whose floor is unmeasured.

    A floor counts for a model under whatever version of the eval it was measured: the
    answers are kept, and a changed eval compares them anew.

    Args:
        workspace: Names models and evals.
        store: Holds log and floors.
        today: A date; today in UTC unless given.
        task: One task; None for all that have an eval.
    """
    day = today or datetime.now(UTC).date()
    soon = [each for each in workspace.config.models if (each.retires_on - day).days <= SOON_DAYS]
    if not soon:
        return []
    measured = {
        (row["task"], name)
        for row in kept.newest_floors(store, task)
        for name in from_json(row["floor"], NoiseFloor).models
    }
    found = []
    tasks = [task] if task is not None else [each for each in sorted(workspace.evals) if may(Right.SEE, each)]
    for name in tasks:
        logged = kept.recorded_models(store, name)
        for each in soon:
            own = {model: n for model, n in logged.items() if model and is_same_model(each.model, model)}
            # A floor from a log that names no model speaks for the model all its calls are taken to be.
            if own and not any((name, model) in measured for model in own):
                days = (each.retires_on - day).days
                found.append(Leaving(name, each.model, each.retires_on, days, each.source, sum(own.values())))
    return found
