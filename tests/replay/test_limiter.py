"""The limit of requests in flight, against simulated servers: it finds what they stand, and stays sane."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.replay.limiter import PLENTY, START, Limiter
from workbench.replay.own_work import worked_s


@dataclass
class Seen:
    """What a simulation showed: answers a second and limits in its last part, and overloads."""

    rate: float
    limits: list[int]
    overloads: int
    requests: int


def simulate(
    limiter: Limiter,
    service_s: Callable[[int, float], float],
    seconds: float,
    capacity: int | None = None,
    refuses_above: Callable[[float], int] | None = None,
    slots: int | None = None,
) -> Seen:
    """Run a limiter against a server in simulated time.

    Args:
        limiter: The limiter.
        service_s: Seconds of work on a request, from those in work and the time.
        seconds: How long.
        capacity: Requests worked on at a time; others wait in line.
        refuses_above: Requests in the house above which it answers 429 at once.
        slots: Never more in flight than this, whatever the limit.
    """
    tick = itertools.count()
    events: list[tuple[float, int, float, bool]] = []
    free = [0.0] * (capacity or 0)
    now, in_flight, answered, overloads, requests = 0.0, 0, 0, 0, 0
    limits: list[int] = []
    while now < seconds:
        while in_flight < min(limiter.limit, slots or limiter.limit):
            in_flight += 1
            requests += 1
            refused = refuses_above is not None and in_flight > refuses_above(now)
            if refused:
                end = now + 0.01
            elif capacity:
                start = max(heapq.heappop(free), now)
                end = start + service_s(in_flight, now)
                heapq.heappush(free, end)
            else:
                end = now + service_s(in_flight, now)
            heapq.heappush(events, (end, next(tick), now, refused))
        now, _, started, refused = heapq.heappop(events)
        if refused:
            overloads += 1
            limiter.overloaded(now, started)
        limiter.finished(now, started, in_flight, answered=not refused)
        assert 1 <= limiter.limit <= limiter.maximum
        in_flight -= 1
        if now > seconds / 2:
            answered += not refused
            limits.append(limiter.limit)
    return Seen(answered / (seconds / 2), limits, overloads, requests)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("capacity", [1, 4, 24, 100, 400])
def test_a_queueing_server_is_used_to_the_full_without_a_long_queue(capacity: int, seed: int) -> None:
    """Of what a server with so many places can do, 85 % and more is reached, with a queue of its size."""
    dice = random.Random(seed)
    limiter = Limiter(512, deadline_s=120)
    seen = simulate(limiter, lambda *_: dice.uniform(0.5, 1.5), 600, capacity=capacity)
    assert seen.rate >= 0.85 * capacity
    assert max(seen.limits) <= max(4 * capacity, START)


def test_a_server_that_slows_down_while_it_batches_is_given_what_pays() -> None:
    """Batching: each doubling adds a third up to some hundreds. The limit goes there, not to 8."""
    limiter = Limiter(512, deadline_s=600)
    seen = simulate(limiter, lambda busy, _: busy / (10 * busy**0.42), 900)
    assert min(seen.limits) >= 128


def test_a_server_that_refuses_above_a_number_is_kept_just_below() -> None:
    """429 above 20 in flight: the limit stays near 20, and few requests are refused."""
    limiter = Limiter(512, deadline_s=120)
    dice = random.Random(5)
    seen = simulate(limiter, lambda *_: dice.uniform(0.5, 1.5), 600, refuses_above=lambda _: 20)
    assert seen.rate >= 0.7 * 20
    assert seen.overloads < 0.05 * seen.requests


def test_the_limit_recovers_after_an_outage() -> None:
    """A server that refuses everything for a minute is used to the full again two minutes later."""
    limiter = Limiter(64, deadline_s=120)

    def refuses_above(now: float) -> int:
        return 0 if 60 < now < 120 else 1_000

    seen = simulate(limiter, lambda *_: 0.5, 480, capacity=64, refuses_above=refuses_above)
    assert seen.rate >= 0.85 * 128
    lowest = Limiter(64)
    simulate(lowest, lambda *_: 0.5, 20, refuses_above=lambda _: 0)
    assert lowest.limit == 1


def test_too_few_calls_in_flight_never_raise_the_limit() -> None:
    """Where calls come slower than the limit allows, nothing is learnt, and the limit stays."""
    limiter = Limiter(512)
    simulate(limiter, lambda *_: 1.0, 300, slots=4)
    assert limiter.limit == START


def test_latency_near_the_deadline_stops_the_rise() -> None:
    """A server that works ever slower under load is not driven into time-outs for some more answers."""
    limiter = Limiter(512, deadline_s=20)
    seen = simulate(limiter, lambda busy, _: 1.0 * busy**0.6, 900)
    assert max(seen.limits) ** 0.6 <= 20


@pytest.mark.parametrize("capacity", [24, 200])
def test_a_limit_that_begins_high_finds_the_same_place(capacity: int) -> None:
    """Begun with more in flight, a server is used to the full and left without a long queue."""
    dice = random.Random(capacity)
    limiter = Limiter(512, deadline_s=120, start=64)
    assert limiter.limit == 64
    seen = simulate(limiter, lambda *_: dice.uniform(0.5, 1.5), 600, capacity=capacity)
    assert seen.rate >= 0.85 * capacity
    assert max(seen.limits) <= max(4 * capacity, START)
    assert Limiter(16, start=64).limit == 16


def in_batches(seed: int) -> Callable[[int, float], float]:
    """Return a server that ends all requests of a batch together, at a speed that others make it change."""

    def service_s(_: int, now: float) -> float:
        lasts_s = random.Random(f"{seed} {int(now / 40)}").choice((3.0, 4.0, 6.0))
        return (int(now / lasts_s) + 1) * lasts_s - now + 0.01

    return service_s


@pytest.mark.parametrize("maximum", [64, 512])
def test_what_a_server_works_on_at_once_is_in_flight_from_the_first_to_the_last(maximum: int) -> None:
    """Where a server's batch is known it is filled at once, and no swing of throughput takes a place back."""
    for seed in range(3):
        limiter = Limiter(maximum, deadline_s=120, batch=64)
        assert limiter.limit == 64
        assert min(simulate(limiter, in_batches(seed), 600).limits) >= 64
    unknown = Limiter(64, deadline_s=120)
    assert min(simulate(unknown, in_batches(0), 600).limits) < 64


def test_a_known_batch_is_no_reason_to_run_into_time_outs() -> None:
    """Latency near the deadline takes places back, and overload lowers the limit, also within the batch."""
    limiter = Limiter(256, deadline_s=20, batch=256)
    seen = simulate(limiter, lambda busy, _: 1.0 * busy**0.6, 1_200)
    assert max(seen.limits) ** 0.6 <= 20
    refused = Limiter(256, deadline_s=120, batch=256)
    assert max(simulate(refused, lambda *_: 1.0, 300, refuses_above=lambda _: 20).limits) <= 21


def test_answers_that_take_long_by_their_nature_keep_their_places() -> None:
    """40 s each of a deadline of 60 s, however few are in flight: fewer would only be slower."""
    dice = random.Random(3)
    limiter = Limiter(64, deadline_s=60, batch=64)
    seen = simulate(limiter, lambda *_: dice.uniform(38, 42), 6_000)
    assert min(seen.limits) >= 48
    assert seen.rate >= 0.95 * 64 / 40


def test_a_known_batch_is_filled_again_after_an_outage() -> None:
    """A server that refuses everything for a minute has its whole batch again two minutes later."""
    limiter = Limiter(64, deadline_s=120, batch=64)

    def refuses_above(now: float) -> int:
        return 0 if 60 < now < 120 else 1_000

    seen = simulate(limiter, lambda *_: 0.5, 480, refuses_above=refuses_above)
    assert min(seen.limits) == 64


class OwnThread:
    """A client whose thread is what is slow: it works all the time, at a speed that others make it change."""

    def __init__(self, limit: int, seed: int, share: float = 1.0, start: int = START) -> None:
        self.limiter = Limiter(limit, deadline_s=120, start=start, worked_s=self.worked_s)
        self._dice = random.Random(seed)
        self._share = share
        self._at = 0.0

    def worked_s(self) -> float:
        return self._share * self._at

    def service_s(self, _: int, now: float) -> float:
        self._at = now
        # For some seconds others take half of the machine, or nearly all of it.
        slow = random.Random(int(now / 3)).choice((1, 1, 2, 8))
        return self._dice.uniform(0.0002, 0.0006) * slow


@pytest.mark.parametrize("seed", range(3))
def test_a_client_that_is_what_is_slow_keeps_one_limit_however_its_speed_swings(seed: int) -> None:
    """With 512 allowed it soon has as many in flight as with 64, and no swing of its speed moves that."""
    few, many = OwnThread(PLENTY, seed), OwnThread(512, seed)
    for own in (few, many):
        seen = simulate(own.limiter, own.service_s, 20, capacity=1)
        assert set(seen.limits) == {PLENTY}


def test_a_client_that_is_not_what_is_slow_does_move_with_throughput() -> None:
    """Where the server is what is slow, the same swings of speed do move the limit."""
    moved = OwnThread(512, 0, share=0.5)
    assert len(set(simulate(moved.limiter, moved.service_s, 30, capacity=1).limits)) > 1


def test_a_busy_client_is_no_reason_to_overrun_a_server_that_refuses() -> None:
    """429 above 20 in flight holds the limit there, also where the client is busy all the time."""
    own = OwnThread(512, 1)
    seen = simulate(own.limiter, own.service_s, 20, capacity=1, refuses_above=lambda _: 20)
    assert max(seen.limits) <= 20
    assert seen.overloads < 0.01 * seen.requests


def test_what_paid_before_the_client_became_slow_is_kept() -> None:
    """A limit above what a busy client needs stays where a server's throughput had brought it."""
    own = OwnThread(512, 2, start=200)
    assert set(simulate(own.limiter, own.service_s, 20, capacity=1).limits) == {200}


def test_own_work_counts_work_and_not_sleep() -> None:
    """A thread that computes is seen to work for that time at least, one that sleeps is not."""
    before, begun = worked_s(), time.thread_time()
    while time.thread_time() - begun < 0.1:
        pass
    worked = worked_s() - before
    assert worked >= 0.09
    before = worked_s()
    time.sleep(0.3)
    assert worked_s() - before < 0.2


def test_a_fixed_limit_stays() -> None:
    """An engine in this process keeps its own number, whatever happens."""
    limiter = Limiter(32, adaptive=False)
    limiter.overloaded(1.0, 0.5)
    limiter.finished(2.0, 1.0, 32)
    assert limiter.limit == 32


@settings(max_examples=200, deadline=None)
@given(
    st.integers(-5, 600),
    st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 100), st.integers(0, 600), st.sampled_from("aaaaof")),
        max_size=200,
    ),
)
def test_the_limit_never_leaves_its_range(maximum: int, steps: list[tuple[float, float, int, str]]) -> None:
    """Whatever ends whenever, the limit is 1 at least and the maximum at most."""
    limiter = Limiter(maximum, deadline_s=30)
    now = 0.0
    for wait_s, lasted_s, in_flight, what in steps:
        now += wait_s
        if what == "o":
            limiter.overloaded(now, now - lasted_s)
        limiter.finished(now, now - lasted_s, in_flight, answered=what == "a")
        assert 1 <= limiter.limit <= max(maximum, 1)
