"""What stands in the way of reading a path: links to nothing, missing rights, things that are no files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.errors import UsageError, did_you_mean

_MOST_SIBLINGS = 1000
_RIGHTS = "Give your account the right to read it, or copy it to where it may."


def check_readable(path: Path) -> None:
    """Check that a path leads to a file which may be read.

    Raises:
        UsageError: It does not; the message says what it leads to instead.
    """
    try:
        path.stat()
    except OSError as error:
        raise _unreachable(path, error) from error
    if path.is_dir():
        if not may_list(path):
            raise UsageError(f"{path} is a folder that may not be read.", _RIGHTS)
        raise UsageError(f"{path} is a folder, not a file.", "Name the files in it.")
    if not path.is_file():
        raise UsageError(
            f"{path} is a pipe, a socket or a device, not a file.",
            "A log is read more than once: write it to a file first, then import that one.",
        )
    try:
        path.open("rb").close()
    except PermissionError as error:
        raise UsageError(f"{path} may not be read.", _RIGHTS) from error


def may_list(folder: Path) -> bool:
    """Tell whether the files of a folder can be listed and opened."""
    try:
        os.scandir(folder).close()
        os.stat(os.path.join(folder, os.curdir))  # noqa: PTH116, PTH118 -- a `Path` drops the dot
    except PermissionError:
        return False
    return True


def is_broken_link(path: Path) -> bool:
    """Tell whether a path is a link that leads to nothing, or in a circle."""
    return path.is_symlink() and not path.exists()


def closed_below(folder: Path) -> Iterator[Path]:
    """Yield the folders below one, hidden ones left out, that may not be read: a search passes over them."""
    for parent, names, _ in os.walk(folder):
        names[:] = [each for each in names if not each.startswith(".")]
        for name in list(names):
            if not may_list(Path(parent, name)):
                names.remove(name)
                yield Path(parent, name)


def _unreachable(path: Path, error: OSError) -> UsageError:
    """Return the error for a path that leads to nothing."""
    if isinstance(error, PermissionError):
        closed = next(
            (each for each in reversed(path.parents) if _is(each.is_dir) and not may_list(each)), None
        )
        return UsageError(f"{path} may not be read: the folder {closed or path.parent} is closed.", _RIGHTS)
    if error.errno == errno.ELOOP:
        return UsageError(
            f"{path} is a link that leads back to itself.", "Name the file that it was made for."
        )
    if _is(path.is_symlink):
        return UsageError(
            f"{path} is a link to {path.readlink()}, which is not there.",
            "Name the file that it was made for, or mount the disk where it lies.",
        )
    siblings = [each.name for each in path.parent.iterdir()] if _is(path.parent.is_dir) else []
    close = did_you_mean(path.name, siblings) if len(siblings) < _MOST_SIBLINGS else ""
    return UsageError(f"{path}: there is no such file.", close if close.startswith("Did") else "")


def _is(told: Callable[[], bool]) -> bool:
    try:
        return told()
    except OSError:
        return False
