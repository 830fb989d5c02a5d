"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from workbench import access

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
