"""A replay on a full disk, under a clock that jumps, while its candidate or eval is edited."""

from __future__ import annotations

import functools
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving
from small_disk import small_disk

from workbench.config import Workspace
from workbench.errors import EnvironmentalError, UsageError, WorkbenchError
from workbench.progress import Progress
from workbench.replay import journal, status
from workbench.replay import replay as checked_replay
from workbench.replay.heartbeat import Heartbeat

replay = functools.partial(checked_replay, checks=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


def world(root: Path, server: Server, behaviour: str = "slow", calls: int = 200, **keys: Any) -> Workspace:
    """Make a workspace with calls and one candidate."""
    server.reset()
    keys = {"engine": "openai", "base_url": server.url(behaviour), "model": "m", "timeout_s": 20} | keys
    workspace = make_workspace(root, candidate_toml("c", **keys))
    with open_store(workspace) as store:
        add_calls(store, calls)
    return workspace


def at(done: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    """Return a listener that acts once, when so many calls are answered."""
    acted = []

    def listen(event: Progress) -> None:
        if event.done >= done and not acted:
            acted.append(True)
            act()

    return listen


def test_a_full_disk_holds_the_replay_up_and_loses_nothing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool's disk fills up: the replay waits and says so, then ends with all calls asked once."""
    workspace = world(tmp_path, server, calls=400, concurrency=4)
    monkeypatch.setattr(journal, "ROOM_EVERY_S", 0.1)
    monkeypatch.setattr("workbench.replay.loop.TICK_S", 0.1)
    with small_disk(workspace.spool, 2048) as disk, open_store(workspace) as store:
        filled_at: list[int] = []
        said_at: list[int] = []

        def listen(event: Progress) -> None:
            if event.done >= 60 and not filled_at:
                disk.fill()
                filled_at.append(event.done)
            elif "the disk is full" in event.note and not said_at:
                said_at.append(event.done)
                disk.make_room()

        report = replay(workspace, store, "spam", "c", listener=listen)
        assert 60 <= said_at[0] < 400
        assert (report.state, report.done) == ("finished", 400)
    prompts = server.stats("slow")["prompts"]
    assert len(prompts) == 400
    assert set(prompts.values()) == {1}


def test_a_disk_that_stays_full_stops_the_replay_and_a_resume_goes_on(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room for long it stops with a message; what was acknowledged before is there afterwards."""
    workspace = world(tmp_path, server, calls=300, concurrency=4)
    monkeypatch.setattr(journal, "ROOM_EVERY_S", 0.1)
    monkeypatch.setattr(journal, "DISK_FULL_WAIT_S", 0.8)
    monkeypatch.setattr("workbench.replay.loop.TICK_S", 0.1)
    with small_disk(workspace.spool, 2048) as disk, open_store(workspace) as store:
        heard: list[int] = []

        def listen(event: Progress) -> None:
            heard.append(event.done)
            if event.done >= 60 and not disk.path.joinpath("filler").exists():
                disk.fill()

        with pytest.raises(EnvironmentalError, match="can't be written"):
            replay(workspace, store, "spam", "c", listener=listen)
        disk.make_room()
        asked = sum(server.stats("slow")["prompts"].values())
        report = replay(workspace, store, "spam", "c")
        assert (report.state, report.done) == ("finished", 300)
        # What was counted as answered was kept: only what was on its way then is asked again.
        assert report.answered <= 300 - max(heard)
        assert sum(server.stats("slow")["prompts"].values()) - asked == report.answered


@pytest.mark.parametrize("filled_at", [0, 200])
def test_a_full_disk_that_holds_the_store_too_ends_in_words_and_a_resume_goes_on(
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    filled_at: int,
) -> None:
    """From the start or in the middle nothing can be written: it says what to do, and loses nothing."""
    server.reset()
    monkeypatch.setattr(journal, "ROOM_EVERY_S", 0.1)
    monkeypatch.setattr(journal, "DISK_FULL_WAIT_S", 0.5)
    monkeypatch.setattr("workbench.replay.loop.TICK_S", 0.1)
    with small_disk(tmp_path / "disk", 32_768) as disk:
        root = disk.path / "space"
        root.mkdir()
        keys = {"engine": "openai", "base_url": server.url("slow"), "model": "m", "timeout_s": 5}
        workspace = make_workspace(root, candidate_toml("c", **keys))
        heard: list[int] = []

        def listen(event: Progress) -> None:
            heard.append(event.done)
            if event.done >= filled_at and not disk.path.joinpath("filler").exists():
                disk.fill()

        with open_store(workspace) as store:
            add_calls(store, 1_000)
            if filled_at == 0:
                disk.fill()
            with pytest.raises(WorkbenchError, match="No space left") as raised:
                replay(workspace, store, "spam", "c", listener=listen, checks=False)
        assert raised.value.hint
        gc.collect()
        assert "never retrieved" not in caplog.text
        asked = sum(server.stats("slow")["prompts"].values())
        disk.make_room()
        with open_store(workspace) as store:
            report = replay(workspace, store, "spam", "c", checks=False)
            assert (report.state, report.done) == ("finished", 1_000)
            assert store.value("SELECT count(*) FROM observations") == 1_000
        assert report.answered <= 1_000 - max(heard, default=0)
        assert sum(server.stats("slow")["prompts"].values()) - asked == report.answered


@pytest.mark.parametrize("jump_s", [-3600.0, 366 * 86_400.0])
def test_a_clock_that_jumps_changes_no_duration_and_no_order(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    """An hour back or a year ahead in the middle: latencies, rates and the order of events stay sane."""
    workspace = world(tmp_path, server, calls=300, concurrency=4)
    jumped: list[float] = []
    real = time.time

    class Jumping(datetime):
        """The wall clock, off by the jump once it has happened."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=sum(jumped))

    for module in ("replay.flight", "store.replays", "store.database"):
        monkeypatch.setattr(f"workbench.{module}.datetime", Jumping)
    monkeypatch.setattr(time, "time", lambda: real() + sum(jumped))
    monkeypatch.setattr("workbench.replay.loop.TICK_S", 0.1)
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c", listener=at(100, lambda: jumped.append(jump_s)))
        assert jumped
        assert (report.state, report.done) == ("finished", 300)
        assert 0 < report.seconds < 60
        rows = store.rows("SELECT seq, latency_ms, started_at FROM observations ORDER BY seq")
        assert all(15 < row["latency_ms"] < 20_000 for row in rows)
        off_s = [(row["started_at"] - rows[0]["started_at"]).total_seconds() for row in rows]
        assert {round(each / jump_s) for each in off_s} == {0, 1}
        events = store.rows("SELECT event FROM replay_events ORDER BY seq")
        assert [row["event"] for row in events] == ["started", "finished"]
        assert status(workspace, store)[0].state == "finished"
        assert replay(workspace, store, "spam", "c").answered == 0


THROUGH_A_CHANGE = """
import json, os, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from workbench.config import Workspace
from workbench.replay import replay
from workbench.store import Store

offsets = {}


def listen(event):
    if event.done >= 50 and not os.environ["TZ"].startswith("CHG"):
        # A zone whose clocks change once this year, in one to two seconds. Its rules count in local time.
        moment = datetime.now(UTC) + timedelta(seconds=2)
        to_summer = sys.argv[2] == "to"
        local = moment if to_summer else moment + timedelta(hours=1)
        day = local.timetuple().tm_yday - 1
        change, other = f"{day}/{local:%H:%M:%S}", f"{(day + 180) % 365}/0"
        rules = [change, other] if to_summer else [other, change]
        os.environ["TZ"] = ",".join(["CHG0CHS-1", *rules])
        time.tzset()
    offsets.setdefault(time.localtime().tm_gmtoff, event.done)


workspace = Workspace.load(Path(sys.argv[1]))
with Store.open(workspace.store_path, spool=workspace.spool) as store:
    report = replay(workspace, store, "spam", "c", checks=False, listener=listen)
print(json.dumps([report.state, report.done, report.seconds, list(offsets.items())]))
"""


@pytest.mark.parametrize(("change", "offsets"), [("to", [0, 3600]), ("from", [3600, 0])])
def test_daylight_saving_time_changes_no_duration_no_order_and_no_time(
    tmp_path: Path, server: Server, change: str, offsets: list[int]
) -> None:
    """Local clocks go an hour on or back in the middle: times are those of UTC, events in their order."""
    workspace = world(tmp_path, server, calls=1000, concurrency=4)
    before = datetime.now(UTC).replace(tzinfo=None)  # The store gives times of UTC without a zone.
    run = subprocess.run(
        [sys.executable, "-c", THROUGH_A_CHANGE, str(tmp_path), change],
        env=os.environ | {"TZ": "STD0" if change == "to" else "SUM-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    after = datetime.now(UTC).replace(tzinfo=None)
    assert run.returncode == 0, run.stderr
    state, done, seconds, seen = json.loads(run.stdout)
    assert [offset for offset, _ in seen] == offsets
    assert 0 < seen[1][1] < 1000  # The change came while calls were asked.
    assert (state, done) == ("finished", 1000)
    assert 0 < seconds < (after - before).total_seconds()
    with open_store(workspace) as store:
        rows = store.rows("SELECT latency_ms, started_at FROM observations ORDER BY seq")
        assert all(15 < row["latency_ms"] < 20_000 for row in rows)
        assert all(before < row["started_at"] < after for row in rows)
        events = store.rows("SELECT event, created_at FROM replay_events ORDER BY seq")
        assert [row["event"] for row in events] == ["started", "finished"]
        assert before < events[0]["created_at"] < events[1]["created_at"] < after
        assert status(workspace, store)[0].state == "finished"
        assert replay(workspace, store, "spam", "c").answered == 0


def test_a_candidate_edited_in_the_middle_begins_another_replay(tmp_path: Path, server: Server) -> None:
    """The running replay ends as what it was; the command afterwards belongs to the new fingerprint."""
    workspace = world(tmp_path, server, calls=120, concurrency=4)
    config = tmp_path / "workbench.toml"

    def edit() -> None:
        config.write_text(config.read_text().replace('model = "m"', 'model = "n"'))

    with open_store(workspace) as store:
        replay(workspace, store, "spam", "c", listener=at(0, edit))
        edited = Workspace.load(tmp_path)
        assert edited.candidate("c").model == "n"
        second = replay(edited, store, "spam", "c")
        assert (second.done, second.answered) == (120, 120)
        rows = store.rows(
            """
            SELECT r.candidate_fingerprint AS f, list(DISTINCT json_extract_string(o.output, '$.model')) AS m
            FROM observations o JOIN replays r USING (replay_id) GROUP BY r.replay_id, f ORDER BY max(o.seq)
            """
        )
        assert [row["m"] for row in rows] == [["m"], ["n"]]
        assert rows[0]["f"] != rows[1]["f"]
        # Back to the first model, its replay is finished and nothing is asked.
        assert replay(workspace, store, "spam", "c").answered == 0


def test_an_eval_edited_in_the_middle_does_not_change_what_is_asked(tmp_path: Path, server: Server) -> None:
    """The eval as it was when the command began counts to the end: zone and labels are not mixed."""
    workspace = world(tmp_path, server, calls=120, concurrency=4)
    eval_file = tmp_path / "evals" / "spam" / "eval.toml"

    def edit() -> None:
        eval_file.write_text(eval_file.read_text().replace('"spam", "ham"', '"yes", "no"'))

    with open_store(workspace) as store:
        first = replay(workspace, store, "spam", "c", listener=at(0, edit))
        assert first.done == 120
        assert workspace.eval_for("spam").labels == ("spam", "ham")
        assert Workspace.load(tmp_path).eval_for("spam").labels == ("yes", "no")


@pytest.mark.parametrize("new", [False, True])
def test_answers_held_to_other_labels_are_never_mixed(tmp_path: Path, server: Server, new: bool) -> None:
    """Labels that bind the answers and change between two runs are refused; another edition is asked anew."""
    keys: dict[str, Any] = {"dialect": "vllm", "parameters": {"structured_outputs": True}}
    workspace = world(tmp_path, server, behaviour="constrained", calls=60, **keys)
    eval_file = tmp_path / "evals" / "spam" / "eval.toml"
    config = tmp_path / "workbench.toml"
    with open_store(workspace) as store:
        replay(workspace, store, "spam", "c", limit=20)
        asked = server.stats("constrained")["hits"]
        eval_file.write_text(eval_file.read_text().replace('"spam", "ham"', '"ham", "scam"'))
        edited = Workspace.load(tmp_path)
        for dry in (True, False):
            with pytest.raises(UsageError, match="must not be mixed") as refused:
                replay(edited, store, "spam", "c", limit=40, new=new, dry_run=dry)
            assert "edition" in refused.value.hint
        assert server.stats("constrained")["hits"] == asked
        # What is finished stays so: nothing would be asked.
        assert new or replay(edited, store, "spam", "c", limit=20).answered == 0
        config.write_text(config.read_text() + 'edition = "2"\n')
        again = replay(Workspace.load(tmp_path), store, "spam", "c", limit=40)
        assert (again.done, again.answered) == (40, 40)
        rows = store.rows(
            """
            SELECT list_sort(list(DISTINCT json_extract_string(output, '$.text'))) AS texts
            FROM observations GROUP BY replay_id ORDER BY max(seq)
            """
        )
        assert [row["texts"] for row in rows] == [["ham"], ["scam"]]


@pytest.mark.parametrize(("binds", "labels"), [(True, '"ham", "spam"'), (False, '"yes", "no"')])
def test_labels_in_another_order_and_labels_that_bind_nothing_stop_nobody(
    tmp_path: Path, server: Server, binds: bool, labels: str
) -> None:
    """Only what changes which answers can be given makes another candidate necessary."""
    keys: dict[str, Any] = {"dialect": "vllm", "parameters": {"structured_outputs": binds}}
    workspace = world(tmp_path, server, behaviour="constrained", calls=40, **keys)
    eval_file = tmp_path / "evals" / "spam" / "eval.toml"
    with open_store(workspace) as store:
        replay(workspace, store, "spam", "c", limit=20)
        eval_file.write_text(eval_file.read_text().replace('"spam", "ham"', labels))
        assert replay(Workspace.load(tmp_path), store, "spam", "c", limit=40).answered == 20


def test_pace_and_time_left_are_those_of_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow beginning long ago does not make the rest look slow."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    beat = Heartbeat(tmp_path, "r", total=10_000, before=0, _started=100.0)
    for _ in range(60):
        clock[0] += 1
        beat.done += 1
        beat.output_tokens += 5
        beat.note_pace()
    for _ in range(60):
        clock[0] += 1
        beat.done += 100
        beat.output_tokens += 700
        beat.note_pace()
    assert beat.calls_per_s == pytest.approx(100, rel=0.02)
    assert beat.tokens_per_s == pytest.approx(700, rel=0.02)
    assert beat.left_s == pytest.approx((10_000 - 6_060) / 100, rel=0.02)
    assert beat.average_per_s == pytest.approx(50.5, rel=0.02)
