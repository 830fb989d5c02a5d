"""Where uploaded files lie while somebody looks at them: generated folders, cleaned names."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from workbench.config import Workspace
from workbench.errors import EnvironmentalError, WorkbenchError
from workbench.writing import written_to

MAX_MB = 200
TYPES = ("jsonl", "ndjson", "json", "csv", "tsv", "tab", "parquet", "log", "txt", "gz", "zst")
"""What the browser may send. The content is checked again by the formats."""

KEPT_S = 24 * 3600
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Upload(Protocol):
    """A file as a browser sent it."""

    @property
    def name(self) -> str:
        """Return the name it had there."""
        ...


_ON_THE_PAGE = (
    (
        re.compile(r"Say which columns to read, for example .*?(?=\. Where |$)", re.DOTALL),
        "Choose the format mapped above, and say which columns hold what",
    ),
    (re.compile(r"--format NAME"), "a format chosen above"),
    (re.compile(r" \(--(?:map|where) .*?\)(?=\.| in )"), ""),
    (re.compile(r"--where .* names no value\.", re.DOTALL), "No value is named that picked rows hold."),
    (re.compile(r"For example --where .*=llm\.", re.DOTALL), "Write one, such as llm."),
    (re.compile(r"--map names no input\."), "No column is named that holds the request."),
    (re.compile(r"Add --map input=COLUMN\."), "Say which one does."),
    (
        re.compile(r"--map names both input and messages\."),
        "The request is named as a text and as a list, too.",
    ),
    (re.compile(r"--map names an end_time and no time\."), "The time of the answer is named, and no time."),
    (re.compile(r"Add --map time=COLUMN: when a call began\."), "Say which column holds when a call began."),
)
"""What errors call by options of the command line, and how the page has it."""


def as_sent(error: WorkbenchError, files: Sequence[Path]) -> WorkbenchError:
    """Return an error that names files as they were sent and fields of the page, not paths and options.

    Args:
        error: What is wrong with one of them.
        files: Where they lie.
    """
    message = error.message
    for place in {each.parent for each in files}:
        message = message.replace(f"{place}{os.sep}", "")
    hint = error.hint
    for option, field in _ON_THE_PAGE:
        message, hint = option.sub(field, message), option.sub(field, hint)
    return type(error)(message, hint)


def folder(workspace: Workspace) -> Path:
    """Return where uploads of a workspace lie."""
    return workspace.store_path.with_name(workspace.store_path.name + ".uploads")


def keep(workspace: Workspace, files: Sequence[Upload]) -> list[Path]:
    """Copy uploaded files to disk, so that memory can let go of them.

    Args:
        workspace: Whose uploads they are.
        files: Readable files with a name; each is read from its start.

    Returns:
        Paths in a folder of its own, in the order given.

    Raises:
        EnvironmentalError: There is no room for them, or nothing can be written there; nothing is kept.
    """
    _forget_old(folder(workspace))
    place = folder(workspace) / uuid.uuid4().hex
    try:
        with written_to(folder(workspace)):
            return _copied(files, place)
    except EnvironmentalError:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _copied(files: Sequence[Upload], place: Path) -> list[Path]:
    place.mkdir(parents=True)
    paths: list[Path] = []
    for index, each in enumerate(files):
        path = place / safe_name(each.name)
        if path in paths:
            path = place / f"{index + 1}-{path.name}"
        source: BinaryIO = each  # type: ignore[assignment]
        source.seek(0)
        with path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        paths.append(path)
    return paths


def drop(paths: Sequence[Path]) -> None:
    """Remove uploads that nobody needs any more."""
    for each in {path.parent for path in paths}:
        shutil.rmtree(each, ignore_errors=True)


def safe_name(name: str) -> str:
    """Return a file name without folders, hidden parts or odd characters.

    Args:
        name: What the browser said; may be anything.
    """
    last = re.split(r"[\\/]", name)[-1]
    cleaned = _UNSAFE.sub("_", last).lstrip(".-_")
    return cleaned[-80:].lstrip(".-_") or "upload"


def _forget_old(place: Path) -> None:
    if not place.is_dir():
        return
    for each in place.iterdir():
        # Somebody else's may be gone by the time it is looked at.
        with contextlib.suppress(OSError):
            if time.time() - each.stat().st_mtime > KEPT_S:
                shutil.rmtree(each, ignore_errors=True)
