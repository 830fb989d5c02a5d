"""Which tables there are, and what each is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from workbench import profiling, replay, scoring
from workbench.compare.judge import Ruling
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.exporting.table import NUMBER, TEXT, TEXTS, TIME, WHOLE, YES, Row, Table
from workbench.profiling import ProfileReport
from workbench.profiling.costs import costs
from workbench.records import Estimate
from workbench.review import hidden_from
from workbench.scoring.case_filters import case_filter, pool_of
from workbench.scoring.found import found_slices
from workbench.scoring.judging import people_on, rulings, scope_of
from workbench.scoring.slice_map import slice_map, slice_names
from workbench.scoring.tables import FieldTables, LabelTables, tables
from workbench.store import Store, cases, pages, replay_facts, workloads

BATCH = 2_000
EVERY = 1_000_000_000
"""Examples of an error: all there are."""
MASKED = "labelled"
"""Stands for a verdict that the reader may still have to give blind."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a table is wanted.

    `filters` are the words of `scoring.case_filters`, or those that a table names as its own. `who`
    reads it; a reviewer (`blind`) gets no verdict of others on a pair that they may be asked for.
    """

    task: str | None = None
    candidate: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    who: str = ""
    blind: bool = False

    def pair(self) -> tuple[str, str]:
        """Return task and candidate.

        Raises:
            UsageError: One of them is missing.
        """
        if not self.task or not self.candidate:
            raise UsageError(
                "This table is about one task and one candidate.", "Give --task and --candidate."
            )
        return self.task, self.candidate

    def filter(self, name: str, default: str = "") -> str:
        """Return one filter of a table's own."""
        return self.filters.get(name, default)

    def only(self, *names: str) -> None:
        """Refuse filters that a table does not have.

        Raises:
            UsageError: There is another one.
        """
        for each in self.filters:
            if each not in names:
                known = f"It has {', '.join(names)}." if names else "It has none."
                raise UsageError(f"This table has no filter {each!r}.", known)


ESTIMATE = {"point": NUMBER, "low": NUMBER, "high": NUMBER, "level": NUMBER, "n": NUMBER}


def _estimate(name: str) -> dict[str, pa.DataType]:
    return {f"{name}_{key}": kind for key, kind in ESTIMATE.items()}


def _told(name: str, value: Estimate | None) -> Row:
    return {f"{name}_{key}": getattr(value, key) for key in ESTIMATE} if value is not None else {}


def _whole(columns: Mapping[str, pa.DataType], rows: Iterable[Row], *, raw: bool = False) -> Table:
    return Table(columns, [list(rows)], raw)


def _cases(workspace: Workspace, store: Store, asked: Asked) -> Table:
    task, candidate = asked.pair()
    pool = pool_of(workspace, task, candidate)
    chosen = case_filter(workspace, store, task, candidate, asked.filters)
    columns = {
        "call_id": TEXT, "native_id": TEXT, "source": TEXT, "replay_id": TEXT, "occurred_at": TIME,
        "language": TEXT, "verdict": TEXT, "score": NUMBER, "reason": TEXT, "invalid": YES,
        "ignored_by": TEXT, "flags": TEXTS, "error": TEXT, "label": TEXT, "request": TEXT, "control": TEXT,
        "candidate": TEXT,
    }  # fmt: skip

    def batches() -> Iterator[Sequence[Row]]:
        for batch in cases.each_case(store, pool, chosen, size=BATCH):
            pairs = [(row["replay_id"], row["call_id"]) for row in batch if row["label"]]
            hidden = hidden_from(store, pairs, asked.who) if asked.blind and asked.who else frozenset()
            for row in batch:
                if (row["replay_id"], row["call_id"]) in hidden:
                    row["label"] = MASKED
            yield batch

    return Table(columns, batches(), has_raw_text=True)


def _confusion(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    found = _tables(workspace, store, asked)
    rows = [(each.control, each.candidate, each.n) for each in found.pairs] if _labels(found) else []
    return _named({"frontier": TEXT, "candidate": TEXT, "calls": WHOLE}, rows, raw=True)


def _agreement(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    found = _tables(workspace, store, asked)
    rows: list[Row] = []
    if isinstance(found, LabelTables):
        rows = [{"of": label} | dict(_told("agreement", each)) for label, each in found.agreement.items()]
    elif isinstance(found, FieldTables):
        rows = [
            {
                "of": each.path or "the whole answer",
                "compare": each.compare,
                "required": each.required,
                "critical": each.critical,
                **_told("agreement", each.agreement),
            }
            for each in found.fields
        ]
    columns = {"of": TEXT, "compare": TEXT, "required": YES, "critical": YES} | _estimate("agreement")
    return _whole(columns, rows)


def _labels(found: LabelTables | FieldTables | None) -> bool:
    return isinstance(found, LabelTables)


def _tables(workspace: Workspace, store: Store, asked: Asked) -> Any:
    task, candidate = asked.pair()
    pool = pool_of(workspace, task, candidate)
    return tables(store, workspace.eval_for(task), pool.candidate_fingerprint)


def _similarity(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    pool = pool_of(workspace, *asked.pair())
    rows = [
        {"low": each.low, "high": each.high, "calls": each.cases, "labelled": each.labelled}
        | {f"verdict_{name}": n for name, n in each.verdicts.items()}
        | {f"label_{name}": n for name, n in each.labels.items()}
        for each in cases.score_bins(store, pool)
    ]
    names = sorted({name for row in rows for name in row if name.startswith(("verdict_", "label_"))})
    head = {"low": NUMBER, "high": NUMBER, "calls": WHOLE, "labelled": WHOLE}
    return _whole(head | dict.fromkeys(names, WHOLE), rows)


def _judge(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    task, candidate = asked.pair()
    config = workspace.eval_for(task)
    fingerprint = workspace.fingerprint(workspace.candidate(candidate))
    said = rulings(store, scope_of(workspace, config, fingerprint))
    people = people_on(store, config, fingerprint)
    hidden = hidden_from(store, list(said), asked.who) if asked.blind and asked.who else frozenset()

    def row(pair: tuple[str, str], each: Ruling) -> Row:
        return {
            "replay_id": pair[0],
            "call_id": pair[1],
            "judge": each.verdict,
            "swayed": each.swayed,
            "favoured": each.favoured,
            "error": each.error or None,
            "people": people.get(pair),
        }

    columns = {
        "replay_id": TEXT, "call_id": TEXT, "judge": TEXT, "swayed": YES, "favoured": TEXT, "error": TEXT,
        "people": TEXT,
    }  # fmt: skip
    # A judge's opinion would sway a reviewer as well as a person's.
    return _whole(columns, [row(pair, each) for pair, each in said.items() if pair not in hidden])


def _slices(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    answer = scoring.recommend(workspace, store, *asked.pair())
    columns = {"slice": TEXT, "value": TEXT, "status": TEXT, "traffic_share": NUMBER, "share": NUMBER}
    columns |= {"cap": NUMBER} | _estimate("harm") | {"reason": TEXT}
    return _whole(
        columns,
        (
            {
                "slice": each.name,
                "value": each.value,
                "status": each.status,
                "traffic_share": each.traffic_share,
                "share": each.share,
                "cap": each.cap,
                "reason": each.reason,
                **_told("harm", each.harm),
            }
            for each in answer.slices
        ),
    )


def _found(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("similar")
    report = found_slices(workspace, store, *asked.pair(), similar=asked.filter("similar") == "on")
    columns = {"slice": TEXT, "value": TEXT, "status": TEXT, "compared": WHOLE, "traffic_share": NUMBER}
    return _whole(
        columns | _estimate("harm"),
        (
            {
                "slice": each.name,
                "value": each.value,
                "status": each.status,
                "compared": each.calls,
                "traffic_share": each.traffic_share,
                **_told("harm", each.harm),
            }
            for each in report.slices
        ),
    )


def _map(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("by")
    if not asked.candidate:
        raise UsageError("This table is about one candidate.", "Give --candidate.")
    workspace.candidate(asked.candidate)
    mine = tuple(
        task
        for task, name in pages.replayed(store)
        if name == asked.candidate and task in workspace.evals and asked.task in (None, task)
    )
    by = asked.filter("by", "language")
    if by not in slice_names(workspace, mine) and mine:
        raise UsageError(
            f"No slice is made by {by!r}.", f"There are {', '.join(slice_names(workspace, mine))}."
        )
    return _whole(
        {"task": TEXT, "slice": TEXT, "value": TEXT} | _estimate("differing"),
        (
            {"task": each.task, "slice": by, "value": each.value, **_told("differing", each.differing)}
            for each in slice_map(workspace, store, asked.candidate, by, mine)
        ),
    )


def _replays(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    columns = {
        "replay_id": TEXT, "task": TEXT, "candidate": TEXT, "fingerprint": TEXT, "state": TEXT,
        "created_at": TIME, "calls": WHOLE, "planned": WHOLE, "done": WHOLE, "errors": WHOLE,
        "retried": WHOLE, "p50_ms": NUMBER, "p95_ms": NUMBER, "p99_ms": NUMBER, "spent_usd": NUMBER,
        "note": TEXT,
    }  # fmt: skip

    def row(each: replay.ReplayStatus) -> Row:
        times = replay_facts.times_of(store, each.replay_id).percentiles or (None, None, None)
        return {
            **{name: getattr(each, name) for name in columns if hasattr(each, name)},
            "errors": sum(each.errors.values()),
            "retried": sum(each.retried.values()),
            **dict(zip(("p50_ms", "p95_ms", "p99_ms"), times, strict=True)),
        }

    found = replay.status(workspace, store, asked.task)
    return _whole(columns, (row(each) for each in found if asked.candidate in (None, each.candidate)))


def _errors(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("replay")
    columns = {
        "replay_id": TEXT, "task": TEXT, "candidate": TEXT, "kind": TEXT, "calls": WHOLE, "call_id": TEXT,
        "native_id": TEXT, "attempts": WHOLE, "message": TEXT,
    }  # fmt: skip
    wanted = asked.filter("replay")
    mine = [
        each
        for each in replay.status(workspace, store, asked.task)
        if wanted in ("", each.replay_id) and asked.candidate in (None, each.candidate)
    ]
    rows = [
        {
            "replay_id": each.replay_id,
            "task": each.task,
            "candidate": each.candidate,
            "kind": kind.kind,
            "calls": kind.calls,
            "call_id": example.call_id,
            "native_id": example.native_id,
            "attempts": example.attempts,
            "message": example.message,
        }
        for each in mine
        for kind in replay_facts.errors_of(store, each.replay_id, examples=EVERY)
        for example in kind.examples
    ]
    # A server may quote in its error what it was asked.
    return _whole(columns, rows, raw=True)


def _profile(workspace: Workspace, store: Store) -> ProfileReport:
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
    return _whole(
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
    return _named(
        {"workload": TEXT, "question": TEXT, "speaks": TEXT, "measured": TEXT, "why": TEXT},
        [
            (each.workload, check.name, check.speaks.value, check.value, check.reason)
            for each in _profile(workspace, store).workloads
            if wanted in ("", each.workload)
            for check in each.checks
        ],
    )


def _calls(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("workload")
    report = _profile(workspace, store)
    wanted = asked.filter("workload") or asked.task or ""
    if wanted not in {each.workload for each in report.workloads}:
        raise UsageError(f"There is no workload {wanted!r}.", "Give --where workload=NAME; see Traffic.")
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
    asked.only("workload", "share")
    try:
        share = float(asked.filter("share", "1"))
    except ValueError:
        raise UsageError("The share is no number.", "Write it as share=0.25.") from None
    found = costs(workspace, store, asked.filter("workload") or None, candidate=asked.candidate, share=share)
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
    return _whole(columns, rows)


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
    return _whole(columns, rows)


def _imports(_workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    counts = ("records", "accepted", "joined", "rejected", "skipped", "conflicts", "blank")
    columns = {"manifest_id": TEXT, "created_at": TIME, "source": TEXT, "task": TEXT, "format": TEXT}
    columns |= {"files": TEXTS} | dict.fromkeys(counts, WHOLE)
    return _whole(
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


def _overview(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    columns = {
        "task": TEXT, "candidate": TEXT, "synthetic": YES, "kind": TEXT, "basis": TEXT, "calls": WHOLE,
        "compared": WHOLE, "labels": WHOLE, "action": TEXT, "share": NUMBER, "cap": NUMBER,
        "effective_share": NUMBER, "reason": TEXT,
    }  # fmt: skip
    money = ("cost_now_usd_month", "cost_at_share_usd_month", "saving_usd_month", "calls_per_day")
    columns |= _estimate("agreement") | _estimate("harm") | dict.fromkeys(money, NUMBER)
    plain = [name for name in columns if name not in ("action", "share", "cap", "effective_share", "reason")]
    return _whole(
        columns,
        (
            {
                **{name: getattr(row, name) for name in plain if hasattr(row, name)},
                "action": row.recommendation.action,
                "share": row.recommendation.share,
                "cap": row.recommendation.cap,
                "effective_share": row.recommendation.effective_share,
                "reason": row.recommendation.binding_reason,
                **_told("agreement", row.agreement),
                **_told("harm", row.recommendation.harm),
            }
            for row in scoring.overview(workspace, store)
            if asked.task in (None, row.task) and asked.candidate in (None, row.candidate)
        ),
    )


def _named(columns: Mapping[str, pa.DataType], rows: Iterable[Sequence[Any]], *, raw: bool = False) -> Table:
    return _whole(columns, (dict(zip(columns, row, strict=True)) for row in rows), raw=raw)


TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {
    "overview": _overview,
    "cases": _cases,
    "confusion": _confusion,
    "agreement": _agreement,
    "similarity": _similarity,
    "judge": _judge,
    "slices": _slices,
    "found-slices": _found,
    "slice-map": _map,
    "replays": _replays,
    "errors": _errors,
    "workloads": _workloads,
    "suitability": _suitability,
    "calls": _calls,
    "costs": _costs,
    "prices": _prices,
    "imports": _imports,
    "rejects": _rejects,
}
"""Every table by its name on the command line."""
