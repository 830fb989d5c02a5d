"""Where a running replay stands, written each second for whoever watches."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass(slots=True)
class Heartbeat:
    """Where a running replay stands, written each second for whoever watches."""

    spool: Path
    replay_id: str
    total: int
    before: int
    state: str = "running"
    note: str = ""
    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    in_flight: int = 0
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Return how long this run has lasted."""
        return max(time.monotonic() - self._started, 1e-9)

    @property
    def calls_per_s(self) -> float:
        """Return the calls answered a second in this run."""
        return self.done / self.seconds

    def document(self) -> dict[str, Any]:
        """Return the heartbeat as plain data."""
        left = self.total - self.before - self.done
        rate = self.calls_per_s
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
            "in_flight": self.in_flight,
            "calls_per_s": rate,
            "tokens_per_s": self.output_tokens / self.seconds,
            "eta_s": left / rate if rate > 0 and self.state == "running" else None,
        }

    def write(self) -> None:
        """Write the heartbeat in one step; a full disk is no reason to stop."""
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
