"""Take the screenshots of the README and the documentation from a demo workspace.

Run from the repository, after `make demo APP=0`: python docs/screenshots.py [WORKSPACE]
The workspace is copied first and stays as it is. Needs Chromium at /usr/bin/chromium.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
WIDTH = 1280
SHOTS = {
    "overview": ("", "What can move to a small model?", 1380),
    "ramp": ("ramp?task=order_fields&candidate=planted", "Ramp", 1085),
    "compare": ("compare?task=message_rewriting&candidate=planted&verdict=mismatch", "Compare", 1180),
    "review": ("review?task=message_rewriting&candidate=planted", "Review", 850),
}
"""File name: address, title of the page, height in pixels."""


@contextlib.contextmanager
def served(workspace: Path) -> Iterator[str]:
    """Run the app on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "workbench", "app", "--workspace", str(workspace), "--port", str(port)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
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
        child.terminate()
        child.wait(30)


def settle(page: Any) -> None:
    """Wait until the page has run and its charts are drawn."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => !document.querySelector('[data-testid=\"stStatusWidget\"]')")
    page.wait_for_timeout(1500)


def main(source: Path) -> None:
    """Write every screenshot beside this script."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        workspace = Path(folder) / "demo"
        shutil.copytree(source, workspace, ignore=shutil.ignore_patterns(".*", "*.runs"))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with served(workspace) as url:
            for name, (path, title, height) in SHOTS.items():
                page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
                page.goto(f"{url}/{path}")
                page.get_by_role("heading", name=title, exact=True).wait_for()
                if name in ("overview", "ramp"):
                    page.locator(".js-plotly-plot").last.wait_for()
                if name == "compare":
                    page.locator(".st-key-case .wb-diff").last.wait_for()
                settle(page)
                if name == "review":
                    page.get_by_role("textbox", name="Your name").fill("Ann")
                    page.get_by_role("button", name="Start").click()
                    page.get_by_role("button", name="Equal").wait_for()
                    settle(page)
                page.screenshot(path=HERE / f"{name}.png")
                page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "demo")
