"""A workspace whose store holds calls, controls and observations, as import and replay leave them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.records import ErrorKind, LabelVerdict, Output, OutputError, Request, Usage, to_json
from workbench.sampling import audit_key
from workbench.store import Store
from workbench.store.probes import write_probe

CONFIG = """
[[candidates]]
name = "small"
engine = "recorded"
outputs = "small.csv"
model = "small-model"
synthetic = true

[[candidates]]
name = "other"
engine = "recorded"
outputs = "other.csv"

[[prices]]
model = "frontier"
as_of = 2026-01-01
source = "price list"
input_usd_per_million = 2.0
output_usd_per_million = 8.0

[[prices]]
model = "small-model"
as_of = 2026-01-01
source = "price list"
input_usd_per_million = 0.1
output_usd_per_million = 0.2
"""
EVALS = {
    "topics": 'kind = "label"\nlabels = ["a", "b"]\ncritical_labels = ["b"]\n[[slices]]\nby = "language"\n',
    "tags": ('kind = "label"\nlabels = ["a", "b", "fraud"]\nseveral = true\ncritical_labels = ["fraud"]\n'),
    "orders": 'kind = "fields"\n[[fields]]\npath = "id"\n[[fields]]\npath = "note"\nrequired = false\n',
    "rewrite": 'kind = "text"\n',
}
START = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass
class World:
    """A workspace and its open store."""

    workspace: Workspace
    store: Store

    def add(
        self,
        task: str,
        pairs: Sequence[tuple[str | Output | None, str | Output]],
        *,
        candidate: str = "small",
        replay: str = "r1",
        batch: int = 0,
        first: int = 0,
        observed: int | None = None,
        sampling_rate: float | None = 1.0,
        model: str = "frontier",
        hours_apart: float = 1.0,
        session: str | None = None,
        known_calls: bool = False,
    ) -> None:
        """Store calls with a control (None: none logged) and, for the first `observed`, an observation."""
        tables: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("calls", "controls", "replays", "replay_calls", "observations")
        }
        if not self.store.value("SELECT count(*) FROM replays WHERE replay_id = ?", (replay,)):
            tables["replays"].append(
                {
                    "replay_id": replay,
                    "task": task,
                    "candidate": candidate,
                    "candidate_fingerprint": self.fingerprint(candidate),
                    "seed": 0,
                    "repeats": 1,
                    "plan": "{}",
                    "created_at": START,
                }
            )
        for place, (control, answer) in enumerate(pairs):
            number = first + place
            call_id = f"{task}-{number:05d}"
            if not known_calls:
                tables["calls"].append(
                    {
                        "call_id": call_id,
                        "manifest_id": "m",
                        "source": "log",
                        "native_id": str(number),
                        "task": task,
                        "occurred_at": START + timedelta(hours=number * hours_apart),
                        "session_id": session,
                        "sampling_rate": sampling_rate,
                        "model": model,
                        "language": "en" if number % 2 else "de",
                        "input_chars": 10 + number,
                        "turn_depth": 1,
                        "tool_count": 0,
                        "request_hash": str(number),
                        "content_hash": str(number),
                        "request": to_json(Request(())).decode(),
                        "attributes": "{}",
                        "marks": [],
                    }
                )
                if control is not None:
                    tables["controls"].append(_control(call_id, _output(control, model)))
            tables["replay_calls"].append(
                {
                    "replay_id": replay,
                    "call_id": call_id,
                    "batch": batch,
                    "rank": place,
                    "audit_key": audit_key(replay, call_id),
                    "inclusion_probability": 1.0,
                }
            )
            if observed is None or place < observed:
                tables["observations"].append(_observation(replay, call_id, _output(answer, "small-model")))
        with self.store.writing() as writer:
            for table, rows in tables.items():
                if rows:
                    writer.append(table, rows)

    def observe(self, task: str, number: int, answer: str, *, replay: str = "r1") -> None:
        """Store an observation that was missing."""
        row = _observation(replay, f"{task}-{number:05d}", _output(answer, "small-model"))
        self.store.append("observations", [row])

    def label(
        self,
        task: str,
        number: int,
        verdict: LabelVerdict,
        *,
        replay: str = "r1",
        by: str = "mia",
        source: str = "picked",
    ) -> None:
        """Store a label, picked by hand unless its source is another."""
        self.store.append(
            "labels",
            [
                {
                    "label_id": f"{task}-{number}-{by}",
                    "replay_id": replay,
                    "call_id": f"{task}-{number:05d}",
                    "verdict": verdict.value,
                    "annotator": by,
                    "reasons": [],
                    "note": "",
                    "source": source,
                    "skipped": False,
                    "created_at": START,
                }
            ],
        )

    def draw(
        self,
        task: str,
        outcomes: Sequence[tuple[int, LabelVerdict | None]],
        *,
        replay: str = "r1",
        weights: Mapping[int, float] | None = None,
    ) -> None:
        """Store draws of the queue and their labels; a draw with None lapsed long ago.

        Each has weight 1, or that of its call in `weights`.
        """
        scope = {
            "task": task,
            "candidate_fingerprint": self.fingerprint("small"),
            "evaluator_version": evaluator_version(self.workspace.eval_for(task)),
        }
        plan = {"plan": "mix", "stratum": "match", "stratum_share": 1.0, "draw_probability": 1.0}
        said = {"annotator": "mia", "reasons": [], "note": "", "source": "queue", "skipped": False}
        before = int(self.store.value("SELECT count(*) FROM draws"))
        draws, labels = [], []
        for position, (number, verdict) in enumerate(outcomes, start=before):
            pair = {"replay_id": replay, "call_id": f"{task}-{number:05d}", "created_at": START}
            name = f"{task}-{number}"
            weight = (weights or {}).get(number, 1.0)
            drawn = {"draw_id": name, "position": position, "weight": weight, "weight_max": 1.25}
            draws.append({**scope, **pair, **plan, **drawn})
            if verdict is not None:
                own = {"label_id": name, "draw_id": name, "verdict": verdict.value, "draw_probability": 1.0}
                labels.append({**pair, **said, **own})
        self.store.append("draws", draws)
        if labels:
            self.store.append("labels", labels)

    def probe(
        self,
        task: str,
        latencies_ms: Sequence[float],
        *,
        speed: float = 1.0,
        rate_known: bool = True,
        candidate: str = "small",
    ) -> None:
        """Store a latency probe of the first calls of a task; infinite is no answer."""
        known = int(self.store.value("SELECT count(*) FROM latency_probes"))
        probe_id = f"p{known}"
        serving = self.workspace.serving(self.workspace.candidate(candidate))
        head = {
            "probe_id": probe_id,
            "task": task,
            "candidate": candidate,
            "candidate_fingerprint": self.fingerprint(candidate),
            "speed": speed,
            "rate_known": rate_known,
            "calls_per_s": 1.0,
            "report": {"serving": serving},
        }
        calls = [
            {
                "probe_id": probe_id,
                "position": place,
                "call_id": f"{task}-{place:05d}",
                "scheduled_s": float(place),
                "late_ms": 0.0,
                "latency_ms": None if math.isinf(each) else each,
                "first_token_ms": None,
                "attempts": 1,
                "in_flight": 0,
                "error_kind": "timeout" if math.isinf(each) else None,
                "unanswered": math.isinf(each),
            }
            for place, each in enumerate(latencies_ms)
        ]
        write_probe(self.store, head, calls)

    def control_latency(self, task: str, latency_ms: str) -> None:
        """Give the recorded answers of a task a latency: SQL over the call's number `n`."""
        with self.store.writing() as writer:
            writer.execute(
                f"UPDATE controls SET latency_ms = {latency_ms} FROM "  # noqa: S608 - text of a test
                "(SELECT call_id, CAST(native_id AS BIGINT) AS n FROM calls WHERE task = ?) c "
                "WHERE controls.call_id = c.call_id",
                (task,),
            )

    def fingerprint(self, candidate: str) -> str:
        return self.workspace.fingerprint(self.workspace.candidate(candidate))


def failed(kind: ErrorKind = ErrorKind.TIMEOUT) -> Output:
    """Return an output that is an error."""
    return Output(error=OutputError(kind))


def make_world(root: Path) -> World:
    """Write a workspace and open its store."""
    (root / "workbench.toml").write_text(CONFIG, encoding="utf-8")
    for name in ("small", "other"):
        (root / f"{name}.csv").write_text(f"row,out\n0,{name}\n", encoding="utf-8")
    for task, text in EVALS.items():
        folder = root / "evals" / task
        folder.mkdir(parents=True)
        (folder / "eval.toml").write_text(f'task = "{task}"\n{text}', encoding="utf-8")
    workspace = Workspace.load(root)
    return World(workspace, Store.open(workspace.store_path, spool=workspace.spool))


class ByLetters:
    """Embeds a text as its letters; a text with `!` has no vector."""

    model = "by letters"

    def embed(self, texts: Sequence[str]) -> Any:
        if any("!" in text for text in texts):
            raise RuntimeError("no vector")
        return np.asarray([[text.count(letter) for letter in "abcde"] for text in texts], dtype=np.float32)


def _output(value: str | Output, model: str) -> Output:
    if isinstance(value, Output):
        return value
    return Output(value, finish_reason="stop", model=model, usage=Usage(100, 0, 10))


def _control(call_id: str, output: Output) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "manifest_id": "m",
        "output": to_json(output).decode(),
        "text": output.text,
        "error_kind": output.error.kind.value if output.error else None,
        "input_tokens": output.usage.input_tokens,
        "cached_input_tokens": output.usage.cached_input_tokens,
        "output_tokens": output.usage.output_tokens,
        "marks": [],
    }


def _observation(replay: str, call_id: str, output: Output) -> dict[str, Any]:
    return {
        "replay_id": replay,
        "call_id": call_id,
        "repeat": 0,
        "output": to_json(output).decode(),
        "text": output.text,
        "error_kind": output.error.kind.value if output.error else None,
        "attempts": 1,
        "input_tokens": output.usage.input_tokens,
        "output_tokens": output.usage.output_tokens,
    }
