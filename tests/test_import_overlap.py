"""Loading while files are still being read comes to what loading afterwards comes to."""

from __future__ import annotations

import copy
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from import_world import Desk, counted

from workbench.errors import StoreBusy
from workbench.ingest import children, import_files, importing, storing
from workbench.ingest.order import InOrder
from workbench.store import MemoryShort, Store, Writer, early, imports
from workbench.store.staging import Staging


@given(st.lists(st.integers(0, 3), max_size=40), st.randoms(use_true_random=False))
def test_parts_are_given_in_order_as_soon_as_they_are_settled(owners: list[int], dice: random.Random) -> None:
    """Whoever is ahead, names come in order, each once, and none waits without need."""
    order = InOrder(4)
    rest: list[list[str]] = [[] for _ in range(4)]
    for number, owner in enumerate(owners):
        rest[owner].append(f"{number:03d}")
    given_out: list[str] = []
    going = list(range(4))
    while going:
        owner = dice.choice(going)
        if rest[owner]:
            given_out += order.add(owner, rest[owner].pop(0))
        else:
            going.remove(owner)
            given_out += order.end(owner)
        assert given_out == [f"{number:03d}" for number in range(len(given_out))]
    assert len(given_out) == len(owners)


def call(identity: str | None, said: str = "At home.", **beside: Any) -> dict[str, Any]:
    """Return a line of a log."""
    answer = {"finish_reason": "stop", "message": {"role": "assistant", "content": said}}
    response: dict[str, Any] = {"id": identity, "model": "m-1", "choices": [answer]}
    response["usage"] = {"prompt_tokens": 9, "completion_tokens": 2}
    if identity is None:
        del response["id"]
    request = {"model": "m", "messages": [{"role": "user", "content": "Where is my parcel, please?"}]}
    return {"timestamp": 1_760_000_000, "request": request, "response": response, **beside}


CALLS = [call(str(number), f"Answer {number}.") for number in range(40)]
LOGS: dict[str, list[list[dict[str, Any]]]] = {
    "all new": [CALLS],
    "with rejects": [[*CALLS, {"request": {}}, {}]],
    "twice the same id": [[*CALLS, CALLS[3]]],
    "twice the same id, another answer": [[*CALLS, call("3", "Elsewhere.")]],
    "the same again": [CALLS, CALLS],
    "some known": [CALLS[:20], CALLS],
    "without ids": [[*CALLS, call(None), call(None)]],
    "nothing but rejects": [[{"request": {"messages": []}, "response": {"choices": []}}]],
    "other names": [[{"id": "a", "workload_id": "w"} | call("b")], [call("c")]],
}


def stored(desk: Desk) -> dict[str, Any]:
    """Return what a workspace holds, without what differs from import to import."""
    names = {row["manifest_id"]: row["n"] for row in desk.store.rows(
        "SELECT manifest_id, row_number() OVER (ORDER BY seq) AS n FROM manifests"
    )}  # fmt: skip
    found: dict[str, Any] = {}
    for table, order in (
        ("calls", "seq"),
        ("controls", "call_id"),
        ("conflicts", "call_id"),
        ("rejects", "line"),
    ):
        rows = desk.store.rows(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608 -- names of this file
        found[table] = [
            {key: value for key, value in row.items() if key != "seq"}
            | {"manifest_id": names[row["manifest_id"]]}
            for row in rows
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("name", LOGS)
def test_loading_early_comes_to_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the files hold: the same rows in the same order, the same counts, and the store is free."""
    monkeypatch.setattr(storing, "BEGIN_AT", 0.0)
    (tmp_path / "late").mkdir()
    (tmp_path / "early").mkdir()
    late, early = Desk(tmp_path / "late"), Desk(tmp_path / "early")
    begun: list[bool] = []
    finish = storing.Storing.finish

    def watched(self: storing.Storing, *args: Any) -> bool:
        begun.append(finish(self, *args))
        return begun[-1]

    monkeypatch.setattr(storing.Storing, "finish", watched)
    for number, rows in enumerate(LOGS[name]):
        first = late.take(late.write(f"{number}.jsonl", *rows), source="s")
        path = early.write(f"{number}.jsonl", *rows)
        second = import_files(early.workspace, lambda: early.store, [path], source="s")
        assert counted(second) == second.records
        first.manifest_id = second.manifest_id = None
        assert second == first
    assert stored(early) == stored(late)
    # What came late was never loaded early; what had to be judged was loaded again.
    assert begun[0] is False
    assert begun[1] is not name.startswith(("twice", "without"))
    with early.store.writing() as writer:
        assert writer.value("SELECT count(*) FROM manifests") == len(LOGS[name])


def test_an_import_that_is_stopped_while_it_loads_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was loaded before everything was read goes with the transaction, and the store is free."""
    monkeypatch.setattr(storing, "BEGIN_AT", 0.0)
    desk = Desk(tmp_path)
    log = desk.write("log.jsonl", *CALLS)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            importing, "_describe", stop
        )  # After everything was read, before anything is committed.
        with pytest.raises(KeyboardInterrupt):
            import_files(desk.workspace, lambda: desk.store, [log])
    assert desk.count("calls") == desk.count("manifests") == 0
    assert desk.take(log).accepted == len(CALLS)


def test_readers_that_share_a_file_load_it_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the calls is that of their lines, however the readers take turns."""
    monkeypatch.setattr(children, "SHARED_FROM_BYTES", 1)
    monkeypatch.setattr(storing, "BEGIN_AT", 0.0)
    desk = Desk(tmp_path)
    long = "word " * 400
    rows = []
    for number in range(6_000):
        row = copy.deepcopy(CALLS[0])
        row["response"]["id"] = f"{number:05d}"
        row["request"]["messages"][0]["content"] = f"{long} {number}"
        rows.append(row)
    report = import_files(desk.workspace, lambda: desk.store, [desk.write("log.jsonl", *rows)])
    assert report.accepted == len(rows)
    found = [row["native_id"] for row in desk.store.rows("SELECT native_id FROM calls ORDER BY seq")]
    assert found == [row["response"]["id"] for row in rows]


ASKING = """
import sys
from pathlib import Path
from workbench.store import Store

with Store.open(Path(sys.argv[1])) as store:
    print(store.value("SELECT count(*) FROM calls"))
"""


def ready(root: Path, monkeypatch: pytest.MonkeyPatch, *, long: bool) -> tuple[Desk, Path]:
    """Return a workspace whose imports load early, and a log that counts as long or as short."""
    monkeypatch.setattr(storing, "BEGIN_AT", 0.0)
    monkeypatch.setattr(storing, "PATIENT_BYTES", 0 if long else 1 << 30)
    desk = Desk(root)
    return desk, desk.write("log.jsonl", *CALLS)


@pytest.mark.parametrize("long", [True, False])
def test_a_long_import_gives_way_to_another_process_while_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """Who asks for the store while a long log is read is answered at once; a short one is waited for."""
    desk, log = ready(tmp_path, monkeypatch, long=long)
    begun = threading.Event()
    taken, settled = early.EarlyLoad.take, storing.Storing.settled
    asked: list[subprocess.Popen[str]] = []
    answers: list[str] = []

    def take(self: early.EarlyLoad, tables: Iterable[Any]) -> None:
        begun.set()
        taken(self, tables)

    def held_up(self: storing.Storing, name: str) -> None:
        """Have another process ask once the transaction is open: a long import lets it while it reads."""
        assert begun.wait(30)
        command = [sys.executable, "-c", ASKING, str(desk.workspace.store_path)]
        asked.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        until = time.monotonic() + 30
        while not (long or desk.store.is_wanted) and time.monotonic() < until:
            time.sleep(0.01)
        if long:
            answers.append(asked[0].communicate(timeout=30)[0].strip())
        settled(self, name)

    monkeypatch.setattr(early.EarlyLoad, "take", take)
    monkeypatch.setattr(storing.Storing, "settled", held_up)
    report = import_files(desk.workspace, lambda: desk.store, [log])
    assert report.accepted == desk.count("calls") == len(CALLS)
    if not long:
        answers.append(asked[0].communicate(timeout=30)[0].strip())
    assert answers == (["0"] if long else [str(len(CALLS))])


@pytest.mark.parametrize("long", [True, False])
def test_a_store_that_is_busy_while_a_long_log_is_read_is_asked_again_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """Loading early is a gain of time and no more: for a long log there is time until everything is read."""
    desk, log = ready(tmp_path, monkeypatch, long=long)
    begin, busy = early.EarlyLoad.__init__, [StoreBusy("The store is in use.")]

    def refused_once(self: early.EarlyLoad, writer: Writer, manifest_id: str) -> None:
        if busy:
            raise busy.pop()
        begin(self, writer, manifest_id)

    monkeypatch.setattr(early.EarlyLoad, "__init__", refused_once)
    if long:
        assert import_files(desk.workspace, lambda: desk.store, [log]).accepted == len(CALLS)
    else:
        with pytest.raises(StoreBusy):
            import_files(desk.workspace, lambda: desk.store, [log])
        assert desk.count("manifests") == 0


def test_memory_that_runs_short_as_an_early_load_ends_stores_nothing_and_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import ends with the reason; taken again it holds what its report says."""
    monkeypatch.setattr(storing, "BEGIN_AT", 0.0)
    desk = Desk(tmp_path)
    log = desk.write("log.jsonl", *CALLS, {"request": {}})

    def short(*_: object) -> None:
        raise MemoryShort("Too little memory.")

    with monkeypatch.context() as patch:
        patch.setattr(imports, "append_manifest", short)
        with pytest.raises(MemoryShort):
            import_files(desk.workspace, lambda: desk.store, [log])
    assert desk.count("calls") == desk.count("manifests") == desk.count("rejects") == 0
    report = import_files(desk.workspace, lambda: desk.store, [log])
    assert counted(report) == report.records == len(CALLS) + 1


@pytest.mark.parametrize("longer", [False, True], ids=["all alike", "longer ones later"])
def test_an_early_load_begins_again_where_later_calls_need_more_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longer: bool
) -> None:
    """Room is made for what was read by then; nothing is lost where that turns out to be too little."""
    monkeypatch.setattr(storing, "BEGIN_AT", 0.0)
    told: list[int] = []
    monkeypatch.setattr(Store, "make_room", lambda _, run_bytes: told.append(run_bytes))
    sizes = iter([1_000, *([10**9] if longer else [1_000]) * 9])
    monkeypatch.setattr(Staging, "longest_run", lambda _, of_more=False: next(sizes))
    desk = Desk(tmp_path)
    log = desk.write("log.jsonl", *CALLS)
    report = import_files(desk.workspace, lambda: desk.store, [log])
    assert (report.accepted, desk.count("calls")) == (len(CALLS), len(CALLS))
    assert told == ([1_000, 10**9] if longer else [1_000])
