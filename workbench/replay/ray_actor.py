"""What runs on the machines of a Ray cluster: one engine, fed with pieces of a plan.

An actor asks what a piece still lacks and writes the answers itself, as parts of that
piece. So a piece can be given to another actor at any time: what its parts hold is
not asked again. Ray carries only which piece is done, and how it went.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import io
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.config import Workspace
from workbench.engines import Engine, open_engine
from workbench.engines.conformance import Needs, check_conformance
from workbench.engines.privacy import open_gate
from workbench.errors import EnvironmentalError, WorkbenchError
from workbench.progress import silent
from workbench.records import Output, from_json, to_json
from workbench.replay.event_loop import new_event_loop
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.journal import PartWriter
from workbench.replay.lease import ReplayLease
from workbench.replay.ledger import recover
from workbench.replay.limiter import Limiter
from workbench.replay.loop import Ended, Run
from workbench.replay.outcomes import Outcomes
from workbench.replay.ray_budget import PieceBudgets
from workbench.replay.ray_cluster import admit, own_address
from workbench.replay.ray_settings import (
    CHECKED,
    SETTINGS,
    STOP,
    UNCHECKED,
    RunSettings,
    error_to_json,
    piece_name,
    piece_of,
)
from workbench.replay.remote_spool import RemoteSpool
from workbench.replay.session import limiter_of
from workbench.store import arrow

T = TypeVar("T")

PIECE_ATTEMPTS = 6
"""So many actors may die of one piece; then the run ends and says so."""
WATCH_EVERY_S = 1.0
CLOSE_WAIT_S = 30.0
OBJECT_ROWS = 1_000
OBJECT_EVERY_S = 5.0
"""Parts in object storage cost a request each, so they are written more seldom than on a disk."""

REPORT = pa.schema(
    [
        ("piece", pa.int64()),
        ("answered", pa.int64()),
        ("state", pa.string()),
        ("error", pa.string()),
        ("unrecorded_usd", pa.float64()),
    ]
)
"""`unrecorded_usd` is the part of what a piece has cost that no observation shows."""


@dataclass(slots=True)
class _Opened:
    """An actor's engine, and what is known of it."""

    settings: RunSettings
    engine: Engine
    worked: bool
    checked: bool
    limiter: Limiter
    budgets: PieceBudgets | None


class AnsweringActor:
    """Answer pieces of a plan with one engine; Ray Data makes as many as it is told.

    Args:
        url: The shared spool.
        run: The run's folder in it.
    """

    def __init__(self, url: str, run: str) -> None:
        self._spool = RemoteSpool(url)
        self._run = run
        self._opened: _Opened | None = None
        # A loop of its own, outside the main thread: connections live as long as the actor,
        # and the loop leaves the signals to Ray.
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="answering", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Answer the pieces whose plan files a batch names; return how each went."""
        done = [self._wait(self._answer(name)) for name in batch["file"].to_pylist()]
        return pa.Table.from_pylist(done, schema=REPORT)

    def close(self) -> None:
        """Close the engine; a server that it started ends."""
        if self._loop.is_running():
            if self._opened is not None:
                with contextlib.suppress(Exception):
                    self._wait(self._opened.engine.close(), CLOSE_WAIT_S)
                self._opened = None
            self._loop.call_soon_threadsafe(self._loop.stop)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _wait(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    async def _answer(self, file: str) -> dict[str, Any]:
        piece, answered, ended, unrecorded_usd = piece_of(file), 0, Ended("interrupted"), 0.0
        try:
            if await asyncio.to_thread(self.may_go_on):
                opened = await self._open()
                await asyncio.to_thread(self._note_attempt, piece)
                rows = await asyncio.to_thread(self._planned, file)
                answered, ended, unrecorded_usd = await self._ask(opened, piece, rows)
        except WorkbenchError as error:
            ended = Ended("failed", error)
        return {
            "piece": piece,
            "answered": answered,
            "state": ended.state,
            "error": error_to_json(ended.error),
            "unrecorded_usd": unrecorded_usd,
        }

    def may_go_on(self) -> bool:
        """Say whether the run still stands and nobody asked it to stop."""
        return self._spool.exists(f"{self._run}/{SETTINGS}") and not self._spool.exists(f"{self._run}/{STOP}")

    def require(self) -> None:
        """See that the run still stands before something is written under it.

        Raises:
            EnvironmentalError: It was ended, or another command took the replay over.
        """
        if not self._spool.exists(f"{self._run}/{SETTINGS}"):
            raise EnvironmentalError(
                "This run of the replay was ended or taken over; nothing more is written under it."
            )

    async def _open(self) -> _Opened:
        if self._opened is None:
            try:
                data = await asyncio.to_thread(self._spool.read, f"{self._run}/{SETTINGS}")
                settings = msgspec.json.decode(data, type=RunSettings)
            except (FileNotFoundError, msgspec.MsgspecError) as error:
                raise EnvironmentalError(
                    f"An actor can't read {self._spool.url}/{self._run}/{SETTINGS}: {error}.",
                    "All machines need the same spool and the same version of the workbench.",
                ) from error
            open_gate(settings.candidate, settings.eval_config)
            if settings.cluster.address is not None:
                # Machines may have joined since the command looked at them.
                admit([own_address()], settings.cluster, settings.eval_config)
            workspace = Workspace(Path(settings.root), settings.config)
            engine = await asyncio.to_thread(open_engine, workspace, settings.candidate, settings.eval_config)
            try:
                await engine.check()
            except BaseException:
                await engine.close()
                raise
            limiter = limiter_of(engine, settings.candidate, settings.concurrency)
            budgets = None if settings.budget is None else PieceBudgets(settings.budget)
            self._opened = _Opened(
                settings, engine, settings.worked_before, settings.needs is None, limiter, budgets
            )
        return self._opened

    async def _ask(
        self, opened: _Opened, piece: int, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[int, Ended, float]:
        settings = opened.settings
        if not opened.checked:
            await self._check(opened)
        known = await asyncio.to_thread(self._known, settings, piece)
        todo = [row for row in rows if (row["call_id"], row["repeat"]) not in known]
        if not todo:
            return 0, Ended("finished"), 0.0
        budget = None
        if opened.budgets is not None:
            answered = ((row, known.get((row["call_id"], row["repeat"]))) for row in rows)
            budget = opened.budgets.open(rows, ((row, output) for row, output in answered if output))
        requests = {row["call_id"]: (row["native_id"], row["request"]) for row in todo}
        beat = _Silent(Path(), settings.replay_id, len(todo), 0)
        candidate = settings.candidate
        outcomes = Outcomes(candidate.name, candidate.base_url or candidate.engine, opened.worked)
        run = Run(
            engine=opened.engine,
            replay_id=settings.replay_id,
            pending=[(row["call_id"], row["repeat"]) for row in todo],
            fetch=lambda call_ids: {call_id: requests[call_id] for call_id in call_ids},
            writer=self._writer(settings, piece),
            outcomes=outcomes,
            beat=beat,
            concurrency=opened.limiter.maximum,
            listener=silent,
            # What one piece taught of the server, the next one need not learn again.
            limiter=opened.limiter,
            deadline_s=opened.limiter.deadline_s,
            budget=budget,
        )
        running = asyncio.create_task(run.run())
        watching = asyncio.create_task(self._watch(running))
        try:
            ended = await running
        except asyncio.CancelledError:
            ended = Ended("interrupted")
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            opened.worked = opened.worked or outcomes.worked_before
        return beat.done, ended, run.dropped_usd + (0.0 if budget is None else budget.extra_usd)

    async def _watch(self, running: asyncio.Task[Ended]) -> None:
        while await asyncio.to_thread(self._still):  # noqa: ASYNC110 - what it looks at is a file
            await asyncio.sleep(WATCH_EVERY_S if self._spool.folder else OBJECT_EVERY_S)
        running.cancel()

    async def _check(self, opened: _Opened) -> None:
        """Check the candidate, unless another actor of this run found it fit already."""
        settings = opened.settings
        marker = f"{self._run}/{CHECKED}"
        if not await asyncio.to_thread(self._spool.exists, marker):
            found = await check_conformance(
                opened.engine, settings.candidate, settings.eval_config, settings.needs or Needs()
            )
            found.require()
            if found.unanswered:
                marker = f"{self._run}/{UNCHECKED}"
            await asyncio.to_thread(self._spool.write, marker, to_json(found))
        opened.checked = True

    def _still(self) -> bool:
        try:
            return self.may_go_on()
        except EnvironmentalError:
            return True  # Storage that hiccups is no order to stop; writing a part waits for it.

    def _planned(self, file: str) -> list[dict[str, Any]]:
        try:
            return list(pq.read_table(io.BytesIO(self._spool.read(file))).to_pylist())
        except FileNotFoundError as error:
            raise EnvironmentalError(
                f"An actor can't find {file} in the spool {self._spool.url}.",
                "All machines need the same spool: see [ray] in workbench.toml.",
            ) from error

    def _note_attempt(self, piece: int) -> None:
        """Note that a piece is begun: Ray gives one whose actor died to another, without end."""
        folder = self._folder("attempts", piece)
        earlier = len(self._spool.names(folder))
        if earlier >= PIECE_ATTEMPTS:
            raise EnvironmentalError(
                f"{earlier} actors died while they answered piece {piece} of the plan.",
                "What was answered is kept. Ray's logs say why they died (memory, most often); then run the "
                "same command again.",
            )
        self._spool.write(f"{folder}/{earlier + 1:04d}", b"begun")

    def _folder(self, kind: str, piece: int) -> str:
        return f"{self._run}/{kind}/{piece_name(piece)}"

    def _known(self, settings: RunSettings, piece: int) -> dict[tuple[str, int], Output | None]:
        """Return what an actor that was lost had answered of a piece; the answers where money is counted."""
        parts = self._folder("parts", piece)
        if self._spool.folder is not None:
            recover(self._spool.folder / parts, self._spool.folder / self._folder("answers", piece))
        limited = settings.budget is not None and settings.budget.usd is not None
        columns = ["call_id", "repeat", *(["output"] if limited else [])]
        known: dict[tuple[str, int], Output | None] = {}
        for name in self._spool.names(parts):
            table = pq.read_table(io.BytesIO(self._spool.read(name)), columns=columns)
            for row in table.to_pylist():
                text = row.get("output")
                known[row["call_id"], row["repeat"]] = from_json(text, Output) if text else None
        return known

    def _writer(self, settings: RunSettings, piece: int) -> PartWriter:
        parts = self._folder("parts", piece)
        if self._spool.folder is None:
            return _ObjectWriter(self._spool, parts, settings, self.require)
        answers = self._spool.folder / self._folder("answers", piece)
        permit = _Permit(answers, settings.epoch, self.require)
        return PartWriter(self._spool.folder / parts, settings.replay_id, permit)


class _Silent(Heartbeat):
    """Counts, and leaves the telling to the command that watches the parts."""

    def write(self) -> None:
        """Write nothing."""


class _Permit(ReplayLease):
    """The driver's lease, as an actor sees it: it stands while the run's settings lie there."""

    def __init__(self, answers: Path, epoch: int, require: Callable[[], None]) -> None:
        self.answers = answers
        self.epoch = epoch
        self._require = require

    def require(self) -> None:
        """See that the run still stands."""
        self._require()


class _ObjectWriter(PartWriter):
    """Write parts into object storage. What is in no part yet is lost with the actor."""

    def __init__(
        self, spool: RemoteSpool, folder: str, settings: RunSettings, require: Callable[[], None]
    ) -> None:
        self._remote = spool
        self._folder = folder
        self._require = require
        self._head = f"observations-{settings.replay_id}-{settings.epoch:08d}-{secrets.token_hex(4)}"
        self._number = 0
        self._pending: list[Mapping[str, Any]] = []
        self.unsettled = 0
        self._one_at_a_time = asyncio.Lock()
        self._last = time.monotonic()

    async def add(self, rows: Sequence[Mapping[str, Any]], kept: Callable[[], object] | None = None) -> None:
        """Take rows; write a part when there are enough."""
        self.take(rows, kept)
        if self.is_behind:
            await self.flush()

    def take(self, rows: Sequence[Mapping[str, Any]], kept: Callable[[], object] | None = None) -> None:
        """Take rows; what is in no part yet is as safe as it can be here."""
        self._pending.extend(rows)
        if kept is not None:
            kept()

    @property
    def is_behind(self) -> bool:
        """Say whether there are enough rows for a part."""
        return len(self._pending) >= OBJECT_ROWS

    async def settle(self) -> None:
        """Write a part where there are enough rows for one."""
        if self.is_behind:
            await self.flush()

    async def flush_if_due(self) -> None:
        """Write a part if the last one is old."""
        if self._pending and time.monotonic() - self._last >= OBJECT_EVERY_S:
            await self.flush()

    async def flush(self) -> None:
        """Write what there is.

        Raises:
            EnvironmentalError: The storage refuses it, or the run was ended.
        """
        async with self._one_at_a_time:
            rows, self._pending = self._pending, []
            if rows:
                self._number += 1
                name = f"{self._folder}/{self._head}-{self._number:08d}.parquet"
                # Shielded: a part that was begun is finished, whatever stops the replay.
                await asyncio.shield(asyncio.to_thread(self._put, name, rows))
            self._last = time.monotonic()

    def _put(self, name: str, rows: list[Mapping[str, Any]]) -> None:
        self._require()
        content = io.BytesIO()
        pq.write_table(arrow.from_rows(rows), content)
        self._remote.write(name, content.getvalue())
