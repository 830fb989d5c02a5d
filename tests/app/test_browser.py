"""A real browser through every page: no error on the console, no request to another host."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from app_building import Pair, answer, demo_pairs, fill, make_workspace

from workbench.config import Workspace
from workbench.store import Store

pytestmark = pytest.mark.browser

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
SERVE = """
import sys
from workbench.app_server import serve
from workbench.config import Workspace
sys.exit(serve(Workspace.load(sys.argv[1]), port=int(sys.argv[2])))
"""
PROBES = ("/_stcore/health", "/_stcore/host-config")
"""Streamlit looks for its server below the page's own path first; that one try may fail."""

HOSTILE = (
    '<script>alert(1)</script><img src="http://example.org/x.png" onerror="alert(2)">'
    " ![x](http://example.org/y.png)"
)
MINUTE_MS = 60_000
ITEM_ON_PAGE = r"""() => {
    const button = document.querySelector('[class*="st-key-equal-"]');
    const found = button && button.className.match(/st-key-equal-(\S+)/);
    return found ? found[1] : null;
}"""


@dataclass
class Seen:
    """What a browser did besides showing pages."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Give a workspace with demo-like data, one hostile case, and outputs for an upload to come."""
    workspace = make_workspace(tmp_path_factory.mktemp("browser") / "w")
    hostile = Pair("rewrite", 900, HOSTILE, answer(HOSTILE), answer(HOSTILE + " and more"))
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, [*demo_pairs(), hostile])
    return workspace


@pytest.fixture(scope="module")
def address(place: Workspace) -> Iterator[str]:
    """Serve the workspace as `workbench app` does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen([sys.executable, "-c", SERVE, str(place.root), str(port)])
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            opener.open(f"{url}/_stcore/health", timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    yield url
    child.terminate()
    child.wait(30)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Start Chromium, or skip and say so."""
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        yield started
        started.close()


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
    page.wait_for_function("() => !document.querySelector('[data-testid=\"stStatusWidget\"]')")


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1280), ("dark", 400)], ids=["light-desktop", "dark-phone"]
)
def test_every_page_opens_without_an_error_or_a_foreign_request(
    address: str, browser: Any, theme: str, width: int
) -> None:
    """All pages, by their own address, in both themes: silent, local, and no wider than the screen."""
    page, seen = watched(browser, color_scheme=theme, viewport={"width": width, "height": 900})
    titles = {
        "": "What can move to a small model?",
        "upload": "Upload",
        "replays": "Replays",
        "compare?task=rewrite&search=script": "Compare",
        "review?task=rewrite": "Review",
        "ramp?task=triage": "Ramp",
    }
    for path, title in titles.items():
        page.goto(f"{address}/{path}")
        page.get_by_role("heading", name=title, exact=True).wait_for()
        settle(page)
        assert page.locator('[data-testid="stException"]').count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen == Seen()


def test_hostile_text_is_shown_as_text(address: str, browser: Any) -> None:
    """An answer full of tags is read letter by letter: no dialog, no image, no link."""
    page, seen = watched(browser)
    page.goto(f"{address}/compare?task=rewrite&search=onerror")
    diff = page.locator(".wb-diff").first
    diff.wait_for()
    assert diff.inner_text().strip() == HOSTILE
    settle(page)
    assert page.locator('.wb-diff img, .wb-diff a, .wb-diff script, img[src*="example.org"]').count() == 0
    assert seen == Seen()


def test_no_table_offers_an_export_that_runs_formulas(address: str, browser: Any) -> None:
    """Streamlit's own CSV button, which writes cells as they are, is gone; the others of a table stay."""
    page, _ = watched(browser)
    page.goto(f"{address}/compare?task=triage")
    table = page.locator('[data-testid="stDataFrame"]').first
    table.wait_for()
    settle(page)
    table.hover()
    toolbar = page.locator('[data-testid="stElementToolbar"] button')
    labels = [toolbar.nth(index).get_attribute("aria-label") for index in range(toolbar.count())]
    shown = [label for index, label in enumerate(labels) if toolbar.nth(index).is_visible()]
    assert any("Download" in str(label) for label in labels)
    assert any("Search" in str(label) for label in shown)
    assert not any("Download" in str(label) for label in shown)


def test_a_reviewer_labels_by_key_and_undoes(place: Workspace, address: str, browser: Any) -> None:
    """Keys commit labels, a burst never labels one item twice, and Z takes the last one back."""
    page, seen = watched(browser)
    page.goto(f"{address}/review?task=triage&candidate=small")
    page.get_by_role("textbox", name="Your name").fill("ann")
    page.get_by_role("button", name="Start").click()
    for key in "1e2":
        page.wait_for_function(f"() => ({ITEM_ON_PAGE})() !== null")
        before = page.evaluate(ITEM_ON_PAGE)
        page.keyboard.press(key)
        page.wait_for_function(f"before => ![null, before].includes(({ITEM_ON_PAGE})())", arg=before)
    for _ in range(3):
        page.keyboard.press("e")
    page.wait_for_timeout(2000)
    page.keyboard.press("z")
    page.get_by_text("Taken back").wait_for()
    with Store.open(place.store_path, spool=place.spool) as store:
        rows = store.rows("SELECT * FROM labels ORDER BY seq")
    given = [row for row in rows if row["verdict"]]
    assert 3 <= len(given) <= 6
    assert len({row["draw_id"] for row in given}) == len(given)
    assert sum(row["verdict"] is None for row in rows) == 1
    assert seen == Seen()


def test_from_a_file_to_a_recommendation(
    place: Workspace, address: str, browser: Any, tmp_path: Path
) -> None:
    """Upload a table, say its columns, import, replay recorded answers, and read what may move."""
    log = tmp_path / "orders of march.csv"
    rows = [f'{n},"order {n}","{{""customer"": ""A"", ""total"": {n}}}"' for n in range(40)]
    log.write_text("\n".join(["row,text,answer_then", *rows, "broken"]) + "\n", encoding="utf-8")
    outputs = [
        json.dumps({"id": str(n), "output": json.dumps({"customer": "A", "total": n})}) for n in range(40)
    ]
    (place.root / "uploaded.jsonl").write_text("\n".join(outputs) + "\n", encoding="utf-8")
    text = (place.root / "workbench.toml").read_text()
    (place.root / "workbench.toml").write_text(
        '[[candidates]]\nname = "later"\nengine = "recorded"\noutputs = "uploaded.jsonl"\n'
        f'map = {{ id = "id", output = "output" }}\n{text}'
    )
    (place.root / "evals" / "march").mkdir()
    (place.root / "evals" / "march" / "eval.toml").write_text(
        'task = "march"\nkind = "fields"\n[[fields]]\npath = "customer"\n[[fields]]\npath = "total"\n'
    )

    page, seen = watched(browser)
    page.goto(f"{address}/upload")
    page.locator('input[type="file"]').set_input_files(log)
    page.get_by_text("Which column holds what").wait_for()
    choose(page, "Task", "march")
    choose(page, "Frontier's answer", "answer_then")
    page.get_by_text("Read as mapped").wait_for()
    settle(page)
    page.get_by_role("button", name="Import").click()
    page.get_by_text("40 calls imported.").wait_for()
    page.get_by_text("41 records = 40 accepted").wait_for()
    page.get_by_role("button", name="Download the rejected lines").wait_for()
    page.get_by_role("button", name="Start a replay").click()
    page.get_by_role("heading", name="Replays", exact=True).wait_for()
    settle(page)
    page.get_by_role("button", name="Start and compare").click()
    page.get_by_text("40 of 40 answered").first.wait_for()
    page.reload()
    page.get_by_text("40 of 40 answered").first.wait_for()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page.goto(f"{address}/ramp?task=march&candidate=later")
        page.get_by_role("heading", name="Ramp", exact=True).wait_for()
        settle(page)
        if page.get_by_text("Move 1").count():
            break
        page.wait_for_timeout(1500)
    page.get_by_text("Move 1").first.wait_for()
    assert seen == Seen()


def choose(page: Any, label: str, option: str) -> None:
    """Pick an option of a select box by typing it."""
    box = page.get_by_role("combobox", name=label, exact=False).first
    box.click()
    box.fill(option)
    page.keyboard.press("Enter")
    settle(page)
