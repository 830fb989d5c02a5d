"""Tables of Replays: two replays side by side, and what latency was measured at production's pace."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from workbench import access
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.exporting.asked import Asked, estimate_columns, told, whole
from workbench.exporting.table import EVERY, NUMBER, TEXT, TEXTS, TIME, WHOLE, YES, Row, Table
from workbench.records import from_json
from workbench.replay.latency_report import Percentile, SpeedRun
from workbench.roles import Right
from workbench.scoring.replay_pairs import replay_pair
from workbench.store import Store, pages
from workbench.store.labels import task_of_replay

PERCENTILES = (0.50, 0.95, 0.99)


def _pair(workspace: Workspace, store: Store, asked: Asked) -> Table:
    """Return a row for each of two replays, over the calls that both asked, and what they have in common."""
    asked.only("first", "second")
    first, second = asked.filter("first"), asked.filter("second")
    if not first or not second:
        raise UsageError("This table is about two replays.", "Give --where first=ID and --where second=ID.")
    access.require(Right.SEE, task=task_of_replay(store, first))
    found = replay_pair(workspace, store, first, second)
    if asked.task not in (None, found.task):
        raise UsageError(f"These replays are of {found.task!r}.", f"Give --task {found.task}, or none.")
    columns = {"task": TEXT, "replay_id": TEXT, "candidate": TEXT, "answered": WHOLE, "failed": WHOLE}
    columns |= {"p50_ms": NUMBER, "p95_ms": NUMBER, "usd_per_call": NUMBER} | estimate_columns("agreement")
    common = ("shared", "compared", "both", "neither")
    columns |= dict.fromkeys(("asked_here_alone", "agrees_here_alone", *common), WHOLE)
    columns |= estimate_columns("first_minus_second") | {"p_value": NUMBER}
    sides = (
        (found.first, found.lost[0], found.first_alone),
        (found.second, found.lost[1], found.second_alone),
    )
    return whole(
        columns,
        [
            {
                **{name: getattr(side, name) for name in columns if hasattr(side, name)},
                **{name: getattr(found, name) for name in ("task", *common, "p_value")},
                "asked_here_alone": lost,
                "agrees_here_alone": alone,
                **told("agreement", side.agreement),
                **told("first_minus_second", found.difference),
            }
            for side, lost, alone in sides
        ],
    )


def _latency_runs(workspace: Workspace, store: Store, asked: Asked) -> Table:
    """Return every measurement of a candidate as it is configured now, the newest first."""
    asked.only()
    task, candidate = asked.pair()
    workspace.eval_for(task)
    fingerprint = workspace.fingerprint(workspace.candidate(candidate))
    plain = {
        "probe_id": TEXT, "speed": NUMBER, "rate_known": YES, "calls": WHOLE, "calls_per_s": NUMBER,
        "answered": WHOLE, "unanswered": WHOLE, "mean_in_flight": NUMBER, "most_in_flight": WHOLE,
        "output_tokens_per_s": NUMBER,
    }  # fmt: skip
    measures = [
        f"{of}_p{q * 100:g}_ms{end}"
        for of in ("latency", "first_token")
        for q in PERCENTILES
        for end in ("", "_low", "_high")
    ]
    columns = {"measured_at": TIME} | plain | dict.fromkeys(measures, NUMBER) | {"errors": TEXTS}

    def row(at: object, text: str) -> Row:
        run = from_json(text, SpeedRun)
        return {
            "measured_at": at,
            **{name: getattr(run, name) for name in plain},
            **_limits("latency", run.latency),
            **_limits("first_token", run.first_token),
            "errors": [f"{kind}: {n}" for kind, n in sorted(run.errors.items())],
        }

    return whole(columns, [row(*each) for each in pages.latency_runs(store, task, fingerprint, EVERY)])


def _limits(of: str, found: Iterable[Percentile]) -> Row:
    return {
        f"{of}_p{each.q * 100:g}_ms{end}": value
        for each in found
        if each.q in PERCENTILES
        for end, value in (("", each.ms), ("_low", each.low_ms), ("_high", each.high_ms))
    }


REPLAY_TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {
    "replay-pair": _pair,
    "latency-runs": _latency_runs,
}
"""Those tables by name."""
