"""The open loop on a virtual clock: who is asked when, whatever the server does."""

from __future__ import annotations

import asyncio

import pytest
from virtual_clock import run_virtually

from workbench.engines import CallContext
from workbench.engines.base import failure
from workbench.errors import ConfigError
from workbench.records import ErrorKind, Output
from workbench.replay.open_loop import IDLE_S, Ask, Driven, OpenLoop


def drive(ask: Ask, offsets: list[float], most: int = 100, deadline_s: float = 1e6) -> Driven:
    """Drive a schedule on a virtual clock."""

    async def work() -> Driven:
        return await OpenLoop(ask, offsets, most_in_flight=most, deadline_s=deadline_s).run()

    return run_virtually(work())


def taking(seconds: float) -> Ask:
    """Return a server that takes so long for every call."""

    async def ask(_: int, context: CallContext) -> Output:
        await asyncio.sleep(seconds)
        context.attempts = 1
        return Output(text="x", latency_ms=seconds * 1000, time_to_first_token_ms=250.0)

    return ask


def test_no_call_waits_for_an_earlier_one() -> None:
    """Calls due each 100 ms are sent each 100 ms at a server that takes 5 s."""
    driven = drive(taking(5), [index / 10 for index in range(40)])
    assert [each.scheduled_s for each in driven.sent] == pytest.approx([i / 10 for i in range(40)])
    assert all(each.latency_ms == pytest.approx(5000) for each in driven.sent)
    assert all(each.late_ms == pytest.approx(0) for each in driven.sent)
    assert driven.most_in_flight == 40
    assert driven.sent[-1].in_flight == 39


def test_waiting_before_a_server_that_takes_one_at_a_time_counts_from_the_moment_due() -> None:
    """With a call a second and 3 s a call, the tenth waits 18 s more than the first: nothing is omitted."""
    one = asyncio.Lock()

    async def ask(_: int, context: CallContext) -> Output:
        async with one:
            await asyncio.sleep(3)
        return Output(text="x")

    driven = drive(ask, [float(index) for index in range(10)])
    assert [each.latency_ms for each in driven.sent] == pytest.approx(
        [3000 + 2000 * index for index in range(10)]
    )


def test_idle_time_is_cut_and_busy_time_is_not() -> None:
    """An hour's gap takes a second where nothing is in flight, and its own time where something is."""
    driven = drive(taking(0.5), [0.0, 3600.0, 3600.2, 7200.0])
    assert driven.seconds < 4
    assert driven.cut_s == pytest.approx(3600 - 0.5 - IDLE_S + (3599.8 - 0.5 - IDLE_S), abs=0.01)
    assert driven.sent[2].scheduled_s - driven.sent[1].scheduled_s == pytest.approx(0.2)
    busy = drive(taking(60), [0.0, 10.0, 30.0])
    assert [each.scheduled_s for each in busy.sent] == pytest.approx([0.0, 10.0, 30.0])
    assert busy.cut_s == 0


def test_more_than_the_bound_is_dropped_and_counted() -> None:
    """What can't be sent is no gap in the data: it is there, without an answer."""
    driven = drive(taking(100), [0.01 * index for index in range(10)], most=4)
    dropped = [each for each in driven.sent if each.error_kind == "dropped"]
    assert [each.position for each in dropped] == [4, 5, 6, 7, 8, 9]
    assert all(each.unanswered and each.latency_ms is None for each in dropped)
    assert driven.most_in_flight == 4


def test_after_the_deadline_nothing_is_sent_and_answers_are_waited_for() -> None:
    """The probe ends in good order and says that it did."""
    driven = drive(taking(20), [0.5 * index for index in range(100)], deadline_s=10)
    assert driven.stopped_early
    assert len(driven.sent) == 20
    assert all(each.latency_ms == pytest.approx(20_000) for each in driven.sent)


def test_a_servers_failure_is_no_answer_and_a_useless_answer_is_not_a_fast_one() -> None:
    """Time-outs and 503s are infinitely slow to their caller; a refused request is an error apart."""
    kinds = [
        failure(ErrorKind.TIMEOUT),
        failure(ErrorKind.HTTP, "", 503),
        failure(ErrorKind.RATE_LIMITED, "", 429),
        failure(ErrorKind.EMPTY),
        failure(ErrorKind.HTTP, "", 400),
    ]

    async def ask(position: int, context: CallContext) -> Output:
        return kinds[position]

    driven = drive(ask, [0.0, 0.1, 0.2, 0.3, 0.4])
    assert [each.unanswered for each in driven.sent] == [True, True, True, False, False]


def test_the_first_token_counts_from_the_moment_due_too() -> None:
    """A wait before the last attempt is part of what a caller waits for the first token."""

    async def ask(_: int, context: CallContext) -> Output:
        await asyncio.sleep(2)
        context.retried.append(ErrorKind.RATE_LIMITED)
        return Output(text="x", latency_ms=500.0, time_to_first_token_ms=100.0)

    (sent,) = drive(ask, [0.0]).sent
    assert sent.first_token_ms == pytest.approx(1600)
    assert sent.attempts == 2


def test_an_error_that_needs_a_person_ends_the_probe() -> None:
    """No more calls are sent then."""
    asked = []

    async def ask(position: int, context: CallContext) -> Output:
        asked.append(position)
        await asyncio.sleep(1)
        raise ConfigError("the key is refused")

    with pytest.raises(ConfigError):
        drive(ask, [float(index) for index in range(50)])
    assert len(asked) <= 3
