"""Imports killed at any moment: all of a file is there, or nothing of it."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from import_world import Desk, pair, tallies
from nursery import nursery

from workbench.config import Workspace
from workbench.store import Store

CALLS = 1_500
KILLS = 8
FORKED = """
from pathlib import Path
from workbench.config import Workspace
from workbench.ingest import import_files
import workbench.ingest.importing, workbench.store.engine
from workbench.store import Store

def run(root, log, source):
    workspace = Workspace.load(Path(root))
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        import_files(workspace, store, [log], task="t", source=source)
"""


@pytest.mark.slow
def test_an_import_killed_at_any_moment_is_whole_or_invisible(tmp_path: Path) -> None:
    """From before the first byte to after the commit; then the same command ends the import."""
    desk = Desk(tmp_path)
    log = desk.write("log.jsonl", *[pair(f"id-{i}", question=f"Question {i}?") for i in range(CALLS)])
    desk.take(log, task="t", source="first")
    desk.store.close()
    dice, killed, expected = random.Random(11), 0, CALLS
    with nursery(FORKED) as children:
        started_s = time.monotonic()
        assert children.start(str(tmp_path), str(log), "second").wait() == 0
        took_s, expected = time.monotonic() - started_s, expected + CALLS
        for turn in range(40):
            if killed == KILLS:
                break
            child = children.start(str(tmp_path), str(log), f"turn-{turn // 3}")
            time.sleep(took_s * dice.uniform(0, 1.2))
            killed += child.kill()
            workspace = Workspace.load(tmp_path)
            with Store.open(workspace.store_path, spool=workspace.spool) as store:
                counts = [
                    store.value(f"SELECT count(*) FROM {name}")  # noqa: S608 - names in this file
                    for name in ("calls", "controls")
                ]
                manifests = store.value("SELECT count(*) FROM manifests")
            assert counts[0] == counts[1]
            assert counts[0] % CALLS == 0
            assert expected <= counts[0] <= expected + CALLS
            # A file known already leaves a manifest that says so: never fewer than there are calls for.
            assert manifests >= counts[0] // CALLS
            expected = counts[0]
    assert killed == KILLS
    desk = Desk(tmp_path)
    known = desk.count("calls") // CALLS
    assert tallies(desk.take(log, task="t", source="last")) == {"accepted": CALLS}
    assert tallies(desk.take(log, task="t", source="last")) == {"skipped": CALLS}
    assert desk.count("calls") == (known + 1) * CALLS
    assert list((desk.workspace.spool / "imports").iterdir()) == []
    desk.store.close()
