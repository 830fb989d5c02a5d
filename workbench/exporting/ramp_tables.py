"""Tables of Ramp: what is recommended, the decision log, what moved the bound, thresholds, latencies."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from workbench import access, review, scoring
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.exporting.asked import Asked, estimate_columns, told, whole
from workbench.exporting.table import NUMBER, TEXT, TEXTS, TIME, WHOLE, YES, Row, Table
from workbench.review import hidden_from
from workbench.roles import Right
from workbench.rollout import LogEntry, decisions, in_force
from workbench.scoring.thresholds import thresholds
from workbench.store import Store


def _decisions(_workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    columns = {
        "decision_id": TEXT, "task": TEXT, "candidate": TEXT, "decided_at": TIME, "decided_by": TEXT,
        "action": TEXT, "share": NUMBER, "effective_share": NUMBER, "recommended_share": NUMBER,
        "supported_share": NUMBER, "served_then": NUMBER, "in_force_then": NUMBER, "claimed": YES,
        "override": TEXT, "reason": TEXT, "expires_at": TIME, "share_after": NUMBER,
    }  # fmt: skip
    columns |= estimate_columns("harm")
    columns |= dict.fromkeys(
        (
            *("binding_reason", "evidence_hash", "policy_version", "candidate_fingerprint"),
            *("evaluator_version", "previous_hash", "entry_hash"),
        ),
        TEXT,
    )
    columns["intact"] = YES

    def row(entry: LogEntry) -> Row:
        each = entry.decision
        return {
            **{name: getattr(each, name) for name in columns if hasattr(each, name)},
            "effective_share": each.moves.effective_share,
            "served_then": each.current_share,
            "in_force_then": entry.in_force_then,
            "claimed": entry.claimed,
            "override": each.override,
            "share_after": each.fallback.share if each.expires_at else None,
            "intact": entry.intact,
            **told("harm", each.harm),
        }

    return whole(columns, map(row, decisions(store, asked.task, asked.candidate)))


def _recommendation(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("now")
    task, candidate = asked.pair()
    current = _number(asked, "now")
    if current is None:
        current = in_force(workspace, store, task, candidate).share
    answer = scoring.recommend(workspace, store, task, candidate, current_share=current)
    columns = {
        "task": TEXT, "candidate": TEXT, "action": TEXT, "current_share": NUMBER, "share": NUMBER,
        "cap": NUMBER, "effective_share": NUMBER, "basis": TEXT, "compared": WHOLE, "binding_reason": TEXT,
        "reasons": TEXTS, "missing": TEXTS, "harm_per_day_at_most": NUMBER,
    }  # fmt: skip
    columns |= estimate_columns("harm") | {"harm_n_effective": NUMBER, "harm_method": TEXT}
    columns |= estimate_columns("net") | {"evidence_hash": TEXT, "policy_version": TEXT}
    details = ("compared", "evidence_hash", "policy_version")
    only: Row = {
        **{name: getattr(answer, name) for name in columns if hasattr(answer, name)},
        **{name: answer.details[name] for name in details},
        "task": task,
        "candidate": candidate,
        "harm_n_effective": answer.harm.n_effective,
        "harm_method": answer.harm.method,
        **told("harm", answer.harm),
        **told("net", answer.net),
    }
    return whole(columns, [only])


def _number(asked: Asked, name: str) -> float | None:
    """Return a share among the filters, 0..1; None where it is not given."""
    said = asked.filter(name)
    if not said:
        return None
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{name}={said!r} is no share.", f"Write it from 0 to 1, as {name}=0.05.")
    return value


def _latencies(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    answer = scoring.recommend(workspace, store, *asked.pair())
    columns = {"percentile": NUMBER} | {
        name: kind
        for side in ("candidate_ms", "control_ms", "difference_ms")
        for name, kind in estimate_columns(side).items()
    }
    rows = (
        {
            "percentile": each.percentile,
            **told("candidate_ms", each.candidate_ms),
            **told("control_ms", each.control_ms),
            **told("difference_ms", each.difference_ms),
        }
        for each in answer.details["latency"].pairs
    )
    return whole(columns, rows)


def _label_moves(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    task, candidate = asked.pair()
    # It says label by label who said what.
    access.require(Right.READ, task=task)
    found = review.label_moves(workspace, store, task, candidate, limit=None)
    pairs = [(each.replay_id, each.call_id) for each in found]
    hidden = hidden_from(store, pairs, asked.who) if asked.blind and asked.who else frozenset()
    columns = {
        "label_id": TEXT, "replay_id": TEXT, "call_id": TEXT, "annotator": TEXT, "verdict": TEXT,
        "source": TEXT, "together": WHOLE, "bound_before": NUMBER, "bound_after": NUMBER, "moved": NUMBER,
    }  # fmt: skip
    rows: Iterable[Row] = (
        {
            **{name: getattr(each, name) for name in columns if hasattr(each, name)},
            "bound_before": each.before,
            "bound_after": each.after,
        }
        for each in found
        if (each.replay_id, each.call_id) not in hidden
    )
    return whole(columns, rows)


def _thresholds(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only("budget")
    report = thresholds(workspace, store, *asked.pair(), budget_mode=asked.filter("budget") == "on")
    columns = {"confidence": NUMBER, "routed": NUMBER, "proven": YES, "tested": YES}
    columns |= estimate_columns("risk") | estimate_columns("reported")
    columns |= {"chance_fine": NUMBER, "cost_usd": NUMBER, "latency_ms": NUMBER}
    plain = ("confidence", "routed", "proven", "tested", "chance_fine", "cost_usd", "latency_ms")
    rows = (
        {
            **{name: getattr(each, name) for name in plain},
            **told("risk", each.risk),
            **told("reported", each.reported),
        }
        for each in report.rows
    )
    return whole(columns, rows)


RAMP_TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {
    "recommendation": _recommendation,
    "decisions": _decisions,
    "label-moves": _label_moves,
    "latencies": _latencies,
    "thresholds": _thresholds,
}
"""Those tables by name."""
