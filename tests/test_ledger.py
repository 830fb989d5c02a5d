"""Answers kept against a kill: what a dead worker left becomes its part, whole groups only, once."""

from __future__ import annotations

import errno
import struct
import tempfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_disk import small_disk

from workbench.errors import EnvironmentalError
from workbench.replay.ledger import Ledger, recover
from workbench.store.spool import waiting, write_part


def row(number: int, text: str = "ä\x00") -> dict[str, Any]:
    """Return a row such as a replay writes."""
    started = datetime(2026, 3, 1, 12, 0, 0, number, tzinfo=UTC)
    return {
        "replay_id": "r",
        "call_id": f"c{number}",
        "repeat": 0,
        "output": text,
        "attempts": 1,
        "started_at": started,
    }


def calls(part: Path) -> list[str]:
    """Return the calls of a part."""
    return list(pq.read_table(part)["call_id"].to_pylist())


def recovered(folder: Path) -> list[str]:
    """Return the calls that the next holder recovers."""
    for part in waiting(folder):
        part.unlink()
    count = recover(folder, folder / "a")
    found = [call for part in waiting(folder) for call in calls(part)]
    assert len(found) == count
    return found


def write_groups(folder: Path, groups: list[list[str]]) -> tuple[Path, list[list[str]]]:
    """Write groups of answers with these texts; return the file and each group's calls."""
    ledger, count, named = Ledger(folder / "a", "r-1"), 0, []
    for texts in groups:
        rows = [row(count + index, text) for index, text in enumerate(texts)]
        count += len(rows)
        ledger.add(rows)
        named.append([each["call_id"] for each in rows])
    return folder / "a" / "r-1.answers", named


groups_of_texts = st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=4), min_size=1, max_size=5)


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


@given(groups_of_texts, st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_at_any_byte_costs_the_torn_group_alone(groups: list[list[str]], data: st.DataObject) -> None:
    """Whatever number of bytes reached the disk, the groups that are whole come back, and nothing else."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ends, sizes = [], []
        for count in range(1, len(groups) + 1):
            path, named = write_groups(folder, groups[:count])
            sizes.append(path.stat().st_size)
            ends.append([call for group in named for call in group])
            if count < len(groups):
                path.unlink()
        cut = data.draw(st.integers(0, sizes[-1]))
        path.write_bytes(path.read_bytes()[:cut])
        whole = sum(size <= cut for size in sizes)
        assert recovered(folder) == (ends[whole - 1] if whole else [])


@given(groups_of_texts, st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_byte_is_never_taken_for_an_answer(groups: list[list[str]], data: st.DataObject) -> None:
    """What a broken disk gives back is a beginning of what was written, never other answers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, named = write_groups(folder, groups)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(content))
        found = recovered(folder)
        starts = [[call for group in named[:count] for call in group] for count in range(len(named))]
        assert found in starts


def test_a_complete_part_is_not_written_over(tmp_path: Path) -> None:
    """A worker killed between its part and the end of its ledger leaves the part as it is."""
    write_part(tmp_path, "observations", [row(1), row(2)], "r-1")
    Ledger(tmp_path / "a", "r-1").add([row(1)])
    assert recover(tmp_path, tmp_path / "a") == 0
    (part,) = waiting(tmp_path)
    assert calls(part) == ["c1", "c2"]


def test_a_full_disk_is_said_and_hides_no_later_answer(tmp_path: Path) -> None:
    """A group that has no room is refused whole; the same ledger goes on once there is room."""
    with small_disk(tmp_path / "disk") as disk:
        ledger = Ledger(disk.path / "a", "r-1")
        ledger.add([row(1)])
        disk.fill(leave=4096)
        kept = ["c1"]
        refused = None
        for number in range(2, 1000):
            try:
                ledger.add([row(number, "x" * 3000)])
            except OSError as error:
                refused = error.errno
                break
            kept.append(f"c{number}")
        assert refused == errno.ENOSPC
        disk.make_room()
        ledger.add([row(2000)])
        assert recovered(disk.path) == [*kept, "c2000"]


def test_recovering_on_a_full_disk_keeps_the_answers(tmp_path: Path) -> None:
    """Where the part has no room a clear message comes, and the answers wait in their ledger."""
    with small_disk(tmp_path / "disk") as disk:
        Ledger(disk.path / "a", "r-1").add([row(1), row(2)])
        disk.fill()
        with pytest.raises(EnvironmentalError, match="can't be written: No space left") as raised:
            recover(disk.path, disk.path / "a")
        assert "Make room" in str(raised.value.hint)
        disk.make_room()
        assert recovered(disk.path) == ["c1", "c2"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("bad name", [{"a": 1}]), ("number", 5), ("mixed", [{"a": 1}, {"a": "x"}]), ("rows", [5])],
)
def test_a_foreign_file_among_the_answers_stops_no_replay(tmp_path: Path, name: str, content: object) -> None:
    """What is whole but no ledger is put aside; the answers beside it are handed in."""
    folder = tmp_path / "answers"
    folder.mkdir()
    body = msgspec.msgpack.encode(content)
    (folder / f"{name}.answers").write_bytes(struct.pack("<II", len(body), zlib.crc32(body)) + body)
    Ledger(folder, "zz-1").add([{"call_id": "c1"}])
    assert recover(tmp_path, folder) == 1
    assert [each.name for each in folder.iterdir()] == [f"{name}.unreadable"]
    assert recover(tmp_path, folder) == 0
