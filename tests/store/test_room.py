"""The database may take more memory where calls are long, and no more than the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.store import Store, room
from workbench.store.room import VECTOR_ROWS, longest_run, room_mb

MB = 1024 * 1024
PARTS = st.lists(st.tuples(st.integers(1, 3 * VECTOR_ROWS), st.integers(1, 10**9)), max_size=40)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], 0),
        ([(10, 500)], 500),
        ([(VECTOR_ROWS, 900), (VECTOR_ROWS, 4_000), (VECTOR_ROWS, 100)], 4_000),
        ([(1_024, 10), (1_024, 700), (1_024, 800), (1_024, 10)], 1_500),
        ([(4 * VECTOR_ROWS, 4_000)], 1_000),
    ],
    ids=["nothing", "fewer rows", "one long part", "two in a row", "a part of several"],
)
def test_the_longest_run_is_that_of_as_many_rows_as_the_database_packs_at_a_time(
    parts: list[tuple[int, int]], expected: int
) -> None:
    """Parts in the order of their rows tell how much that is."""
    assert longest_run(parts) == expected


@given(PARTS, PARTS)
def test_more_rows_make_no_run_shorter(parts: list[tuple[int, int]], further: list[tuple[int, int]]) -> None:
    """What is found is at most all there is, and at least the share of every part in it."""
    found = longest_run(parts)
    assert 0 <= found <= sum(size for _, size in parts)
    assert all(found >= size * VECTOR_ROWS // max(rows, VECTOR_ROWS) - 1 for rows, size in parts)
    assert longest_run(parts + further) >= found


def test_the_first_rows_stand_for_those_to_come() -> None:
    """A few long calls at the beginning tell what two thousand of them will take."""
    assert longest_run([(100, 1_000)], of_more=True) == 20_480
    assert longest_run([(VECTOR_ROWS, 1_000)], of_more=True) == 1_000


def test_short_calls_take_the_base_and_long_ones_more_as_far_as_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of the free memory is the end; the base is never undercut."""
    monkeypatch.setattr(room, "_free_mb", lambda: 3_000.0)
    assert room_mb(512, 10 * MB) == 512
    assert room_mb(512, 400 * MB) == 757
    assert room_mb(512, 4_000 * MB) == 1_500
    monkeypatch.setattr(room, "_free_mb", lambda: 100.0)
    assert room_mb(512, 4_000 * MB) == 512


def test_the_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine may have more than its group of processes may take; without both files, too, it is told."""
    machine, group = tmp_path / "meminfo", tmp_path / "max"
    machine.write_text("MemTotal:  9000000 kB\nMemAvailable:    8192000 kB\n")
    monkeypatch.setattr(room, "_MEMINFO", machine)
    monkeypatch.setattr(room, "_CGROUP", group)
    assert room._free_mb() == 8_000
    group.write_text("max\n")
    assert room._free_mb() == 8_000
    group.write_text(f"{2_000 * MB}\n")
    assert room._free_mb() == 2_000
    group.unlink()
    machine.unlink()
    assert room._free_mb() > 0


def test_a_store_with_a_bound_takes_more_where_room_is_made_and_only_if_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored before is there; one that is opened with a fixed bound, or none, keeps it."""
    monkeypatch.setattr(room, "_free_mb", lambda: 8_000.0)
    limit = "SELECT current_setting('memory_limit')"
    with Store.open(tmp_path / "s.duckdb", memory_mb=64) as store:
        before = store.value(limit)
        store.make_room(1_000)
        assert store.value(limit) == before
        store.make_room(200 * MB)
        assert store.value(limit) != before
        assert store.value("SELECT count(*) FROM calls") == 0
    for fixed in ({"memory_mb": 64, "grows": False}, {}):
        with Store.open(tmp_path / "s.duckdb", **fixed) as store:  # type: ignore[arg-type]
            before = store.value(limit)
            store.make_room(200 * MB)
            assert store.value(limit) == before
