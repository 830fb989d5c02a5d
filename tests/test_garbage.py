"""Python's collector is left as it was found."""

from __future__ import annotations

import gc

import pytest

from workbench.replay.garbage import RARELY, rare_collections


def test_the_collector_is_put_back_when_the_last_block_ends() -> None:
    """Blocks of several replays may overlap; an error leaves nothing changed either."""
    before = gc.get_threshold()
    with rare_collections():
        with pytest.raises(RuntimeError), rare_collections():
            raise RuntimeError
        assert gc.get_threshold() == RARELY
    assert gc.get_threshold() == before
