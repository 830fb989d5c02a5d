"""A stand-in for an interpreter with vLLM: answers as its server does, and fails as it does.

`fake_python` writes a program that is called like a Python interpreter. What it does wrong
is set by `mode`; each start leaves a line in `starts.jsonl`, each process its id in `pids`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def fake_python(folder: Path, mode: str = "", says: str = "") -> Path:
    """Write the program and return it.

    Args:
        folder: Where it lies, and where it leaves its traces.
        mode: Words such as `stubborn` or `dies_after=3`, divided by spaces; see `Fake`.
        says: What a server that `ends` writes last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "says.txt").write_text(says)
    path = folder / "python"
    path.write_text(
        f'#!/bin/sh\nFAKE_FOLDER="{folder}" FAKE_MODE="{mode}" exec "{sys.executable}" "{__file__}" "$@"\n'
    )
    path.chmod(0o755)
    return path


def starts(folder: Path) -> list[dict[str, Any]]:
    """Return what each start of a server was given: arguments and variables."""
    path = folder / "starts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(folder: Path) -> list[int]:
    """Return the processes of all starts that still live."""
    found = []
    for path in folder.glob("pids/*"):
        try:
            state = Path(f"/proc/{path.name}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in ("Z", "X"):
            found.append(int(path.name))
    return found


class Fake:
    """One start of the server, with the faults that its mode names.

    ends           says its last words and exits with code 1
    ends_once      the same, at the first start alone
    silent         never listens
    stubborn       ignores SIGTERM, and so do its helpers, one of them in a session of its own
    dies_after=N   exits at the Nth call of a start
    sound_from=K   behaves from the Kth start on
    freezes_after=N  stops (SIGSTOP) at the Nth call
    stalls         answers everything but calls
    """

    def __init__(self, arguments: list[str]) -> None:
        self.folder = Path(os.environ.pop("FAKE_FOLDER"))
        words = os.environ.pop("FAKE_MODE").split()
        self.mode = {name: int(value or 1) for name, _, value in (word.partition("=") for word in words)}
        self.arguments = arguments
        self.key = os.environ.get("VLLM_API_KEY", "")
        with (self.folder / "starts.jsonl").open("a") as file:
            file.write(json.dumps({"argv": arguments, "env": dict(os.environ)}) + "\n")
        self.count = len(starts(self.folder))
        if self.count >= self.mode.get("sound_from", 10**6):
            self.mode = {}
        self.calls = 0
        self.running = 0

    def note_pid(self) -> None:
        (self.folder / "pids").mkdir(exist_ok=True)
        (self.folder / "pids" / str(os.getpid())).touch()

    def option(self, name: str) -> str:
        return self.arguments[self.arguments.index(name) + 1]

    def names(self) -> list[str]:
        found = [self.option("--served-model-name")]
        if "--lora-modules" in self.arguments:
            rest = self.arguments[self.arguments.index("--lora-modules") + 1 :]
            found += [json.loads(each)["name"] for each in rest if each.startswith("{")]
        return found

    def helper(self, own_session: bool) -> None:
        if os.fork():
            return
        if own_session:
            os.setsid()
            if os.fork():  # Its parent ends at once: an orphan.
                os._exit(0)
        self.note_pid()
        time.sleep(600)
        os._exit(0)

    def run(self) -> None:
        self.note_pid()
        print("INFO Initializing a V1 LLM engine", flush=True)
        if "ends" in self.mode or ("ends_once" in self.mode and self.count == 1):
            print((self.folder / "says.txt").read_text(), flush=True)
            sys.exit(1)
        if "stubborn" in self.mode:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self.helper(own_session=False)
            self.helper(own_session=True)
        if "silent" in self.mode:
            time.sleep(600)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def reply(self, body: Any, status: int = 200) -> None:
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def allowed(self) -> bool:
                if self.headers.get("Authorization") == f"Bearer {fake.key}":
                    return True
                self.reply({"error": "Unauthorized"}, 401)
                return False

            def do_GET(self) -> None:
                if self.path == "/health":
                    self.reply("")
                elif self.path == "/metrics":
                    written = 'vllm:generation_tokens_total{engine="0"} 7.0'
                    self.reply(f'{written}\nvllm:num_requests_running{{engine="0"}} {fake.running}.0\n')
                elif self.path == "/v1/models" and self.allowed():
                    rows = [
                        {"id": name, "owned_by": "vllm", "max_model_len": 2048, "object": "model"}
                        for name in fake.names()
                    ]
                    self.reply({"object": "list", "data": rows})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not self.allowed():
                    return
                fake.calls += 1
                fake.running += 1
                if fake.calls >= fake.mode.get("dies_after", 10**9):
                    print("RuntimeError: the engine core died", flush=True)
                    os._exit(9)
                if fake.calls >= fake.mode.get("freezes_after", 10**9):
                    os.kill(os.getpid(), signal.SIGSTOP)
                if "stalls" in fake.mode:
                    time.sleep(600)
                choices = body.get("structured_outputs", {}).get("choice", ["ham"])
                message = {"role": "assistant", "content": choices[0]}
                self.reply(
                    {
                        "model": body["model"],
                        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
                    }
                )
                fake.running -= 1

        try:
            server = ThreadingHTTPServer((self.option("--host"), int(self.option("--port"))), Handler)
        except OSError:
            print("OSError: [Errno 98] Address already in use", flush=True)
            sys.exit(1)
        server.daemon_threads = True
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.serve_forever()


def main() -> None:
    """Be the interpreter that is looked into (`-c`), or the server (`-m`)."""
    arguments = sys.argv[1:]
    if arguments[0] == "-c":
        found = "without_vllm" not in os.environ["FAKE_MODE"]
        print(json.dumps({"vllm": found, "versions": {"vllm": "0.0.fake"}}))
        return
    assert arguments[:2] == ["-m", "vllm.entrypoints.openai.api_server"], arguments
    Fake(arguments[2:]).run()


if __name__ == "__main__":
    main()
