"""Take the pictures of docs/app.md and the README from a demo workspace: each page of the menu.

Run `make screenshots`, or after `make demo APP=0`: python docs/screenshots.py [WORKSPACE] [PAGE ...]
The workspace is copied first and stays as it is. Needs Chromium at /usr/bin/chromium.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from workbench.app_server import WORKSPACE_VARIABLE, command
from workbench.ui import navigation

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
WIDTH, LEAST, MOST = 1280, 640, 1400
"""Pixels: how wide every picture is, and how high at least and at most."""

PHONE = 400
"""Pixels: how wide a picture for a telephone is."""

LARGEST_BYTES = 150_000
COLOURS = (256, 128, 64, 32, 16)
START_WAIT_S = 60.0


@dataclass(frozen=True)
class Shot:
    """What a page shows on its picture: its address, what to do first, whether in dark and narrow too."""

    query: str = ""
    prepare: Callable[[Any], None] = lambda page: None
    dark: bool = False
    phone: bool = False


def sit_down(page: Any) -> None:
    """Begin to label, so that a pair is on the picture."""
    page.get_by_role("textbox", name="Your name").fill("Ann")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Equal").wait_for()


def open_case(page: Any) -> None:
    """Wait for the first case, which is open below the table."""
    page.locator(".st-key-case .wb-diff").last.wait_for()


SHOTS = {
    "overview": Shot(dark=True),
    "compare": Shot("task=message_rewriting&candidate=planted&verdict=mismatch", open_case),
    "slices": Shot("task=support_triage&candidate=planted"),
    "review": Shot("task=message_rewriting&candidate=planted", sit_down, dark=True, phone=True),
    "ramp": Shot("task=order_fields&candidate=planted", dark=True),
    "help": Shot("about=overview"),
}
"""Pages whose picture needs more than their own address."""


@contextlib.contextmanager
def served(workspace: Path) -> Iterator[str]:
    """Run the app on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
        command("127.0.0.1", port),
        env=os.environ | {WORKSPACE_VARIABLE: str(workspace)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_WAIT_S
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                opener.open(f"{url}/_stcore/health", timeout=2).close()
                break
            time.sleep(0.2)
        yield url
    finally:
        child.terminate()
        child.wait(30)


def settle(page: Any) -> None:
    """Wait until the page has run and its charts and tables are drawn."""
    page.wait_for_load_state("networkidle")
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-testid=\"stPlotlyChart\"]')]"
        ".every(each => each.querySelector('svg.main-svg'))",
        timeout=START_WAIT_S * 1000,
    )
    page.wait_for_timeout(1500)


def take(browser: Any, url: str, name: str, shot: Shot, theme: str, width: int = WIDTH) -> bytes:
    """Return the picture of a page, as high as what it shows."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    page.set_default_timeout(START_WAIT_S * 1000)
    path = "" if name == navigation.MENU[0].name else name
    page.goto(f"{url}/{path}?{shot.query}")
    page.locator('[data-testid="stMain"] h1').wait_for()
    settle(page)
    shot.prepare(page)
    settle(page)
    height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(LEAST, min(MOST, height))})
    settle(page)
    picture: bytes = page.screenshot()
    page.close()
    return picture


def small(picture: bytes) -> bytes:
    """Return a PNG with as many colours as fit into the largest size.

    Raises:
        ValueError: It is too large with the fewest colours.
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in COLOURS:
        target = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
        if target.tell() <= LARGEST_BYTES:
            return target.getvalue()
    raise ValueError(f"The picture is larger than {LARGEST_BYTES:,} bytes with {COLOURS[-1]} colours.")


def main(source: Path, pages: Sequence[str] = ()) -> None:
    """Write every picture beside this script, or those of some pages."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        workspace = Path(folder) / "demo"
        shutil.copytree(source, workspace, ignore=shutil.ignore_patterns(".*", "*.runs"))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with served(workspace) as url:
            for entry in (*navigation.MENU, navigation.HELP):
                if pages and entry.name not in pages:
                    continue
                shot = SHOTS.get(entry.name, Shot())
                kinds = [("", "light", WIDTH)]
                kinds += [("-dark", "dark", WIDTH)] if shot.dark else []
                kinds += [("-phone", "light", PHONE), ("-phone-dark", "dark", PHONE)] if shot.phone else []
                for ending, theme, width in kinds:
                    picture = small(take(browser, url, entry.name, shot, theme, width))
                    (HERE / f"{entry.name}{ending}.png").write_bytes(picture)
                    print(f"{entry.name}{ending}.png: {len(picture):,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "demo", sys.argv[2:])
