"""Which tables there are, and what each is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from workbench import access, replay, scoring
from workbench.compare.judge import Ruling
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.exporting.asked import Asked, estimate_columns, named, told, whole
from workbench.exporting.label_tables import LABEL_TABLES
from workbench.exporting.log_tables import LOG_TABLES
from workbench.exporting.proof_tables import PROOF_TABLES
from workbench.exporting.ramp_tables import RAMP_TABLES
from workbench.exporting.replay_tables import REPLAY_TABLES
from workbench.exporting.setting_tables import SETTING_TABLES
from workbench.exporting.table import EVERY, NUMBER, TEXT, TEXTS, TIME, WHOLE, YES, Row, Table
from workbench.review import hidden_from
from workbench.roles import Right
from workbench.rollout import shares_in_force
from workbench.scoring.case_filters import case_filter, pool_of
from workbench.scoring.found import found_slices
from workbench.scoring.judging import people_on, rulings, scope_of
from workbench.scoring.slice_map import slice_map, slice_names, tasks_of
from workbench.scoring.tables import FieldTables, LabelTables, RankingTables, Tables, tables
from workbench.slices_found import WORDY
from workbench.stats.slice_shares import bounds_at_once
from workbench.store import Store, cases, pages, replay_facts

BATCH = 2_000
MASKED = "labelled"
"""Stands for a verdict that the reader may still have to give blind."""


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
    return named({"frontier": TEXT, "candidate": TEXT, "calls": WHOLE}, rows, raw=True)


def _agreement(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    found = _tables(workspace, store, asked)
    rows: list[Row] = []
    if isinstance(found, LabelTables):
        rows = [{"of": label} | dict(told("agreement", each)) for label, each in found.agreement.items()]
    elif isinstance(found, FieldTables):
        rows = [
            {
                "of": each.path or "the whole answer",
                "compare": each.compare,
                "required": each.required,
                "critical": each.critical,
                **told("agreement", each.agreement),
            }
            for each in found.fields
        ]
    elif isinstance(found, RankingTables):
        figures = {
            "first place": found.top_1,
            "mean NDCG": found.ndcg,
            "mean Kendall's tau": found.kendall_tau,
        }
        rows = [{"of": name} | dict(told("agreement", each)) for name, each in figures.items()]
    columns = {"of": TEXT, "compare": TEXT, "required": YES, "critical": YES} | estimate_columns("agreement")
    return whole(columns, rows)


def _labels(found: Tables | None) -> bool:
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
    return whole(head | dict.fromkeys(names, WHOLE), rows)


def _judge(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    task, candidate = asked.pair()
    # It says pair by pair what people and the judge said.
    access.require(Right.READ, task=task)
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
    return whole(columns, [row(pair, each) for pair, each in said.items() if pair not in hidden])


def _slices(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    answer = scoring.recommend(workspace, store, *asked.pair())
    at_once = bounds_at_once(answer)
    columns = {"slice": TEXT, "value": TEXT, "status": TEXT, "traffic_share": NUMBER, "share": NUMBER}
    columns |= {"cap": NUMBER, "moves": NUMBER} | estimate_columns("harm")
    columns |= estimate_columns("harm_at_once") | {"reason": TEXT}
    return whole(
        columns,
        (
            {
                "slice": each.name,
                "value": each.value,
                "status": each.status,
                "traffic_share": each.traffic_share,
                "share": each.share,
                "cap": each.cap,
                "moves": each.traffic_share * each.share,
                "reason": each.reason,
                **told("harm", each.harm),
                **told("harm_at_once", at_once.get((each.name, each.value))),
            }
            for each in answer.slices
        ),
    )


def _found(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("similar")
    # Templates and groups of similar inputs are called by words of the calls; others get numbers.
    wordless = not access.may(Right.EXPORT, asked.task)
    similar = asked.filter("similar") == "on"
    report = found_slices(workspace, store, *asked.pair(), similar=similar, wordless=wordless)
    columns = {"slice": TEXT, "value": TEXT, "status": TEXT, "compared": WHOLE, "differing": WHOLE}
    columns |= {"traffic_share": NUMBER}
    return whole(
        columns | estimate_columns("harm"),
        (
            {
                "slice": each.name,
                "value": each.value,
                "status": each.status,
                "compared": each.calls,
                "differing": each.differing,
                "traffic_share": each.traffic_share,
                **told("harm", each.harm),
            }
            for each in report.slices
        ),
        raw=not wordless and any(each.name in WORDY for each in report.slices),
    )


def _map(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("by")
    if not asked.candidate:
        raise UsageError("This table is about one candidate.", "Give --candidate.")
    workspace.candidate(asked.candidate)
    seen = tasks_of(workspace, pages.replayed(store), asked.candidate)
    mine = tuple(task for task in seen if asked.task in (None, task))
    by = asked.filter("by", "language")
    if by not in slice_names(workspace, mine) and mine:
        raise UsageError(
            f"No slice is made by {by!r}.", f"There are {', '.join(slice_names(workspace, mine))}."
        )
    return whole(
        {"task": TEXT, "slice": TEXT, "value": TEXT} | estimate_columns("differing"),
        (
            {"task": each.task, "slice": by, "value": each.value, **told("differing", each.differing)}
            for task in mine
            for each in slice_map(workspace, store, task, asked.candidate, by)
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
    return whole(columns, (row(each) for each in found if asked.candidate in (None, each.candidate)))


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
    return whole(columns, rows, raw=True)


def _overview(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    columns = {
        "task": TEXT, "candidate": TEXT, "synthetic": YES, "kind": TEXT, "basis": TEXT, "calls": WHOLE,
        "compared": WHOLE, "labels": WHOLE, "action": TEXT, "share": NUMBER, "cap": NUMBER,
        "effective_share": NUMBER, "reason": TEXT,
    }  # fmt: skip
    money = ("cost_now_usd_month", "cost_at_share_usd_month", "saving_usd_month", "calls_per_day")
    columns |= estimate_columns("agreement") | estimate_columns("harm") | dict.fromkeys(money, NUMBER)
    plain = [name for name in columns if name not in ("action", "share", "cap", "effective_share", "reason")]
    return whole(
        columns,
        (
            {
                **{name: getattr(row, name) for name in plain if hasattr(row, name)},
                "action": row.recommendation.action,
                "share": row.recommendation.share,
                "cap": row.recommendation.cap,
                "effective_share": row.recommendation.effective_share,
                "reason": row.recommendation.binding_reason,
                **told("agreement", row.agreement),
                **told("harm", row.recommendation.harm),
            }
            for row in scoring.overview(workspace, store, share_of=shares_in_force(workspace, store))
            if asked.task in (None, row.task) and asked.candidate in (None, row.candidate)
        ),
    )


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
    **RAMP_TABLES,
    **LABEL_TABLES,
    **LOG_TABLES,
    **PROOF_TABLES,
    **REPLAY_TABLES,
    **SETTING_TABLES,
}
"""Every table by its name on the command line."""

RIGHTS: dict[str, tuple[Right, ...]] = {
    "my-labels": (Right.LABEL,),
    "conflicts": (Right.ADJUDICATE,),
    "people": (Right.OVERSEE,),
    "accesses": (Right.OVERSEE,),
}
"""What a table takes, any one of them; the others take the right to see."""

WITH_TEXT = frozenset({"answers", "calls", "cases", "conflicts", "confusion", "errors", "rejects"})
"""Tables that hold what users or models wrote, whoever asks."""


def is_withheld(table: str, task: str | None) -> bool:
    """Say whether whoever acts now gets no file of a table, since it holds text that they may not take out.

    Args:
        table: Its name.
        task: Whose rows; None for all.
    """
    words_in_rules = table == "routing-rule" and access.may(Right.READ, task)
    return (table in WITH_TEXT or words_in_rules) and not access.may(Right.EXPORT, task)
