"""What every benchmark needs: a figure with its bar, a way to print it, and a workspace with calls."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from replay_world import add_calls, candidate_toml, make_workspace, open_store, prompt

from workbench.config import Workspace

__all__ = ["Figures", "messages_of", "open_store", "workspace_with_calls"]

AT_A_TIME = 50_000


@dataclass
class Figures:
    """The figures of a run, printed as they come.

    Args:
        path: Where they are written as JSON in the end; None for nowhere.
    """

    path: Path | None = None
    found: list[dict[str, object]] = field(default_factory=list)

    def ratio(self, name: str, value: float, bar: float, detail: str, *, at_most: bool = False) -> None:
        """Print a figure beside its bar.

        Args:
            name: What is measured.
            value: The figure.
            bar: What it should reach.
            detail: The absolute figures behind it, which hold for this machine alone.
            at_most: Whether less is better.
        """
        reached = value <= bar if at_most else value >= bar
        word = "at most" if at_most else "at least"
        print(f"{'ok   ' if reached else 'BELOW'} {name}: {value:.2f} ({word} {bar:g}); {detail}", flush=True)
        self.found.append({"name": name, "value": value, "bar": bar, "reached": reached, "detail": detail})

    def skipped(self, name: str, why: str) -> None:
        """Print that something was not measured, and what it needs."""
        print(f"-     {name}: not measured; {why}", flush=True)
        self.found.append({"name": name, "value": None, "detail": why})

    def write(self) -> None:
        """Write all figures, with what they were measured on."""
        if self.path is not None:
            machine = {"cpus": len(os.sched_getaffinity(0)), "python": sys.version.split()[0]}
            self.path.write_text(json.dumps({"machine": machine, "figures": self.found}, indent=2) + "\n")


@dataclass(frozen=True)
class Rate:
    """Calls a second, and milliseconds of this process's processor time a call."""

    per_s: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.per_s:,.0f}/s at {self.cpu_ms:.2f} ms CPU"

    def as_json(self) -> dict[str, float]:
        """Return it as plain data."""
        return asdict(self)


def messages_of(index: int) -> list[dict[str, str]]:
    """Return the messages of a call of the workspace, as a client sends them."""
    return [
        {"role": "system", "content": "Answer spam or ham."},
        {"role": "user", "content": prompt(index)},
    ]


def workspace_with_calls(root: Path, calls: int, base_url: str) -> Workspace:
    """Make a workspace with one label task of so many calls, and a candidate at an address."""
    toml = candidate_toml("stub", engine="openai", base_url=base_url, model="m", concurrency=64)
    workspace = make_workspace(root, toml)
    with open_store(workspace) as store:
        for start in range(0, calls, AT_A_TIME):
            add_calls(store, min(AT_A_TIME, calls - start), start)
    return workspace
