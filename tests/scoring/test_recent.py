"""Which newer calls show what the traffic is now."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from workbench.scoring.recent import RECENT, RECENT_CALLS, recent_begins

START = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC without a zone, as the store has it


def hourly(calls: int, hours: float = 1.0) -> pd.Series[pd.Timestamp]:
    return pd.Series([START + timedelta(hours=hours * at) for at in range(calls)])


def test_the_last_week_is_recent_where_it_has_enough_calls() -> None:
    """A call each minute for a month."""
    at = hourly(43_200, 1 / 60)
    begins = recent_begins(at)
    assert begins == at.iloc[-1] - RECENT


def test_a_thousand_calls_are_recent_however_long_they_take() -> None:
    """A call each hour: the last week has 169."""
    at = hourly(3_000)
    assert recent_begins(at) == at.iloc[-RECENT_CALLS]


def test_where_all_are_recent_nothing_is_looked_at_twice() -> None:
    """Few calls, or all in one week, or all at one time."""
    assert recent_begins(hourly(RECENT_CALLS)) is None
    assert recent_begins(hourly(5_000, 1 / 60)) is None
    assert recent_begins(pd.Series([START] * 5_000)) is None
    assert recent_begins(pd.Series([], dtype="datetime64[us]")) is None


@given(st.integers(1_001, 3_000), st.floats(0.01, 3.0), st.integers(0, 1_000))
def test_the_newest_calls_are_those_since_and_no_fewer_than_a_thousand(
    calls: int, hours: float, seed: int
) -> None:
    """In whatever order they were imported."""
    at = hourly(calls, hours)
    shuffled = pd.Series(np.random.default_rng(seed).permutation(at.to_numpy()))
    begins = recent_begins(shuffled)
    assert begins == recent_begins(at)
    if begins is not None:
        assert (at >= begins).sum() >= RECENT_CALLS
        assert (at < begins).any()
        assert begins in set(at)
