"""One open connection per store and process, shared by threads, given up on request."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from workbench.errors import EnvironmentalError, StoreBusy, StoreIncompatible
from workbench.store import arrow, engine, lease, migrate
from workbench.store.versions import Versions

POLL_S = 0.005
"""How often the holder looks whether another process wants the file, while it is open."""

IDLE_S = 1.0
"""After so long without a call the file is closed unasked. Reopening costs some 5 ms."""

QUANTUM_S = 0.02
"""A holder with a burst of calls keeps the file so long, so that not each call pays a hand-over."""

PATIENCE_S = 0.25
"""Waiting for a moment without a call takes at most so long; then new calls queue behind."""

_EXIT_S = 2.0
_FORK_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a call works with."""

    instance: engine.Instance
    catalogue: arrow.Catalogue


class _Local(threading.local):
    depth = 0


class Shared:
    """The one connection of this process to one store.

    Threads enter `call`, which opens the file when needed. While it is open a small
    thread, the keeper, watches for other processes and for idleness, and closes it.

    Args:
        path: The store, resolved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pid = os.getpid()
        self.references = 0
        self.memory_mb: int | None = None
        self.versions = Versions(path)
        self.write_lock = threading.RLock()
        self._lease = lease.Lease(path)
        self._state = threading.Condition()
        self._local = _Local()
        self._opened: Opened | None = None
        self._instance: engine.Instance | None = None
        self._keeper: threading.Thread | None = None
        self._schema: tuple[int, arrow.Catalogue] | None = None
        self._opening = False
        self._closing = False
        self._broken = False
        self._active = 0
        self._opened_at = 0.0
        self._used_at = 0.0
        self._wanted_since: float | None = None

    @contextmanager
    def call(self, wait_s: float) -> Iterator[Opened]:
        """Have the file open for the length of one call; calls of one thread may nest.

        Args:
            wait_s: How long to wait for another process, in seconds.

        Raises:
            StoreBusy: Another process kept the file.
            StoreIncompatible: It can't be read.
        """
        opened = self._enter(time.monotonic() + wait_s)
        try:
            with engine.translated(self.path):
                yield opened
        except engine.Invalidated:
            self._broken = True
            raise
        finally:
            self._leave()

    def catalogue(self, wait_s: float) -> arrow.Catalogue:
        """Return the tables and columns, opening the file only if they aren't known yet."""
        if self._schema is None:
            with self.call(wait_s) as opened:
                return opened.catalogue
        return self._schema[1]

    def offer(self) -> None:
        """Say that a piece of work is done: if another process waits, it needn't wait for idleness."""
        with self._state:
            if self._opened is not None and self._active == 0 and self._lease.wanted():
                self._closing = True
                self._state.notify_all()

    def wanted(self) -> bool:
        """Return whether another process waits for the file, which is open here."""
        with self._state:
            return self._opened is not None and self._lease.wanted()

    def rest(self) -> None:
        """Close the file as soon as no call is in progress; the next call opens it again."""
        with self._state:
            if self._opened is not None:
                self._closing = True
                self._state.notify_all()

    def close(self, wait_s: float | None = None) -> None:
        """Close the file once no call is in progress.

        Args:
            wait_s: After so long calls in progress are interrupted; None waits for them.
        """
        with self._state:
            self._closing = self._opened is not None
            if not self._state.wait_for(self._is_at_rest, wait_s) and self._opened is not None:
                self._opened.instance.interrupt()
                self._state.wait_for(self._is_at_rest, wait_s)
            # The keeper may have closed it meanwhile.
            self._shut()
            self._end_instance()
            keeper, self._keeper = self._keeper, None
        # DuckDB prints warnings about leaks if a thread still knows a connection at exit.
        if keeper is not None:
            keeper.join()

    def grow(self, memory_mb: int) -> None:
        """Let the database take more memory, from the next call on; one that is opened without limit has it.

        Args:
            memory_mb: In all; less than now changes nothing.
        """
        if self.memory_mb is None or memory_mb <= self.memory_mb:
            return
        # The settings of a database are locked when it starts.
        self.close()
        self.memory_mb = memory_mb

    def close_before_fork(self) -> None:
        """Close the file for the moment of a fork, if no call is in progress or ends soon."""
        keeper = None
        with self._state:
            if self._local.depth == 0 and self._state.wait_for(self._is_at_rest, _FORK_S):
                self._shut()
                self._end_instance()
                keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.join()

    def forget(self) -> None:
        """Let a forked child drop its parent's connection without touching the file."""
        if self._instance is not None:
            self._instance.abandon()
            _forked_while_open.add(self.path)
        self._opened = self._instance = None
        self._lease.forget()

    def _enter(self, deadline: float) -> Opened:
        with self._state:
            if self._local.depth == 0:
                started = time.monotonic()
                while self._opened is None or self._closing:
                    if self._opened is None and not self._opening and not self._closing:
                        self._opening = True
                        break
                    if not self._state.wait(max(0.0, deadline - time.monotonic())):
                        raise self._lease.busy(time.monotonic() - started)
            if self._opened is not None:
                return self._begin(self._opened)
        opened = None
        try:
            opened = self._open(deadline)
        finally:
            with self._state:
                self._opening = False
                self._opened = opened
                self._state.notify_all()
                if opened is not None:
                    self._opened_at = self._used_at = time.monotonic()
                    self._wanted_since = None
                    self._broken = False
                    self._begin(opened)
                    self._keeper = threading.Thread(
                        target=self._keep, args=(opened,), name="store-keeper", daemon=True
                    )
                    self._keeper.start()
        return opened

    def _is_at_rest(self) -> bool:
        return self._active == 0 and not self._opening

    def _begin(self, opened: Opened) -> Opened:
        self._active += 1
        self._local.depth += 1
        return opened

    def _leave(self) -> None:
        with self._state:
            self._local.depth -= 1
            self._active -= 1
            self._used_at = time.monotonic()
            if self._active == 0:
                held_s = self._used_at - self._opened_at
                if self._broken or (held_s >= QUANTUM_S and self._lease.wanted()):
                    self._closing = True
                if self._closing:
                    self._state.notify_all()

    def _open(self, deadline: float) -> Opened:
        if self.path in _forked_while_open:
            raise EnvironmentalError(
                f"This process was forked while {self.path} was in use, and can't open it.",
                'Start it in another way, such as multiprocessing.get_context("spawn").',
            )
        self._lease.acquire(deadline)
        try:
            new = self._create_if_missing()
            steps = migrate.bundled()
            instance = self._attach(deadline)
            with instance.cursor() as cursor:
                version = migrate.applied(cursor, self.path)
            if migrate.check(version, self.path, steps):
                instance.detach()
                backup = migrate.upgrade(self.path, version, steps)
                _log.info("Migrated %s; the copy from before is %s", self.path, backup)
                instance = self._attach(deadline)
                version, new = steps[-1].number, True
            if self._schema is None or self._schema[0] != version or new:
                with instance.cursor() as cursor:
                    self._schema = (version, arrow.Catalogue(cursor))
            self.versions.settle(renew=new)
            return Opened(instance, self._schema[1])
        except BaseException as error:
            self._end_instance()
            self._lease.release()
            if isinstance(error, duckdb.Error):
                raise engine.incompatible(self.path, error) from error
            raise

    def _attach(self, deadline: float) -> engine.Instance:
        if self._instance is None:
            self._instance = engine.Instance(self.path, self.memory_mb)
        started = time.monotonic()
        while True:
            try:
                self._instance.attach()
                return self._instance
            except engine.ForeignHolder as error:
                self._lease.note(f"waiting for process {error.pid}, which has the file open in DuckDB")
                if time.monotonic() >= deadline:
                    holder = f"process {error.pid} (another program using DuckDB)"
                    raise lease.busy(self.path, holder, time.monotonic() - started) from error
                time.sleep(POLL_S)

    def _end_instance(self) -> None:
        instance, self._instance = self._instance, None
        if instance is not None:
            with contextlib.suppress(duckdb.Error):
                instance.close()

    def _create_if_missing(self) -> bool:
        if self.path.exists() and not self.path.is_file():
            raise StoreIncompatible(
                f"{self.path} is a folder or a device, not a file.",
                "Name another file under `store` in workbench.toml; it is created when it doesn't exist.",
            )
        if self.path.exists() and self.path.stat().st_size > 0:
            if not engine.looks_like_database(self.path):
                raise StoreIncompatible(
                    f"{self.path} isn't a DuckDB file.",
                    "Name another file under `store` in workbench.toml; it is created when it doesn't exist.",
                )
            return False
        if self._schema is not None:
            # To begin anew, in silence, would pass a share that is not mounted for a lack of evidence.
            raise EnvironmentalError(
                f"{self.path} was there a moment ago and is gone.",
                "Put it back, or bring back the disk that it is on. To begin with an empty store, "
                "start the program again.",
            )
        log = self.path.with_name(self.path.name + ".wal")
        if log.exists():
            raise StoreIncompatible(
                f"{self.path} is missing, but its write-ahead log {log} is there.",
                "Put the store back beside it, or move the log away to begin with an empty store.",
            )
        try:
            migrate.create(self.path, migrate.bundled())
        except (OSError, duckdb.IOException) as error:
            raise EnvironmentalError(
                f"{self.path} can't be created: {error}",
                "Check that the folder is writable and its disk has space left.",
            ) from error
        return True

    def _keep(self, opened: Opened) -> None:
        while True:
            with self._state:
                if self._opened is not opened:
                    return
                if self._should_close():
                    self._closing = True
                    self._state.notify_all()
                if self._closing and self._active == 0:
                    self._shut()
                    return
                self._state.wait(POLL_S)

    def _should_close(self) -> bool:
        now = time.monotonic()
        if self._broken:
            return True
        if self._active == 0 and now - self._used_at >= IDLE_S:
            return True
        if not self._lease.wanted():
            self._wanted_since = None
            return False
        if self._wanted_since is None:
            self._wanted_since = now
        if now - self._opened_at < QUANTUM_S and now - self._used_at < POLL_S:
            return False
        return self._active == 0 or now - self._wanted_since >= PATIENCE_S

    def _shut(self) -> None:
        """Close the file and let it go. The state must be locked."""
        opened, self._opened = self._opened, None
        if opened is not None:
            try:
                if self._broken:
                    self._end_instance()
                else:
                    opened.instance.detach()
            except duckdb.Error as error:
                # What was committed is in the write-ahead log and is read at the next opening.
                _log.warning("Closing %s: %s", self.path, error)
                self._end_instance()
            self._lease.release()
        self._closing = self._broken = False
        self._state.notify_all()


_registry: dict[Path, Shared] = {}
_registry_lock = threading.Lock()
# DuckDB takes a file that was open at the fork for open in the child as well.
_forked_while_open: set[Path] = set()


def share(path: Path, memory_mb: int | None = None) -> Shared:
    """Return this process's connection to a store; give it back with `unshare`.

    Args:
        path: The store.
        memory_mb: What it may take at most, where this is the first to ask for it.
    """
    path = Path(os.path.realpath(path))
    with _registry_lock:
        shared = _registry.get(path)
        if shared is None:
            shared = _registry[path] = Shared(path)
            shared.memory_mb = memory_mb
        shared.references += 1
        return shared


def unshare(shared: Shared) -> None:
    """Give a connection back; the last one closes the file."""
    with _registry_lock:
        shared.references -= 1
        last = shared.references == 0
        if last and _registry.get(shared.path) is shared:
            del _registry[shared.path]
    if last:
        shared.close()


def _close_all() -> None:
    for shared in list(_registry.values()):
        with contextlib.suppress(duckdb.Error, StoreBusy):
            shared.close(_EXIT_S)


def _close_before_fork() -> None:
    for shared in list(_registry.values()):
        shared.close_before_fork()


def _forget_all() -> None:
    global _registry_lock
    for shared in _registry.values():
        shared.forget()
    _registry.clear()
    _registry_lock = threading.Lock()


atexit.register(_close_all)
os.register_at_fork(before=_close_before_fork, after_in_child=_forget_all)
