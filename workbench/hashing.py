"""Hashes that tell contents apart: 128 bits of BLAKE2b (Aumasson et al., 2013)."""

from __future__ import annotations

from hashlib import blake2b

begun = blake2b(digest_size=16).copy
"""Return a hash of nothing yet. To copy one takes half the time of making one with its settings."""


def hashed(data: bytes) -> str:
    """Return the hash of some bytes as 32 hexadecimal digits."""
    found = begun()
    found.update(data)
    return found.hexdigest()
