"""Files are hostile until proven otherwise: what one tries stays in a process that can be ended."""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from import_world import Desk, pair, tallies

from workbench.config import Workspace
from workbench.errors import EnvironmentalError, UsageError
from workbench.formats.lines import BLOCK_BYTES
from workbench.ingest import children, preview
from workbench.progress import Progress

ENDLESS = "a" * 60 + "b"
"""What the rule of `endless` searches without end."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    assert bool(made.count("calls")) <= bool(made.count("manifests"))
    made.store.close()


def packed(path: Path, *pieces: tuple[bytes, int]) -> Path:
    """Write a file of repeated pieces, packed with gzip, or with zstd by its name."""
    with_gzip = functools.partial(gzip.open, compresslevel=1)
    opened = zstandard.open if path.suffix == ".zst" else with_gzip
    with opened(path, "wb") as file:
        for piece, times in pieces:
            for _ in range(times):
                file.write(piece)
    return path


def readers() -> list[int]:
    """Return the reading processes of this process."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # A thread may end while it is looked at.
            found += [int(each) for each in (task / "children").read_text().split()]
    return [
        each for each in found if b"workbench.ingest.reader" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]


def test_a_bomb_is_refused(desk: Desk) -> None:
    """A small file that unpacks to more than a thousand times its size imports nothing."""
    bomb = packed(desk.root / "bomb.jsonl.zst", (b"{}" + b" " * 1_000_000 + b"\n", 1_200))
    with pytest.raises(UsageError, match="expands to more than"):
        desk.take(bomb, format="openai_chat")


def test_a_file_of_empty_lines_is_refused_before_all_are_counted(desk: Desk) -> None:
    """Three kilobytes hold a hundred million of them, far below what a packed file may expand to."""
    lines = packed(
        desk.root / "lines.jsonl.zst", (json.dumps(pair("a")).encode() + b"\n", 1), (b"\n" * 1_000_000, 100)
    )
    with pytest.raises(UsageError, match="nothing but white space"):
        desk.take(lines)
    assert desk.count("calls") == 0


def test_a_line_of_most_of_a_gigabyte_is_rejected_and_the_next_one_read(desk: Desk) -> None:
    """The line is never held, and the record behind it comes in."""
    good = json.dumps(pair("a")).encode() + b"\n"
    log = packed(desk.root / "line.jsonl.gz", (b"x" * 1_000_000, 900), (b"\n", 1), (good, 1))
    report = desk.take(log, format="openai_chat")
    assert tallies(report) == {"accepted": 1, "rejected": 1}
    assert "longer than" in report.rejects[0].reason


def test_records_that_nest_without_end_are_rejected(desk: Desk) -> None:
    """20,000 levels are a rejected line, in arrays and objects; inside a string they are text."""
    log = desk.root / "deep.jsonl"
    deep = "[" * 20_000 + "]" * 20_000
    objects = '{"a":' * 20_000 + "1" + "}" * 20_000
    inside = {"request": {"messages": deep}}
    lines = [deep, objects, json.dumps(inside), json.dumps(pair("a"))]
    log.write_text("\n".join(lines) + "\n")
    assert tallies(desk.take(log, format="openai_chat")) == {"accepted": 2, "rejected": 2}


def test_a_document_that_takes_all_memory_ends_its_process_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it may take is limited; this process goes on and says why nothing came in."""
    monkeypatch.setattr(children, "MAX_MEMORY_BYTES", 900 << 20)
    log = packed(desk.root / "wide.json.gz", (b'{"data":[', 1), (b"[[]]," * 200_000, 60), (b"[]]}", 1))
    with pytest.raises(UsageError, match="takes more than") as caught:
        desk.take(log, format="openai_chat")
    assert "JSONL" in caught.value.hint
    with pytest.raises(UsageError, match="takes more than"):
        preview(desk.workspace, [log])


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Desk]:
    """Yield a desk with a rule that searches without end in `ENDLESS`."""
    folder = tmp_path / "evals" / "slow"
    folder.mkdir(parents=True)
    (folder / "eval.toml").write_text('task = "slow"\nkind = "text"\n[match]\ninput = "(a+)+$"\n')
    desk = Desk(tmp_path)
    desk.workspace = Workspace.load(tmp_path)
    yield desk
    desk.store.close()


def test_a_record_that_never_ends_is_given_up(endless: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that searches without end is named as what it may be, and nothing comes in."""
    monkeypatch.setattr(children, "SILENCE_S", 3.0)
    log = endless.write("log.jsonl", pair("a", question=ENDLESS))
    with pytest.raises(UsageError, match=r"log\.jsonl: one record took more than 3 s"):
        endless.take(log)
    assert readers() == []
    assert endless.count("calls") == 0


def test_a_reading_process_that_is_killed_imports_nothing(
    endless: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends it, the error says so, nothing comes in, and the next import works.

    It reads for longer than it waits before it tells how far it is, and the last record holds it, so
    that it can't be done before it is killed. No secret of the environment reaches it.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-4711")
    rows = [pair(f"id-{index}") for index in range(80_000)]
    log = endless.write("one.jsonl", *rows, pair("last", question=ENDLESS))
    seen: list[bytes] = []

    def listen(progress: Progress) -> None:
        if progress.stage == "reading" and not seen:
            for each in readers():
                seen.append(Path(f"/proc/{each}/environ").read_bytes())
                os.kill(each, signal.SIGKILL)

    with pytest.raises(EnvironmentalError, match="was ended by SIGKILL"):
        endless.take(log, listener=listen)
    assert seen
    assert not any(b"canary" in each for each in seen)
    assert endless.count("calls") == 0
    assert endless.take(endless.write("two.jsonl", *rows[:10])).accepted == 10
    assert readers() == []


def test_files_shared_by_several_processes_import_as_by_one(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order, ids of equal rows, rejects and counts do not depend on how many read."""
    text = "The same question again. " * 120
    rows = [json.dumps(pair(None if i % 3 else f"id-{i}", question=f"{text}{i % 50}?")) for i in range(4_000)]
    rows[100], rows[3_000], rows[3_500] = "not json", "", "{}"
    log = tmp_path / "shared.jsonl"
    log.write_text("\n".join(rows) + "\n")
    assert log.stat().st_size > 3 * BLOCK_BYTES
    columns = "call_id, native_id, language, request, content_hash"
    found = []
    for readers_used in (1, 3):
        (tmp_path / str(readers_used)).mkdir()
        each = Desk(tmp_path / str(readers_used))
        monkeypatch.setattr(children, "_reader_count", lambda _, count=readers_used: count)
        report = each.take(log, format="openai_chat")
        calls = each.store.rows(f"SELECT {columns} FROM calls ORDER BY seq")  # noqa: S608 -- names above
        found.append((calls, tallies(report), report.reject_reasons, [r.line for r in report.rejects]))
        each.store.close()
    assert found[0] == found[1]
    assert found[0][1]["rejected"] == 2
