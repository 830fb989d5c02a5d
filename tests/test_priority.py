"""Work in the background stands still while a person is served, and never for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import priority
from workbench.store import Store

SOON_S = 30.0
"""What happens at all happens within this, on the busiest machine."""


@pytest.fixture(autouse=True)
def nobody_waits() -> Iterator[None]:
    priority._served.clear()
    yield
    priority._served.clear()


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LONGEST_S", "PATIENCE_S"):
        monkeypatch.setattr(priority, name, 10 * SOON_S)


class Beside:
    """A thread that does one thing in the background."""

    def __init__(self, work: object) -> None:
        self.begun, self.done = threading.Event(), threading.Event()
        self._work = work
        threading.Thread(target=self._run, daemon=True).start()
        assert self.begun.wait(SOON_S)

    def _run(self) -> None:
        with priority.background():
            self.begun.set()
            self._work()  # type: ignore[operator]
            self.done.set()


@pytest.mark.usefixtures("long_waits")
def test_a_read_in_the_background_waits_until_the_person_is_served(tmp_path: Path) -> None:
    """It has not run while somebody is served, has afterwards, and the person's own read never waits."""
    with Store.open(tmp_path / "a.duckdb") as store:
        priority.served_first()
        beside = Beside(lambda: store.value("SELECT 1"))
        assert store.value("SELECT 2") == 2
        with store.writing() as writer:
            # No commit waits either: work in the background holds nothing while it stands still.
            writer.rows("SELECT 3")
        assert not beside.done.wait(0.2)
        priority.served()
        assert beside.done.wait(SOON_S)


@pytest.mark.usefixtures("long_waits")
def test_all_who_are_served_come_first() -> None:
    """One of two being served is not enough."""
    other = threading.Event()
    both = threading.Barrier(2)

    def serve() -> None:
        priority.served_first()
        both.wait(SOON_S)
        other.wait(SOON_S)
        priority.served()

    priority.served_first()
    second = threading.Thread(target=serve)
    second.start()
    both.wait(SOON_S)
    beside = Beside(priority.give_way)
    priority.served()
    assert not beside.done.wait(2 * priority.AFTERWARDS_S)
    other.set()
    assert beside.done.wait(SOON_S)
    second.join()


def test_whoever_never_says_that_they_were_served_holds_up_nothing() -> None:
    """A page that broke off in the middle is waited for no longer than the limit."""
    priority.served_first()
    assert Beside(priority.give_way).done.wait(SOON_S)
    assert not priority._served


def test_work_is_done_however_busy_people_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is served all the time: the work stands still for its patience in all, then goes on."""
    monkeypatch.setattr(priority, "LONGEST_S", 10 * SOON_S)
    monkeypatch.setattr(priority, "PATIENCE_S", 0.3)
    priority.served_first()
    begun = time.monotonic()
    assert Beside(lambda: [priority.give_way() for _ in range(1000)]).done.wait(SOON_S)
    assert time.monotonic() - begun >= 0.3


@pytest.mark.usefixtures("long_waits")
def test_who_waits_for_the_work_itself_is_not_held_up_by_it() -> None:
    """Outside of a block for the background nothing stands still, nor does after one."""
    priority.served_first()
    priority.give_way()
    priority._served.clear()
    with priority.background():
        priority.give_way()
    priority.served_first()
    priority.give_way()
    priority.served()
    assert set(priority._served) == {threading.get_ident()}
