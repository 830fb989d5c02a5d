"""The one place that opens a connection to a candidate's server."""

from __future__ import annotations

import socket

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


def open_session(gate: Gate, *, timeout_s: float, connect_timeout_s: float) -> aiohttp.ClientSession:
    """Open a session that follows the gate, and nothing from the environment.

    Args:
        gate: What was admitted.
        timeout_s: Total deadline of one attempt, from connecting to the last byte.
        connect_timeout_s: The part of it that connecting may take.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, resolver=GuardedResolver(gate), ttl_dns_cache=30),
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(connect_timeout_s, timeout_s)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "workbench"},
    )
