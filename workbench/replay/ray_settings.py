"""What a command and its actors tell each other through the shared spool."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath

from workbench import errors
from workbench.config import WorkspaceConfig
from workbench.engines.conformance import Needs
from workbench.errors import EnvironmentalError, WorkbenchError
from workbench.replay.ray_budget import SharedBudget
from workbench.specs import Candidate, EvalConfig, RayCluster

SETTINGS = "run.json"
"""What the actors of a run need to know. While it lies there, they may write."""
CHECKED = "checked.json"
"""An actor writes this once the candidate passed its checks; who begins later need not check it."""
UNCHECKED = "unchecked.json"
"""An actor writes this where the server did not answer the checks: the run goes on and says so."""
STOP = "stop"
"""While this lies there, actors write what they have and ask nothing more."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the actors of one run of one replay need. It holds no key: each machine has its own.

    `needs` is what the sample asks, for the checks before the first call; None for no checks.
    `budget` is None where the run may cost what it costs.
    """

    replay_id: str
    epoch: int
    concurrency: int | None
    worked_before: bool
    needs: Needs | None
    cluster: RayCluster
    candidate: Candidate
    eval_config: EvalConfig
    root: str
    config: WorkspaceConfig
    budget: SharedBudget | None = None


def run_folder(replay_id: str, epoch: int) -> str:
    """Return the folder of one run in the shared spool."""
    return f"{replay_id}/{epoch:08d}"


def piece_name(piece: int) -> str:
    """Return the folder name of a piece."""
    return f"p{piece:08d}"


def piece_of(file: str) -> int:
    """Return the number of the piece that a plan file holds."""
    return int(PurePosixPath(file).stem.removeprefix("p"))


def error_to_json(error: WorkbenchError | None) -> str:
    """Return an error as text that another machine can raise again."""
    if error is None:
        return ""
    return json.dumps({"kind": type(error).__name__, "message": error.message, "hint": error.hint})


def error_from_json(text: str) -> WorkbenchError | None:
    """Return the error that `error_to_json` wrote."""
    if not text:
        return None
    found = json.loads(text)
    kind = getattr(errors, found["kind"], EnvironmentalError)
    if not (isinstance(kind, type) and issubclass(kind, WorkbenchError)):
        kind = EnvironmentalError
    return kind(found["message"], found["hint"])
