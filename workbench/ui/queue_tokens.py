"""What stands for a candidate in the address of a blind page: no name, and nothing to try names on."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import uuid
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from workbench.config import Workspace

TOKEN_CHARS = 16
SALT_CHARS = 64

_log = logging.getLogger(__name__)


def queue_token(workspace: Workspace, candidate: str) -> str:
    """Return the token of a candidate's queue: the same for all who share the store, as long as it lives.

    It is made with a secret beside the store (HMAC-SHA256), so that hashing the names one has in mind
    tells nothing.

    Args:
        workspace: Whose store.
        candidate: The candidate's name.
    """
    path = workspace.store_path.with_name(workspace.store_path.name + ".queues")
    return hmac.digest(_salt(path).encode(), candidate.encode(), "sha256").hex()[:TOKEN_CHARS]


def queue_of(tokens: Iterable[str], asked: str) -> str | None:
    """Return the token that an address names, or None; how long it takes tells nothing of the others.

    Args:
        tokens: Those there are.
        asked: What the address says.
    """
    found = None
    for each in tokens:
        if hmac.compare_digest(each.encode(), asked.encode("utf-8", "replace")):
            found = each
    return found


@lru_cache(maxsize=16)
def _salt(path: Path) -> str:
    """Return the secret of a store, made where there is none; if it can't be kept, one for this process."""
    made = secrets.token_hex(SALT_CHARS // 2)
    try:
        known = _read(path)
        if known is not None:
            return known
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(made)
        try:
            # Unlike a rename, a link fails where another process was faster; then its secret counts.
            os.link(part, path)
        except OSError:
            if _read(path) is None:
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return _read(path) or made
    except OSError as error:
        _log.warning("Links to queues hold until the app stops: %s can't be written (%s)", path, error)
        return made


def _read(path: Path) -> str | None:
    """Return the secret in a file; None where there is none that is whole."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    return text if len(text) == SALT_CHARS and text.isascii() else None
