"""Declarations are written whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import EnvironmentalError, UsageError


def _link(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
        part.unlink()
    except FileExistsError:
        raise
    except OSError:
        # A file system without links.
        if path.exists():
            raise FileExistsError(path) from None
        part.replace(path)


def replace_text(path: Path, text: str, *, new: bool = False) -> None:
    """Write a file so that a reader sees the old text or the new one, also after a crash.

    Args:
        path: The file; what may be done with it stays as it was.
        text: Its new content.
        new: Whether a file that is there already is an error.

    Raises:
        UsageError: It can't be written, or is there already; it stays as it was.
    """
    path = path.resolve()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            # Unlike a check before, a link fails where somebody was faster.
            _link(part, path)
        else:
            if path.exists():
                part.chmod(path.stat().st_mode & 0o777)
            part.replace(path)
    except FileExistsError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{path} is there already.", "Edit it, or choose another name.") from error
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{path} can't be written: {error.strerror}.", _way_out(error)) from error


@contextmanager
def written_to(place: Path) -> Iterator[None]:
    """Say in words that a folder can't be written to, where that is what happens in the block.

    Args:
        place: The folder.

    Raises:
        EnvironmentalError: Its disk is full, it belongs to somebody else, or it can't be reached.
    """
    try:
        yield
    except OSError as error:
        raise EnvironmentalError(
            f"{place} can't be written to: {error.strerror or error}.", _way_out(error)
        ) from error


def _way_out(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on its disk, then try again."
    return "Check who owns it."
