"""The access log: who read or took out what, without a page waiting for it, and without the text."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import access
from workbench.errors import EnvironmentalError
from workbench.roles import Actor, all_rights
from workbench.store import Store, accesses
from workbench.store.accesses import Kind

MIA = Actor("mia@example.com", signed_in=True)
HOLD = """
import sys
from pathlib import Path
from workbench.store import Store
with Store.open(Path(sys.argv[1])) as store, store.writing():
    print("held", flush=True)
    sys.stdin.read()
"""
READS_AND_ENDS = """
import sys
from pathlib import Path
from workbench import access
from workbench.roles import all_rights
from workbench.store import Store, accesses
with Store.open(Path(sys.argv[1])) as store, access.acting(all_rights("kim")):
    accesses.viewed(store, accesses.Kind.CASES, "triage", ["a", "b"])
"""


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """Give an empty store."""
    with Store.open(path) as opened:
        yield opened


def logged(store: Store) -> list[tuple[str, str, str | None, int]]:
    """Return the log, newest first, without times."""
    return [(each.actor, each.kind, each.task, each.calls) for each in accesses.latest(store)]


def test_a_view_is_kept_with_who_how_and_how_many(store: Store) -> None:
    """Two people, two ways, one task each; the text is nowhere."""
    with access.acting(MIA):
        accesses.viewed(store, Kind.CASES, "triage", ["a", "b", "c"])
    with access.acting(all_rights("kim")):
        accesses.viewed(store, Kind.REVIEW, None, ["a"])
    assert sorted(logged(store)) == [("kim", "review", None, 1), ("mia@example.com", "cases", "triage", 3)]
    assert [each.signed_in for each in accesses.latest(store, actor="mia@example.com")] == [True]
    assert accesses.latest(store, tasks=["orders"]) == []
    assert len(accesses.latest(store, tasks=["triage"])) == 1


def test_the_same_call_seen_again_a_moment_later_counts_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page runs anew with every click; it is one view, until ten minutes have passed."""
    clock = [1000.0]
    monkeypatch.setattr(accesses.time, "monotonic", lambda: clock[0])
    with access.acting(MIA):
        for _ in range(3):
            accesses.viewed(store, Kind.CASES, "triage", ["a", "b"])
        accesses.viewed(store, Kind.CASES, "triage", ["b", "c"])
        accesses.viewed(store, Kind.CASE, "triage", ["a"])
        clock[0] += accesses.AGAIN_S
        accesses.viewed(store, Kind.CASES, "triage", ["a"])
    assert sorted(logged(store)) == [
        ("mia@example.com", "case", "triage", 1),
        ("mia@example.com", "cases", "triage", 4),
    ]


def test_what_a_remembered_result_shows_is_noted_for_each_reader(store: Store) -> None:
    """The query runs once; the second person who is shown its result is in the log too."""
    with access.acting(MIA), accesses.collecting() as shown:
        accesses.viewed(store, Kind.CASES, "triage", ["a", "b"])
    assert logged(store) == []
    for reader in (MIA, all_rights("kim")):
        with access.acting(reader):
            for seen in shown:
                accesses.note(store, seen)
    assert sorted(logged(store)) == [("kim", "cases", "triage", 2), ("mia@example.com", "cases", "triage", 2)]


def test_a_view_never_waits_for_a_store_that_another_process_holds(path: Path) -> None:
    """It goes to the spool; whoever reads the log later finds it, counted once."""
    Store.open(path).close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        store = Store(path, path.with_name(path.name + ".spool"), 30.0)
        started = time.thread_time()
        with access.acting(MIA):
            accesses.viewed(store, Kind.CASES, "triage", ["a", "b"])
            accesses.flush(store)
            accesses.exported(store, Kind.EXPORT_LABELS, "triage", 7)
        assert time.thread_time() - started < 5  # and not the 30 s that it would wait for the store
        assert len(list(store.spool.glob("accesses-*.parquet"))) == 2
        assert holder.poll() is None
    finally:
        holder.communicate("")
    for _ in range(2):
        assert sorted(logged(store)) == [
            ("mia@example.com", "cases", "triage", 2),
            ("mia@example.com", "export of labels", "triage", 7),
        ]
    store.close()


def test_a_program_that_ends_leaves_its_views_behind(path: Path) -> None:
    """A command lasts for a second: what it showed is written when it ends."""
    done = subprocess.run([sys.executable, "-c", READS_AND_ENDS, str(path)], check=False, timeout=120)
    assert done.returncode == 0
    with Store.open(path) as store:
        assert logged(store) == [("kim", "cases", "triage", 2)]


def test_what_cannot_be_noted_is_not_taken_out(store: Store) -> None:
    """An export that the log can't record is refused; a view is kept in memory, and the page shows."""
    store.spool.mkdir(exist_ok=True)
    blocked = store.spool.with_name("blocked")
    blocked.write_text("a file where a folder should be")
    other = Store(store.path, blocked, 1.0)
    with access.acting(MIA):
        with pytest.raises(EnvironmentalError, match="nothing was exported"):
            accesses.exported(other, Kind.EXPORT_LABELS, "triage", 3)
        accesses.viewed(other, Kind.CASES, "triage", ["a"])
        accesses.flush(other)
    blocked.unlink()
    accesses.flush(other)
    assert len(list(blocked.glob("accesses-*.parquet"))) == 1
    other.close()


def test_a_deleted_workspace_does_not_come_back_for_its_log(store: Store, tmp_path: Path) -> None:
    """What was seen stays in memory, and is written where the folder is there again."""
    gone = tmp_path / "gone" / "spool"
    other = Store(store.path, gone, 1.0)
    with access.acting(MIA):
        accesses.viewed(other, Kind.CASES, "triage", ["a"])
    accesses.flush(other)
    assert not gone.parent.exists()
    gone.parent.mkdir()
    accesses.flush(other)
    assert len(list(gone.glob("accesses-*.parquet"))) == 1
    other.close()


def test_many_waiting_parts_are_loaded_unasked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool does not fill up where nobody ever opens Settings."""
    monkeypatch.setattr(accesses, "PARTS_KEPT", 3)
    monkeypatch.setattr(accesses, "FLUSH_S", 0.01)
    with access.acting(MIA):
        for number in range(4):
            accesses.viewed(store, Kind.CASES, "triage", [str(number)])
            deadline = time.monotonic() + 30
            while not store.value("SELECT count(*) FROM accesses") and time.monotonic() < deadline:
                if len(list(store.spool.glob("accesses-*.parquet"))) > number:
                    break
                time.sleep(0.01)
    deadline = time.monotonic() + 30
    while not store.value("SELECT count(*) FROM accesses") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert store.value("SELECT count(*) FROM accesses") >= 3


def test_a_forked_child_keeps_its_own_log(store: Store) -> None:
    """What the parent has gathered is written once, by the parent."""
    with access.acting(MIA):
        accesses.viewed(store, Kind.CASES, "triage", ["a"])
        child = os.fork()
        if child == 0:
            accesses._flush_all()
            os._exit(0)
        os.waitpid(child, 0)
    assert logged(store) == [("mia@example.com", "cases", "triage", 1)]
