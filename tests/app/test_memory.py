"""What the app remembers of the store, and for how long."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.store import Store
from workbench.ui import memory

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store, and nothing remembered."""
    memory._kept.clear()
    with Store.open(tmp_path / "w.duckdb") as made:
        yield made


def _answers(store: Store, table: str, made: list[int], *, slow: bool = False) -> int:
    """Count the rows of a table, through the memory; `made` grows with each time that it is counted."""

    def count() -> int:
        made.append(1)
        return int(store.value(f"SELECT count(*) FROM {table}"))  # noqa: S608

    return memory.answer(("root", "signature", "count", table, str(slow)), store, count)


def _gold(store: Store, call_id: str) -> None:
    store.append("gold", [{"call_id": call_id, "answer": "a", "origin": "o", "created_at": NOW}])


def _event(store: Store) -> None:
    row = {"replay_id": "r", "event": "started", "detail": "{}", "created_at": NOW}
    store.append("replay_events", [row])


def test_an_answer_is_kept_until_a_table_that_it_read_changes(store: Store) -> None:
    """A commit elsewhere asks nothing anew; one to the table itself does, in this process or another."""
    made: list[int] = []
    assert [_answers(store, "gold", made) for _ in range(3)] == [0, 0, 0]
    _event(store)
    assert _answers(store, "gold", made) == 0
    assert len(made) == 1
    _gold(store, "a")
    assert _answers(store, "gold", made) == 1
    assert len(made) == 2
    with Store.open(store.path) as other:
        other.append("gold", [{"call_id": "b", "answer": "a", "origin": "o", "created_at": NOW}])
    assert _answers(store, "gold", made) == 2


def test_a_benchmark_can_tell_what_was_asked_from_what_was_remembered(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question is noted with its time, its name alone, and whether the store was asked."""
    log = tmp_path / "questions.jsonl"
    monkeypatch.setenv(memory.LOG_VARIABLE, str(log))
    for _ in range(2):
        _answers(store, "gold", [])
    _gold(store, "a")
    _answers(store, "gold", [])
    lines = [json.loads(each) for each in log.read_text().splitlines()]
    assert [each["asked"] for each in lines] == [True, False, True]
    assert {tuple(each) for each in lines} == {("question", "ms", "asked")}


def test_a_view_is_known_by_its_tables(store: Store) -> None:
    """What reads a view is asked anew when a table beneath it changes."""
    made: list[int] = []
    _answers(store, "usable_calls", made)
    conflict = {"call_id": "c", "manifest_id": "m", "content_hash": "h", "file": "f", "line": 1, "call": "{}"}
    store.append("conflicts", [conflict])
    _answers(store, "usable_calls", made)
    assert len(made) == 2


def test_a_costly_answer_waits_for_rows_that_only_arrive(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While answers of a replay come in, what took long is held for a while; what is cheap is not."""
    made: list[int] = []
    _answers(store, "replay_events", made)
    _event(store)
    assert _answers(store, "replay_events", made) == 1
    monkeypatch.setattr(memory, "CHEAP_S", 0.0)
    monkeypatch.setattr(memory, "HOLD", 1e9)
    assert _answers(store, "replay_events", made, slow=True) == 1
    _event(store)
    assert _answers(store, "replay_events", made, slow=True) == 1
    monkeypatch.setattr(memory, "MOST_HOLD_S", 0.0)
    assert _answers(store, "replay_events", made, slow=True) == 2


def test_a_commit_during_the_question_is_not_missed(store: Store) -> None:
    """An answer that a commit overtook holds for nobody who asks later."""

    def count() -> int:
        found = int(store.value("SELECT count(*) FROM gold"))
        if not found:
            _gold(store, "a")
        return found

    assert memory.answer(("root", "count"), store, count) == 0
    assert memory.answer(("root", "count"), store, count) == 1


def test_many_who_ask_at_once_are_answered_by_one_query(store: Store) -> None:
    """Four people who open a page together make its queries once."""
    made: list[int] = []
    waiting = threading.Barrier(4)

    def ask() -> None:
        waiting.wait()
        _answers(store, "gold", made)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(made) == 1


def test_nobody_changes_what_another_is_told(store: Store) -> None:
    """Whoever changes an answer changes a copy of their own."""

    def rows() -> list[int]:
        return [1]

    memory.answer(("root", "rows"), store, rows).append(2)
    assert memory.answer(("root", "rows"), store, rows) == [1]
