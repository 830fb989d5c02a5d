"""Workspaces for the tests of the app."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_building import Filled, demo_pairs, fill, make_workspace
from app_reading import Visit
from streamlit.testing.v1 import AppTest

import workbench
from workbench.store import Store
from workbench.ui import navigation

ROUTER = Path(workbench.__file__).with_name("app.py")
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


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Filled]:
    """Give a workspace without any call."""
    workspace = make_workspace(tmp_path / "empty")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        yield Filled(workspace, store, {})


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """Give a workspace with three tasks, replayed and compared; triage with a synthetic candidate too."""
    workspace = make_workspace(tmp_path / "filled")
    pairs = demo_pairs()
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        replays = fill(workspace, store, pairs)
        fill(workspace, store, [each for each in pairs if each.task == "triage"], "planted", new_calls=False)
        yield Filled(workspace, store, replays)


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Open a page of a workspace as a person would, with filters in the address."""

    def open_page(place: Filled, page: str, /, **query: str) -> AppTest:
        monkeypatch.setenv("WORKBENCH_WORKSPACE", str(place.workspace.root))
        at = AppTest.from_file(str(ROUTER), default_timeout=60)
        at.run()
        for name, value in query.items():
            at.query_params[name] = value
        if page != "overview":
            at.switch_page(str(navigation.folder() / f"{page}.py"))
            at.run()
        return at

    return open_page


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
