"""Workspaces for the tests of the app."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from app_building import demo_pairs, fill, make_workspace

from workbench.config import Workspace
from workbench.store import Store


@dataclass(frozen=True)
class Filled:
    """A workspace with its store and the ids of its replays by task."""

    workspace: Workspace
    store: Store
    replays: dict[str, str]


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
