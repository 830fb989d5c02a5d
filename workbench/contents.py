"""What a candidate's own files hold: a model, an adapter or a template may change under one path."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.specs import Candidate

DECIDING = (".json", ".safetensors", ".jinja", ".txt", ".model", ".tiktoken")
"""Files of a model's or an adapter's folder that decide an answer: weights, tokenizer, templates."""
WHOLE = 8 << 20
"""Bytes up to which a file is read whole."""
PIECES, PIECE = 1024, 4096
"""Of a larger one so many pieces of so many bytes are read, evenly spread: training changes
weights all over their file, and a hundred gigabytes need not be read for each command."""


def local_contents(root: Path, candidate: Candidate) -> dict[str, str]:
    """Return the hash of each file or folder of this machine that decides what a candidate answers.

    Args:
        root: Relative paths are taken from here.
        candidate: The candidate. What it names by a hub's id and a commit can't change.

    Returns:
        Hashes by what they are of; nothing for what does not lie on this machine.
    """
    if candidate.engine not in ("vllm", "transformers"):
        return {}
    settings = candidate.server
    named = {
        "model": candidate.model,
        "adapter": settings.adapter if settings else None,
        "chat_template": settings.chat_template if settings else None,
    }
    found = {}
    for what, name in named.items():
        if not name or "{" in name or name.startswith("packaged:"):
            continue
        path = root / name
        if path.is_dir():
            found[what] = folder_hash(path)
        elif path.is_file():
            found[what] = _hash_of(path)
    return found


def folder_hash(folder: Path) -> str:
    """Return a hash of the files of a folder that decide an answer, by name, size and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in DECIDING and path.is_file():
            digest.update(f"{path.name}\0{_hash_of(path)}\0".encode())
    return digest.hexdigest()


def _hash_of(path: Path) -> str:
    state = path.stat()
    return _read(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read(path: Path, size: int, changed_ns: int) -> str:
    """Return the hash of a file; one that has not changed since is not read again."""
    digest: Any = hashlib.sha256(f"{size}\0".encode())
    with path.open("rb") as file:
        if size <= WHOLE:
            digest.update(file.read())
        else:
            for index in range(PIECES):
                file.seek(index * (size - PIECE) // (PIECES - 1), os.SEEK_SET)
                digest.update(file.read(PIECE))
    return str(digest.hexdigest())
