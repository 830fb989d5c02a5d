"""The one place that opens a connection to a candidate's server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from workbench.engines.privacy import Gate, resolve


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


def open_session(gate: Gate, *, timeout_s: float, connect_timeout_s: float) -> aiohttp.ClientSession:
    """Open a session that follows the gate, and nothing from the environment.

    Args:
        gate: What was admitted.
        timeout_s: Total deadline of one attempt, from connecting to the last byte.
        connect_timeout_s: The part of it that connecting may take.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, resolver=GuardedResolver(gate), ttl_dns_cache=30, socket_factory=guarded_socket(gate)
        ),
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(connect_timeout_s, timeout_s)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "workbench"},
    )


async def read_capped(response: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """Return the body, or None where it is larger than the cap; the rest is not read."""
    length = response.content_length
    if length is not None:
        if length > most_bytes:
            response.close()
            return None
        return await response.read()
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > most_bytes:
            response.close()
            return None
        pieces.append(piece)
    return b"".join(pieces)
