"""Several processes and one store: hand-over, busy, kill, fork, a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from store_world import finished, label, said

from workbench.errors import StoreBusy
from workbench.store import Store

Start = Callable[..., "subprocess.Popen[str]"]
COUNT = "SELECT count(*) FROM labels"

HOLD = """
with Store.open(path).writing():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_an_idle_process_gives_the_file_up_both_ways(store: Store, start: Start) -> None:
    """Neither the app nor a command has to end for the other to work."""
    store.append("labels", [label("ours")])
    process = start(
        """
        store = Store.open(path, wait_s=10)
        store.append("labels", [label("theirs")])
        print("theirs", flush=True)
        sys.stdin.readline()
        print(store.value("SELECT count(*) FROM labels"), flush=True)
        """
    )
    assert said(process) == "theirs"
    assert store.value(COUNT) == 2
    store.append("labels", [label("ours again")])
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process) == "3"


def test_a_process_that_reads_all_the_time_lets_others_in(store: Store, start: Start) -> None:
    """Pages that never pause do not keep a command out, and get on themselves."""
    stop, failed = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while not stop.is_set():
                store.rows("SELECT * FROM labels")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    process = start(
        """
        store = Store.open(path, wait_s=10)
        for i in range(10):
            store.append("labels", [label(f"{i}")])
            time.sleep(0.05)
        """
    )
    try:
        finished(process)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert store.value(COUNT) == 10


def test_four_processes_take_turns(store: Store, start: Start) -> None:
    """All their commits hold, and none starves."""
    code = """
    store = Store.open(path, wait_s=30)
    for i in range(25):
        store.append("labels", [label(f"{os.getpid()}-{i}")])
    """
    for process in [start(code) for _ in range(4)]:
        finished(process)
    assert store.value(COUNT) == 100


def test_a_busy_store_names_its_holder_after_the_wait(store: Store, path: Path, start: Start) -> None:
    """The message has process and command, and the hint says what to do."""
    store.close()
    process = start(HOLD)
    assert said(process) == "held"
    began = time.monotonic()
    with pytest.raises(StoreBusy, match=rf"process {process.pid} \(-c ") as busy:
        Store.open(path, wait_s=0.3)
    assert time.monotonic() - began >= 0.3
    assert busy.value.hint


def test_a_killed_holder_frees_the_file(store: Store, start: Start) -> None:
    """What it had not committed is gone, and nobody has to clean up."""
    process = start(
        """
        store = Store.open(path)
        with store.writing() as w:
            w.append('labels', [label('x')])
            print('held', flush=True)
            sys.stdin.read()
        """
    )
    assert said(process) == "held"
    process.kill()
    assert store.value(COUNT) == 0


def test_a_killed_waiter_is_forgotten(store: Store, start: Start) -> None:
    """Its turn is free again, and a later process gets in."""
    with store.writing() as writer:
        waiter = start("print('waits', flush=True)\nStore.open(path)")
        assert said(waiter) == "waits"
        time.sleep(1)
        waiter.kill()
        waiter.wait()
        writer.append("labels", [label("a")])
    assert finished(start("print(Store.open(path, wait_s=5).value('SELECT count(*) FROM labels'))")) == "1"
    assert store.value(COUNT) == 1


def test_another_duckdb_program_is_named_and_waited_for(store: Store, start: Start) -> None:
    """A shell that has the file open is no riddle, and once it is closed work goes on."""
    store._shared.close()
    process = start(
        """
        import duckdb
        c = duckdb.connect(str(path))
        print('open', flush=True)
        sys.stdin.readline()
        c.close()
        sys.stdin.read()
        """
    )
    assert said(process) == "open"
    store.wait_s = 0.3
    with pytest.raises(StoreBusy, match=f"process {process.pid} "):
        store.rows("SELECT 1")
    store.wait_s = 10
    assert process.stdin is not None
    threading.Timer(0.3, lambda: (process.stdin.write("\n"), process.stdin.flush())).start()  # type: ignore[union-attr]
    assert store.value(COUNT) == 0


def test_another_process_changes_the_version(store: Store, start: Start) -> None:
    """A page notices what a command wrote, without opening the file."""
    before = store.version()
    finished(start("Store.open(path).append('labels', [label('a')])"))
    after = store.version()
    assert after != before
    assert store.value(COUNT) == 1
    assert store.version() == after


@pytest.mark.slow
def test_kills_at_random_lose_nothing_acknowledged_and_double_nothing(store: Store, start: Start) -> None:
    """Twelve writers are killed at any point; every label they reported is there, once."""
    chance, acknowledged = random.Random(7), set()
    for turn in range(12):
        process = start(
            f"""
            store = Store.open(path)
            print("ready", flush=True)
            for i in range(100_000):
                store.append("labels", [label(f"{turn}-{{i}}")])
                print(f"{turn}-{{i}}", flush=True)
            """
        )
        assert said(process) == "ready"
        time.sleep(chance.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        acknowledged.update(line.strip() for line in process.stdout if line.endswith("\n"))
        process.wait()
    kept = [row["label_id"] for row in store.rows("SELECT label_id FROM labels")]
    assert len(acknowledged) > 20
    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept)) <= len(acknowledged) + 12


def test_a_forked_child_uses_a_connection_of_its_own(path: Path, start: Start) -> None:
    """Parent and child both write, and neither's exit harms the other."""
    process = start(
        """
        store = Store.open(path)
        store.append("labels", [label("before")])
        child = os.fork()
        if child == 0:
            store.append("labels", [label("child")])
            sys.exit(0)
        store.append("labels", [label("parent")])
        assert os.waitpid(child, 0)[1] == 0
        print(store.value("SELECT count(*) FROM labels"))
        """
    )
    assert finished(process) == "3"
    with Store.open(path) as store:
        assert store.value(COUNT) == 3


def test_a_child_forked_in_the_middle_of_a_transaction_is_refused_clearly(start: Start) -> None:
    """It says what to do instead, and the parent's transaction holds."""
    process = start(
        """
        from workbench.errors import EnvironmentalError
        store = Store.open(path)
        with store.writing() as writer:
            child = os.fork()
            if child == 0:
                try:
                    Store.open(path)
                except EnvironmentalError as error:
                    os._exit(7 if "spawn" in error.hint else 8)
                os._exit(9)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            writer.append("labels", [label("a")])
        print(store.value("SELECT count(*) FROM labels"))
        """
    )
    assert finished(process) == "1"


def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_file(store: Store, start: Start) -> None:
    """The lock is its parent's: it goes with it."""
    process = start(
        """
        store = Store.open(path)
        with store.writing():
            child = os.fork()
            if child == 0:
                time.sleep(30)
                os._exit(0)
            print(child, flush=True)
            sys.stdin.read()
        """
    )
    child = int(said(process))
    process.kill()
    try:
        store.wait_s = 2
        assert store.value(COUNT) == 0
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(path: Path, start: Start) -> None:
    """A limit on the size of files stands for the disk; readers and writers recover without a restart."""
    process = start(
        """
        import resource
        from workbench.errors import EnvironmentalError
        store = Store.open(path)
        store.append("labels", [label("before")])
        limit = path.stat().st_size + 100_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        kept = 1
        try:
            for i in range(100):
                store.append("labels", [{**label(f"{i}"), "note": os.urandom(20_000).hex()}])
                kept += 1
        except EnvironmentalError as error:
            assert error.hint, error
        else:
            raise AssertionError("the disk never filled")
        assert store.value("SELECT count(*) FROM labels") == kept
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.append("labels", [label("after")])
        assert store.value("SELECT count(*) FROM labels") == kept + 1
        print(kept + 1)
        """
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    with Store.open(path) as store:
        assert store.value(COUNT) == int(output)


def test_a_process_that_forgets_to_close_ends_quietly(path: Path, start: Start) -> None:
    """No warnings about leaks, no thread that hangs, no log left behind."""
    process = start(
        """
        store = Store.open(path)
        store.append('labels', [label('a')])
        store.frame('SELECT * FROM labels')
        """
    )
    assert finished(process) == ""
    assert not path.with_name(path.name + ".wal").exists()


def test_labels_are_committed_while_another_process_absorbs(store: Store, start: Start) -> None:
    """Eight reviewers and a busy worker share the file, and no label or answer is missing at the end."""
    process = start(
        """
        store = Store.open(path, wait_s=60)
        print("ready", flush=True)
        for part in range(20):
            row = {"replay_id": "r", "repeat": 0, "output": "x" * 300, "attempts": 1}
            write_part(store.spool, "observations", [{**row, "call_id": f"{part}-{i}"} for i in range(200)])
            store.absorb()
        """
    )
    assert said(process) == "ready"
    store.wait_s = 60

    def review(who: int) -> None:
        for number in range(10):
            store.append("labels", [label(f"{who}-{number}")])

    threads = [threading.Thread(target=review, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finished(process)
    assert store.value(COUNT) == 80
    assert store.value("SELECT count(*) FROM observations") == 4_000
