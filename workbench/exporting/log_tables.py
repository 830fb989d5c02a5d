"""Tables of the log: what the traffic consists of, what it costs, and what was imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from workbench import access, profiling
from workbench.config import Workspace
from workbench.costing import CostPlan
from workbench.costing.what_if import ASSUMPTIONS, read, tried
from workbench.errors import UsageError
from workbench.exporting.asked import Asked, named, whole
from workbench.exporting.leaving import may_leave
from workbench.exporting.table import NUMBER, TEXT, TEXTS, TIME, WHOLE, YES, Row, Table
from workbench.profiling import ProfileReport
from workbench.profiling.costs import costs
from workbench.profiling.report import WorkloadReport
from workbench.roles import Right
from workbench.store import Store, pages, workloads

BATCH = 2_000


def _profile(workspace: Workspace, store: Store) -> ProfileReport:
    # The log as a whole, whatever task was asked for.
    access.require(Right.SEE)
    report = profiling.current(workspace, store)
    if report is None:
        raise UsageError("The traffic has not been looked at yet.", "Run `workbench profile` first.")
    return report


def _workloads(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    columns = {
        "workload": TEXT, "name": TEXT, "is_task": YES, "calls": WHOLE, "share": NUMBER,
        "calls_per_day": NUMBER, "usd_month": NUMBER, "could_save_usd_month": NUMBER, "speaks_for": WHOLE,
        "checks": WHOLE, "answers": TEXT, "input_tokens": NUMBER, "output_tokens": NUMBER,
        "latency_p50_ms": NUMBER, "latency_p95_ms": NUMBER, "latency_p99_ms": NUMBER,
        "duplicate_share": NUMBER, "multi_turn_share": NUMBER, "tool_share": NUMBER, "priced_share": NUMBER,
    }  # fmt: skip
    return whole(
        columns,
        (
            {
                **{name: getattr(each, name) for name in columns if hasattr(each, name)},
                "calls_per_day": each.calls_per_day.point if each.calls_per_day else None,
                "usd_month": each.usd_month.point if each.usd_month else None,
                "checks": len(each.checks),
                "answers": each.shape.kind.value,
            }
            for each in _profile(workspace, store).workloads
        ),
    )


def _suitability(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("workload")
    wanted = asked.filter("workload")
    return named(
        {"workload": TEXT, "question": TEXT, "speaks": TEXT, "measured": TEXT, "why": TEXT},
        [
            (each.workload, check.name, check.speaks.value, check.value, check.reason)
            for each in _profile(workspace, store).workloads
            if wanted in ("", each.workload)
            for check in each.checks
        ],
    )


def _leaving(report: ProfileReport, asked: Asked) -> WorkloadReport:
    """Return the workload whose texts are asked for; whose they are decides, whatever task stands beside it.

    Raises:
        UsageError: There is no such workload.
        AccessRefused: Its texts may not leave.
    """
    asked.only("workload")
    wanted = asked.filter("workload") or asked.task or ""
    found = next((each for each in report.workloads if each.workload == wanted), None)
    if found is None:
        raise UsageError(f"There is no workload {wanted!r}.", "Give --where workload=NAME; see Traffic.")
    may_leave(wanted)
    return found


def _answers(workspace: Workspace, store: Store, asked: Asked) -> Table:
    """Return how often each answer, or each tool, occurs: answers are what a model wrote."""
    each = _leaving(_profile(workspace, store), asked)
    counted = {"label": each.shape.labels, "tool": each.shape.tools}
    return named(
        {"workload": TEXT, "what": TEXT, "answer": TEXT, "calls": WHOLE},
        [(each.workload, what, said, n) for what, found in counted.items() for said, n in found.items()],
        raw=True,
    )


def _calls(workspace: Workspace, store: Store, asked: Asked) -> Table:
    report = _profile(workspace, store)
    wanted = _leaving(report, asked).workload
    columns = {
        "call_id": TEXT, "native_id": TEXT, "occurred_at": TIME, "model": TEXT, "language": TEXT,
        "request": TEXT, "control": TEXT,
    }  # fmt: skip

    def batches() -> Iterator[Sequence[Row]]:
        offset = 0
        while rows := workloads.workload_page(store, report.profile_id, wanted, limit=BATCH, offset=offset):
            yield rows
            offset += BATCH

    return Table(columns, batches(), has_raw_text=True)


def _costs(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("workload", "share", *ASSUMPTIONS)
    access.require(Right.SEE)
    try:
        share = float(asked.filter("share", "1"))
    except ValueError:
        raise UsageError("The share is no number.", "Write it as share=0.25.") from None
    workload, candidate, plan = asked.filter("workload") or None, asked.candidate, _plan(workspace, asked)
    found = costs(workspace, store, workload, candidate=candidate, share=share, plan=plan)
    columns = {"way": TEXT}
    for name in ("usd_month", "saving_usd_month", "pay_back_months"):
        columns |= {f"{name}_{limit}": NUMBER for limit in ("point", "low", "high")}
    columns |= {"replicas": WHOLE, "missing": TEXTS, "notes": TEXTS}
    rows = []
    for way in found.ways:
        row: dict[str, Any] = {"way": way.name, "replicas": way.replicas}
        row |= {"missing": list(way.missing), "notes": list(way.notes)}
        for name in ("usd_month", "saving_usd_month", "pay_back_months"):
            amount = getattr(way, name)
            if amount is not None:
                row |= {f"{name}_{limit}": getattr(amount, limit) for limit in ("point", "low", "high")}
        rows.append(row)
    return whole(columns, rows)


def _plan(workspace: Workspace, asked: Asked) -> CostPlan:
    """Return `[costs]` with the amounts that the page was asked to try."""
    figures: dict[str, float | None] = {}
    for word in ASSUMPTIONS:
        if said := asked.filter(word):
            try:
                figures[word] = read(word, said)
            except ValueError:
                raise UsageError(
                    f"{word}={said!r} can't be tried.", "The page Costs has its limits."
                ) from None
    return tried(workspace.config.costs, figures)


def _prices(workspace: Workspace, _store: Store, asked: Asked) -> Table:
    asked.only()
    config = workspace.config
    columns = {
        "what": TEXT, "name": TEXT, "input_usd_per_million": NUMBER,
        "cached_input_usd_per_million": NUMBER, "output_usd_per_million": NUMBER, "batch_discount": NUMBER,
        "usd_per_hour": NUMBER, "as_of": TEXT, "source": TEXT,
    }  # fmt: skip
    rows: list[Row] = [
        {
            "what": "model",
            "name": each.model,
            "as_of": str(each.as_of),
            **{
                name: getattr(each, name)
                for name in columns
                if name.endswith(("million", "discount", "source"))
            },
        }
        for each in config.prices
    ]
    rows += [
        {
            "what": "gpu",
            "name": each.name,
            "usd_per_hour": each.usd_per_hour,
            "as_of": str(each.as_of),
            "source": each.source,
        }
        for each in config.gpus
    ]
    return whole(columns, rows)


def _imports(_workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    counts = ("records", "accepted", "joined", "rejected", "skipped", "conflicts", "blank")
    columns = {"manifest_id": TEXT, "created_at": TIME, "source": TEXT, "task": TEXT, "format": TEXT}
    columns |= {"files": TEXTS} | dict.fromkeys(counts, WHOLE)
    return whole(
        columns,
        (
            {
                **{name: getattr(each, name) for name in ("manifest_id", "created_at", "source", "task")},
                "format": each.format,
                "files": list(each.files),
                **{name: each.report.get(name) for name in counts},
            }
            for each in pages.imports(store, limit=10_000)
        ),
    )


def _rejects(_workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("import")
    wanted = asked.filter("import")
    known = [each.manifest_id for each in pages.imports(store, limit=10_000)]
    if wanted and wanted not in known:
        raise UsageError(f"There is no import {wanted!r}.", "The table imports lists them.")
    columns = {"manifest_id": TEXT, "file": TEXT, "line": WHOLE, "reason": TEXT, "snippet": TEXT}
    batches = (
        [{"manifest_id": each, **row} for row in pages.rejects(store, each)]
        for each in ([wanted] if wanted else known)
    )
    return Table(columns, batches, has_raw_text=True)


LOG_TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {
    "workloads": _workloads,
    "suitability": _suitability,
    "answers": _answers,
    "calls": _calls,
    "costs": _costs,
    "prices": _prices,
    "imports": _imports,
    "rejects": _rejects,
}
"""Those tables by name."""
