"""Where an import waits until it is complete: a folder of parts under the spool.

The folder of a killed import is swept up by the next one: its lock is free.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench import parts
from workbench.store import room

ROW, LANGUAGE = "row", "language"
_CHARS = "input_chars"
_LOCK = "lock"


class Numbered:
    """Parts that are complete, and the number of each row over all of them.

    Args:
        paths: In the order of the rows.
        counts: Rows of some by the part's name; of others they are looked up.
    """

    def __init__(self, paths: Sequence[Path], counts: Mapping[str, int] | None = None) -> None:
        self.parts = list(paths)
        self.rows = 0
        self._firsts: list[int] = []
        known = counts or {}
        for path in self.parts:
            self._firsts.append(self.rows)
            count = known.get(path.name)
            self.rows += parts.row_count(path) if count is None else count

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
        """Give name and rows of the parts in order, with all columns or some, and the number in front."""
        wanted = [name for name in columns if name != ROW] if columns else None
        for path, first in zip(self.parts, self._firsts, strict=True):
            table = parts.read(path, wanted)
            numbers = pa.array(range(first, first + table.num_rows), pa.int64())
            yield path.name, table.add_column(0, ROW, numbers)


class Staging:
    """The parts of one import, in a folder of its own that no one else may sweep.

    Args:
        spool: The store's spool.
        import_id: Names the folder.
        languages: Tells the languages of many texts at once, from a column of their wordings.
        attributed: Names in a part the candidates that served its calls.
    """

    def __init__(
        self,
        spool: Path,
        import_id: str,
        languages: Callable[[Any], Any],
        attributed: Callable[[pa.Table], pa.Table] = lambda part: part,
    ) -> None:
        self._root = spool / "imports"
        self._folder = self._root / import_id
        self._lock: IO[str] | None = None
        self._find, self._attributed = languages, attributed
        self._languages: dict[str, pa.Array] = {}
        self._sizes: list[tuple[int, int]] = []
        self._calls = self.labels = Numbered(())

    def __enter__(self) -> Staging:
        self._root.mkdir(parents=True, exist_ok=True)
        # Another import that sweeps meanwhile would take a folder whose lock is still free.
        with _alone_in(self._root):
            _sweep(self._root)
            self._folder.mkdir()
            self._lock = (self._folder / _LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
        if self._lock is not None:
            self._lock.close()

    def discard(self) -> None:
        """Remove the parts: nothing asks for them any more. Other threads may do so at the same time."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Return where the parts are written."""
        return self._folder

    def add(self, name: str) -> None:
        """Take a part that is complete: its languages are told here, while others are still being written."""
        path = self._folder / name
        heads = parts.read(path, [LANGUAGE, _CHARS])
        # A prompt that many requests begin with stands in a part once, and in the store with each of them.
        chars = pc.sum(heads.column(_CHARS)).as_py() or 0
        self._sizes.append((heads.num_rows, max(path.stat().st_size, chars)))
        # A byte a row: they stay in memory until the end, and there may be any number of them.
        told = self._find(heads.column(LANGUAGE)).dictionary_encode()
        self._languages[name] = pa.DictionaryArray.from_arrays(told.indices.cast(pa.int8()), told.dictionary)

    def longest_run(self, *, of_more: bool = False) -> int:
        """Return how many bytes a vector of rows takes where they are longest; see `room.longest_run`."""
        return room.longest_run(self._sizes, of_more=of_more)

    def complete(self, renumber: Callable[[int, pa.Table], pa.Table] | None = None) -> None:
        """Take the parts that lie in the folder as all there are.

        Args:
            renumber: Applied to the number of the file and its rows, part by part in order, where
                rows without ids have to be told apart.
        """
        paths = parts.listed(self._folder)
        if renumber is not None:
            for path in paths:
                parts.write(renumber(parts.file_number(path), parts.read(path)), path)
        self._calls = Numbered(paths, {name: len(told) for name, told in self._languages.items()})
        self.labels = Numbered(parts.listed(self._folder, parts.LABEL_PARTS))

    def part(self, name: str) -> pa.Table:
        """Return a part that was taken, its requests in pieces.

        Its rows have no numbers, which only all parts together have.
        """
        return self._told(name, parts.read_in_pieces(self._folder / name))

    @property
    def rows(self) -> int:
        """Return how many calls and outputs wait."""
        return self._calls.rows

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Give the parts in order, with all columns or some, and the number of each row in front."""
        for name, table in self._calls.tables(columns):
            yield self._told(name, table)

    def _told(self, name: str, table: pa.Table) -> pa.Table:
        """Put the languages in the place of the texts that they were told from, and name who served."""
        table = self._attributed(table)
        place = table.schema.get_field_index(LANGUAGE)
        if place < 0:
            return table
        return table.set_column(place, table.schema.field(place), self._languages[name].cast(pa.string()))


@contextmanager
def _alone_in(root: Path) -> Iterator[None]:
    held = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _sweep(root: Path) -> None:
    """Remove the folders of imports that were killed."""
    for folder in root.iterdir():
        if not folder.is_dir() or folder.is_symlink():
            continue
        try:
            with (folder / _LOCK).open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass  # Killed before there was a lock, or its import is removing it.
        except OSError:
            continue
        shutil.rmtree(folder, ignore_errors=True)
