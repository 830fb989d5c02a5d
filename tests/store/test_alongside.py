"""Questions that are asked ahead in a second thread."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from workbench import access
from workbench.access import requires
from workbench.errors import AccessRefused
from workbench.roles import Actor, Grant, Right, Role
from workbench.store import Store
from workbench.store.alongside import alongside
from workbench.store.remembered import remembered

VIEWER = Actor("vera", frozenset({Grant(Role.VIEWER)}), signed_in=True)


def test_what_is_asked_alongside_is_answered_once_for_the_block_too(tmp_path: Path) -> None:
    """The block gets the other thread's answer, on its way or there, and asks nothing a second time."""
    asked: list[str] = []

    with Store.open(tmp_path / "s.duckdb") as store:

        def question() -> int:
            return remembered(store, ("calls",), count, lambda _: 8)

        def count() -> int:
            asked.append(threading.current_thread().name)
            return int(store.value("SELECT count(*) FROM calls"))

        with alongside(store, question):
            while not asked:
                pass
            assert question() == 0
    assert asked == ["alongside"]


def test_a_question_that_fails_alongside_fails_in_the_block(tmp_path: Path) -> None:
    """The error reaches whoever needs the answer, and nobody else."""

    def broken() -> int:
        raise ValueError("no answer")

    with Store.open(tmp_path / "s.duckdb") as store:
        with alongside(store, broken):
            pass
        with alongside(store, broken), pytest.raises(ValueError, match="no answer"):
            broken()


def test_whoever_asks_has_no_other_rights_alongside(tmp_path: Path) -> None:
    """The second thread acts as the same person: what is refused here is refused there."""
    refused: list[bool] = []

    @requires(Right.REPLAY)
    def change(store: Store) -> None: ...

    def tried() -> None:
        try:
            change(store)
        except AccessRefused:
            refused.append(True)

    with Store.open(tmp_path / "s.duckdb") as store, access.acting(VIEWER), alongside(store, tried):
        pass
    assert refused == [True]


def test_inside_a_transaction_nothing_is_asked_alongside(tmp_path: Path) -> None:
    """Another thread would not see what the transaction added so far."""
    asked: list[bool] = []
    with (
        Store.open(tmp_path / "s.duckdb") as store,
        store.writing(),
        alongside(store, lambda: asked.append(True)),
    ):
        pass
    assert asked == []
