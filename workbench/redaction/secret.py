"""The secret behind the placeholders: a file of the workspace that only its owner may read."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

FILE = ".redaction-key"
_BYTES = 32


class KeyUnusable(Exception):
    """The file is there but holds no key; the message says what to do."""


def load_key(folder: Path) -> bytes:
    """Return the secret of a folder, made on first use (mode 0600).

    Raises:
        KeyUnusable: The file is no key, or others may read it.
        OSError: It can't be read or made.
    """
    path = folder / FILE
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    folder.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{FILE}.{secrets.token_hex(4)}.tmp")
    file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        # Of two that begin at once one wins, and both use its key.
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink()
    return _read(path)


def fingerprint(key: bytes) -> str:
    """Return what tells one key from another and tells nothing of it."""
    return hmac.digest(key, b"workbench redaction key", "sha256").hex()[:16]


def _read(path: Path) -> bytes:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise KeyUnusable(f"{path} may be read by others: chmod 600 {path}")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise KeyUnusable(f"{path} holds no key of {2 * _BYTES} hexadecimal digits: restore it from a copy")
    return key
