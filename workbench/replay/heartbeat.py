"""Where a running replay stands, written each second for whoever watches."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

RECENT_S = 30.0
"""Rates and the time left are those of so many seconds: what was long ago says little of what comes."""


@dataclass(slots=True)
class Heartbeat:
    """Where a running replay stands.

    `before` of `total` answers were there when the run began; `done` came since.
    `retried` counts attempts that were given up, by kind. `limit` is how many requests
    may be in flight now, of `most` at any time. `spent_usd` is what the whole replay
    has cost so far, None where the model has no price.
    """

    spool: Path
    replay_id: str
    total: int
    before: int
    state: str = "running"
    note: str = ""
    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    retried: dict[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    in_flight: int = 0
    limit: int = 0
    most: int = 0
    spent_usd: float | None = None
    _started: float = field(default_factory=time.monotonic)
    _ended: float | None = None
    _seen: deque[tuple[float, int, int]] = field(default_factory=deque)

    @property
    def seconds(self) -> float:
        """Return how long this run has lasted."""
        end = time.monotonic() if self._ended is None else self._ended
        return max(end - self._started, 1e-9)

    def end(self) -> None:
        """Stop the clock of this run."""
        self._ended = time.monotonic()

    @property
    def average_per_s(self) -> float:
        """Return the calls answered a second in this whole run."""
        return self.done / self.seconds

    @property
    def calls_per_s(self) -> float:
        """Return the calls answered a second lately."""
        return self._lately(1)

    @property
    def tokens_per_s(self) -> float:
        """Return the tokens written a second lately."""
        return self._lately(2)

    @property
    def left_s(self) -> float | None:
        """Return about how long the rest takes at the pace of late; None where nothing moves."""
        rate = self.calls_per_s
        return (self.total - self.before - self.done) / rate if rate > 0 else None

    def _lately(self, which: int) -> float:
        now = (time.monotonic(), self.done, self.output_tokens)
        first = self._seen[0] if self._seen else (self._started, 0, 0)
        return (now[which] - first[which]) / max(now[0] - first[0], 1e-9)

    def note_pace(self) -> None:
        """Remember where the run stands now; what is older than `RECENT_S` is forgotten."""
        now = time.monotonic()
        if not self._seen:
            self._seen.append((self._started, 0, 0))
        if now - self._seen[-1][0] >= RECENT_S / 60:
            self._seen.append((now, self.done, self.output_tokens))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RECENT_S:
            self._seen.popleft()

    def retry(self, kind: str) -> None:
        """Count an attempt that was given up and is made again."""
        self.retries += 1
        self.retried[kind] = self.retried.get(kind, 0) + 1

    def document(self) -> dict[str, Any]:
        """Return the heartbeat as plain data."""
        running = self.state == "running"
        return {
            "replay_id": self.replay_id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "at": time.time(),
            "state": self.state,
            "note": self.note,
            "done": self.before + self.done,
            "total": self.total,
            "errors": self.errors,
            "retries": self.retries,
            "retried": self.retried,
            "in_flight": self.in_flight,
            "limit": self.limit,
            "most": self.most,
            "calls_per_s": self.calls_per_s,
            "tokens_per_s": self.tokens_per_s,
            "eta_s": self.left_s if running else None,
            "spent_usd": self.spent_usd,
        }

    def write(self) -> None:
        """Write the heartbeat in one step; a full disk is no reason to stop."""
        self.note_pace()
        with contextlib.suppress(OSError):
            path = progress_path(self.spool, self.replay_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}.tmp")
            unfinished.write_bytes(msgspec.json.encode(self.document()))
            unfinished.replace(path)


def progress_path(spool: Path, replay_id: str) -> Path:
    """Return where a replay's heartbeat lies."""
    return spool / "progress" / f"{replay_id}.json"


def read_heartbeat(spool: Path, replay_id: str) -> Mapping[str, Any] | None:
    """Return a replay's last heartbeat, or None where there is none that can be read."""
    try:
        found = msgspec.json.decode(progress_path(spool, replay_id).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return found if isinstance(found, dict) else None
