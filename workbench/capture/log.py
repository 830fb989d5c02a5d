"""The log that captured calls go to: a queue, one thread that writes, and counts of what was lost."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import multiprocessing
import os
import queue
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from workbench.capture.files import LineFile
from workbench.redaction import Redactor, load_key

_LOGGER = logging.getLogger("workbench.capture")
_chance = random.SystemRandom().random
"""The system's: an application that seeds the module's would decide what is kept, and lose its own sequence;
a generator of the process would go on alike in every fork."""
_MIN_SECRET_CHARS = 8
"""Shorter keys, such as the EMPTY of local servers, are words that texts hold too."""
_EXIT_WAIT_S = 3.0
_COUNTS_EVERY_S = 5.0

Build = Callable[[], "Mapping[str, Any] | None"]
Redact = Callable[[Any], "tuple[Any, Mapping[str, int]]"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that is to be written. `build` makes its record in the writing thread."""

    kind: str
    build: Build
    bytes: int
    secrets: tuple[str, ...] = ()


class CaptureLog:
    """A folder of JSON lines that `workbench import` reads. Nothing here raises once it is made.

    One thread of each process writes; files are this process's own, so that threads and
    processes never mix their lines. What can't be written is counted by reason in `lost`.

    Args:
        folder: Where the files go; made when the first call is written.
        sampling_rate: Share of calls that are kept, 0 to 1. Stored with every record.
        sample_by: Name of a tag (see `tag`), such as `session_id`, whose value decides, so
            that all calls of one value are kept or none; without it chance decides.
        redact: Takes a record and returns it without personal data, and what was found by kind,
            such as a `workbench.redaction.Redactor`; or the folder of the secret that placeholders
            are made with: a workspace, for the same ones as its imports. Where that can't be
            read, nothing is written rather than something personal.
        max_file_bytes: A file of this size is left and another begun.
        max_record_bytes: A larger record is not kept.
        max_waiting_bytes: Held in memory at most, when the disk is slow.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        folder: Path | str = "workbench-logs",
        *,
        sampling_rate: float = 1.0,
        sample_by: str | None = None,
        redact: Redact | Path | str | None = None,
        max_file_bytes: int = 64_000_000,
        max_record_bytes: int = 4_000_000,
        max_waiting_bytes: int = 64_000_000,
    ) -> None:
        if not 0 <= sampling_rate <= 1:
            raise ValueError(f"sampling_rate is a share of calls from 0 to 1, not {sampling_rate}.")
        if min(max_file_bytes, max_record_bytes, max_waiting_bytes) <= 0:
            raise ValueError("max_file_bytes, max_record_bytes and max_waiting_bytes are above 0.")
        # The working directory of later may be another one.
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 -- resolves no links
        self.sampling_rate, self.sample_by = float(sampling_rate), sample_by
        self.max_record_bytes = max_record_bytes
        self._redact = _redacting_by(Path(redact)) if isinstance(redact, str | Path) else redact
        self._max_file_bytes, self._max_waiting = max_file_bytes, max_waiting_bytes
        self._begin()
        _LOGS.add(self)

    def _begin(self) -> None:
        """Start with nothing: when made, and in a forked child, whose locks may be held for ever."""
        self._lock = threading.RLock()
        self._queue: queue.SimpleQueue[Waiting | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._files: dict[str, LineFile] = {}
        self._waiting_bytes = 0
        self._written, self._sampled_out = 0, 0
        self._lost: Counter[str] = Counter()
        self._warned = False
        self._pid = os.getpid()
        self._counts_at = 0.0
        self._counts_path: Path | None = None

    def counts(self) -> dict[str, Any]:
        """Return what this process did: `written`, `sampled_out`, and `lost` by reason."""
        with self._lock:
            return {
                "written": self._written,
                "sampled_out": self._sampled_out,
                "lost": dict(self._lost),
            }

    def takes(self, tags: Mapping[str, Any]) -> bool:
        """Decide whether a call is kept.

        Args:
            tags: Of the call; the value of `sample_by` decides where it is among them.
        """
        try:
            if self.sampling_rate >= 1:
                return True
            key = tags.get(self.sample_by) if self.sample_by else None
            if key is None:
                kept = _chance() < self.sampling_rate
            else:
                digest = blake2b(str(key).encode("utf-8", "surrogatepass"), digest_size=7).digest()
                kept = int.from_bytes(digest, "big") < self.sampling_rate * 2**56
            if not kept:
                with self._lock:
                    self._sampled_out += 1
            return kept
        except Exception as error:
            self.lose("sampling failed", error)
            return False

    def put(self, item: Waiting) -> None:
        """Take a call to be written later. Returns at once, and never raises."""
        try:
            with self._lock:
                if item.bytes > self.max_record_bytes:
                    return self.lose("too large")
                if self._waiting_bytes + item.bytes > self._max_waiting:
                    return self.lose("disk too slow")
                self._start()
                self._waiting_bytes += item.bytes
                self._queue.put(item)
        except Exception as error:
            self.lose("failed", error)

    def lose(self, reason: str, error: BaseException | None = None) -> None:
        """Count a call that is not in the log. Warns once a process. Never raises."""
        with contextlib.suppress(Exception):
            with self._lock:
                self._lost[reason] += 1
                warn, self._warned = not self._warned, True
            if warn:
                why = f"{type(error).__name__}: {error}" if error is not None else "see counts()"
                _LOGGER.warning(
                    "A call is missing from the capture log in %s: %s (%s). The application goes on; "
                    "further losses are only counted.",
                    self.folder, reason, why,
                )  # fmt: skip

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until what was put before is written.

        Returns:
            False where that took longer.
        """
        try:
            done = threading.Event()
            with self._lock:
                if self._thread is None and self._queue.empty():
                    return True
                self._start()
                self._queue.put(done)
            return done.wait(timeout_s)
        except Exception:
            return False

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="workbench-capture", daemon=True)
            thread.start()
            self._thread = thread
            _flush_at_the_end_of_a_child()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            try:
                if isinstance(item, threading.Event):
                    self._keep_counts(now=True)
                    item.set()
                else:
                    self._write(item)
                    self._keep_counts()
            except Exception as error:
                self.lose("failed", error)
            del item

    def _write(self, item: Waiting) -> None:
        try:
            line = self._line(item)
            if line is not None and len(line) > self.max_record_bytes:
                self.lose("too large")
            elif line is not None:
                if item.kind not in self._files:
                    self._files[item.kind] = LineFile(self.folder, item.kind, self._max_file_bytes)
                self._files[item.kind].append(line)
                with self._lock:
                    self._written += 1
        except OSError as error:
            self.lose("can't be written", error)
        except Exception as error:
            self.lose("can't be read", error)
        finally:
            with self._lock:
                self._waiting_bytes -= item.bytes

    def _line(self, item: Waiting) -> bytes | None:
        record = item.build()
        if record is None:
            return None
        if self._redact is not None:
            record, found = self._redact(scrubbed(record, item.secrets))
            record = {**record, "redacted": dict(found)}
        text = json.dumps(
            scrubbed(record, item.secrets), ensure_ascii=False, separators=(",", ":"), default=str
        )
        try:
            return text.encode() + b"\n"
        except UnicodeEncodeError:
            return json.dumps(json.loads(text), separators=(",", ":")).encode() + b"\n"

    def _keep_counts(self, *, now: bool = False) -> None:
        """Keep beside the log what it lost, so that whoever imports it can know."""
        if not self._lost or not (now or time.monotonic() - self._counts_at > _COUNTS_EVERY_S):
            return
        self._counts_at = time.monotonic()
        with contextlib.suppress(OSError):
            if self._counts_path is None:
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._counts_path = self.folder / f"counts-{stamp}-{os.getpid()}-{os.urandom(3).hex()}.json"
            path = self._counts_path.with_suffix(".tmp")
            path.write_text(json.dumps(self.counts()) + "\n", encoding="utf-8")
            path.replace(self._counts_path)


def _redacting_by(folder: Path) -> Redact:
    """Return what redacts with the secret of a folder, read or made when the first call is written."""
    made: list[Redactor] = []

    def redact(value: Any) -> tuple[Any, Mapping[str, int]]:
        if not made:
            made.append(Redactor(load_key(folder)))
        return made[0](value)

    return redact


def scrubbed(value: Any, secrets: Iterable[str]) -> Any:
    """Return a record without the keys that were sent along, wherever a server echoed them."""
    known = tuple(each for each in secrets if len(each) >= _MIN_SECRET_CHARS)
    return _without(value, known) if known else value


def _without(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, "[key]")
        return value
    if isinstance(value, Mapping):
        return {_without(key, secrets): _without(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without(item, secrets) for item in value]
    return value


_LOGS: weakref.WeakSet[CaptureLog] = weakref.WeakSet()


def _after_fork() -> None:
    with contextlib.suppress(Exception):
        for log in list(_LOGS):
            for file in log._files.values():
                file.close()
            log._begin()


def _at_exit() -> None:
    deadline = time.monotonic() + _EXIT_WAIT_S
    for log in list(_LOGS):
        with contextlib.suppress(Exception):
            log.flush(max(deadline - time.monotonic(), 0.0))


def _flush_at_the_end_of_a_child() -> None:
    """A forked child of multiprocessing ends without `atexit`; its own list of last things is run."""
    if multiprocessing.parent_process() is not None:
        Finalize(None, _at_exit, exitpriority=10)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
