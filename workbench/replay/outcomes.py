"""What failures mean for a replay: the candidate's own, or a server that is not there."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workbench.engines.replies import is_used_up
from workbench.errors import ConfigError, EndpointUnreachable, UsageError, WorkbenchError
from workbench.records import ErrorKind, Output, told_error

STREAK = 20
"""This many failed sends in a row stop a replay."""
SLOW_STREAK, SLOW_STREAK_S = 8, 60.0
"""So do fewer in a row where nothing has worked for so long: each may take minutes to fail."""
WINDOW = 50
WINDOW_FAILURES = 30
"""So do this many of the last `WINDOW`: most of them."""
HELD_MOST = 200
"""More failures than this are not held back: they are recorded, whatever comes."""
REFUSALS = 3
"""Refusals of the set-up (key, path, model) that stop a replay which never worked."""
WRONG_MODELS = 3

_TRANSIENT = frozenset((ErrorKind.CONNECTION, ErrorKind.TIMEOUT, ErrorKind.RATE_LIMITED))
_SETUP_STATUSES = frozenset((401, 403, 404, 405))
_OF_THE_CALL = frozenset((400, 406, 409, 413, 414, 415, 422, 424, 431, 451))
"""Refusals that one call may get where others are answered: what it asks for, or how long it is."""


def is_transient(output: Output) -> bool:
    """Say whether a failure tells of the server's state, not of the candidate."""
    error = output.error
    if error is None:
        return False
    server_failed = error.kind is ErrorKind.HTTP and (error.status or 0) >= 500
    return error.kind in _TRANSIENT or server_failed


def is_refusal(output: Output) -> bool:
    """Say whether the server refused the request as such, or is no such server at all.

    Any status is a refusal that is neither 200 nor the server's own failure (5xx).
    """
    error = output.error
    if error is None:
        return False
    refused = error.kind is ErrorKind.HTTP and 100 <= (error.status or 0) < 500
    return refused or (error.kind is ErrorKind.INVALID_RESPONSE and error.status is not None)


def is_shut(output: Output) -> bool:
    """Say whether every call would get this refusal: no right, no money, another address, a web page."""
    error = output.error
    return is_refusal(output) and not (
        error is not None and error.kind is ErrorKind.HTTP and error.status in _OF_THE_CALL
    )


@dataclass(slots=True)
class Outcomes:
    """Decide which outcomes are recorded, and when a replay stops.

    Failures that may be the server's are held back until most calls work again: then
    they were the calls' own and are recorded. Where nothing works any more they are
    dropped, so that a resume asks those calls again. So are refusals that every call
    would get, however much was answered before: a key is revoked in the middle, too.
    A call that was refused for the rate to the last says that nothing gets through any more:
    one is enough to stop, and none is ever recorded.

    Args:
        name: The candidate, for messages.
        address: Where it answers, for messages.
        worked_before: Whether this replay holds an outcome already.
        clock: Seconds on a clock that never jumps.
        final: Failures stand in a file: they are recorded, for asking again changes nothing.
        role: What answers, for messages.
        work: What is paused, for messages.
    """

    name: str
    address: str
    worked_before: bool
    final: bool = False
    role: str = "Candidate"
    work: str = "replay"
    held: list[tuple[dict[str, Any], Output]] = field(default_factory=list)
    stop: WorkbenchError | None = None
    clock: Callable[[], float] = time.monotonic
    _worked_at: float = field(init=False)
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _wrong_models: int = 0

    def __post_init__(self) -> None:
        self._worked_at = self.clock()

    def take(self, row: dict[str, Any], output: Output) -> list[tuple[dict[str, Any], Output]]:
        """Take an outcome; return what can be recorded now."""
        transient, refusal = (False, False) if self.final else (is_transient(output), is_refusal(output))
        transient = transient or (refusal and is_shut(output))
        self._recent.append(transient)
        if not self.final and output.error and output.error.kind is ErrorKind.RATE_LIMITED:
            # Calls wait for a rate limit as long as any gets through: this one met none that lets them.
            self.held.append((row, output))
            self.stop = self.stop or self._limited(output)
            return []
        if transient or (refusal and not self.worked_before):
            self.held.append((row, output))
            self._judge()
            return []
        self.worked_before = True
        self._worked_at = self.clock()
        if output.error and output.error.kind is ErrorKind.WRONG_MODEL:
            self._wrong_models += 1
            if self._wrong_models >= WRONG_MODELS and self.stop is None:
                self.stop = UsageError(
                    f"{self.role} {self.name!r}: {output.error.message}, {WRONG_MODELS} times.",
                    "Set `model` to the name the server answers with; where it answers under another name "
                    "on purpose, set parameters.answers_as to that name.",
                )
        failing = 2 * sum(self._recent) > len(self._recent)
        if failing and len(self.held) < HELD_MOST:
            return [(row, output)]
        return [*self.release(), (row, output)]

    def release(self) -> list[tuple[dict[str, Any], Output]]:
        """Return what was held back, to be recorded."""
        held, self.held = self.held, []
        return held

    def _judge(self) -> None:
        if self.stop is not None:
            return
        last = self.held[-1][1].error
        refused = [output for _, output in self.held if is_refusal(output)]
        set_up = [each for each in refused if each.error and (each.error.status or 0) in _SETUP_STATUSES]
        redirected = [each for each in refused if each.error and 300 <= (each.error.status or 0) < 400]
        if not self.worked_before and (
            max(len(set_up), len(redirected)) >= REFUSALS or len(refused) >= STREAK
        ):
            self.stop = self._refused(refused[-1])
            return
        recent = list(self._recent)
        streak = SLOW_STREAK if self.clock() - self._worked_at >= SLOW_STREAK_S else STREAK
        gone = len(recent) >= streak and all(recent[-streak:])
        if gone or sum(recent) >= WINDOW_FAILURES:
            what = f"the last {streak} calls" if gone else f"{sum(recent)} of the last {len(recent)} calls"
            if is_refusal(self.held[-1][1]):
                self.stop = self._refused(self.held[-1][1])
                return
            self.stop = self._gone(what, f"{told_error(last.kind)}: {last.message}" if last else "")

    def conclude(self) -> WorkbenchError | None:
        """Return why what is held is not recorded, at the end: nothing worked, or the server shut at last."""
        if not self.held:
            return None
        last = self.held[-1][1]
        if self.worked_before:
            ending = list(self._recent)[-REFUSALS:]
            return self._refused(last) if is_shut(last) and len(ending) == REFUSALS and all(ending) else None
        refused = [output for _, output in self.held if is_refusal(output)]
        if refused:
            return self._refused(refused[-1])
        error = self.held[-1][1].error
        return self._gone("all calls", f"{told_error(error.kind)}: {error.message}" if error else "")

    def _gone(self, what: str, why: str) -> EndpointUnreachable:
        return EndpointUnreachable(
            f"{self.role} {self.name!r}: {what} to {self.address} failed ({why}). The {self.work} is paused.",
            "Failed calls were not recorded. Mend the server (or raise `timeout_s`, lower "
            "`concurrency`), then run the same command again: it goes on where it stopped.",
        )

    def _limited(self, output: Output) -> EndpointUnreachable:
        message = output.error.message if output.error else ""
        used_up = is_used_up(message)
        what = "the quota is used up" if used_up else "its rate limit lets no call through"
        how = (
            "Add credit, or raise the quota, at the provider"
            if used_up
            else "Wait until the limit allows calls again (a day's ends with the day), or have it raised"
        )
        return EndpointUnreachable(
            f"{self.role} {self.name!r}: {self.address}: {what} "
            f"({ErrorKind.RATE_LIMITED}: {message}). The {self.work} is paused.",
            f"No call was lost. {how}; then run the same command again: it goes on where it stopped.",
        )

    def _refused(self, output: Output) -> ConfigError:
        error = output.error
        status, message = (error.status, error.message) if error else (None, "")
        kept = "Refused calls were not recorded." if self.worked_before else "Nothing was recorded."
        hint = f"Mend the candidate's keys, then run the same command again. {kept}"
        if status in (401, 403):
            hint = f"Put a valid key in the variable that `api_key_env` names. {kept}"
        elif status in (404, 405):
            hint = f"Mend `base_url` (it mostly ends in /v1) or `model`. {kept}"
        elif error and error.kind is ErrorKind.INVALID_RESPONSE:
            return ConfigError(
                f"{self.role} {self.name!r}: {self.address} does not answer as a chat completions endpoint "
                f"does ({message}).",
                f"Mend `base_url` (it mostly ends in /v1), then run the same command again. {kept}",
            )
        elif status is not None and 200 <= status < 300:
            hint = f"Mend `base_url`: chat completions are answered with status 200 and content. {kept}"
        elif status is not None and 300 <= status < 400:
            hint = f"Redirects are never followed: set `base_url` to the final address. {kept}"
        return ConfigError(
            f"{self.role} {self.name!r}: {self.address} refuses the calls (status {status}: {message}).", hint
        )
