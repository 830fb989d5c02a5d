"""What a log's times and sampling rates say of its traffic where some are missing or can't be."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from profile_world import made

from workbench.facade import Workbench
from workbench.ingest.captured import take_rate
from workbench.ingest.report import ImportReport
from workbench.profiling import profile
from workbench.profiling.costs import costs
from workbench.scoring.evidence import calls_per_day
from workbench.store import calls, migrate
from workbench.store.comparisons import volume

START = datetime(2026, 3, 2, tzinfo=UTC)


def row(number: int, at: datetime | None, **more: Any) -> dict[str, Any]:
    """Return a call; without a time where none is given."""
    answer = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "billing"}}
    return {
        "request": {"model": "frontier-1", "messages": [{"role": "user", "content": f"sort {number}"}]},
        "response": {
            "id": f"t{number}",
            "model": "frontier-1",
            "choices": [answer],
            "usage": {"prompt_tokens": 100, "completion_tokens": 5},
            **({"created": int(at.timestamp())} if at else {}),
        },
        **more,
    }


def space(root: Path, rows: list[dict[str, Any]]) -> tuple[Workbench, ImportReport]:
    """Return a workspace with a log of all of the traffic, and the report of its import."""
    bench = made(root / "space", [])
    path = root / "log.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return bench, bench.import_logs([path], task="sort", sampling_rate=1.0)


def a_week(count: int) -> list[datetime]:
    """Return times that are spread over seven days."""
    return [START + timedelta(days=7) * number / (count - 1) for number in range(count)]


def test_a_call_without_a_time_leaves_the_volume_known(tmp_path: Path) -> None:
    """One of 141: the others say how many there are a day, and the report says that it was taken so."""
    rows = [row(number, at) for number, at in enumerate(a_week(140))] + [row(140, None)]
    bench, _ = space(tmp_path, rows)
    report = profile(bench.workspace, bench.store)
    (load,) = report.workloads
    assert load.calls_per_day is not None
    assert load.calls_per_day.point == pytest.approx(141 / 7, rel=0.01)
    assert "1 of 141 calls has no time that can be: it is taken to be spread" in report.text
    assert calls.volumes(bench.store)["sort"].calls_per_day == pytest.approx(141 / 7, rel=0.01)
    config = bench.workspace.evals.get("sort") or _no_eval()
    assert calls_per_day(config, volume(bench.store, "sort")) == pytest.approx(141 / 7, rel=0.01)


def _no_eval() -> Any:
    class Config:
        calls_per_day = None

    return Config()


def test_without_most_times_the_reason_is_the_times(tmp_path: Path) -> None:
    """The log does say which share it holds: what lacks are times, and that is what is said."""
    rows = [row(number, at if number < 4 else None) for number, at in enumerate(a_week(10))]
    bench, _ = space(tmp_path, rows)
    report = profile(bench.workspace, bench.store)
    (load,) = report.workloads
    assert load.calls_per_day is None
    assert "sort (most of its calls have no time in the log)" in report.text
    check = next(each for each in load.checks if each.name == "volume")
    assert check.reason == "Most of its calls have no time in the log."
    found = costs(bench.workspace, bench.store, "sort")
    assert "calls a day: most of its calls have no time in the log" in found.ways[0].missing
    assert found.no_volume == "most of its calls have no time in the log"
    assert calls.volumes(bench.store)["sort"].calls_per_day is None


def test_without_a_rate_the_reason_is_the_share(tmp_path: Path) -> None:
    bench = made(tmp_path / "space", [])
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row(n, at)) + "\n" for n, at in enumerate(a_week(10))))
    bench.import_logs([path], task="sort")
    assert (
        "sort (the log does not say which share of the traffic it holds)"
        in profile(bench.workspace, bench.store).text
    )


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_time_to_come_is_no_time(tmp_path: Path, is_plain: bool) -> None:
    """One record of 2090 among 148 leaves the calls a day as they are, is marked, and the import says so."""
    far = row(147, datetime(2090, 1, 1, tzinfo=UTC))
    if not is_plain:
        far["request"]["tools"] = [{"type": "function", "function": {"name": "f"}}]
    rows = [row(number, at) for number, at in enumerate(a_week(147))] + [far]
    bench, report = space(tmp_path, rows)
    assert report.marks["future_time"] == report.marks["no_time"] == 1
    assert "TIME NOT KNOWN: 1 call is dated after this import and counts as" in report.text
    assert report.last_at is not None
    assert report.last_at.year == 2026
    (load,) = profile(bench.workspace, bench.store).workloads
    assert load.calls_per_day is not None
    assert load.calls_per_day.point == pytest.approx(148 / 7, rel=0.01)
    again = bench.import_logs([tmp_path / "log.jsonl"], task="sort", sampling_rate=1.0)
    assert (again.skipped, again.conflicts) == (148, 0)


def test_a_clock_that_is_hours_ahead_keeps_its_times(tmp_path: Path) -> None:
    """Local times that were written as UTC are up to fourteen hours ahead."""
    _, report = space(tmp_path, [row(1, datetime.now(UTC) + timedelta(hours=14))])
    assert report.marks == {"no_latency": 1}


def test_times_to_come_in_a_store_from_before_go(tmp_path: Path) -> None:
    """What an earlier version took as a time is none after the migration, once."""
    bench, _ = space(tmp_path, [row(1, START), row(2, START)])
    with bench.store.writing() as writer:
        writer.execute("UPDATE calls SET occurred_at = '2090-01-01' WHERE native_id = 't2'")
    step = next(each for each in migrate.bundled() if each.name == "0021_batches_and_times")
    for _ in range(2):
        with bench.store.writing() as writer:
            writer.execute(step.sql)
    found = {each.native_id: each for each in calls.load_calls(bench.store)}
    assert found["t1"].occurred_at is not None
    assert found["t2"].occurred_at is None
    assert found["t2"].marks.count("future_time") == 1


@pytest.mark.parametrize("rate", [10, "10%", 0, -0.5, "0", 1.5, "often", 1e-12, True])
def test_a_rate_that_can_not_be_is_unknown(rate: Any) -> None:
    """Not the one of the command, which speaks of other records: it is null, and marked."""
    marks: list[str] = []
    attributes = {"sampling_rate": rate}
    assert take_rate(attributes, 0.5, marks) is None
    assert marks == ["bad_sampling_rate"]
    assert attributes == {"sampling_rate": rate}


@pytest.mark.parametrize(
    ("told", "expected"),
    [(0.1, 0.1), ("0.25", 0.25), (1, 1.0), (None, 0.5), ("", 0.5), (44_100, 0.5), ({"audio": 8000}, 0.5)],
)
def test_a_rate_that_can_be_counts(told: Any, expected: float) -> None:
    """Of the record, else the command's; a sampling rate of sound is another thing."""
    marks: list[str] = []
    assert take_rate({"sampling_rate": told}, 0.5, marks) == expected
    assert marks == []


def test_a_bad_rate_is_marked_on_its_way_in(tmp_path: Path) -> None:
    """In a plain line and in one of another shape."""
    odd = row(2, START, sampling_rate="10%")
    odd["request"]["tools"] = [{"type": "function", "function": {"name": "f"}}]
    bench, report = space(tmp_path, [row(1, START, sampling_rate=10), odd, row(3, START)])
    assert report.marks["bad_sampling_rate"] == 2
    assert [each.sampling_rate for each in calls.load_calls(bench.store)] == [None, None, 1.0]


def test_conflicts_come_with_what_to_do(tmp_path: Path) -> None:
    """A batch that numbers its requests anew: the report names `--source` and the conflicts' commands."""
    bench = made(tmp_path / "space", [])

    def day(number: int) -> Path:
        path = tmp_path / f"day{number}.jsonl"
        messages = [{"role": "user", "content": f"day {number}"}]
        path.write_text(json.dumps({"custom_id": "request-1", "body": {"model": "m", "messages": messages}}))
        return path

    bench.import_logs([day(1)], task="sort")
    report = bench.import_logs([day(2)], task="sort")
    assert report.conflicts == 1
    undo = f"workbench import --undo {report.manifest_id}"
    assert f"whose ids begin anew in each batch? {undo}, then import it with a name of its own" in report.text
    assert "--source NAME" in report.text
    assert "workbench conflicts list" in report.text
    assert f"workbench conflicts resolve --keep arrived --import {report.manifest_id}" in report.text
    bench.undo_import(report.manifest_id or "")
    other = bench.import_logs([day(2)], task="sort", source="sort/day-2")
    assert (other.accepted, other.conflicts, other.open_conflicts) == (1, 0, 0)


def hours(days: int, first: float, last: float, a_day: int) -> list[datetime]:
    """Return calls on each of some days, spread evenly over hours of the day."""
    step = timedelta(hours=(last - first) / a_day)
    return [
        START + timedelta(days=day, hours=first) + step * number
        for day in range(days)
        for number in range(a_day)
    ]


@pytest.mark.parametrize("days", [2, 3, 5])
@pytest.mark.parametrize(("first", "last"), [(9, 17), (0, 24), (22, 30), (6, 23)])
def test_the_nights_at_the_edges_of_a_log_count_as_they_are(
    tmp_path: Path, days: int, first: float, last: float
) -> None:
    """A log of working hours has as many calls a day as each of its days, and one of all hours, too."""
    times = hours(days, first, last, 96)
    bench, _ = space(tmp_path, [row(number, at) for number, at in enumerate(times)])
    report = profile(bench.workspace, bench.store)
    (load,) = report.workloads
    assert load.calls_per_day is not None
    assert load.calls_per_day.point == pytest.approx(96, rel=0.02)
    assert load.calls_per_day.low < 96 < load.calls_per_day.high
    assert calls.volumes(bench.store)["sort"].calls_per_day == pytest.approx(96, rel=0.02)


@pytest.mark.parametrize(("length_h", "known"), [(1 / 60, False), (1, False), (8, False), (23.5, True)])
def test_a_log_of_some_hours_says_nothing_of_a_day(tmp_path: Path, length_h: float, known: bool) -> None:
    """Its hours may be the busiest, or the only ones; that is said, and no figure a day is shown."""
    times = [START + timedelta(hours=length_h) * number / 299 for number in range(300)]
    bench, _ = space(tmp_path, [row(number, at) for number, at in enumerate(times)])
    report = profile(bench.workspace, bench.store)
    (load,) = report.workloads
    found = calls.volumes(bench.store)["sort"]
    assert found.sampling_rate == 1.0
    if known:
        assert load.calls_per_day is not None
        assert load.calls_per_day.point == pytest.approx(300)
        assert found.calls_per_day == pytest.approx(300)
        return
    assert load.calls_per_day is load.usd_month is found.calls_per_day is None
    assert load.no_volume == "the log covers less than a day"
    assert "the log covers less than a day" in report.text
