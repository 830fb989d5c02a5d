"""Which calls a probe takes from a log, and when it sends them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.replay.arrivals import log_schedule, poisson_schedule, resolution_of

START = datetime(2026, 3, 2, tzinfo=UTC)


def at(*seconds: float) -> list[datetime]:
    """Return times so many seconds after the start."""
    return [START + timedelta(seconds=each, microseconds=1) for each in sorted(seconds)]


def test_the_run_is_from_the_busiest_hour_at_its_mean_rate() -> None:
    """Neither a quiet morning nor the wildest seconds of the hour are taken for production."""
    quiet = [60.0 * index for index in range(120)]
    generator = random.Random(1)
    busy = [10_000 + generator.uniform(0, 3600) for _ in range(3600)]
    burst = [11_000 + index / 1000 for index in range(200)]
    schedule = log_schedule(at(*quiet, *busy, *burst), 200, 0)
    assert schedule is not None
    assert schedule.window is not None
    assert (schedule.window[0] - START).total_seconds() > 9_900
    assert schedule.peak_per_s == pytest.approx(3800 / 3600, rel=0.02)
    assert 1.0 <= schedule.calls_per_s / schedule.peak_per_s < 1.1


@given(
    st.lists(st.floats(0, 1e6, allow_nan=False), min_size=2, max_size=60, unique=True),
    st.integers(2, 80),
    st.sampled_from([0.0, 1.0]),
)
def test_a_schedule_is_a_run_of_the_log(seconds: list[float], limit: int, resolution: float) -> None:
    """As many calls as there are or were asked for, each once, in order, beginning at 0."""
    times = at(*seconds)
    if resolution:
        times = sorted(each.replace(microsecond=0) for each in times)
    schedule = log_schedule(times, limit, 7)
    if schedule is None:
        return
    assert len(schedule.positions) == len(set(schedule.positions)) == min(limit, len(times))
    assert schedule.offsets_s[0] == 0
    assert list(schedule.offsets_s) == sorted(schedule.offsets_s)
    doubled = schedule.faster(2)
    assert doubled.offsets_s[-1] * 2 == pytest.approx(schedule.offsets_s[-1])


def test_times_in_whole_seconds_are_spread_and_days_tell_nothing() -> None:
    """Three calls of one second did not come at once; calls of one day tell no pace."""
    times = sorted(START + timedelta(seconds=index // 3) for index in range(300))
    assert resolution_of(times) == 1.0
    schedule = log_schedule(times, 300, 0)
    assert schedule is not None
    assert len(set(schedule.offsets_s)) == 300
    assert schedule.offsets_s == log_schedule(times, 300, 0).offsets_s  # type: ignore[union-attr]
    days = [START + timedelta(days=index // 9) for index in range(90)]
    assert log_schedule(days, 50, 0) is None
    assert log_schedule(at(5.0) * 20, 50, 0) is None


def test_without_times_calls_come_at_random_at_the_stated_rate() -> None:
    """The same seed gives the same times."""
    schedule = poisson_schedule(5000, 4000, 2.0, 3)
    assert schedule.calls_per_s == pytest.approx(2.0, rel=0.1)
    assert schedule == poisson_schedule(5000, 4000, 2.0, 3)
