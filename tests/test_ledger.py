"""Answers kept against a kill: what a dead worker left becomes its part, whole frames only, once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from workbench.replay.journal import PartWriter
from workbench.replay.lease import ReplayLease
from workbench.replay.ledger import Ledger, recover
from workbench.store.spool import waiting, write_part


def row(number: int) -> dict[str, Any]:
    """Return a row such as a replay writes."""
    started = datetime(2026, 3, 1, 12, 0, 0, number, tzinfo=UTC)
    return {
        "replay_id": "r",
        "call_id": f"c{number}",
        "repeat": 0,
        "output": "ä\x00",
        "attempts": 1,
        "started_at": started,
    }


def calls(part: Path) -> list[str]:
    """Return the calls of a part."""
    return list(pq.read_table(part)["call_id"].to_pylist())


def test_answers_without_a_part_become_one(tmp_path: Path) -> None:
    """The rows come back as they were, times included, under the name of the part they were meant for."""
    ledger = Ledger(tmp_path / "a", "r-1")
    ledger.add([row(1)])
    ledger.add([row(2), row(3)])
    assert recover(tmp_path, tmp_path / "a") == 3
    (part,) = waiting(tmp_path)
    assert part.name == "observations-r-1.parquet"
    table = pq.read_table(part)
    assert calls(part) == ["c1", "c2", "c3"]
    assert table["started_at"].to_pylist()[1] == row(2)["started_at"]
    assert list((tmp_path / "a").iterdir()) == []
    assert recover(tmp_path, tmp_path / "a") == 0


@pytest.mark.parametrize("lost", [1, 5, 200])
def test_a_torn_end_costs_the_last_answer_alone(tmp_path: Path, lost: int) -> None:
    """Frames before the torn one are kept; bytes that changed are not taken for an answer."""
    Ledger(tmp_path / "a", "r-1").add([row(1), row(2)])
    path = tmp_path / "a" / "r-1.answers"
    data = path.read_bytes()
    path.write_bytes(data[: max(len(data) - lost, len(data) // 2)])
    assert recover(tmp_path, tmp_path / "a") == 1
    path.write_bytes(data[:-1] + b"\xff")
    (tmp_path / "observations-r-1.parquet").unlink()
    assert recover(tmp_path, tmp_path / "a") == 1


def test_a_complete_part_is_not_written_over(tmp_path: Path) -> None:
    """A worker killed between its part and the end of its ledger leaves the part as it is."""
    write_part(tmp_path, "observations", [row(1), row(2)], "r-1")
    Ledger(tmp_path / "a", "r-1").add([row(1)])
    assert recover(tmp_path, tmp_path / "a") == 0
    (part,) = waiting(tmp_path)
    assert calls(part) == ["c1", "c2"]


def test_a_written_part_ends_its_ledger_and_the_next_begins_another(tmp_path: Path) -> None:
    """What is in a part is kept once, what is not yet in one survives."""

    async def write() -> None:
        with ReplayLease(tmp_path, "task-x") as lease:
            writer = PartWriter(tmp_path, "r", lease)
            await writer.add([row(1)])
            await writer.flush()
            assert list(lease.answers.iterdir()) == []
            await writer.add([row(2)])

    asyncio.run(write())
    with ReplayLease(tmp_path, "task-y") as other:
        assert other.recover() == 0
    with ReplayLease(tmp_path, "task-x") as lease:
        assert lease.recover() == 1
    assert sorted(call for part in waiting(tmp_path) for call in calls(part)) == ["c1", "c2"]
