"""Calls a day and a month by the period that exports cover, and means of calls logged at different rates."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from profile_world import made

from workbench.costing import DAYS_PER_MONTH
from workbench.facade import Workbench
from workbench.profiling.report import ProfileReport, WorkloadReport
from workbench.scoring.evidence import calls_per_day
from workbench.specs import EvalConfig, EvalKind
from workbench.store import calls
from workbench.store.comparisons import volume
from workbench.store.overview import control_costs

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(at: datetime, name: str, tokens: int = 1000, **more: Any) -> dict[str, Any]:
    """Return a call of a task; the price of a token in is 3 USD per million."""
    answer = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "billing"}}
    return {
        "request": {"model": "frontier-1", "messages": [{"role": "user", "content": f"sort {name}"}]},
        "response": {
            "id": name,
            "model": "frontier-1",
            "created": int(at.timestamp()),
            "choices": [answer],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 0},
        },
        **more,
    }


def daily(task: str, first: int, days: int, count: int, **more: Any) -> list[dict[str, Any]]:
    """Return so many calls on each of some days, spread over a day."""
    return [
        row(START + timedelta(days=day) + n * 24 * HOUR / count, f"{task}-{day}-{n}", task=task, **more)
        for day in range(first, first + days)
        for n in range(count)
    ]


def take(bench: Workbench, rows: list[dict[str, Any]], rate: float | None = 1.0, **more: Any) -> Any:
    """Import rows as one file."""
    path = bench.workspace.root / f"log-{len(list(bench.workspace.root.glob('log-*')))}.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return bench.import_logs([path], sampling_rate=rate, **more)


def by_name(report: ProfileReport) -> dict[str, WorkloadReport]:
    return {each.name: each for each in report.workloads}


def a_day(each: WorkloadReport) -> float:
    assert each.calls_per_day is not None
    return each.calls_per_day.point


def test_what_ended_or_burst_once_has_no_calls_a_day_now(tmp_path: Path) -> None:
    """Of 60 days of one log, the last 28 count for every workload, silent days too, wherever it is asked."""
    rows = daily("steady", 0, 60, 10) + daily("burst", 0, 1, 50) + daily("stopped", 0, 10, 5)
    rows += daily("once", 50, 1, 56)
    with made(tmp_path / "w", []) as bench:
        take(bench, rows)
        report = bench.profile()
        found = by_name(report)
        assert a_day(found["steady"]) == pytest.approx(10, rel=0.01)
        assert a_day(found["once"]) == pytest.approx(2, rel=0.01)
        assert a_day(found["burst"]) == a_day(found["stopped"]) == 0
        assert report.workloads[0].name == "steady"
        assert report.forecast_usd_month is not None
        assert report.forecast_usd_month.point == pytest.approx(12 * 0.003 * DAYS_PER_MONTH, rel=0.01)
        tasks = calls.volumes(bench.store)
        for name, expected in (("steady", 10), ("once", 2), ("burst", 0)):
            told = volume(bench.store, name)
            assert calls_per_day(EvalConfig(name, EvalKind.LABEL), told) == pytest.approx(expected, rel=0.01)
            assert tasks[name].calls_per_day == pytest.approx(expected, rel=0.01)


def test_it_says_since_when_there_are_no_calls(tmp_path: Path) -> None:
    """In the text and in the record; not of a workload whose last call is as old as a week."""
    rows = daily("steady", 0, 40, 4) + daily("stopped", 0, 10, 5) + daily("weekly", 33, 1, 1)
    with made(tmp_path / "w", []) as bench:
        take(bench, rows)
        report = bench.profile()
        found = by_name(report)
        assert "stopped: no calls since 2026-03-11" in report.text
        assert found["stopped"].quiet_since == START + timedelta(days=9) + 4 * 24 * HOUR / 5
        assert found["steady"].quiet_since is found["weekly"].quiet_since is None


def test_an_export_that_ended_is_not_measured_by_another(tmp_path: Path) -> None:
    """Each source covers its own period: one that ends earlier does not make its workload stop."""
    with made(tmp_path / "w", []) as bench:
        take(bench, daily("old", 0, 20, 5), source="shop")
        take(bench, daily("new", 0, 60, 10), source="desk")
        found = by_name(bench.profile())
        assert a_day(found["old"]) == pytest.approx(5, rel=0.02)
        assert found["old"].quiet_since is None


def test_exports_beside_one_another_add_up_and_those_in_turn_do_not(tmp_path: Path) -> None:
    """Two regions at once are both the traffic; a week that follows a week is the same traffic later."""
    with made(tmp_path / "w", []) as bench:
        take(bench, daily("both", 0, 14, 6), source="eu")
        take(bench, [each | {"id": f"us{n}"} for n, each in enumerate(daily("both", 0, 7, 4))], source="us")
        take(bench, daily("turn", 0, 7, 6), source="week 1")
        take(bench, daily("turn", 7, 7, 6), source="week 2")
        found = by_name(bench.profile())
        assert a_day(found["both"]) == pytest.approx(10, rel=0.05)
        assert a_day(found["turn"]) == pytest.approx(6, rel=0.05)
        assert a_day(found["both"]) <= found["both"].calls_per_day.high  # type: ignore[union-attr]


def two_rates() -> list[dict[str, Any]]:
    """Return ten days of 1,000 small calls a day kept at 1 %, and of 10 large ones that are all kept."""
    small = daily("t", 0, 10, 10, tokens=100, latency_ms=100, sampling_rate=0.01)
    large = [
        row(START + timedelta(days=day, hours=n), f"l{day}-{n}", 100_000, task="t", latency_ms=9000)
        | {"sampling_rate": 1.0}
        for day in range(10)
        for n in range(10)
    ]
    return small + large


def test_calls_logged_at_different_rates_weigh_as_many_as_they_stand_for(tmp_path: Path) -> None:
    """1,000 x 0.0003 + 10 x 0.3 = 3.3 USD a day, not 1,010 times the mean of the logged calls."""
    with made(tmp_path / "w", []) as bench:
        take(bench, two_rates(), rate=None)
        (each,) = bench.profile().workloads
        mean = (10_000 * 0.0003 + 100 * 0.3) / 10_100
        assert each.usd_per_call is not None
        assert each.usd_month is not None
        assert each.usd_per_call.point == pytest.approx(mean)
        assert each.usd_month.point == pytest.approx(3.3 * DAYS_PER_MONTH, rel=0.03)
        # Linearised: the root of the sum of squares of w (x - mean), over the sum of w.
        squares = 100 * (100 * (0.0003 - mean)) ** 2 + 100 * (0.3 - mean) ** 2
        error = squares**0.5 / 10_100 * (200 / 199) ** 0.5
        assert each.usd_per_call.high - mean == pytest.approx(1.6525 * error, rel=1e-3)
        assert each.input_tokens == pytest.approx((10_000 * 100 + 100 * 100_000) / 10_100)
        assert (each.latency_p50_ms, each.latency_p95_ms) == (100, 100)
        assert each.logged_usd == pytest.approx(100 * 0.0003 + 100 * 0.3)
        (cost,) = control_costs(bench.store, "t", bench.workspace.model_prices())
        assert cost["usd"] == pytest.approx(mean)
        assert bench.costs().ways[0].usd_month.point == pytest.approx(each.usd_month.point)  # type: ignore[union-attr]


def test_different_rates_of_which_some_are_unknown_give_no_figure_a_month(tmp_path: Path) -> None:
    """What the unknown ones stand for nobody can say, even where the last days tell their volume."""
    with made(tmp_path / "w", []) as bench:
        rows = two_rates() + daily("t", -30, 1, 5)
        take(bench, rows, rate=None)
        report = bench.profile()
        (each,) = report.workloads
        assert each.calls_per_day is None
        assert each.usd_month is None
        assert "t (its calls were logged at different rates, and some do not say at which)" in report.text


def test_an_import_says_that_known_calls_keep_their_rate(tmp_path: Path) -> None:
    """The advice to import with a rate does nothing for calls that are there: undo names their import."""
    with made(tmp_path / "w", []) as bench:
        rows = daily("t", 0, 3, 5)
        first = take(bench, rows, rate=None)
        assert first.rates_left == {}
        again = take(bench, rows, rate=0.1)
        assert again.rates_left == {first.manifest_id: 15}
        assert "RATE NOT TAKEN: 15 calls are known already" in again.text
        assert f"workbench import --undo {first.manifest_id}, then import the log again" in again.text
        assert "calls_per_day" in again.text
        bench.undo_import(first.manifest_id or "")
        third = take(bench, rows, rate=0.1)
        assert (third.accepted, third.rates_left) == (15, {})
        assert take(bench, rows, rate=0.1).rates_left == {}
