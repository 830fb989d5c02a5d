"""Workspaces for the tests of the app."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_building import Filled, Pair, answer, copied, demo_pairs, fill, make_workspace
from app_reading import Visit
from browsing import CHROMIUM, FLAGS, HOSTILE, app_of
from streamlit.testing.v1 import AppTest

import workbench
from workbench.config import Workspace
from workbench.store import Store
from workbench.ui import navigation

ROUTER = Path(workbench.__file__).with_name("app.py")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Filled]:
    """Give a workspace without any call."""
    workspace = make_workspace(tmp_path / "empty")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        yield Filled(workspace, store, {})


@pytest.fixture(scope="session")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Fill a workspace once, for every test to have a copy of it."""
    workspace = make_workspace(tmp_path_factory.mktemp("once") / "filled")
    pairs = demo_pairs()
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        replays = fill(workspace, store, pairs)
        fill(workspace, store, [each for each in pairs if each.task == "triage"], "planted", new_calls=False)
        return Filled(workspace, store, replays)


@pytest.fixture
def filled(filled_once: Filled, tmp_path: Path) -> Iterator[Filled]:
    """Give a workspace with three tasks, replayed and compared; triage with a synthetic candidate too."""
    with copied(filled_once, tmp_path / "filled") as found:
        yield found


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Open a page of a workspace as a person would, with filters in the address."""

    def open_page(place: Filled, page: str, /, **query: str) -> AppTest:
        monkeypatch.setenv("WORKBENCH_WORKSPACE", str(place.workspace.root))
        at = AppTest.from_file(str(ROUTER), default_timeout=60)
        for name, value in query.items():
            at.query_params[name] = value
        if page != navigation.MENU[0].name:  # That one opens by itself.
            # Before a first run the name of the file is the address, as it is in our menu.
            at.switch_page(str(navigation.folder() / f"{page}.py"))
        return at.run()

    return open_page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start Chromium once for a file of tests; skip and say so where there is none and none is demanded."""
    if not CHROMIUM.is_file():
        if os.environ.get("WORKBENCH_REQUIRE_BROWSER"):
            pytest.fail(f"{CHROMIUM} is not installed, and WORKBENCH_REQUIRE_BROWSER demands it")
        pytest.skip(f"{CHROMIUM} is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """Give the browser; the tabs that a test opened are closed after it."""
    yield chromium
    for context in chromium.contexts:
        context.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Give the workspace that the browser tests share: demo-like data and one hostile case."""
    workspace = make_workspace(tmp_path_factory.mktemp("browser") / "w")
    hostile = Pair("rewrite", 900, HOSTILE, answer(HOSTILE), answer(HOSTILE + " and more"))
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, [*demo_pairs(), hostile])
    return workspace


@pytest.fixture(scope="session")
def address(place: Workspace) -> Iterator[str]:
    """Serve the shared workspace, started once."""
    with app_of(place) as served:
        yield served.url
