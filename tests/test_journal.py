"""The result sink: an answer counts once it survives a kill, whatever the disk does meanwhile."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_disk import small_disk
from test_ledger import row

from workbench.errors import EnvironmentalError
from workbench.replay import journal
from workbench.replay.journal import PartWriter
from workbench.replay.lease import ReplayLease
from workbench.store.spool import waiting


def kept_in(spool: Path) -> list[str]:
    """Return the calls in the parts that wait, in order."""
    return [call for part in waiting(spool) for call in pq.read_table(part)["call_id"].to_pylist()]


def ledgers(lease: ReplayLease) -> list[Path]:
    """Return the files of answers that are in no part yet."""
    return sorted(lease.answers.glob("*.answers"))


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something to hold, ten seconds at most."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def test_a_written_part_ends_its_ledger_and_the_next_begins_another(tmp_path: Path) -> None:
    """What is in a part is kept once, what is not yet in one survives, for this task alone."""

    async def write() -> None:
        with ReplayLease(tmp_path, "task-x") as lease:
            writer = PartWriter(tmp_path, "r", lease)
            await writer.add([row(1)])
            await writer.flush()
            assert ledgers(lease) == []
            await writer.add([row(2)])

    asyncio.run(write())
    with ReplayLease(tmp_path, "task-y") as other:
        assert other.recover() == 0
    with ReplayLease(tmp_path, "task-x") as lease:
        assert lease.recover() == 1
    assert sorted(kept_in(tmp_path)) == ["c1", "c2"]


async def test_answers_of_one_turn_are_one_write_and_count_after_it(tmp_path: Path) -> None:
    """No answer is told of before it lies in the ledger; many that come together cost one frame."""
    with ReplayLease(tmp_path, "task-x") as lease:
        writer = PartWriter(tmp_path, "r", lease)
        seen: list[int] = []

        def kept() -> None:
            seen.append(ledgers(lease)[0].read_bytes().count(b"call_id"))

        adding = [asyncio.create_task(writer.add([row(number)], kept)) for number in range(100)]
        await asyncio.sleep(0)
        assert seen == []
        await asyncio.gather(*adding)
        assert seen == [100] * 100
        assert lease.recover() == 100


async def test_answers_of_turns_that_follow_each_other_share_a_write(tmp_path: Path) -> None:
    """A write waits while each turn brings another answer, a few turns at most, and no longer than that."""
    with ReplayLease(tmp_path, "task-x") as lease:
        writer = PartWriter(tmp_path, "r", lease)
        frames: list[int] = []

        def kept() -> None:
            frames.append(ledgers(lease)[0].read_bytes().count(b"call_id"))

        adding = []
        for number in range(100):
            adding.append(asyncio.create_task(writer.add([row(number)], kept)))
            await asyncio.sleep(0)
        await asyncio.gather(*adding)
        assert 2 <= frames[0] <= journal.TURNS + 1
        assert frames == sorted(frames)
        alone = asyncio.create_task(writer.add([row(100)], kept))
        for _ in range(4):
            await asyncio.sleep(0)
        assert alone.done()
        assert frames[-1] == 101


async def test_an_answer_whose_worker_is_stopped_meanwhile_is_kept_and_counted(tmp_path: Path) -> None:
    """Stopping in the very moment loses neither the answer nor its place in the count."""
    with ReplayLease(tmp_path, "task-x") as lease:
        writer = PartWriter(tmp_path, "r", lease)
        counted: list[str] = []
        tasks = [
            asyncio.create_task(writer.add([row(number)], lambda: counted.append("one")))
            for number in range(3)
        ]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await writer.flush()
        assert tasks[1].cancelled()
        assert len(counted) == 3
        assert kept_in(tmp_path) == ["c0", "c1", "c2"]


async def test_many_rows_become_few_parts_and_the_store_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts hold about as many rows as one transaction loads, and are loaded on the way."""
    monkeypatch.setattr(journal, "PART_ROWS", 50)
    monkeypatch.setattr(journal, "ABSORB_ROWS", 100)
    absorbed: list[int] = []
    with ReplayLease(tmp_path, "task-x") as lease:
        writer = PartWriter(tmp_path, "r", lease, absorb=lambda: absorbed.append(len(waiting(tmp_path))))
        for start in range(0, 500, 10):
            await asyncio.gather(*(writer.add([row(start + index)]) for index in range(10)))
        await writer.flush()
        await until(lambda: bool(absorbed))
        assert ledgers(lease) == []
        assert sorted(kept_in(tmp_path)) == sorted(f"c{number}" for number in range(500))
        assert 8 <= len(waiting(tmp_path)) <= 10


async def test_large_answers_make_a_part_before_many_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by bytes as well: a few huge answers do not wait for two thousand."""
    monkeypatch.setattr(journal, "PART_BYTES", 100_000)
    with ReplayLease(tmp_path, "task-x") as lease:
        writer = PartWriter(tmp_path, "r", lease)
        for number in range(6):
            await writer.add([row(number, "x" * 60_000)])
        await until(lambda: len(waiting(tmp_path)) == 3)
        await writer.flush()
        assert len(kept_in(tmp_path)) == 6


async def test_nothing_counts_on_a_full_disk_and_all_does_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay stands still and says why; nothing is lost and nothing kept twice."""
    monkeypatch.setattr(journal, "ROOM_EVERY_S", 0.05)
    notes: list[str] = []
    counted: list[int] = []
    with small_disk(tmp_path / "disk") as disk, ReplayLease(disk.path, "task-x") as lease:
        writer = PartWriter(disk.path, "r", lease, notes.append)
        await writer.add([row(0)], lambda: counted.append(1))
        disk.fill()
        adding = [
            asyncio.create_task(writer.add([row(number, "x" * 2000)], lambda: counted.append(1)))
            for number in range(1, 5)
        ]
        await until(lambda: bool(notes))
        await asyncio.sleep(0.2)
        assert "full" in notes[-1]
        assert len(counted) == 1
        assert not any(task.done() for task in adding)
        disk.make_room()
        await asyncio.wait_for(asyncio.gather(*adding), 10)
        assert len(counted) == 5
        assert notes[-1] == ""
        await writer.flush()
        assert kept_in(disk.path) == ["c0", "c1", "c2", "c3", "c4"]


async def test_a_disk_that_stays_full_ends_the_run_and_keeps_what_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its patience the run ends with what to do; the next run finds what had counted."""
    monkeypatch.setattr(journal, "ROOM_EVERY_S", 0.02)
    monkeypatch.setattr(journal, "DISK_FULL_WAIT_S", 0.1)
    with small_disk(tmp_path / "disk") as disk:
        with ReplayLease(disk.path, "task-x") as lease:
            writer = PartWriter(disk.path, "r", lease)
            await writer.add([row(0)])
            disk.fill()
            with pytest.raises(EnvironmentalError, match="No space left"):
                await writer.add([row(1, "x" * 5000)])
            with pytest.raises(EnvironmentalError, match="No space left"):
                await writer.flush()
        disk.make_room()
        with ReplayLease(disk.path, "task-x") as lease:
            assert lease.recover() == 1
        assert kept_in(disk.path) == ["c0"]


async def test_a_second_failure_of_a_full_disk_prints_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A part that can't be written after an answer could not be kept either is no news."""
    monkeypatch.setattr(journal, "ROOM_EVERY_S", 0.02)
    monkeypatch.setattr(journal, "DISK_FULL_WAIT_S", 0.4)
    monkeypatch.setattr(journal, "PART_ROWS", 1)
    with small_disk(tmp_path / "disk") as disk, ReplayLease(disk.path, "task-x") as lease:
        notes: list[str] = []
        writer = PartWriter(disk.path, "r", lease, notes.append)
        await writer.add([row(0)])
        disk.fill()
        await until(lambda: bool(notes))
        monkeypatch.setattr(journal, "DISK_FULL_WAIT_S", 0.05)
        with pytest.raises(EnvironmentalError, match="No space left"):
            await writer.add([row(1, "x" * 5000)])
        assert writer._draining is not None
        await until(lambda: writer._draining is None)
        gc.collect()
        assert "never retrieved" not in caplog.text
        disk.make_room()


async def test_an_answer_after_the_lease_was_lost_does_not_count(tmp_path: Path) -> None:
    """A worker that another one replaced acknowledges nothing more."""
    with ReplayLease(tmp_path, "task-x") as lease:
        writer = PartWriter(tmp_path, "r", lease)
        await writer.add([row(0)])
        for file in (tmp_path / "leases").iterdir():
            file.unlink()
        counted: list[int] = []
        with pytest.raises(EnvironmentalError, match="lease"):
            await writer.add([row(1)], lambda: counted.append(1))
        assert counted == []
