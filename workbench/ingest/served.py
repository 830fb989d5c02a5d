"""Which logged calls a candidate served itself: what stands in them as the answer is no frontier's.

A log says so by the field `served_by` with a candidate's name, or by a model's name that the candidate lists
in `served_as`. Where a share was accepted for a candidate, its own model's name says so as well, for that
task, unless the task's frontier goes by that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.specs import CONTROL

if TYPE_CHECKING:
    from workbench.config import Workspace
    from workbench.store import Store

SERVED_BY = "served_by"


class ServedBy:
    """Tells it of one record, by what the record and workbench.toml say.

    Args:
        names: The candidates' names.
        models: Candidate by the name of a model in the log.
    """

    def __init__(self, names: frozenset[str], models: Mapping[str, str]) -> None:
        self._names, self._models = names, models

    def __call__(self, attributes: Mapping[str, Any], model: str | None) -> str | None:
        """Return the candidate that served a call, or None.

        Args:
            attributes: Of the call.
            model: That answered, as logged.
        """
        said = attributes.get(SERVED_BY)
        if said is not None and isinstance(said, str):
            if said in self._names:
                return said
            if said == CONTROL:
                return None
        return self._models.get(model) if model is not None else None


def names_of(workspace: Workspace) -> tuple[list[str], dict[str, str]]:
    """Return the candidates' names, and candidate by the names of models that workbench.toml lists."""
    found = [each for each in workspace.config.candidates if each.name != CONTROL]
    return [each.name for each in found], {model: each.name for each in found for model in each.served_as}


def accepted_models(workspace: Workspace, store: Store) -> dict[str, list[tuple[str, str]]]:
    """Return model and candidate by task, for candidates that a share of the task was accepted for.

    A model that also answered as the frontier of that task is left out: its name says nothing.

    Args:
        workspace: Names the candidates' models.
        store: Holds the log of decisions, and the calls.
    """
    from workbench.store.decisions import accepted

    models = {each.name: each.model for each in workspace.config.candidates}
    wanted: dict[str, list[tuple[str, str]]] = {}
    for task, candidate in accepted(store):
        if (model := models.get(candidate)) is not None:
            wanted.setdefault(task, []).append((model, candidate))
    if not wanted:
        return {}
    from workbench.engines.wire import is_same_model
    from workbench.store.noise import recorded_models

    found: dict[str, list[tuple[str, str]]] = {}
    for task, pairs in wanted.items():
        frontier = [name for name in recorded_models(store, task) if name is not None]
        own = [pair for pair in pairs if not any(is_same_model(pair[0], each) for each in frontier)]
        if own:
            found[task] = own
    return found


def attributed(table: pa.Table, models: Mapping[str, list[tuple[str, str]]]) -> pa.Table:
    """Return a part of an import with the candidates named that served its calls, by `accepted_models`.

    Args:
        table: Rows of the store's `parts.SCHEMA`; what a row says itself stands.
        models: Of `accepted_models`.
    """
    if not models or SERVED_BY not in table.column_names:
        return table
    from workbench.engines.wire import is_same_model

    known: dict[tuple[str | None, str | None], str | None] = {}
    rows = zip(*(table.column(name).to_pylist() for name in (SERVED_BY, "task", "model")), strict=True)
    served: list[str | None] = []
    for said, task, model in rows:
        if said is None and (task, model) not in known:
            known[task, model] = next(
                (name for own, name in models.get(task or "", ()) if model and is_same_model(own, model)),
                None,
            )
        served.append(said if said is not None else known[task, model])
    place = table.schema.get_field_index(SERVED_BY)
    return table.set_column(place, table.schema.field(place), pa.array(served, pa.string()))
