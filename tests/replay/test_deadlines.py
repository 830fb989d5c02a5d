"""Total deadlines: a slot is free a second after its deadline, whatever the engine does."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from replay_world import add_calls, candidate_toml, make_workspace, open_store, prompt
from servers import Server, serving

import workbench.engines as engines
from workbench.engines import CallContext
from workbench.records import ErrorKind, Output, Request
from workbench.replay import replay as checked_replay
from workbench.replay.flight import GRACE_S, LONGEST_WAIT_S, Job, Slot
from workbench.replay.loop import WATCH_S

replay = functools.partial(checked_replay, checks=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


class Odd:
    """An engine of its own ways: some calls never come back, and take no notice of being cancelled."""

    name = "odd"
    concurrency = 4
    description: Mapping[str, Any] = {}

    def __init__(self, stubborn: bool) -> None:
        self.stubborn = stubborn
        self.hung: list[float] = []
        self.starts: list[float] = []

    async def check(self) -> None:
        """Have nothing to check."""

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Answer, but for the calls 3, 7 and 11."""
        self.starts.append(time.monotonic())
        context.attempts += 1
        text = request.messages[-1].content
        if text not in [prompt(index) for index in (3, 7, 11)]:
            return Output(text="ham")
        self.hung.append(time.monotonic())
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise

    async def close(self) -> None:
        """Have nothing to close."""


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_call_that_never_comes_back_is_cut_and_its_slot_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    """With one slot, the call after a hanging one begins within the deadline and a second."""
    engine = Odd(stubborn)
    monkeypatch.setitem(engines._FACTORIES, "openai", lambda *_: engine)
    keys = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "timeout_s": 1}
    workspace = make_workspace(tmp_path, candidate_toml("c", **keys))
    with open_store(workspace) as store:
        add_calls(store, 20)
        report = replay(workspace, store, "spam", "c", concurrency=1)
        assert (report.done, report.errors) == (20, {"timeout": 3})
        assert len(store.rows("SELECT DISTINCT call_id FROM observations")) == 20
    for hung in engine.hung:
        after = [start for start in engine.starts if start > hung]
        assert not after or min(after) - hung <= 2.0


def test_a_dripping_server_frees_its_slot_at_the_deadline(tmp_path: Path, server: Server) -> None:
    """Every read of a drip succeeds; six calls through two slots end all the same."""
    keys = {"engine": "openai", "base_url": server.url("drip"), "model": "m", "timeout_s": 1}
    workspace = make_workspace(tmp_path, candidate_toml("c", **keys, concurrency=2))
    with open_store(workspace) as store:
        add_calls(store, 6)
        started = time.monotonic()
        with pytest.raises(Exception, match="paused"):
            replay(workspace, store, "spam", "c")
        # A drip never ends by itself: on a busy machine, too, this shows that all three rounds were cut.
        assert time.monotonic() - started < 20
        assert store.rows("SELECT * FROM observations") == []
    assert server.stats("drip")["hits"] == 6


def test_waiting_at_the_servers_wish_is_not_overdue() -> None:
    """Between attempts, and while a call waits for its turn at a limit, no attempt's deadline runs."""
    slot = Slot(Job("a", "a", 0, "{}"), CallContext("a", "a"), task=None, started_s=100.0)  # type: ignore[arg-type]
    assert not slot.overdue(101.0, 2.0)
    assert slot.overdue(102.0 + GRACE_S + WATCH_S, 2.0)
    slot.context.wait(True)
    assert slot.is_unasked
    assert not slot.overdue(900.0, 2.0)
    slot.context.wait(False)
    slot.context.attempts = 1
    assert not slot.is_unasked
    assert not slot.overdue(900.0 + WATCH_S, 2.0)
    assert slot.overdue(900.0 + WATCH_S + 2.0 + GRACE_S + WATCH_S, 2.0)
    slot.context.retried.append(ErrorKind.HTTP)
    assert not slot.overdue(910.0, 2.0)
    assert not slot.overdue(910.0 + 60.0, 2.0)
    assert slot.overdue(910.0 + LONGEST_WAIT_S + GRACE_S + WATCH_S, 2.0)
