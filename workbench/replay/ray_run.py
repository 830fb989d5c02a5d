"""One run of a replay in a shared spool: the plan that goes out, the parts that come back."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.engines.conformance import ConformanceReport
from workbench.records import Request, from_json, to_json
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.ledger import recover, unwritable
from workbench.replay.ray_settings import (
    CHECKED,
    SETTINGS,
    STOP,
    UNCHECKED,
    RunSettings,
    piece_name,
    run_folder,
)
from workbench.replay.remote_spool import RemoteSpool
from workbench.store.spool import part_path, written_whole

PIECE_CALLS = 1_000
"""A piece is what one actor takes at a time; at its end the actor waits for its last answers."""
PIECE_BYTES = 16 << 20
PIECES_PER_ACTOR = 4
"""A small sample is cut finer, so that all actors end together."""
READ_AT_ONCE = 16
FETCHED_CALLS = 1_000
"""Requests read from the store at a time."""

_COLUMNS = pa.schema(
    [
        ("call_id", pa.string()),
        ("repeat", pa.int32()),
        ("native_id", pa.string()),
        ("request", pa.string()),
    ]
)
_read_request = msgspec.json.Decoder(Request).decode

Fetch = Callable[[Sequence[str]], dict[str, tuple[str, str]]]


class SharedRun:
    """The folder of one run: settings, plan, parts.

    Args:
        spool: The shared spool.
        replay_id: Whose run.
        epoch: Of the lease under which it runs; parts carry it in their names.

    `characters` is the length of all requests in its plan, once that is written.
    """

    def __init__(self, spool: RemoteSpool, replay_id: str, epoch: int) -> None:
        self.spool = spool
        self.replay_id = replay_id
        self.epoch = epoch
        self.folder = run_folder(replay_id, epoch)
        self.characters = 0
        self._taken: set[str] = set()

    def write_plan(
        self,
        pages: Iterable[Sequence[tuple[str, int]]],
        total: int,
        fetch: Fetch,
        patch: Callable[[Request], Request] | None,
        actors: int,
        tell: Callable[[int], None] = lambda _: None,
    ) -> list[str]:
        """Write what is pending as Parquet files, one a piece.

        Args:
            pages: Calls and repeats, in order of sending; pieces keep it, so that
                prompts with one beginning meet one engine.
            total: How many they are.
            fetch: Returns native id and request of calls.
            patch: Changes a request as the candidate's prompt patch says; None for none.
            actors: How many will answer.
            tell: Told how many calls are written.

        Returns:
            Names of the files in the spool.
        """
        size = min(PIECE_CALLS, max(math.ceil(total / (actors * PIECES_PER_ACTOR)), 1))
        names: list[str] = []
        rows: list[dict[str, Any]] = []
        held = written = 0
        for row in _planned_rows(pages, fetch, patch):
            length = len(row["request"])
            if rows and (len(rows) >= size or held + length > PIECE_BYTES):
                names.append(self._write_piece(len(names), rows))
                written += len(rows)
                tell(written)
                rows, held = [], 0
            rows.append(row)
            held += length
            self.characters += length
        if rows:
            names.append(self._write_piece(len(names), rows))
        return names

    def _write_piece(self, piece: int, rows: list[dict[str, Any]]) -> str:
        table = pa.Table.from_pylist(rows, schema=_COLUMNS)
        content = io.BytesIO()
        pq.write_table(table, content, compression="zstd")
        name = f"{self.folder}/plan/{piece_name(piece)}.parquet"
        self.spool.write(name, content.getvalue())
        return name

    def begin(self, settings: RunSettings) -> None:
        """Let actors write under this run."""
        self.spool.write(f"{self.folder}/{SETTINGS}", to_json(settings))

    def stop(self) -> None:
        """Ask the actors to write what they have, and to ask nothing more."""
        self.spool.write(f"{self.folder}/{STOP}", b"stop")

    def check_found(self) -> ConformanceReport | None:
        """Return what an actor found that checked the candidate; None while nobody has.

        Where none got answers to all checks, it is what one of them got.
        """
        for name in (CHECKED, UNCHECKED):
            with contextlib.suppress(FileNotFoundError):
                return from_json(self.spool.read(f"{self.folder}/{name}"), ConformanceReport)
        return None

    def take_parts(self, into: Path, beat: Heartbeat | None = None) -> int:
        """Copy the parts that are new into the store's spool; return how many rows they have.

        Args:
            into: The store's spool. A part of the same name is loaded once.
            beat: Counts what they hold.

        A file that is no part of this run is left alone: whoever can write to the storage
        must not be able to fill other tables.

        Raises:
            EnvironmentalError: The store's spool can't be written: a full disk, say.
        """
        count = 0
        prefix = f"observations-{self.replay_id}-{self.epoch:08d}-"
        new = [each for each in self.spool.names(f"{self.folder}/parts") if each not in self._taken]
        own = [
            each for each in new if each.rpartition("/")[2].startswith(prefix) and each.endswith(".parquet")
        ]
        for name, data in self._read(own):
            file_name = name.rpartition("/")[2]
            count += _count(data, self.replay_id, beat)
            target = part_path(
                into, "observations", file_name.removeprefix("observations-").removesuffix(".parquet")
            )
            try:
                with written_whole(target) as file:
                    file.write(data)
            except OSError as error:
                raise unwritable(into, error) from error
        self._taken.update(new)
        return count

    def _read(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield files with their content; from object storage several at a time, which hides its latency."""
        with ThreadPoolExecutor(READ_AT_ONCE) as pool:
            for start in range(0, len(names), READ_AT_ONCE):
                chunk = names[start : start + READ_AT_ONCE]
                yield from zip(chunk, pool.map(self.spool.read, chunk), strict=True)

    def clear_pieces(self, pieces: Iterable[int]) -> None:
        """Remove pieces that are done and loaded, so that listing stays short."""
        for piece in pieces:
            name = piece_name(piece)
            self.spool.remove(f"{self.folder}/plan/{name}.parquet")
            self.spool.remove(f"{self.folder}/parts/{name}")
            self.spool.remove(f"{self.folder}/answers/{name}")
            self.spool.remove(f"{self.folder}/attempts/{name}")
        prefixes = tuple(f"{self.folder}/parts/{piece_name(piece)}/" for piece in pieces)
        self._taken = {each for each in self._taken if not each.startswith(prefixes)}

    def end(self, into: Path, beat: Heartbeat | None = None) -> int:
        """End the run: no actor may write under it; take what was answered, in parts or not yet."""
        self.spool.remove(f"{self.folder}/{SETTINGS}")
        if self.spool.folder is not None:
            answers = self.spool.folder / self.folder / "answers"
            for each in sorted(answers.glob("*")):
                recover(self.spool.folder / self.folder / "parts" / each.name, each)
        return self.take_parts(into, beat)

    def remove(self) -> None:
        """Remove the folder. Only after its parts are loaded."""
        self.spool.remove(self.folder)


def earlier_runs(spool: RemoteSpool, replay_id: str) -> Iterator[SharedRun]:
    """Yield the runs of a replay whose folders are still there, oldest first."""
    for name in spool.folders(replay_id):
        if name.isdigit():
            yield SharedRun(spool, replay_id, int(name))


def _planned_rows(
    pages: Iterable[Sequence[tuple[str, int]]],
    fetch: Fetch,
    patch: Callable[[Request], Request] | None,
) -> Iterator[dict[str, Any]]:
    for page in pages:
        for start in range(0, len(page), FETCHED_CALLS):
            chunk = page[start : start + FETCHED_CALLS]
            found = fetch([call_id for call_id, _ in chunk])
            for call_id, repeat in chunk:
                native_id, request = found[call_id]
                if patch is not None:
                    request = to_json(patch(_read_request(request))).decode()
                yield {"call_id": call_id, "repeat": repeat, "native_id": native_id, "request": request}


def _count(data: bytes, replay_id: str, beat: Heartbeat | None) -> int:
    columns = ["replay_id", "error_kind", "input_tokens", "output_tokens", "retried"]
    table = pq.read_table(io.BytesIO(data), columns=columns).to_pydict()
    if set(table["replay_id"]) - {replay_id}:
        raise ValueError("A part of this run holds answers of another replay.")
    rows = len(table["replay_id"])
    if beat is not None:
        beat.done += rows
        beat.input_tokens += sum(each or 0 for each in table["input_tokens"])
        beat.output_tokens += sum(each or 0 for each in table["output_tokens"])
        for retried in filter(None, table["retried"]):
            for kind in retried.split(","):
                beat.retry(kind)
        for kind in table["error_kind"]:
            if kind is not None:
                beat.errors[kind] = beat.errors.get(kind, 0) + 1
    return rows
