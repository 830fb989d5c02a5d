"""What the traffic consists of, what it costs, and what of it could move to a small model.

>>> from workbench.profiling import profile
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from workbench import access
from workbench.access import requires
from workbench.config import Workspace
from workbench.costing.ways import total
from workbench.costing.wording import money
from workbench.errors import UsageError, did_you_mean
from workbench.eval_checks import check_marks
from workbench.profiling.measuring import measure, small_model
from workbench.profiling.mining import apply_rules, mine_calls
from workbench.profiling.reading import for_reader
from workbench.profiling.report import ModelUse, ProfileReport, WorkloadReport
from workbench.progress import Listener, Progress, silent
from workbench.records import UNASSIGNED, as_builtins, from_json, to_json
from workbench.roles import Right

if TYPE_CHECKING:
    from workbench.store import Store

__all__ = [
    "ModelUse",
    "ProfileReport",
    "WorkloadReport",
    "current",
    "is_stale",
    "profile",
    "workload_of",
]


@requires(Right.SEE, task=None)
def profile(
    workspace: Workspace,
    store: Store,
    *,
    again: bool = False,
    exclude_marks: Sequence[str] = (),
    listener: Listener = silent,
) -> ProfileReport:
    """Return what the traffic consists of. Nothing is read again where nothing has changed.

    Looking anew gives calls to the tasks whose rules take them, and so takes the right to import. Those
    who may not read the text of calls get none of it, see `for_reader`.

    Args:
        workspace: Its evals name tasks, its prices and costs say what a call costs.
        store: Holds the calls; the profile is kept there.
        again: Whether to look at all calls anew in any case.
        exclude_marks: Calls with one of these are left out, beside those that evals leave out.
        listener: Is told where it stands.

    Raises:
        AccessRefused: All calls have to be looked at, and who asks may not import.
    """
    wanted = tuple(sorted(set(exclude_marks)))
    check_marks(wanted, "--exclude-mark")
    known = kept(store)
    same = known is not None and known.exclude_marks == wanted
    if known is not None and same and not again and not is_stale(workspace, store):
        return for_reader(known)
    access.require(Right.IMPORT)
    return for_reader(made_anew(workspace, store, listener, wanted))


def made_anew(
    workspace: Workspace, store: Store, listener: Listener = silent, exclude_marks: tuple[str, ...] = ()
) -> ProfileReport:
    """Look at all calls, and return and keep what they consist of, words and all; a step of use cases.

    Args:
        workspace: As for `profile`.
        store: As for `profile`.
        listener: Is told where it stands.
        exclude_marks: As for `profile`, sorted.

    Raises:
        ConfigError: An eval is wrong: calls that its rules take would go to another task, for good.
    """
    from workbench.store import marked, workloads

    workspace = replace(workspace, tolerant=False)
    moved = apply_rules(workspace, store, listener)
    last = workloads.newest_call(store)
    mined = mine_calls(store, listener)
    profile_id = workloads.new_profile_id()
    by_task = {name: each.exclude_marks for name, each in workspace.evals.items()}
    excluded = marked.write_excluded(store, profile_id, exclude_marks, by_task)
    if excluded.get(UNASSIGNED):
        mined = mined.without(marked.excluded_seqs(store, profile_id))
    workloads.write_workloads(store, profile_id, mined.seqs, mined.places, mined.names)
    listener(Progress("measuring", 0, None))
    calls = int(store.value("SELECT count(*) FROM usable_calls")) - sum(excluded.values())
    found = measure(workspace, store, profile_id, mined.found, calls)
    report = _report(workspace, profile_id, found, calls, moved)
    report = replace(report, excluded=excluded, exclude_marks=exclude_marks)
    _refuse_endless(as_builtins(report))
    now = _fingerprint(workspace, store, exclude_marks)
    workloads.write_profile(store, profile_id, now, last, to_json(report).decode())
    return report


def _refuse_endless(value: Any, where: str = "") -> None:
    """Refuse figures that are none: JSON would hold null in their place, and the report be lost.

    Raises:
        UsageError: One is infinite or not a number.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(
            f"The profile's figure {where.lstrip('.')} is beyond all numbers.",
            "Look for prices, amounts and calls_per_day in workbench.toml and eval.toml that can't be.",
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_endless(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_endless(item, where)


@requires(Right.SEE, task=None)
def current(workspace: Workspace, store: Store) -> ProfileReport | None:
    """Return the profile that was made last, as who asks may read it, or None."""
    found = kept(store)
    return None if found is None else for_reader(found)


def kept(store: Store) -> ProfileReport | None:
    """Return the profile that was made last, words and all, or None; a step of use cases."""
    from workbench.store import workloads

    row = workloads.newest_profile(store)
    return None if row is None else _readable(row["report"])


def _readable(report: str) -> ProfileReport | None:
    """Return a kept report, or None where a figure of it could not be written."""
    try:
        return from_json(report, ProfileReport)
    except msgspec.DecodeError:
        return None


@requires(Right.SEE, task=None)
def is_stale(workspace: Workspace, store: Store) -> bool:
    """Say whether calls, tasks or prices have changed since the last profile."""
    from workbench.store import workloads

    row = workloads.newest_profile(store)
    found = None if row is None else _readable(row["report"])
    if row is None or found is None:
        return True
    now = _fingerprint(workspace, store, found.exclude_marks)
    return (row["fingerprint"], row["last_call"]) != (now, workloads.newest_call(store))


def workload_of(report: ProfileReport, name: str) -> WorkloadReport:
    """Return a workload by its name or id.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    for each in report.workloads:
        if name in (each.workload, each.name):
            return each
    names = [each.name for each in report.workloads]
    raise UsageError(f"There is no workload {name!r}.", did_you_mean(name, names))


def _report(
    workspace: Workspace, profile_id: str, found: list[WorkloadReport], calls: int, moved: dict[str, int]
) -> ProfileReport:
    known = [each.usd_month for each in found if each.usd_month is not None]
    forecast = total(known) if known else None
    budget = workspace.config.costs.budget_usd_month
    small = small_model(workspace)
    return ProfileReport(
        profile_id=profile_id,
        created_at=datetime.now(UTC),
        calls=calls,
        unassigned=sum(each.calls for each in found if not each.is_task),
        workloads=tuple(found),
        forecast_usd_month=forecast,
        unknown_volume=tuple(each.name for each in found if each.calls_per_day is None),
        left_out=tuple(sorted({name for each in found for name in each.left_out})),
        budget_usd_month=budget,
        warning=budget_warning(
            forecast.point if forecast else None, forecast.high if forecast else None, budget
        ),
        small_model=small.model if small else None,
        price_dates=tuple(sorted({each.as_of for each in workspace.config.prices})),
        moved=moved,
    )


def budget_warning(forecast: float | None, high: float | None, budget: float | None) -> str:
    """Return what to say where a month is forecast to cost more than its budget; nothing otherwise."""
    if budget is None or forecast is None or high is None:
        return ""
    if forecast > budget:
        return (
            f"The forecast of {money(forecast)} a month passes the budget of {money(budget)} "
            f"by {money(forecast - budget)}."
        )
    if high > budget:
        return (
            f"The forecast of {money(forecast)} a month is within the budget of {money(budget)}, "
            f"but may reach {money(high)}."
        )
    return ""


MEASURED_AS = 5
"""Raised whenever the same calls would be measured otherwise, so that no kept profile tells the old."""


def _fingerprint(workspace: Workspace, store: Store, exclude_marks: Sequence[str]) -> str:
    """Return a hash of what a profile depends on beside the newest call."""
    config = workspace.config
    # An answer or a conflict may come for a call that was there before.
    held = store.rows("SELECT (SELECT count(*) FROM controls) AS a, (SELECT count(*) FROM conflicts) AS b")
    parts = [config.prices, config.costs, config.candidates]
    evals = {
        name: [each.kind, each.rules, each.calls_per_day, each.exclude_marks]
        for name, each in workspace.evals.items()
    }
    text = json.dumps(
        [MEASURED_AS, as_builtins(parts), as_builtins(evals), held, exclude_marks],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
