"""Files that are no logs as they stand, but hold one: what makes them one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import UsageError
from workbench.formats.registry import recognised
from workbench.formats.streams import is_piece
from workbench.normal import decode_nested

_PYTHON = ("{'", "[{'")
_WHOLE = "Log each call with its request beside its answer; the pieces of a stream may be a list."


def only_pieces(path: Path, objects: Sequence[Mapping[str, Any]]) -> UsageError | None:
    """Return the error for a file whose records are the pieces of streamed answers; None for others."""
    if not objects or not all(map(is_piece, objects)):
        return None
    return UsageError(f"{path} holds the pieces of streamed answers, and not what was asked.", _WHOLE)


def only_events(path: Path) -> UsageError:
    """Return the error for a file that is the text of a stream."""
    return UsageError(f"{path} is a streamed answer as text, and not what was asked.", _WHOLE)


def behind_text(path: Path, before: str) -> UsageError:
    """Return the error for lines of JSON behind something else, such as a time and a level.

    Args:
        path: The file.
        before: What stands before the JSON of one line.
    """
    cut = f"sed 's/^[^{{]*//' {shlex.quote(path.name)} > calls.jsonl"
    return UsageError(
        f"{path} holds JSON behind other text: its lines begin with {before[:60]!r}.",
        f"Cut that off, and import what is left: {cut}",
    )


def how_to_unwrap(value: Mapping[str, Any]) -> str:
    """Say how a known log is read out of a collector's records; empty where none lies in them."""
    for key, item in value.items():
        inner = decode_nested(item)
        found = recognised(inner) if isinstance(inner, dict) else None
        if found is not None:
            packed = " | fromjson" if isinstance(item, str) else ""
            taken = shlex.quote(f'.["{key}"]{packed}')
            return (
                f"What lies in {key!r} looks like {found[0].name}. Write it out and import that file, for "
                f"example: jq -c {taken} FILE > calls.jsonl"
            )
    return ""


def is_python(line: str) -> bool:
    """Tell whether a line is what Python prints of an object, which is no JSON."""
    return line.lstrip().startswith(_PYTHON)
