"""An empty workspace for each test; forecasts of the decision are not made unless a test asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from review_world import World, make_world

from workbench.review import forecast


@pytest.fixture(scope="module", autouse=True)
def no_forecast() -> Iterator[None]:
    """Leave the decision out of tests of the queue."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast, "_forecast", lambda *_: (None, None, None, ()))
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return an empty world."""
    found = make_world(tmp_path / "space")
    with found.store:
        yield found
