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
        if path.is_symlink():
            raise UsageError(
                f"{path} is a link to the folder {path.readlink()}.", "Name that folder to import it, too."
            )
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
    except PermissionError:
        return False
    return _may_enter(folder)


def is_dead_link(path: Path) -> bool:
    """Tell whether a path is a link that leads to nothing, in a circle, or to where nothing may be read."""
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114 -- a `Path` raises


def below(folder: Path) -> Iterator[Path]:
    """Yield what lies below a folder, hidden files and folders left out.

    That is all files and what stands in their place; of the folders those that a search passes over: that
    may not be read, and links to folders outside of this one. Links are never followed.
    """
    for parent, names, files in os.walk(folder):
        for name in sorted(names):
            inner = Path(parent, name)
            if name.startswith("."):
                names.remove(name)
            elif inner.is_symlink():
                names.remove(name)
                if not _is_searched(inner, folder):
                    yield inner
            elif not may_list(inner):
                names.remove(name)
                yield inner
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def _is_searched(link: Path, folder: Path) -> bool:
    """Tell whether a link leads to a folder whose files a search finds anyway."""
    target, top = Path(os.path.realpath(link)), Path(os.path.realpath(folder))
    return target.is_relative_to(top) and not any(
        each.startswith(".") for each in target.relative_to(top).parts
    )


def _unreachable(path: Path, error: OSError) -> UsageError:
    """Return the error for a path that leads to nothing."""
    if isinstance(error, PermissionError):
        target = Path(os.path.realpath(path))
        closed = next((each for each in reversed(target.parents) if not _may_enter(each)), target.parent)
        return UsageError(f"{path} may not be read: the folder {closed} is closed.", _RIGHTS)
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


def _may_enter(folder: Path) -> bool:
    try:
        os.stat(os.path.join(folder, os.curdir))  # noqa: PTH116, PTH118 -- a `Path` drops the dot
    except PermissionError:
        return False
    except OSError:
        pass
    return True


def _is(told: Callable[[], bool]) -> bool:
    try:
        return told()
    except OSError:
        return False
