"""Measure, in a real browser, how long it takes from a reviewer's key to the next item.

Run from the repository: python benchmarks/review_keys.py WORKSPACE [TASK] [CANDIDATE] [KEYS]
The workspace is copied first and stays as it is. Needs Chromium at /usr/bin/chromium. The aim
is 200 ms at the median; a bare Streamlit button that changes one word is measured in the same
run, since no page can be faster than that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from workbench.stats.percentiles import nearest_rank

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
WARM_UP = 3
BARE = """
import streamlit as st
st.session_state.setdefault("n", 0)
def add():
    st.session_state.n += 1
st.button("Next", shortcut="E", on_click=add, key=f"equal-{st.session_state.n}")
st.text(f"item {st.session_state.n}")
"""
TIMER = r"""() => {
    const shown = () => {
        const button = document.querySelector('[class*="st-key-equal-"]');
        const found = button && button.className.match(/st-key-equal-(\S+)/);
        return found ? found[1] : null;
    };
    window.shownItem = shown;
    window.untilNext = null;
    document.addEventListener('keydown', () => {
        const before = shown(), begun = performance.now();
        window.untilNext = null;
        const look = () => {
            const now = shown();
            if (now !== null && now !== before) window.untilNext = performance.now() - begun;
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, true);
}"""


@contextlib.contextmanager
def served(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """Run a server until the block ends."""
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                opener.open(f"{url}/_stcore/health", timeout=2).close()
                break
            time.sleep(0.2)
        yield url
    finally:
        os.kill(child.pid, signal.SIGTERM)
        child.wait(30)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def press(page: Any, keys: int) -> list[float]:
    """Press E again and again and return the milliseconds until each next item."""
    page.wait_for_selector('[class*="st-key-equal-"]')
    page.evaluate(TIMER)
    taken = []
    for _ in range(keys + WARM_UP):
        page.wait_for_timeout(400)
        page.keyboard.press("e")
        try:
            page.wait_for_function("() => window.untilNext !== null", timeout=15_000)
        except Exception:  # the queue is empty: what was measured so far counts
            break
        taken.append(page.evaluate("() => window.untilNext"))
    return taken[WARM_UP:]


def report(name: str, taken: list[float]) -> float:
    """Print the median and the 95th percentile, and return the median."""
    if not taken:
        raise SystemExit(f"{name}: no item came after the first keys; take a task with more to label.")
    p50 = statistics.median(taken)
    p95 = nearest_rank(taken, 0.95) or 0.0
    print(f"{name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms over {len(taken)} keys")
    return p50


def main(source: Path, task: str, candidate: str, keys: int) -> None:
    """Measure Review and a bare button in one run."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder) / "workspace"
        shutil.copytree(source, place)
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        port = free_port()
        plain = [sys.executable, "-m", "streamlit", "run", str(bare), "--server.headless=true"]
        plain += [f"--server.port={port}", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]
        with served(plain, port, Path(folder)) as url:
            page = browser.new_page()
            page.goto(url)
            floor = report("bare button", press(page, keys))
            page.close()
        port = free_port()
        app = [sys.executable, "-m", "workbench", "app", "--workspace", str(place), "--port", str(port)]
        with served(app, port, place) as url:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/review?task={task}&candidate={candidate}")
            page.get_by_role("textbox", name="Your name").fill("benchmark")
            page.get_by_role("button", name="Start").click()
            review = report(f"review of {task}", press(page, keys))
        print(f"ratio {review / floor:.1f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    given = [*sys.argv[2:], *("message_rewriting", "planted", "40")[len(sys.argv) - 2 :]]
    main(Path(sys.argv[1]), given[0], given[1], int(given[2]))
