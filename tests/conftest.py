"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from workbench import access

# A test states behaviour, and how long it takes depends on what else the machine does.
settings.register_profile(
    "untimed", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def nobody_keeps_the_door() -> Iterator[None]:
    """A workspace with sign-in that a test reads closes this process; the next test is another visit."""
    yield
    access._process.__init__()  # type: ignore[misc]
