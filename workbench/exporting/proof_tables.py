"""Tables of Compare and Slices beside the cases: fields that are wrong on a side, a rule for routing."""

from __future__ import annotations

from collections.abc import Callable

from workbench import access, review
from workbench.config import Workspace
from workbench.exporting.asked import Asked, estimate_columns, named, told, whole
from workbench.exporting.table import NUMBER, TEXT, WHOLE, YES, Table
from workbench.roles import Right
from workbench.scoring.found import routing_rule
from workbench.store import Store


def _truth_fields(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    found = review.paired_truth(workspace, store, *asked.pair()).fields
    columns = {"field": TEXT, "control_wrong": WHOLE, "candidate_wrong": WHOLE}
    return named(columns, [(each.path, each.control_wrong, each.candidate_wrong) for each in found])


def _routing(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    task, candidate = asked.pair()
    report = routing_rule(workspace, store, task, candidate)
    columns = {"conditions": TEXT, "to_candidate": YES, "traffic_share": NUMBER, "compared": WHOLE}
    rows = (
        {
            "conditions": each.conditions,
            "to_candidate": each.to_candidate,
            "traffic_share": each.traffic_share,
            "compared": each.calls,
            **told("harm", each.harm),
        }
        for each in report.leaves
    )
    # For those who may read them, conditions name templates by words of the calls.
    return whole(columns | estimate_columns("harm"), rows, raw=access.may(Right.READ, task))


PROOF_TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {
    "truth-fields": _truth_fields,
    "routing-rule": _routing,
}
"""Those tables by name."""
