"""Files of other versions, and files that aren't stores."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from store_world import label

from workbench.errors import EnvironmentalError, StoreIncompatible
from workbench.store import Store, migrate

REAL = migrate.bundled()
ADDED = migrate.Migration(
    9001,
    "9001_moods",
    "ALTER TABLE labels ADD COLUMN mood VARCHAR; CREATE TABLE moods (mood VARCHAR PRIMARY KEY);",
)
BROKEN = migrate.Migration(9002, "9002_broken", "CREATE TABLE half (a INTEGER); SELECT nonsense;")


@pytest.fixture
def old(path: Path) -> Path:
    """A store of this version with one label, closed."""
    with Store.open(path) as store:
        store.append("labels", [label("a")])
    return path


def backups(path: Path) -> list[Path]:
    """Return the copies beside a store."""
    return sorted(path.parent.glob(path.name + ".backup-*"))


def test_migrations_are_numbered_without_gaps() -> None:
    """The bundled files are found as resources, in order."""
    assert [step.number for step in REAL] == list(range(1, len(REAL) + 1))


def test_an_older_store_is_migrated_after_a_backup(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows stay, the new column can be filled, and the copy is the store from before."""
    monkeypatch.setattr(migrate, "bundled", lambda: [*REAL, ADDED])
    with Store.open(old) as store:
        store.append("labels", [label("b") | {"mood": "fine"}])
        assert store.rows("SELECT label_id, mood FROM labels ORDER BY seq") == [
            {"label_id": "a", "mood": None},
            {"label_id": "b", "mood": "fine"},
        ]
    (backup,) = backups(old)
    with duckdb.connect(str(backup), read_only=True) as copy:
        assert copy.execute("SELECT label_id FROM labels").fetchall() == [("a",)]
        assert copy.execute("SELECT max(number) FROM workbench_migrations").fetchall() == [(REAL[-1].number,)]


def test_a_current_store_is_not_copied(old: Path) -> None:
    """Opening what needs no migration makes no backup."""
    Store.open(old).close()
    assert backups(old) == []


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the step and the backup, and the version before still reads the store."""
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "bundled", lambda: [*REAL, BROKEN])
        with pytest.raises(StoreIncompatible, match=r"9002_broken(.|\n)*backup-v"):
            Store.open(old)
    with Store.open(old) as store:
        assert store.value("SELECT count(*) FROM labels") == 1
        assert store.value("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'half'") == 0


def test_a_store_of_a_newer_version_is_refused(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not touched."""
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "bundled", lambda: [*REAL, ADDED])
        Store.open(old).close()
    content = old.read_bytes()
    with pytest.raises(StoreIncompatible, match="newer version"):
        Store.open(old)
    assert old.read_bytes() == content


def test_a_database_of_somebody_else_is_refused(path: Path) -> None:
    """Its tables stay as they are."""
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE theirs (a INTEGER)")
    with pytest.raises(StoreIncompatible, match="not a store"):
        Store.open(path)
    with duckdb.connect(str(path)) as other:
        assert other.execute("SHOW TABLES").fetchall() == [("theirs",)]


@pytest.mark.parametrize("version", range(1, len(REAL) + 1))
def test_a_store_of_every_version_opens_and_keeps_its_rows(path: Path, version: int) -> None:
    """What the first migrations alone made is brought up to date by all that came after them."""
    migrate.create(path, REAL[:version])
    with duckdb.connect(str(path)) as made:
        made.register("first", pa.Table.from_pylist([label("first")]))
        made.execute("INSERT INTO labels BY NAME SELECT * FROM first")
    with Store.open(path) as store:
        store.append("labels", [label("second")])
        found = store.rows("SELECT label_id FROM labels ORDER BY seq")
        probes = store.value(
            "SELECT count(*) FROM latency_probes p JOIN latency_probe_calls USING (probe_id)"
        )
    assert [row["label_id"] for row in found] == ["first", "second"]
    assert probes == 0
    assert len(backups(path)) == (version < len(REAL))


def test_a_migration_that_made_stores_is_never_changed() -> None:
    """A store that has it would differ from a new one; what is to change goes into the next one."""
    found = {step.name: hashlib.sha256(step.sql.encode()).hexdigest()[:16] for step in REAL}
    assert found["0001_first"] == "b2ceda44e743d0fe"


def test_a_path_that_can_hold_no_store_is_a_clear_error(tmp_path: Path) -> None:
    """A folder, a pipe, and a place below a file are named, and nothing waits or is replaced."""
    (tmp_path / "folder.duckdb").mkdir()
    os.mkfifo(tmp_path / "pipe.duckdb")
    for name in ("folder.duckdb", "pipe.duckdb"):
        with pytest.raises(StoreIncompatible, match="not a file"):
            Store.open(tmp_path / name)
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentalError, match="folder of the store"):
        Store.open(tmp_path / "file" / "a.duckdb")
    assert (tmp_path / "pipe.duckdb").is_fifo()


@pytest.mark.parametrize("content", [b"hello", b"hello" * 10_000, b"\0" * 8 + b"DUCK" + b"\xff" * 20_000])
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    """It is not touched either."""
    path.write_bytes(content)
    with pytest.raises(StoreIncompatible):
        Store.open(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("keep", [13, 5_000, 0.5])
def test_a_store_cut_short_is_refused(old: Path, keep: float) -> None:
    """A damaged file gives a message with the next step, not a traceback."""
    content = old.read_bytes()
    old.write_bytes(content[: int(keep if keep > 1 else len(content) * keep)])
    with pytest.raises(EnvironmentalError) as refused:
        Store.open(old).rows("SELECT * FROM labels")
    assert refused.value.hint


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """That is what `touch` and some temporary-file helpers leave."""
    path.touch()
    with Store.open(path) as store:
        assert store.value("SELECT count(*) FROM labels") == 0


def test_a_log_without_its_store_is_not_applied_to_a_new_one(path: Path) -> None:
    """Whoever lost the file learns of it."""
    path.with_name(path.name + ".wal").write_bytes(b"x")
    with pytest.raises(StoreIncompatible, match="write-ahead log"):
        Store.open(path)
