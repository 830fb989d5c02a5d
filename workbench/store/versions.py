"""A number that changes with every commit, and one for some tables, for caches that never open the store."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from collections.abc import Collection
from pathlib import Path

_NUMBER = struct.Struct("<q")
_ALL = "*"
_AT = "at"


class Versions:
    """The counter beside one store. Only the process that holds the store writes it.

    Even: nothing is being committed. Odd: a commit is under way, or its process died
    in the middle of it; whether its rows are visible is then unknown until the store
    is opened again, and the number read is one that is never read twice.

    Beside it stands the number at which each table changed last. Where that file doesn't
    belong to the current number, every table counts as changed.

    Args:
        store: Path of the store.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._path = store.with_name(store.name + ".version")
        self._tables = store.with_name(store.name + ".tables")

    def read(self) -> int:
        """Return the current number: equal numbers mean equal contents.

        Of a store that is gone, nothing that was remembered holds.
        """
        number = self._stored()
        unknown = number is None or number % 2 or not self._is_there()
        return -time.time_ns() if number is None or unknown else number

    def _is_there(self) -> bool:
        try:
            return self._store.stat().st_size > 0
        except OSError:
            return False

    def read_of(self, tables: Collection[str]) -> int:
        """Return a number for some tables: equal numbers mean equal contents of all of them."""
        number = self.read()
        if number < 0:
            return number
        changed = self._changed()
        if changed.get(_AT) != number:
            return number
        return max(changed.get(_ALL, number), *(changed.get(table, 0) for table in tables), 0)

    def settle(self, *, renew: bool = False) -> None:
        """Make the number even, after the store was opened.

        Args:
            renew: Whether the store is another one than before, such as a new one.
        """
        number = self._stored()
        if number is None or renew:
            # Never smaller than a number already seen, even if the file was deleted.
            self._settle_at(max(time.time_ns() // 1000 * 2, (number or 0) + 2) // 2 * 2, None)
        elif number % 2:
            self._settle_at(number + 1, None)

    def begin(self) -> None:
        """Say that a commit begins."""
        number = self._stored()
        self._write(1 if number is None else number | 1)

    def end(self, tables: Collection[str] | None = None) -> None:
        """Say that the commit is over, whether it held or not.

        Args:
            tables: What it changed; None where that is not known.
        """
        number = self._stored()
        if number is None or number % 2 == 0:
            self.settle()
        else:
            self._settle_at(number + 1, tables)

    def _settle_at(self, number: int, tables: Collection[str] | None) -> None:
        changed = {_ALL: number} if tables is None else self._changed()
        if tables is not None and changed.get(_AT) != number - 2:
            # Somebody committed without saying what.
            changed = {_ALL: number}
        changed |= dict.fromkeys(tables or (), number) | {_AT: number}
        draft = self._tables.with_name(self._tables.name + ".new")
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(changed), encoding="utf-8")
            draft.replace(self._tables)
        self._write(number)

    def _changed(self) -> dict[str, int]:
        try:
            found = json.loads(self._tables.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _stored(self) -> int | None:
        try:
            return int(_NUMBER.unpack(self._path.read_bytes())[0])
        except (OSError, struct.error):
            return None

    def _write(self, number: int) -> None:
        # Eight bytes in one call: a reader sees the old number or the new one.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.pwrite(descriptor, _NUMBER.pack(number), 0)
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)
