"""The life of one vLLM server: started under a supervisor, watched, ended, never left behind.

Several candidates share a server while `shared_servers` is open: it is kept for the next
one whose launch is the same, and ended when another is needed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.engines import vllm_supervisor
from workbench.engines.device_lock import DeviceLock
from workbench.engines.vllm_command import HOST, Launch

GRACE_S = 10.0
"""How long a server may take to end by itself before it is killed."""
KEPT_LOGS = 10
TAIL_LINES = 12
TAIL_BYTES = 256 * 1024
CAUSES = 3
_PREFIX = re.compile(r"^\([\w-]+ pid=\d+\) (?:[A-Z]+ \d\d-\d\d [\d:]+ \[[^\]]*\] ?)?")
"""What vLLM puts before the lines of its processes."""
_CAUSE = re.compile(r"^(?:[\w.]+(?:Error|Exception|Exit)\b: .+|[\w.]+: error: .+|Value error, .+)")
"""What refuses a setting, pydantic, says why in a line of its own."""
_FOLLOWS = re.compile(r"See root cause|initialization failed|due to previous error")
"""Errors that only say that another one came before."""

HINTS: tuple[tuple[str, str], ...] = (
    (
        r"out of memory|OutOfMemory|No available memory for the cache blocks|less than desired \w+ memory"
        r"|larger than the available KV cache|KV cache is needed|not enough memory",
        "The device's memory does not suffice: lower `server.max_model_len` or `server.gpu_memory_share`, "
        "or see with nvidia-smi who else uses it. On a CPU set VLLM_CPU_KVCACHE_SPACE (GiB) in "
        "`server.environment`.",
    ),
    (
        r"Tensor parallel size .* cannot be larger|World size .* is larger than|not enough (GPUs|devices)"
        r"|invalid device ordinal|set_device.*invalid",
        "There are fewer GPUs than `server.tensor_parallel` asks for: lower it, or widen "
        "CUDA_VISIBLE_DEVICES.",
    ),
    (
        r"must be divisible by tensor parallel size|divisible by tensor_parallel",
        "`server.tensor_parallel` must divide the model's number of attention heads: take 1, 2, 4 or 8.",
    ),
    (
        r"model type `?\S+`? but Transformers does not recognize|not supported for now"
        r"|[Mm]odel architectures .* (are|is) not supported|failed to be inspected",
        "This vLLM does not know the model's architecture: update vLLM in its interpreter, or take another "
        "model.",
    ),
    (
        r"No module named|ModuleNotFoundError|ImportError",
        "A module is missing in vLLM's interpreter: install it there, or make the environment anew.",
    ),
    (
        r"greater than the derived max_model_len|max_model_len .* is greater",
        "`server.max_model_len` is larger than the model's own: lower it.",
    ),
    (
        r"Bfloat16 is only supported on GPUs|compute capability",
        'The device does not know this number format: set dtype = "float16".',
    ),
    (r"invalid tool call parser", "Mend `server.tool_parser`; vLLM's log lists those it knows."),
    (r"unrecognized arguments|invalid choice|error: argument", "Mend `server.arguments`, or update vLLM."),
    (r"quantization", "Mend `server.quantization`: it must be what the weights were made with."),
    (r"LoRA|lora", "See that the adapter was trained on this very model, and mend `server.adapter`."),
)
"""What is known to end a server at its start, and what helps; the first that matches counts."""
_PORT_TAKEN = re.compile(r"[Aa]ddress already in use")

STAGES: tuple[tuple[str, str], ...] = (
    ("Application startup complete", "almost ready"),
    ("Starting vLLM server", "almost ready"),
    ("Capturing CUDA graph", "captures CUDA graphs"),
    ("KV cache size", "warms up"),
    ("Model loading took", "makes room for requests"),
    ("Loading safetensors", "loads the weights"),
    ("Starting to load model", "loads the weights"),
    ("Initializing a V1 LLM engine", "starts its engine"),
)
"""Words of the log by which a waiting person sees where the start stands, last stage first."""


def free_port() -> int:
    """Return a port of this machine that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def open_log(folder: Path, name: str) -> Path:
    """Return the path of a new log, and remove the oldest ones beyond the last `KEPT_LOGS`."""
    folder.mkdir(parents=True, exist_ok=True)
    olds = sorted(folder.glob("vllm-*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in olds[KEPT_LOGS - 1 :]:
        old.unlink(missing_ok=True)
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return folder / f"vllm-{name}-{moment}-{secrets.token_hex(2)}.log"


class ServerProcess:
    """A server under its supervisor.

    Args:
        command: What to start.
        environment: Its variables, all of them.
        log: Where its output goes.
        grace_s: How long it may take to end by itself.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        grace_s: float | None = None,
    ) -> None:
        self.log = log
        self._grace_s = grace_s = GRACE_S if grace_s is None else grace_s
        self._group: int | None = None
        supervisor = [sys.executable, "-I", "-S", vllm_supervisor.__file__, str(log), f"{grace_s:g}"]
        # No terminal's Ctrl-C reaches it: the pipe alone says when it is over.
        self._process = subprocess.Popen(  # noqa: S603 - our own script, and a command built here
            [*supervisor, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            cwd=log.parent,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Return the supervisor's process id; all of the server is below it."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs."""
        code = self._process.poll()
        if code is not None and code < 0 and self._group is not None:
            # Somebody killed the supervisor itself: what it watched is ours to end.
            vllm_supervisor.kill_group(self._group)
            self._group = None
        return code

    def listens(self, port: int) -> bool:
        """Say whether it is this server that listens at a port, where the system can tell.

        A port that was free may have been taken since by a process that means no good:
        requests go to none but ours.
        """
        members = vllm_supervisor.descendants(self.pid)
        self._group = self._group or (members[0] if members else None)
        table = Path("/proc/net/tcp")
        if not table.exists():
            return True
        local = f"0100007F:{port:04X}"
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
        sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == local and row[3] == "0A"}
        return any(_holds(pid, sockets) for pid in members)

    def stop(self) -> None:
        """End it, and see that it is gone. Harmless if it has ended."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=self._grace_s + vllm_supervisor.KILL_S + 5)
        except subprocess.TimeoutExpired:
            for pid in [*vllm_supervisor.descendants(self.pid), self.pid]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        _ = self.exit_code

    def tail(self) -> str:
        """Return the last lines of its log, and before them the errors that came first."""
        lines = [line.rstrip()[:300] for line in self._end_of_log().splitlines() if line.strip()]
        first = [f"cause: {each}" for each in self.causes() if each not in "\n".join(lines[-TAIL_LINES:])]
        return "\n".join([*first, *lines[-TAIL_LINES:]])

    def causes(self) -> list[str]:
        """Return the first errors in its log: vLLM's last lines mostly say that something failed before."""
        lines = [_PREFIX.sub("", line).strip() for line in self._end_of_log().splitlines()]
        errors = [line[:500] for line in lines if _CAUSE.match(line) and not _FOLLOWS.search(line)]
        return list(dict.fromkeys(errors))[:CAUSES]

    def stage(self) -> str:
        """Return where its start stands, in words."""
        text = self._end_of_log()
        return next((words for mark, words in STAGES if mark in text), "starts")

    def lost_port(self) -> bool:
        """Say whether it ended because another process had its port."""
        return bool(_PORT_TAKEN.search(self._end_of_log()))

    def hint(self) -> str:
        """Return what helps against what ended it."""
        # Where no error stands out, its last words; never the rest, which names everything there is.
        text = "\n".join(self.causes()) or self.tail()
        known = next((hint for pattern, hint in HINTS if re.search(pattern, text)), "")
        if not known and self.exit_code == 128 + signal.SIGKILL:
            known = "It was killed from outside, mostly by a system that is out of memory: see its journal."
        return known or "See its log for the cause; then run the same command again."

    def _end_of_log(self) -> str:
        try:
            with self.log.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(file.tell() - TAIL_BYTES, 0))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""


def _holds(pid: int, sockets: set[str]) -> bool:
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(each.readlink()) in sockets:
                    return True
    return False


@dataclass(slots=True)
class Running:
    """A server that answers: what it was started as, how it is reached, and what it holds."""

    launch: Launch
    process: ServerProcess
    port: int
    api_key: str = field(repr=False)
    lock: DeviceLock
    started_s: float = 0.0
    version: str = ""
    context_tokens: int | None = None

    @property
    def base_url(self) -> str:
        """Return its address."""
        return f"http://{HOST}:{self.port}/v1"

    def stop(self) -> None:
        """End it and give its devices back."""
        try:
            self.process.stop()
        finally:
            self.lock.release()


class _Keeper:
    """What `shared_servers` keeps between two candidates."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._kept: Running | None = None

    def enter(self) -> None:
        with self._lock:
            self._open += 1

    def leave(self) -> None:
        with self._lock:
            self._open -= 1
            kept, self._kept = (self._kept, None) if self._open == 0 else (None, self._kept)
        if kept is not None:
            kept.stop()

    def take(self, launch: Launch) -> Running | None:
        """Return the kept server if it is the one wanted; end it otherwise."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is None:
            return None
        if kept.launch == launch and kept.process.exit_code is None:
            return kept
        kept.stop()
        return None

    def give(self, server: Running) -> None:
        """Keep a server that is no longer used, or end it."""
        with self._lock:
            if self._open and self._kept is None and server.process.exit_code is None:
                self._kept = server
                return
        server.stop()


KEEPER = _Keeper()


@contextlib.contextmanager
def shared_servers() -> Iterator[None]:
    """Keep a candidate's vLLM server for the next candidate that can share it.

    While this is open, closing an engine leaves its server running; it is ended when a
    candidate needs another one, and at the end.
    """
    KEEPER.enter()
    try:
        yield
    finally:
        KEEPER.leave()
