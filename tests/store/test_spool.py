"""Parts of the spool: each loaded exactly once, bad ones put aside."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_world import finished, observation, said

from workbench.store import Store
from workbench.store.spool import write_part

Start = Callable[..., "subprocess.Popen[str]"]
COUNT = "SELECT count(*) FROM observations"
EACH_ONCE = "SELECT count(*) FROM absorbed_parts"


def files(folder: Path) -> list[str]:
    """Return the files of a folder by name."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())


def test_a_part_is_loaded_once_and_deleted(store: Store) -> None:
    """Rows come back as they were written; another absorb adds nothing."""
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    write_part(store.spool, "observations", [observation("a", text="x\0y", started_at=moment, latency_ms=3)])
    assert store.absorb() == 1
    assert store.absorb() == 0
    assert files(store.spool) == []
    assert store.rows("SELECT call_id, text, started_at, latency_ms, error_kind FROM observations") == [
        {
            "call_id": "a",
            "text": "x\ufffdy",
            "started_at": datetime(2026, 5, 1, 12),  # noqa: DTZ001
            "latency_ms": 3.0,
            "error_kind": None,
        }
    ]


def test_parts_are_loaded_in_the_order_of_writing(store: Store) -> None:
    """Sequence numbers follow it, over many transactions too."""
    for index in range(7):
        write_part(store.spool, "observations", [observation(f"{index}-{i:04}") for i in range(600)])
    assert store.absorb() == 4_200
    ordered = [row["call_id"] for row in store.rows("SELECT call_id FROM observations ORDER BY seq")]
    assert ordered == sorted(ordered)


def test_a_known_observation_is_kept_as_it_is(store: Store) -> None:
    """A call answered twice counts once, with its first answer."""
    write_part(store.spool, "observations", [observation("a", text="first")])
    store.absorb()
    write_part(store.spool, "observations", [observation("a", text="second"), observation("b")])
    assert store.absorb() == 1
    assert store.value("SELECT text FROM observations WHERE call_id = 'a'") == "first"


def test_a_part_written_again_under_its_name_is_loaded_once(store: Store) -> None:
    """A worker that repeats itself doubles nothing, even in a table without keys."""
    event = {
        "replay_id": "r",
        "event": "started",
        "detail": "{}",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    for _ in range(2):
        write_part(store.spool, "replay_events", [event], name="r-0001")
        store.absorb()
    assert store.value("SELECT count(*) FROM replay_events") == 1


def test_bad_parts_are_put_aside_with_a_reason_and_stop_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken, foreign, of unknown columns, of wrong values, for tables that take none: the good ones load."""
    spool = store.spool
    good = write_part(spool, "observations", [observation("good")])
    pq.write_table(pa.table({"a": [1]}), spool / "observations-columns.parquet")
    pq.write_table(pa.table({"a": [1]}), spool / "nonsense-x.parquet")
    pq.write_table(pa.table({"part": ["p"]}), spool / "absorbed_parts-x.parquet")
    pq.write_table(pa.table({"number": [99]}), spool / "workbench_migrations-x.parquet")
    (spool / "observations-cut.parquet").write_bytes(good.read_bytes()[:-20])
    (spool / "observations-empty.parquet").write_bytes(b"")
    (spool / "holiday.parquet").write_bytes(b"x")
    write_part(spool, "observations", [observation("bad", attempts="many")], name="value")
    write_part(spool, "observations", [{"call_id": "no replay"}], name="missing")
    invalid = pa.table({"call_id": pa.array([b"\xff\xfe"])})
    pq.write_table(invalid, spool / "observations-utf8.parquet")

    assert store.absorb() == 1
    assert store.value(COUNT) == 1
    assert files(spool) == []
    aside = {each.path.name: each.reason for each in store.quarantined()}
    assert len(aside) == 10
    assert all(aside.values())
    assert "'a'" in aside["observations-columns.parquet"]
    assert "NULL" in aside["observations-missing.parquet"]
    assert "quarantine" in caplog.text
    assert store.absorb() == 0


@pytest.mark.parametrize("table", ["calls", "conflicts", "controls"])
def test_a_part_never_brings_a_call_its_answer_or_a_conflict(store: Store, table: str) -> None:
    """No key would keep one away that is there already: it is put aside, though its table could take it."""
    columns = store.rows(
        "SELECT column_name AS name, data_type AS kind FROM duckdb_columns()"
        " WHERE table_name = ? AND NOT is_nullable",
        (table,),
    )
    row = {each["name"]: {"VARCHAR[]": [], "BIGINT": 1}.get(each["kind"], "x") for each in columns}
    write_part(store.spool, table, [row])
    assert store.absorb() == 0
    assert len(store.quarantined()) == 1
    assert store.append(table, [row]) == 1


def test_a_part_in_the_making_is_not_touched(store: Store) -> None:
    """A writer's temporary file becomes a part by its final name only; a day-old one is swept up."""
    store.spool.mkdir()
    young, old = store.spool / ".observations-a.0.part", store.spool / ".observations-b.0.part"
    for file in (young, old):
        file.write_bytes(b"half")
    day_ago = time.time() - 25 * 3600
    os.utime(old, (day_ago, day_ago))
    assert store.absorb() == 0
    assert files(store.spool) == [young.name]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("observations", "../observations-x"),
        ("observations", "a/b"),
        ("observations", ".hidden"),
        ("observations", "a\0b"),
        ("../observations", "x"),
    ],
)
def test_a_part_stays_in_its_folder(tmp_path: Path, table: str, name: str) -> None:
    """Names that lead elsewhere are refused."""
    spool = tmp_path / "spool"
    with pytest.raises(ValueError, match="no name"):
        write_part(spool, table, [observation("a")], name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_killed_in_the_middle_of_loading_each_part_counts_once(
    store: Store, start: Start, moment: str
) -> None:
    """Whoever comes next loads what was not committed and deletes what was."""
    for index in range(3):
        write_part(store.spool, "observations", [observation(f"{index}-{i}") for i in range(100)])
    patch = {
        "before the commit": "Store._commit = staticmethod(lambda *_: os.kill(os.getpid(), signal.SIGKILL))",
        "after the commit": "Path.unlink = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)",
    }[moment]
    process = start(f"store = Store.open(path)\n{patch}\nstore.absorb()")
    assert process.wait(60) == -9
    committed = moment == "after the commit"
    assert store.value(COUNT) == (300 if committed else 0)
    assert len(files(store.spool)) == 3
    assert store.absorb() == (0 if committed else 300)
    assert store.value(COUNT) == 300
    assert store.value(EACH_ONCE) == 3
    assert files(store.spool) == []


def test_processes_that_absorb_at_once_load_each_part_once(store: Store, start: Start) -> None:
    """Three processes share 60 parts of a table without keys, which would show doubles."""
    event = {
        "replay_id": "r",
        "event": "started",
        "detail": "{}",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    for index in range(60):
        write_part(store.spool, "replay_events", [{**event, "detail": f"{index}-{i}"} for i in range(100)])
    code = "store = Store.open(path)\nprint(store.absorb())"
    others = [start(code) for _ in range(2)]
    own = store.absorb()
    assert own + sum(int(finished(process)) for process in others) == 6_000
    assert store.value("SELECT count(*) FROM replay_events") == 6_000
    assert store.value("SELECT count(DISTINCT detail) FROM replay_events") == 6_000
    assert files(store.spool) == []
    assert store.quarantined() == []


def test_absorbing_what_is_possible_now_does_not_wait(store: Store, start: Start) -> None:
    """A caller who will come again is not held up by another process."""
    write_part(store.spool, "observations", [observation("a")])
    store._shared.close()
    process = start("with Store.open(path).writing():\n    print('held', flush=True)\n    sys.stdin.read()")
    assert said(process) == "held"
    assert store.absorb(wait_s=0) == 0
    assert process.poll() is None
    process.kill()
    process.wait()
    assert store.absorb() == 1
