"""One process: what the store keeps, how threads share it, and what it refuses to open."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_world import label

from workbench.errors import EnvironmentalError
from workbench.parts import PIECES
from workbench.store import RowRefused, Store, identity

NOTE = "SELECT note FROM labels WHERE label_id = ?"


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that keeps rows between the examples of a property."""
    with Store.open(tmp_path_factory.mktemp("store") / "workbench.duckdb") as opened:
        yield opened


def storable(text: str) -> str:
    """Return a text as the store promises to keep it."""
    return "".join(
        "\ufffd" if letter == "\0" or "\ud800" <= letter <= "\udfff" else letter for letter in text
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec=None)), min_size=1, max_size=5))
def test_any_text_comes_back_as_it_was_but_for_nul_and_lone_surrogates(
    shared_store: Store, texts: list[str]
) -> None:
    """Junk never stops an append, and changes nothing but itself."""
    unique = uuid.uuid4()
    rows = [label(f"{unique}-{i}") | {"note": text, "reasons": [text]} for i, text in enumerate(texts)]
    assert shared_store.append("labels", rows) == len(texts)
    for row, text in zip(rows, texts, strict=True):
        kept = shared_store.rows("SELECT note, reasons FROM labels WHERE label_id = ?", [row["label_id"]])
        assert kept == [{"note": storable(text), "reasons": [storable(text)]}]
        assert shared_store.value(
            "SELECT count(*) FROM labels WHERE label_id = ? AND note = ?", [row["label_id"], text]
        )


def test_columns_that_no_row_has_take_their_defaults_in_order(store: Store) -> None:
    """Sequence numbers follow the order of rows, in large appends too."""
    store.append("labels", [label(f"{i:06}") for i in range(5_000)])
    assert store.value("SELECT count(*) FROM labels WHERE seq IS NULL") == 0
    assert (
        store.value(
            "SELECT count(*) FROM (SELECT seq, lag(seq) OVER (ORDER BY label_id) AS before FROM labels) "
            "WHERE seq <= before"
        )
        == 0
    )


def test_times_are_kept_in_utc(store: Store) -> None:
    """A time of another zone is converted, as a value and as a parameter."""
    moment = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    store.append("labels", [label("a") | {"created_at": moment}])
    kept = store.value("SELECT created_at FROM labels WHERE created_at = ?", [moment])
    assert kept == datetime(2026, 3, 29, 0, 30)  # noqa: DTZ001 - the store's times have no zone


def test_an_arrow_table_is_appended_with_the_types_of_the_store(store: Store) -> None:
    """Other widths are converted, and NUL is replaced there too."""
    table = pa.table({"model": ["m"], "text_hash": ["a\0b"], "vector": pa.array([[0.5, 1.0]])})
    assert store.append("embeddings", table) == 1
    assert store.rows("SELECT * FROM embeddings") == [
        {"model": "m", "text_hash": "a\ufffdb", "vector": [0.5, 1.0]}
    ]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS), min_size=1, max_size=8), st.integers(0, 8))
def test_texts_in_pieces_are_stored_whole(
    shared_store: Store, texts: list[tuple[str | None, str | None]], cut: int
) -> None:
    """Whichever piece is missing or holds NUL, wherever a table is cut; no second one, no text."""

    def chunk(some: list[tuple[str | None, str | None]]) -> Any:
        begins, rest = ([each[piece] for each in some] for piece in (0, 1))
        fields = [pa.array(begins, pa.string()).dictionary_encode(), pa.array(rest, pa.string())]
        missing = pa.array([each is None for each in rest], pa.bool_())
        return pa.StructArray.from_arrays(fields, fields=list(PIECES), mask=missing)

    unique = uuid.uuid4()
    ids = [f"{unique}-{index}" for index in range(len(texts))]
    said = pa.chunked_array([chunk(texts[:cut]), chunk(texts[cut:])], PIECES)
    rows = pa.table({"call_id": ids, "manifest_id": ids, "output": ids, "marks": [[]] * len(ids)})
    assert shared_store.append("controls", rows.append_column("text", said)) == len(texts)
    kept = shared_store.rows(
        "SELECT text FROM controls WHERE call_id LIKE ? ORDER BY call_id", [f"{unique}%"]
    )
    wanted = [None if rest is None else storable((begins or "") + rest) for begins, rest in texts]
    assert [each["text"] for each in kept] == wanted


def test_known_rows_are_refused_or_passed_over_as_asked(store: Store) -> None:
    """A key is taken once, within one append too; without `ignore_known` nothing of the append is kept."""
    store.append("labels", [label("a")])
    with pytest.raises(RowRefused):
        store.append("labels", [label("b"), label("a")])
    assert store.value("SELECT count(*) FROM labels") == 1
    assert store.append("labels", [label("b"), label("b"), label("a")], ignore_known=True) == 1
    assert (
        store.append(
            "gold",
            [{"call_id": "c", "answer": "x", "origin": "o", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}],
            ignore_known=True,
        )
        == 1
    )


def test_nothing_is_nothing(store: Store) -> None:
    """No rows, no commit; no row, no value."""
    before = store.version()
    assert store.append("labels", []) == 0
    assert store.version() == before
    assert store.value("SELECT note FROM labels") is None
    assert store.rows("SELECT note FROM labels") == []
    assert list(store.frame("SELECT note, seq FROM labels").columns) == ["note", "seq"]


@pytest.mark.parametrize(
    "table", ["lables", 'labels"; DROP TABLE labels; --', "duckdb_tables", "usable_calls"]
)
def test_only_tables_of_the_schema_can_be_filled(store: Store, table: str) -> None:
    """A table's name comes from the catalogue or is refused."""
    with pytest.raises(ValueError, match="no table"):
        store.append(table, [label("a")])


def test_only_columns_of_the_schema_can_be_filled(store: Store) -> None:
    """A key of a log never becomes a column."""
    with pytest.raises(ValueError, match=r"no column 'noet'\. Did you mean 'note'\?"):
        store.append("labels", [label("a") | {"noet": "x"}])


def test_a_value_that_does_not_fit_its_column_is_named(store: Store) -> None:
    """The message says which column."""
    with pytest.raises(TypeError, match="note"):
        store.append("labels", [label("a") | {"note": {"a": 1}}])


def test_a_transaction_holds_as_a_whole_or_not_at_all(store: Store) -> None:
    """An exception in the block undoes all of it, and the version stays."""
    before = store.version()

    def fail() -> None:
        with store.writing() as writer:
            writer.append("labels", [label("a")])
            assert writer.value("SELECT count(*) FROM labels") == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.value("SELECT count(*) FROM labels") == 0
    assert store.version() == before


def test_calls_inside_a_transaction_join_it(store: Store) -> None:
    """Functions that take a store work in a transaction of their thread: they see and share it."""

    def fail() -> None:
        with store.writing() as writer:
            writer.append("labels", [label("a")])
            assert store.value("SELECT count(*) FROM labels") == 1
            store.append("labels", [label("b")])
            with store.writing() as inner:
                inner.append("labels", [label("c")])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.value("SELECT count(*) FROM labels") == 0


def test_reading_methods_do_not_write(store: Store) -> None:
    """A change that would not be announced by the version is refused."""
    store.append("labels", [label("a")])
    for sql in (
        "DELETE FROM labels",
        "SELECT 1; DELETE FROM labels",
        "INSERT INTO labels (label_id) VALUES ('x') RETURNING 1",
    ):
        with pytest.raises(ValueError, match="one SELECT"):
            store.rows(sql)
    assert store.value("SELECT count(*) FROM labels") == 1


def test_threads_do_not_mix_results(store: Store) -> None:
    """Eight threads that read and write at once each get their own answers."""
    wrong: list[object] = []

    def work(who: int) -> None:
        for turn in range(25):
            rows = store.rows("SELECT ? AS who, range AS n FROM range(?)", [who, 50 + who])
            store.append("labels", [label(f"{who}-{turn}") | {"note": f"{who}"}])
            own = store.value(NOTE, [f"{who}-{turn}"])
            if rows != [{"who": who, "n": n} for n in range(50 + who)] or own != f"{who}":
                wrong.append((who, turn))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.value("SELECT count(DISTINCT label_id) FROM labels") == 200


def test_several_stores_of_one_process_share_the_file(store: Store, path: Path) -> None:
    """Opening the same path again neither waits nor fails, and closing one leaves the other open."""
    with Store.open(path, wait_s=0.5) as other:
        other.append("labels", [label("a")])
        assert store.value("SELECT count(*) FROM labels") == 1
    assert store.value("SELECT count(*) FROM labels") == 1
    with pytest.raises(RuntimeError, match="closed"):
        other.rows("SELECT 1")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{folder}/a.parquet')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY labels TO '{folder}/out.csv'",
        "COPY labels FROM '/etc/passwd'",
        "EXPORT DATABASE '{folder}/out'",
        "IMPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/other.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('http://127.0.0.1:9/a.csv')",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "PRAGMA enable_profiling",
        "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
    ],
)
def test_the_database_opens_nothing_but_its_own_file(store: Store, tmp_path: Path, sql: str) -> None:
    """Ways out of the file are closed, and can't be opened again."""
    before = sorted(entry.name for entry in tmp_path.iterdir())
    with pytest.raises((duckdb.Error, EnvironmentalError)), store.writing() as writer:
        writer.execute(sql.format(folder=tmp_path))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert store.value("SELECT current_setting('enable_external_access')") is False


def test_the_file_can_be_read_by_duckdb_1_5(store: Store, path: Path) -> None:
    """The storage version is that of 1.5, and views work whatever name the file is opened under."""
    store.append("labels", [label("a")])
    store.close()
    with duckdb.connect(str(path), read_only=True) as connection:
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
        assert tags[0][0]["storage_version"].startswith("v1.5.0")
        assert connection.execute("SELECT count(*) FROM usable_calls").fetchall() == [(0,)]


def test_what_is_loaded_within_bounds_packs_long_texts_and_is_read_without_them(path: Path) -> None:
    """A store that was opened for loading packs long texts in less time, and any other reads them."""
    texts = [f"{number} {'word ' * 200}" for number in range(3_000)]
    with Store.open(path, memory_mb=256) as store:
        store.append("labels", [label(f"l{number}") | {"note": text} for number, text in enumerate(texts)])
    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")
        packed = dict(
            connection.execute(
                "SELECT column_name, max(compression) FROM pragma_storage_info('labels')"
                " WHERE column_name IN ('note', 'label_id') AND segment_type = 'VARCHAR' GROUP BY ALL"
            ).fetchall()
        )
    assert packed == {"note": "ZSTD", "label_id": "Uncompressed"}
    with Store.open(path) as store:
        assert [row["note"] for row in store.rows("SELECT note FROM labels ORDER BY seq")] == texts


def scattered(first: int, count: int, manifest_id: str = "first") -> pa.Table:
    """Return rows for the table of calls, with keys as scattered and as long as theirs."""
    keys = [
        hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()
        for number in range(first, first + count)
    ]
    needed = ("source", "native_id", "task", "request_hash", "content_hash", "request", "attributes")
    texts = {name: pa.repeat("x", count) for name in needed} | {"manifest_id": pa.repeat(manifest_id, count)}
    return pa.table({"call_id": keys, **texts, "marks": pa.array([[]] * count, pa.list_(pa.string()))})


def test_calls_beyond_what_the_bounds_hold_are_added_and_compared_with_those_that_are_there(
    path: Path,
) -> None:
    """No index of them has to stay in memory: an import takes the same memory beside however many."""
    count = 400_000
    with Store.open(path, memory_mb=32) as store:
        assert store.append("calls", scattered(0, count)) == count
        with store.writing() as writer:
            assert writer.append("calls", scattered(count - 1, 50_000, "second")) == 50_000
            assert identity.twice(writer, "second") == 1


def test_conflicts_beyond_what_the_bounds_hold_are_added(path: Path) -> None:
    """An export may tell all calls of a log otherwise: no index of conflicts has to stay in memory either."""
    calls = scattered(0, 400_000)
    texts = dict.fromkeys(("call_id", "content_hash", "call"), calls["call_id"])
    rows = pa.table(texts | dict.fromkeys(("manifest_id", "file"), calls["source"]))
    rows = rows.append_column("line", pa.array(range(rows.num_rows)))
    with Store.open(path, memory_mb=32) as store:
        assert store.append("conflicts", rows) == rows.num_rows


def test_a_commit_that_memory_is_too_short_for_says_so_and_stores_nothing(path: Path) -> None:
    """The disk is not to blame for it, and the store takes what is smaller at once."""
    names = scattered(0, 200_000)["call_id"]
    rows = pa.table({"part": names, "table_name": names, "rows": pa.repeat(1, len(names))})
    rows = rows.append_column("absorbed_at", pa.repeat(datetime(2026, 1, 1), len(names)))  # noqa: DTZ001 - as stored
    with Store.open(path, memory_mb=24) as store:
        with pytest.raises(EnvironmentalError, match="more memory than") as short:
            store.append("absorbed_parts", rows)
        assert "Nothing of it was stored" in short.value.hint
        assert store.append("absorbed_parts", rows.slice(0, 1_000)) == 1_000


def test_rows_that_were_added_are_let_go_before_their_transaction_ends(path: Path) -> None:
    """DuckDB keeps what it knew by a name until the end, and an import of any size is one transaction."""
    with Store.open(path) as store, store.writing() as writer:
        writer.append("calls", scattered(0, 1_000))
        before = pa.total_allocated_bytes()
        for number in range(1, 21):
            writer.append("calls", scattered(1_000 * number, 1_000))
            with writer.lent("some_rows", scattered(0, 1_000)):
                assert writer.value("SELECT count(*) FROM some_rows") == 1_000
        assert pa.total_allocated_bytes() - before < 100_000
        assert writer.value("SELECT count(*) FROM calls") == 21_000


def test_the_version_changes_with_a_commit_and_only_then(store: Store) -> None:
    """Reading, closing and reopening leave it alone."""
    first = store.version()
    store.rows("SELECT 1")
    assert store.version() == first
    store.append("labels", [label("a")])
    second = store.version()
    assert second != first
    store._shared.close()
    store.rows("SELECT 1")
    assert store.version() == second


def test_the_version_of_a_commit_cut_short_is_never_the_same_twice(store: Store) -> None:
    """Until the store is opened again nobody knows whether that commit held, so nothing is cached."""
    store._shared.close()
    store._shared.versions.begin()
    assert store.version() != store.version()
    store.rows("SELECT 1")
    assert store.version() == store.version()


def test_a_store_that_vanishes_while_it_is_in_use_is_not_made_anew(store: Store, path: Path) -> None:
    """A file that was there and is gone is said to be gone: an empty one in its place would say "no data"."""
    store.append("labels", [label("a")])
    kept = path.with_name("kept")
    store._shared.close()
    version = store.version()
    path.rename(kept)
    assert store.version() != store.version()
    with pytest.raises(EnvironmentalError, match="was there a moment ago and is gone") as caught:
        store.value("SELECT count(*) FROM labels")
    assert caught.value.hint is not None
    assert "Put it back" in caught.value.hint
    assert not path.exists()
    path.touch()
    assert store.version() != store.version()
    kept.rename(path)
    assert store.version() == version
    assert store.value("SELECT count(*) FROM labels") == 1


def test_a_store_that_takes_the_place_of_another_has_a_version_of_its_own(store: Store, path: Path) -> None:
    """Caches of the deleted store don't answer for the new one."""
    seen = {store.version()}
    store.close()
    path.unlink()
    with Store.open(path) as new:
        assert new.version() not in seen
