"""Servers that count requests or tokens by time: calls go at their pace, and none is lost to the limit.

Time is simulated, so that limits by the minute are waited out at full length.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from workbench.engines.base import CallContext, failure
from workbench.engines.openai_api import OpenAIEngine, _Attempt
from workbench.engines.rate_limit import PATIENCE_WAITS
from workbench.engines.replies import is_used_up, read_error
from workbench.engines.retries import RetryPolicy, asked_wait_s
from workbench.engines.sampled import LOST, SampledEngine
from workbench.records import ErrorKind, EvalKind, Message, Output, Request
from workbench.specs import Candidate, EvalConfig

sys.path.append(str(Path(__file__).parents[1] / "replay"))
from virtual_clock import run_virtually

LABELS = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))
CANDIDATE = Candidate("c", "openai", model="m", base_url="http://127.0.0.1:9/v1")
REQUEST = Request((Message("user", "hello"),), parameters={"temperature": 0})
USED_UP = b'{"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}'


@dataclass
class Limited:
    """A server that takes `most` requests (or tokens) in each window, and says so in one of three ways.

    `bucket` fills evenly instead of anew with each window; `weight` is what a request takes.
    `counts_refused` counts what it refuses as well. `answers_s` is how long an answer takes.
    """

    most: float
    window_s: float
    says: str = "nothing"
    bucket: bool = False
    counts_refused: bool = False
    answers_s: float = 1.0
    weight: Callable[[int], float] = lambda _: 1.0
    body: bytes = b'{"error": {"message": "slow down"}}'
    sent: int = 0
    taken: list[float] = field(default_factory=list)
    _level: float = 0.0
    _at_s: float = 0.0

    async def send(self, *_: Any) -> _Attempt:
        """Take a request, or refuse it at once."""
        clock = asyncio.get_running_loop()
        now_s, self.sent = clock.time(), self.sent + 1
        if self.bucket:
            self._level = max(self._level - (now_s - self._at_s) * self.most / self.window_s, 0.0)
        elif int(now_s / self.window_s) != int(self._at_s / self.window_s):
            self._level = 0.0
        self._at_s = now_s
        weight = self.weight(self.sent)
        if self._level + weight > self.most:
            if self.counts_refused:
                self._level += weight
            await asyncio.sleep(0.05)
            return _Attempt(read_error(429, self.body), True, asked_wait_s(self._headers(now_s, weight)))
        self._level += weight
        self.taken.append(now_s)
        await asyncio.sleep(self.answers_s)
        return _Attempt(Output("ham"))

    def _headers(self, now_s: float, weight: float) -> Mapping[str, str]:
        left_s = self.window_s - now_s % self.window_s
        if self.bucket:
            left_s = (self._level + weight - self.most) * self.window_s / self.most
        told = {
            "nothing": {},
            "Retry-After": {"Retry-After": f"{left_s:.3f}"},
            "x-ratelimit": {
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": f"{1000 * left_s:.0f}ms",
                "x-ratelimit-remaining-requests": "100",
                "x-ratelimit-reset-requests": "23h59m0s",
            },
        }
        return CIMultiDict(told[self.says])


@dataclass
class Seen:
    """What came of some calls: how long they took, and what was lost."""

    seconds: float
    outputs: list[Output]
    contexts: list[CallContext]

    @property
    def lost(self) -> int:
        return sum(each.error is not None for each in self.outputs)


def ask_all(server: Limited, calls: int, in_flight: int, *, patient: bool = True) -> Seen:
    """Ask for so many calls, so many at a time, in simulated time."""

    async def ask() -> Seen:
        clock = asyncio.get_running_loop()
        engine = OpenAIEngine(CANDIDATE, LABELS)
        engine._limit.clock = clock.time
        engine._send = server.send  # type: ignore[method-assign]
        contexts = [CallContext(str(index), str(index), patient=patient) for index in range(calls)]
        outputs: dict[str, Output] = {}
        left = iter(contexts)

        async def work() -> None:
            for context in left:
                outputs[context.call_id] = await engine.complete(REQUEST, context)

        await asyncio.gather(*(work() for _ in range(in_flight)))
        return Seen(clock.time(), list(outputs.values()), contexts)

    return run_virtually(ask())


@pytest.fixture(autouse=True)
def same_jitter() -> None:
    """Waits are drawn at random; over how long a run takes, the same ones decide every time."""
    random.seed(11)


@pytest.mark.parametrize("in_flight", [64, 512])
@pytest.mark.parametrize("bucket", [False, True])
@pytest.mark.parametrize("says", ["nothing", "Retry-After", "x-ratelimit"])
def test_no_call_is_lost_to_a_limit_by_the_minute(says: str, bucket: bool, in_flight: int) -> None:
    """60 requests a minute, many more at once: all are answered, in about the time that the limit needs."""
    server = Limited(60, 60.0, says, bucket=bucket)
    seen = ask_all(server, 600, in_flight)
    assert (len(seen.outputs), seen.lost) == (600, 0)
    assert seen.seconds < 1.5 * 600
    # The first burst alone is refused many times; then the pace is known.
    assert server.sent < 600 + in_flight + 600 * 0.25


@pytest.mark.parametrize("says", ["nothing", "Retry-After"])
def test_no_call_is_lost_where_refused_requests_count_as_well(says: str) -> None:
    """A server that counts what it refuses is not asked so often that it never takes anything."""
    seen = ask_all(Limited(60, 60.0, says, counts_refused=True), 300, 64)
    assert seen.lost == 0
    assert seen.seconds < 2 * 300


def test_a_limit_by_tokens_is_kept_with_requests_of_all_lengths() -> None:
    """90,000 tokens a minute, requests of 100 to 9,000: the pace learnt is that of the mean."""
    server = Limited(90_000, 60.0, "x-ratelimit", bucket=True, weight=lambda i: 100 * (1 + (i * 37) % 90))
    seen = ask_all(server, 300, 64)
    assert seen.lost == 0
    tokens = 4_550 * 300
    assert seen.seconds < 1.5 * tokens / 90_000 * 60


def test_slow_answers_do_not_make_the_pace_slow() -> None:
    """What is in flight counts as let through until it is refused: no answer is needed to learn the pace."""
    seen = ask_all(Limited(60, 60.0, "Retry-After", answers_s=40.0), 300, 64)
    assert seen.lost == 0
    assert seen.seconds < 1.5 * 300 + 40


def test_the_pace_rises_again_when_the_limit_does() -> None:
    """A limit that is ten times as high from some moment on is used up to most of it some minutes later."""

    class Rising(Limited):
        async def send(self, *_: Any) -> _Attempt:
            if asyncio.get_running_loop().time() > 180:
                self.most = 600
            return await Limited.send(self)

    rising = Rising(60, 60.0, "Retry-After", answers_s=0.2)
    seen = ask_all(rising, 4_000, 64)
    assert seen.lost == 0
    last = [moment for moment in rising.taken if moment > seen.seconds - 60]
    assert len(last) > 0.7 * 600


@pytest.mark.parametrize("says", ["nothing", "Retry-After"])
def test_a_limit_that_lets_nothing_through_is_given_up_after_some_minutes(says: str) -> None:
    """Nothing gets through for three of the longest waits: the call comes back, asked only now and then."""
    server = Limited(0, 86_400.0, says)
    seen = ask_all(server, 1, 1)
    assert seen.outputs[0].error is not None
    assert seen.outputs[0].error.kind is ErrorKind.RATE_LIMITED
    patience_s = PATIENCE_WAITS * RetryPolicy().longest_wait_s
    assert patience_s <= seen.seconds <= patience_s + 2 * RetryPolicy().longest_wait_s
    assert server.sent < 20


def test_a_quota_that_is_used_up_is_given_up_in_seconds() -> None:
    """insufficient_quota, again and again: waiting fills no account."""
    seen = ask_all(Limited(0, 86_400.0, body=USED_UP), 1, 1)
    error = seen.outputs[0].error
    assert error is not None
    assert "insufficient_quota" in error.message
    assert seen.seconds < 30


def test_one_key_of_three_without_money_costs_no_call() -> None:
    """A gateway whose every third request meets an empty account: the others go on, and all are answered."""

    class Gateway(Limited):
        async def send(self, *_: Any) -> _Attempt:
            self.sent += 1
            if self.sent % 3 == 0:
                return _Attempt(read_error(429, USED_UP), True, None)
            await asyncio.sleep(1.0)
            return _Attempt(Output("ham"))

    assert ask_all(Gateway(0, 1.0), 300, 16).lost == 0


def test_a_call_that_is_not_patient_is_given_up_after_its_attempts() -> None:
    """A probe of latency measures what callers see: there a refusal counts after four attempts."""
    seen = ask_all(Limited(0, 86_400.0), 1, 1, patient=False)
    assert seen.lost == 1
    assert seen.contexts[0].attempts == RetryPolicy().attempts


def test_too_many_at_once_is_no_limit_by_time() -> None:
    """Refused once without a word about when: that call alone waits, the others keep their pace."""

    class AtOnce(Limited):
        busy = 0

        async def send(self, *_: Any) -> _Attempt:
            self.sent += 1
            if self.busy >= 20:
                return _Attempt(failure(ErrorKind.RATE_LIMITED, "busy", 429), True)
            self.busy += 1
            await asyncio.sleep(0.2)
            self.busy -= 1
            return _Attempt(Output("ham"))

    seen = ask_all(AtOnce(0, 1.0), 400, 21)
    assert seen.lost == 0
    # 20 at a time, 0.2 s each: 4 s where nothing is held back.
    assert seen.seconds < 8


def test_answers_that_take_minutes_are_no_sign_that_nothing_gets_through() -> None:
    """Two at a time, ten minutes each, the others refused at once: all are answered in the end."""

    class Busy(Limited):
        busy = 0

        async def send(self, *_: Any) -> _Attempt:
            self.sent += 1
            if self.busy >= 2:
                return _Attempt(failure(ErrorKind.RATE_LIMITED, "overloaded", 429), True)
            self.busy += 1
            await asyncio.sleep(600)
            self.busy -= 1
            return _Attempt(Output("ham"))

    assert ask_all(Busy(0, 1.0), 10, 4).lost == 0


async def test_a_sample_that_nothing_lets_through_sends_its_call_back() -> None:
    """The answer is not kept without its samples for a limit's sake: the call is asked again another day."""

    class Scripted:
        name, concurrency, description = "scripted", 1, {}

        def __init__(self) -> None:
            self.outputs = [Output("ham"), failure(ErrorKind.RATE_LIMITED, "slow down", 429)]
            self.seen: list[CallContext] = []

        async def complete(self, _: Request, context: CallContext) -> Output:
            self.seen.append(context)
            context.wait(True)
            return self.outputs.pop(0)

    engine = Scripted()
    sampled = SampledEngine(engine, Candidate("c", "openai", model="m", samples=3), LABELS)  # type: ignore[arg-type]
    context = CallContext("a", "a", patient=True)
    output = await sampled.complete(REQUEST, context)
    assert output.error is not None
    assert output.error.kind is ErrorKind.RATE_LIMITED
    assert LOST not in output.flags
    assert engine.seen[1].patient
    # While a sample waits for its turn, the deadline of the whole call stands still.
    assert engine.seen[1].outer is context
    assert context.waiting


def test_what_servers_say_of_when_to_come_again_is_read() -> None:
    """Retry-After first, then the limits that have nothing left, however they are written."""

    def said(**headers: str) -> float | None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return asked_wait_s(CIMultiDict(named))

    assert said() is None
    assert said(Retry_After="7") == 7
    assert said(retry_after_ms="250", Retry_After="7") == 0.25
    assert said(x_ratelimit_reset_requests="1m2.5s") == 62.5
    assert said(x_ratelimit_reset_requests="120ms", x_ratelimit_remaining_requests="0") == 0.12
    spent = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "6s"}
    assert said(x_ratelimit_remaining_requests="9", x_ratelimit_reset_requests="1h", **spent) == 6
    assert said(ratelimit_reset="30") == 30
    assert said(x_ratelimit_reset="1000000000") == 0  # A moment long ago.
    assert (said(x_ratelimit_reset="4102444800000") or 0) > 1e6  # One in milliseconds.
    assert (said(anthropic_ratelimit_requests_reset="2099-01-01T00:00:00Z") or 0) > 1e6
    assert said(x_ratelimit_reset="soon", ratelimit_reset="-3") is None


def test_only_a_code_says_that_a_quota_is_used_up() -> None:
    """Some servers speak of the quota in words where they mean one minute's."""
    assert is_used_up("You exceeded your current quota: insufficient_quota")
    assert not is_used_up("You exceeded your current quota, please check your plan and billing details.")
