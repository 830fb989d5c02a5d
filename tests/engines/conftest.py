"""One process of stub servers for all tests of engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import Server, serving


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found
