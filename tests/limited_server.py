"""A stub that counts requests by time, as hosted models do, and refuses what is too many with 429."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from servers import completion, prompt_of


@dataclass
class LimitedServer:
    """Take `most` requests in each window of `window_s`; an `error` stands in the body of what is refused.

    `says` whether Retry-After tells when the next window begins.
    """

    most: int
    window_s: float = 2.0
    says: bool = True
    error: dict[str, Any] = field(default_factory=lambda: {"message": "slow down"})
    port: int = 0
    refused: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    _taken: Counter[int] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer, or refuse."""
        body = await request.json()
        window, into = divmod(time.monotonic(), self.window_s)
        self._taken[int(window)] += 1
        if self._taken[int(window)] > self.most:
            self.refused += 1
            headers = {"Retry-After": f"{self.window_s - into:.3f}"} if self.says else {}
            return web.json_response({"error": self.error}, status=429, headers=headers)
        self.answered[prompt_of(body)] += 1
        return web.json_response(completion("ham", body["model"]))


@contextmanager
def limited(server: LimitedServer) -> Iterator[LimitedServer]:
    """Run a server in a thread of this process while the block lasts."""
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def models(_: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": []})

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server.complete)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        assert site._server is not None
        server.port = site._server.sockets[0].getsockname()[1]
        ready.set()
        return runner

    runners: list[web.AppRunner] = []

    def run() -> None:
        runners.append(loop.run_until_complete(start()))
        loop.run_forever()
        loop.run_until_complete(runners[0].cleanup())
        loop.close()

    thread = threading.Thread(target=run, name="limited", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
