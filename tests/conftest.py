"""What holds for every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, settings
from streamlit.components.v2 import manifest_scanner

from workbench import access
from workbench.store import migrate

# A test states behaviour, and how long it takes depends on what else the machine does. Which examples it
# takes does not depend on the run where that decides over a change that has nothing to do with them.
settings.register_profile(
    "untimed",
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("WORKBENCH_SAME_EXAMPLES")),
)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def nobody_keeps_the_door() -> Iterator[None]:
    """A workspace with sign-in that a test reads closes this process; the next test is another visit."""
    yield
    access._process.__init__()  # type: ignore[misc]


@pytest.fixture(scope="session", autouse=True)
def looked_once_for_components() -> Iterator[None]:
    """A run of a page in a test looks through every installed package; the app does so once, as it starts."""
    with pytest.MonkeyPatch.context() as patch:
        scan = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread_a_store() -> Iterator[None]:
    """Two tests run at a time: sharing small queries out among threads only takes from the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", partial(duckdb.connect, config={"threads": 1}))
        yield


@pytest.fixture(scope="session", autouse=True)
def migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty store of today's schema is made by its migrations once, and copied for each test."""
    made = tmp_path_factory.mktemp("empty") / "store.duckdb"
    today, really = migrate.bundled(), migrate.create

    def create(path: Path, steps: list[migrate.Migration]) -> None:
        if steps != today:
            really(path, steps)
            return
        if not made.exists():
            really(made, steps)
        unfinished = path.with_name(path.name + ".new")
        shutil.copyfile(made, unfinished)
        unfinished.replace(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "create", create)
        yield
