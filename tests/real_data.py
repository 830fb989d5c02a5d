"""Where real logs lie that are no part of the project: tests that read them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def folder() -> Path:
    """Return the folder that WORKBENCH_DATA names, or `shared/data` next to the checkout."""
    named = os.environ.get("WORKBENCH_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


DATA = folder()


def needs(*names: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test where one of some folders of real data is absent."""
    lacking = [name for name in names if not (DATA / name).is_dir()]
    return pytest.mark.skipif(bool(lacking), reason=f"no real data here: {', '.join(lacking)}")
