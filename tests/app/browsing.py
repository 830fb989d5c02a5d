"""A started app, a tab that notes what it does besides showing pages, and what browser tests wait for."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.app_server import WORKSPACE_VARIABLE, command
from workbench.config import Workspace
from workbench.ui import jobs

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = (
    '<script>alert(1)</script><img src="http://example.org/x.png" onerror="alert(2)">'
    " ![x](http://example.org/y.png)"
)
MINUTE_MS = 60_000
START_WAIT_S = 60.0
PROBES = ("/_stcore/health", "/_stcore/host-config")
"""Streamlit looks for its server below the page's own path first; that one try may fail."""

ITEM_ON_PAGE = r"""() => {
    const button = document.querySelector('[class*="st-key-equal-"]');
    const found = button && button.className.match(/st-key-equal-(\S+)/);
    return found ? found[1] : null;
}"""


@dataclass
class Served:
    """The app of one workspace, as one process that can be stopped and killed."""

    place: Workspace
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def app_of(place: Workspace) -> Iterator[Served]:
    """Serve a workspace until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {WORKSPACE_VARIABLE: str(place.root)}
    child = subprocess.Popen(command("127.0.0.1", port), env=environment, cwd=place.root)
    served = Served(place, port, child)
    # A proxy named in the environment must not be asked for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_WAIT_S
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                opener.open(f"{served.url}/_stcore/health", timeout=5).close()
                break
            time.sleep(0.2)
        yield served
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(30)


@dataclass
class Seen:
    """What a browser did besides showing pages."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


def watched(browser: Any, **options: Any) -> tuple[Any, Seen]:
    """Open a tab that notes every error and every request to another host."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(MINUTE_MS)
    seen = Seen()

    def on_console(message: Any) -> None:
        if message.type == "error" and not message.location.get("url", "").endswith(PROBES):
            seen.errors.append(f"{message.text} {message.location}")

    def on_request(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            seen.foreign.append(request.url)

    def on_dialog(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("console", on_console)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", on_request)
    page.on("dialog", on_dialog)
    return page, seen


def settle(page: Any) -> None:
    """Wait until the script has run and what it loads has come."""
    page.wait_for_load_state("networkidle")
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def choose(page: Any, label: str, option: str) -> None:
    """Pick an option of a select box by typing it."""
    box = page.get_by_role("combobox", name=label, exact=False).first
    box.click()
    box.fill(option)
    page.keyboard.press("Enter")
    settle(page)


def sit_down(page: Any, url: str, name: str, task: str, candidate: str = "small") -> None:
    """Open Review under a name, and wait for the first item."""
    page.goto(f"{url}/review?task={task}&candidate={candidate}")
    box = page.get_by_role("textbox", name="Your name")
    box.wait_for()
    box.press_sequentially(name)
    box.press("Enter")
    page.wait_for_function(f"() => ({ITEM_ON_PAGE})() !== null")
    settle(page)
    # Nobody judges a pair in the moment it appears.
    page.wait_for_timeout(1000)


def declare(place: Workspace, name: str, lines: str) -> None:
    """Add a candidate to workbench.toml."""
    path = place.root / "workbench.toml"
    path.write_text(f'[[candidates]]\nname = "{name}"\n{lines}\n{path.read_text()}')


def plain(text: str) -> str:
    """Return shown text with ordinary spaces."""
    return text.replace("\u00a0", " ").replace("\u202f", " ").strip()


def wait_for_job(place: Workspace, task: str) -> None:
    """Wait until no command that the page started for a task runs any more."""
    deadline = time.monotonic() + 60
    while any(job.running for job in jobs.recent(place) if job.task == task):
        assert time.monotonic() < deadline
        time.sleep(0.2)
