"""The one place that opens a connection to a candidate's server."""

from __future__ import annotations

import socket
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from workbench.engines.privacy import Gate, resolve

UNPACKED_BYTES = 256 * 1024
"""A compressed body is unpacked in pieces of at most so much: a small one may hold gigabytes."""
_WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_UNREADABLE = frozenset(("br", "zstd", "compress", "x-compress"))


class GuardedResolver(AbstractResolver):
    """Resolve names through the gate; aiohttp connects to what this returns."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return checked addresses only."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=int(socket.AI_NUMERICHOST),
            )
            for address, kind in await resolve(self._gate, host, port, family)
        ]

    async def close(self) -> None:
        """Hold nothing."""


def guarded_socket(gate: Gate) -> Callable[[Any], socket.socket]:
    """Return what makes the sockets of a session: none for an address that the gate refuses.

    Every connection passes here, those too whose address the client read off the URL itself
    and never asked the resolver about.

    Args:
        gate: What was admitted.
    """

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        gate.check_address(str(address[0]), str(address[0]))
        return socket.socket(family, kind, protocol)

    return make


def open_session(
    gate: Gate, *, timeout_s: float, connect_timeout_s: float, headers: Mapping[str, str] | None = None
) -> aiohttp.ClientSession:
    """Open a session that follows the gate, and nothing from the environment.

    Args:
        gate: What was admitted.
        timeout_s: Total deadline of one attempt, from connecting to the last byte.
        connect_timeout_s: The part of it that connecting may take.
        headers: Sent with every request, over those of all sessions: merging them once costs
            less than with each request.
    """
    own = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "workbench"}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, resolver=GuardedResolver(gate), ttl_dns_cache=30, socket_factory=guarded_socket(gate)
        ),
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(connect_timeout_s, timeout_s)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        # A compressed body would be unpacked whole before anybody could count it: see `body_pieces`.
        auto_decompress=False,
        headers=own | dict(headers or {}),
    )


async def read_capped(response: aiohttp.ClientResponse, most_bytes: int) -> tuple[bytes, bool]:
    """Return the body and that it is whole, or as much as the cap allows; the rest is not read.

    Args:
        response: Its status and headers are there.
        most_bytes: The cap, unpacked.
    """
    length = response.content_length
    if length is not None and length <= most_bytes and not _encoding(response):
        return await response.read(), True
    pieces, left = [], most_bytes
    async for piece in body_pieces(response):
        pieces.append(piece[:left])
        if len(piece) > left:
            response.close()
            return b"".join(pieces), False
        left -= len(piece)
    return b"".join(pieces), True


async def body_pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the body as it comes, unpacked where the server compressed it though nobody asked for that.

    Who counts the pieces can stop before a small body has become a large one.

    Raises:
        aiohttp.ClientPayloadError: It breaks off, or is not what its encoding says.
        ValueError: It is packed in a way that can't be read here.
    """
    encoding = _encoding(response)
    if not encoding:
        async for piece in response.content.iter_any():
            yield piece
        return
    if encoding in _UNREADABLE:
        raise ValueError(f"the body is packed ({encoding}), which nobody asked for")
    unpacking = zlib.decompressobj(_WBITS[encoding])
    begun = False
    async for piece in response.content.iter_any():
        if not begun and encoding == "deflate" and piece and piece[0] & 0x0F != 8:
            unpacking = zlib.decompressobj(-15)  # Some servers leave out the frame of zlib.
        begun = True
        while piece:
            try:
                found = unpacking.decompress(piece, UNPACKED_BYTES)
            except zlib.error as error:
                raise aiohttp.ClientPayloadError(f"the body is no {encoding}") from error
            if found:
                yield found
            piece = unpacking.unconsumed_tail
    if begun and not unpacking.eof:
        raise aiohttp.ClientPayloadError("the packed body breaks off")


def _encoding(response: aiohttp.ClientResponse) -> str:
    """Return how the body is packed, or an empty text where it is not."""
    named = response.headers.get("Content-Encoding", "").strip().casefold()
    # Some servers name a character set here: what is no packing is passed over.
    return named if named in _WBITS or named in _UNREADABLE else ""
