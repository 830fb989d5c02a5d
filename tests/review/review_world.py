"""A small workspace with replayed and compared calls, written straight into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workbench import compare
from workbench.config import Workspace
from workbench.records import Message, Output, Request, ToolCall, Usage, to_json
from workbench.sampling import audit_key
from workbench.specs import EvalConfig
from workbench.store import Store
from workbench.store.labels import Scope

CONFIG = """
[[candidates]]
name = "tiny-llm"
engine = "recorded"
outputs = "tiny.csv"
map = { id = "row", output = "out" }

[[candidates]]
name = "other-llm"
engine = "recorded"
outputs = "other.csv"
map = { id = "row", output = "out" }
"""

EVALS = {
    "topics": 'task = "topics"\nkind = "label"\nlabels = ["a", "b", "c"]\n',
    "orders": (
        'task = "orders"\nkind = "fields"\n'
        '[[fields]]\npath = "sku"\n[[fields]]\npath = "total"\ncompare = "number"\ncritical = true\n'
    ),
    "rewrite": 'task = "rewrite"\nkind = "text"\n',
}


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.present = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.present

    def pass_minutes(self, minutes: float) -> None:
        self.present += timedelta(minutes=minutes)


@dataclass
class World:
    """A workspace, its store, and a way to put compared pairs into it."""

    root: Path
    workspace: Workspace
    store: Store
    clock: Clock
    replays: int = 0
    written: list[str] = field(default_factory=list)

    def scope(self, task: str, candidate: str = "tiny-llm") -> Scope:
        fingerprint = self.workspace.fingerprint(self.workspace.candidate(candidate))
        return Scope(task, fingerprint, compare.evaluator_version(self.eval(task)))

    def eval(self, task: str) -> EvalConfig:
        return self.workspace.eval_for(task)

    def add_replay(
        self,
        task: str,
        pairs: Sequence[tuple[str, str]],
        *,
        candidate: str = "tiny-llm",
        scores: Sequence[float | None] | None = None,
        compared: int | None = None,
        batch: int = 0,
        replay_id: str | None = None,
    ) -> str:
        """Store calls with a control and an observed text each, compared by the task's own comparator."""
        scope = self.scope(task, candidate)
        new = replay_id is None
        if replay_id is None:
            self.replays += 1
            replay_id = f"replay-{self.replays}"
        tables: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("calls", "controls", "replay_calls", "observations", "comparisons")
        }
        if new:
            tables["replays"] = [
                {
                    "replay_id": replay_id,
                    "task": task,
                    "candidate": candidate,
                    "candidate_fingerprint": scope.fingerprint,
                    "seed": 0,
                    "repeats": 1,
                    "plan": "{}",
                    "created_at": self.clock(),
                }
            ]
        for number, (control_text, observed_text) in enumerate(pairs):
            native = f"{replay_id}-{batch}-{number}"
            call_id = f"call-{native}"
            request = Request((Message("user", f"Question {native}?"),), parameters={"model": "frontier-9"})
            control = Output(
                control_text, model="frontier-9", usage=Usage(9, 0, 7), latency_ms=812.5, finish_reason="stop"
            )
            observed = Output(
                observed_text,
                model="tiny-llm-0.5b",
                usage=Usage(11, 0, 3),
                latency_ms=31.25,
                confidence={"label_margin": 0.125},
                tool_calls=(),
            )
            score = scores[number] if scores else None
            found = compare.compare_outputs(self.eval(task), request, control, observed, similarity=score)
            tables["calls"].append(
                {
                    "call_id": call_id,
                    "manifest_id": "m",
                    "source": "log",
                    "native_id": native,
                    "task": task,
                    "request_hash": native,
                    "content_hash": native,
                    "request": to_json(request).decode(),
                    "attributes": "{}",
                    "marks": [],
                }
            )
            tables["controls"].append(
                {
                    "call_id": call_id,
                    "manifest_id": "m",
                    "output": to_json(control).decode(),
                    "text": control_text,
                    "marks": [],
                }
            )
            tables["replay_calls"].append(
                {
                    "replay_id": replay_id,
                    "call_id": call_id,
                    "batch": batch,
                    "rank": number,
                    "audit_key": audit_key(replay_id, call_id),
                    "inclusion_probability": 1.0,
                }
            )
            tables["observations"].append(
                {
                    "replay_id": replay_id,
                    "call_id": call_id,
                    "repeat": 0,
                    "output": to_json(observed).decode(),
                    "text": observed_text,
                    "attempts": 1,
                }
            )
            if compared is None or number < compared:
                tables["comparisons"].append(
                    {
                        "replay_id": replay_id,
                        "call_id": call_id,
                        "repeat": 0,
                        "evaluator_version": scope.evaluator_version,
                        "verdict": found.verdict.value,
                        "score": found.score,
                        "reason": found.reason,
                        "identical": found.identical,
                        "invalid": found.invalid,
                        "flags": list(found.flags),
                        "details": "{}",
                    }
                )
        with self.store.writing() as writer:
            for table, rows in tables.items():
                if rows:
                    writer.append(table, rows)
        return replay_id


def make_world(root: Path) -> World:
    """Write a workspace and open its store."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "workbench.toml").write_text(CONFIG, encoding="utf-8")
    (root / "tiny.csv").write_text("row,out\n0,a\n", encoding="utf-8")
    (root / "other.csv").write_text("row,out\n0,b\n", encoding="utf-8")
    for task, text in EVALS.items():
        folder = root / "evals" / task
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "eval.toml").write_text(text, encoding="utf-8")
        (folder / "guidelines.md").write_text(f"Judge {task} with care.\n", encoding="utf-8")
    workspace = Workspace.load(root)
    return World(root, workspace, Store.open(workspace.store_path, spool=workspace.spool), Clock())


def tool_output(name: str, arguments: Any) -> Output:
    """Return an output that is one tool call."""
    return Output(tool_calls=(ToolCall(name, arguments, "call_abc"),))
