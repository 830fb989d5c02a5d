"""A vLLM server of the candidate's own: started here, asked like any other endpoint, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from workbench.config import Workspace
from workbench.engines.base import CallContext
from workbench.engines.device_lock import DeviceLock
from workbench.engines.openai_api import MAX_REPLY_BYTES, OpenAIEngine
from workbench.engines.privacy import Gate, open_gate
from workbench.engines.retries import RetryPolicy
from workbench.engines.transport import open_session, read_capped
from workbench.engines.vllm_command import HOST, check_arguments, command, devices, environment, most_at_once
from workbench.engines.vllm_launch import Prepared, prepare
from workbench.engines.vllm_server import KEEPER, Running, ServerProcess, free_port, open_log
from workbench.errors import EndpointUnreachable, WorkbenchError
from workbench.progress import Listener, Progress, silent
from workbench.records import ErrorKind, Output, Request
from workbench.specs import Candidate, EvalConfig, VLLMServer

STARTS = 3
"""How often a start is tried where another process took the port meanwhile."""
RESTARTS = 2
"""How often a server that died or hung in a replay is started again."""
POLL_S = 0.5
ASK_TIMEOUT_S = 10.0
HEALTH_TRIES = 3
_SUSPICIOUS = (ErrorKind.CONNECTION, ErrorKind.TIMEOUT)
STALL_S = 20.0
"""How long a server with running requests may write no token before it counts as hung."""
_TOKENS = re.compile(rb"^vllm:(?:prompt|generation)_tokens_total(?:\{[^}]*\})? (\S+)", re.MULTILINE)
_RUNNING = re.compile(rb"^vllm:num_requests_running(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class VLLMEngine:
    """Start a vLLM server for a candidate, ask it, restart it where it dies, end it.

    Args:
        workspace: Relative paths are taken from its folder; logs go to its spool.
        candidate: `model`, `revision`, `dtype` and `[candidates.server]`.
        eval_config: The task's eval.
        retries: How failures that may pass are asked again.

    Raises:
        PrivacyRefused: The task's data may not go to this candidate.
        ConfigError: An argument of the server is refused.
    """

    name = "vllm"

    def __init__(
        self,
        workspace: Workspace,
        candidate: Candidate,
        eval_config: EvalConfig,
        retries: RetryPolicy | None = None,
    ) -> None:
        settings = candidate.server or VLLMServer()
        loopback = f"http://{HOST}/v1"
        self._gate: Gate = open_gate(replace(candidate, base_url=loopback), eval_config)
        check_arguments(candidate.name, settings)
        self._workspace = workspace
        self._candidate = candidate
        self._settings = settings
        self._eval = eval_config
        self._retries = retries
        self._prepared: Prepared | None = None
        self._server: Running | None = None
        self._asking: OpenAIEngine | None = None
        self._retired: list[OpenAIEngine] = []
        self._restarts = 0
        self._given_up: WorkbenchError | None = None
        self._turn = asyncio.Lock()
        self.listener: Listener = silent
        self.concurrency = candidate.concurrency

    @property
    def description(self) -> Mapping[str, Any]:
        """Return vLLM's version, the model's folder, the adapters, and how long the start took."""
        if self._prepared is None:
            return {}
        launch = self._prepared.launch
        found: dict[str, Any] = {
            "vllm": self._prepared.version,
            "weights": launch.folder.name,
            "model": self._prepared.model,
            "adapters": [each.name for each in launch.adapters],
        }
        if self._server is not None:
            found |= {"start_s": round(self._server.started_s, 1), "log": str(self._server.process.log)}
        return found

    @property
    def base_url(self) -> str | None:
        """Return the server's address while it runs: its own figures stand at /metrics beside it."""
        return self._server.base_url if self._server else None

    @property
    def context_tokens(self) -> int | None:
        """Return how many tokens prompt and answer may have together, as the server says."""
        return self._server.context_tokens if self._server else None

    @property
    def batch(self) -> int:
        """Return how many requests the server works on at once; it queues what is more, and refuses none."""
        return most_at_once(self._settings)

    async def peek(self, path: str) -> Any:
        """Return what the server tells about itself; see `OpenAIEngine.peek`."""
        return await self._asking.peek(path) if self._asking else None

    def _say(self, text: str) -> None:
        self.listener(Progress("server", 0, 1, unit="servers", note=f"vLLM {text}"))

    async def check(self) -> None:
        """See that the server answers; start it first where it doesn't run. No data of the task is sent.

        Raises:
            ModelMissing: There is no vLLM, or the weights are missing.
            ConfigError: A key is wrong, or the weights may not be loaded.
            EndpointUnreachable: The server ended or did not answer in time; the last lines of its log are
                in the message.
            EnvironmentalError: Another process has the GPU.
        """
        if not await self._ensure() and self._asking is not None:
            await self._asking.check()

    async def _ensure(self) -> bool:
        """Start the server unless it was started; say whether it was now."""
        async with self._turn:
            if self._given_up is not None:
                raise self._given_up
            if self._server is not None:
                return False
            await self._start()
            return True

    async def _start(self, lock: DeviceLock | None = None) -> None:
        if self._prepared is None:
            self._prepared = await prepare(self._workspace, self._candidate, self._say)
        server = await asyncio.to_thread(KEEPER.take, self._prepared.launch)
        if server is not None and not await self._is_healthy(server):
            await asyncio.shield(asyncio.to_thread(server.stop))
            server = None
        if server is None:
            server = await self._launch(self._prepared, lock)
        self._server = server
        served = replace(
            self._candidate,
            engine="openai",
            base_url=server.base_url,
            model=self._prepared.model,
            dialect="vllm" if self._candidate.dialect == "auto" else self._candidate.dialect,
            api_key_env=None,
            server=None,
        )
        if self._asking is not None:
            # Calls that are under way on it end by themselves; it is closed with the engine.
            self._retired.append(self._asking)
        # Not checked once more: calls may be under way on it already, and one may have ended it.
        self._asking = OpenAIEngine(served, self._eval, self._retries, key=server.api_key)
        took = f"vLLM answers, {server.started_s:.0f} s after its start"
        self.listener(Progress("server", 1, 1, unit="servers", note=took))

    async def _launch(self, prepared: Prepared, lock: DeviceLock | None) -> Running:
        """Start a server on devices that this process holds, or waits for."""
        if lock is None:
            lock = DeviceLock(devices(self._settings, os.environ))
            wait_s = self._settings.start_timeout_s
            await lock.acquire(wait_s, f"candidate {self._candidate.name}", self._say)
        try:
            for last in (*[False] * (STARTS - 1), True):
                server = await self._try_launch(prepared, lock, final=last)
                if server is not None:
                    return server
        except BaseException:
            lock.release()
            raise
        raise AssertionError("the last try returns or raises")

    async def _try_launch(self, prepared: Prepared, lock: DeviceLock, *, final: bool) -> Running | None:
        """Start once. None says that another process took the port, and that it may be tried again."""
        launch, port, key = prepared.launch, free_port(), secrets.token_urlsafe(32)
        keys = [each.api_key_env for each in self._workspace.config.candidates if each.api_key_env]
        process = ServerProcess(
            command(launch, port),
            environment(launch, os.environ, key, keys),
            open_log(self._workspace.spool / "logs", self._candidate.name),
        )
        server = Running(launch, process, port, key, lock, version=prepared.version)
        started = time.monotonic()
        try:
            while True:
                if process.exit_code is not None:
                    if process.lost_port() and not final:
                        return None
                    raise self._dead(process, f"ended with code {process.exit_code} before it answered")
                if await self._is_ready(server, prepared.model):
                    server.started_s = time.monotonic() - started
                    return server
                waited = time.monotonic() - started
                if waited > self._settings.start_timeout_s:
                    raise self._dead(process, f"did not answer within {waited:.0f} s (start_timeout_s)")
                self._say(f"{process.stage()}: {waited:.0f} s")
                await asyncio.sleep(POLL_S)
        except BaseException:
            # Whatever ends the start, Ctrl-C too, ends the server.
            await asyncio.shield(asyncio.to_thread(process.stop))
            raise

    async def _is_ready(self, server: Running, model: str) -> bool:
        """Say whether it is our server that answers, and offers the model."""
        if not await self._is_healthy(server):
            return False
        if not await asyncio.to_thread(server.process.listens, server.port):
            return False
        body = await self._get(f"{server.base_url}/models", server.api_key)
        try:
            offered = {each["id"]: each for each in msgspec.json.decode(body or b"{}")["data"]}
        except (msgspec.DecodeError, LookupError, TypeError):
            return False
        length = max((each.get("max_model_len") or 0 for each in offered.values()), default=0)
        server.context_tokens = length or None
        return model in offered

    async def _is_healthy(self, server: Running) -> bool:
        return await self._get(f"http://{HOST}:{server.port}/health") is not None

    async def _get(self, url: str, key: str | None = None) -> bytes | None:
        """Return the body of a reply with status 200, else None."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        session = open_session(self._gate, timeout_s=ASK_TIMEOUT_S, connect_timeout_s=ASK_TIMEOUT_S)
        async with session:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(URL(url), headers=headers, allow_redirects=False) as reply:
                    body, whole = await read_capped(reply, MAX_REPLY_BYTES)
                    return body if whole and reply.status == 200 else None
        return None

    def _dead(self, process: ServerProcess, what: str) -> EndpointUnreachable:
        return EndpointUnreachable(
            f"Candidate {self._candidate.name!r}: its vLLM server {what}. The end of {process.log}:\n"
            f"{process.tail()}",
            process.hint(),
        )

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Ask the server; where it died or hangs, start it again and ask once more.

        Raises:
            EndpointUnreachable: It died too often; the last lines of its log are in the message.
        """
        if self._asking is None or self._given_up is not None:
            await self._ensure()
        while True:
            asked = self._asking
            if asked is None:
                raise RuntimeError("the engine is closed")
            output = await asked.complete(request, context)
            error = output.error
            if error is None or not (error.kind in _SUSPICIOUS or (error.status or 0) >= 500):
                return output
            if not await self._revive(asked, error.kind):
                return output
            context.retried.append(error.kind)

    async def _revive(self, asked: OpenAIEngine, kind: ErrorKind) -> bool:
        """See that the server runs, and start it again if not. True says: ask again."""
        async with self._turn:
            if self._given_up is not None:
                raise self._given_up
            if self._asking is not asked or self._server is None:
                return self._server is not None  # Another call was first.
            server = self._server
            what = await self._what_is_wrong(server, kind)
            if not what:
                return False
            try:
                await self._restart(server, what)
            except WorkbenchError as error:
                # The other calls must not try it all again.
                self._given_up = error
                raise
            return True

    async def _restart(self, server: Running, what: str) -> None:
        self._server = None
        try:
            await asyncio.shield(asyncio.to_thread(server.process.stop))
        except BaseException:
            server.lock.release()
            raise
        if self._restarts >= RESTARTS:
            server.lock.release()
            raise self._dead(server.process, f"{what}; it was started again {RESTARTS} times already")
        self._restarts += 1
        self._say(f"{what}: starts it again ({self._restarts} of {RESTARTS})")
        await self._start(server.lock)

    async def _what_is_wrong(self, server: Running, kind: ErrorKind) -> str:
        """Return what is wrong with a server in words, empty if nothing is."""
        # A server that just died may need a moment until its supervisor has seen it.
        for _ in range(10):
            if server.process.exit_code is not None:
                return f"ended with code {server.process.exit_code}"
            if await asyncio.to_thread(server.process.listens, server.port):
                break
            await asyncio.sleep(0.2)
        for _ in range(HEALTH_TRIES):
            if await self._is_healthy(server):
                break
        else:
            return "does not answer any more"
        if kind is not ErrorKind.TIMEOUT:
            return ""
        before = await self._work_done(server)
        if before is None or not before[1]:
            return ""
        await asyncio.sleep(STALL_S)
        after = await self._work_done(server)
        return "hangs" if after is not None and after[1] and after[0] == before[0] else ""

    async def _work_done(self, server: Running) -> tuple[float, float] | None:
        """Return tokens read and written so far, and requests that run, by the server's own count."""
        body = await self._get(f"http://{HOST}:{server.port}/metrics")
        if body is None:
            return None
        try:
            return sum(map(float, _TOKENS.findall(body))), sum(map(float, _RUNNING.findall(body)))
        except ValueError:
            return None

    async def close(self) -> None:
        """End the server, or keep it for the next candidate inside `shared_servers`."""
        for each in (*self._retired, *([self._asking] if self._asking else ())):
            await each.close()
        self._retired, self._asking = [], None
        server, self._server = self._server, None
        if server is not None:
            await asyncio.shield(asyncio.to_thread(KEEPER.give, server))
