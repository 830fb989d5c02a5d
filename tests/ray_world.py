"""A run of a replay in a shared spool and its actors, without Ray."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from replay_world import open_store

from workbench.config import Workspace
from workbench.engines.conformance import Needs
from workbench.replay.ray_actor import AnsweringActor
from workbench.replay.ray_budget import SharedBudget
from workbench.replay.ray_run import SharedRun
from workbench.replay.ray_settings import RunSettings
from workbench.replay.remote_spool import RemoteSpool
from workbench.store.replays import requests_of

REPLAY = "ab" * 16


def a_run(
    workspace: Workspace,
    url: str,
    epoch: int = 1,
    needs: Needs | None = None,
    budget: Callable[[int], SharedBudget] | None = None,
) -> tuple[SharedRun, list[str]]:
    """Write the plan of all calls into a spool, for actors without Ray.

    Args:
        workspace: With a candidate `c` and calls of task `spam`.
        url: The spool.
        epoch: Of the run.
        needs: What the candidate is checked for; None for no checks.
        budget: Returns what the run may cost, of the length of all its requests.
    """
    run = SharedRun(RemoteSpool(url), REPLAY, epoch)
    with open_store(workspace) as store:
        todo = [(row["call_id"], 0) for row in store.rows("SELECT call_id FROM calls ORDER BY native_id")]
        files = run.write_plan(
            [todo], len(todo), lambda call_ids: requests_of(store, call_ids), None, actors=1
        )
    spec, eval_config = workspace.candidate("c"), workspace.eval_for("spam")
    root, config = str(workspace.root), workspace.config
    money = None if budget is None else budget(run.characters)
    run.begin(
        RunSettings(REPLAY, epoch, None, False, needs, config.ray, spec, eval_config, root, config, money)
    )
    return run, files


def told(actor: AnsweringActor, files: list[str]) -> list[dict[str, Any]]:
    """Return what an actor reports of plan files."""
    return list(actor(pa.table({"file": files})).to_pylist())
