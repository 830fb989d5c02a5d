"""Workspaces with known content, written through the store, for tests of what pages show."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workbench.compare import compare_outputs, evaluator_version
from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.records import Message, Output, Request, ToolCall, Usage, to_json
from workbench.store import Store

START = datetime(2026, 10, 1, 8, tzinfo=UTC)

CONFIG = """
[[candidates]]
name = "small"
engine = "recorded"
outputs = "small.jsonl"
price = "small-model"

[[candidates]]
name = "planted"
engine = "recorded"
outputs = "planted.jsonl"
synthetic = true
price = "small-model"

[[prices]]
model = "frontier-1"
as_of = 2026-10-01
source = "price list of the test"
input_usd_per_million = 5.0
output_usd_per_million = 15.0

[[prices]]
model = "small-model"
as_of = 2026-10-01
source = "price list of the test"
input_usd_per_million = 0.1
output_usd_per_million = 0.2
"""

EVALS = {
    "triage": """
task = "triage"
kind = "label"
labels = ["billing", "outage", "how-to", "other"]
calls_per_day = 2000.0
[[slices]]
by = "language"
""",
    "orders": """
task = "orders"
kind = "fields"
[[fields]]
path = "customer"
[[fields]]
path = "total"
compare = "number"
""",
    "rewrite": """
task = "rewrite"
kind = "text"
""",
}

GUIDELINES = "Prefer the answer that a support person would send.\n\n<script>alert(1)</script>"

LABELS = ("billing", "outage", "how-to", "other")
LANGUAGES = ("en", "de", "fr", "es", "ja")


@dataclass(frozen=True)
class Pair:
    """One call with both answers."""

    task: str
    number: int
    text: str
    control: Output
    observed: Output
    language: str = "en"


def make_workspace(root: Path) -> Workspace:
    """Write an empty workspace with three tasks and two candidates."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "workbench.toml").write_text(CONFIG, encoding="utf-8")
    for name in ("small", "planted"):
        (root / f"{name}.jsonl").write_text(json.dumps({"id": name, "output": "x"}) + "\n", encoding="utf-8")
    for task, text in EVALS.items():
        folder = root / "evals" / task
        folder.mkdir(parents=True)
        (folder / "eval.toml").write_text(text, encoding="utf-8")
        (folder / "guidelines.md").write_text(GUIDELINES, encoding="utf-8")
    return Workspace.load(root)


def demo_pairs(calls: int = 240) -> list[Pair]:
    """Return pairs: one in forty triage answers differs, one in six orders, half of the texts."""
    pairs = []
    for number in range(calls):
        right = LABELS[number % 4]
        said = LABELS[(number + 1) % 4] if number % 40 == 5 else right
        pairs.append(
            Pair(
                "triage",
                number,
                f"Ticket {number}: my invoice is wrong and the line is down.",
                answer(right),
                answer(said, model="small-model"),
                LANGUAGES[number % 5],
            )
        )
    for number in range(calls // 8):
        order = {
            "customer": f"Customer {number}",
            "total": 10.5 + number,
            "items": [{"sku": "A1", "n": number}],
        }
        other = {**order, "total": order["total"] + (1 if number % 6 == 0 else 0)}
        pairs.append(
            Pair("orders", number, f"Order {number}", answer(json.dumps(order)), answer(json.dumps(other)))
        )
    for number in range(calls // 12):
        said = f"Hello, your parcel {number} arrives on Monday. Kind regards"
        other = f"Hello, your parcel {number} arrives on {'Tuesday' if number % 2 else 'Monday'}. Regards"
        pairs.append(Pair("rewrite", number, f"Rewrite message {number}", answer(said), answer(other)))
    return pairs


def answer(text: str, *, model: str = "frontier-1", tools: tuple[ToolCall, ...] = ()) -> Output:
    """Return an output as a log would hold it."""
    return Output(
        text=text,
        tool_calls=tools,
        finish_reason="stop",
        model=model,
        usage=Usage(120, None, 8),
        latency_ms=420.0,
    )


@dataclass(frozen=True)
class Filled:
    """A workspace with its store and the ids of its replays by task."""

    workspace: Workspace
    store: Store
    replays: dict[str, str]


@contextlib.contextmanager
def copied(made: Filled, root: Path) -> Iterator[Filled]:
    """Copy a filled workspace whose store is closed, and open the copy until the block ends."""
    shutil.copytree(made.workspace.root, root)
    workspace = Workspace.load(root)
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        yield Filled(workspace, store, dict(made.replays))


def fill(
    workspace: Workspace,
    store: Store,
    pairs: Iterable[Pair],
    candidate: str = "small",
    *,
    new_calls: bool = True,
) -> dict[str, str]:
    """Store pairs as an import, a finished replay and its comparisons.

    Returns:
        The replay's id by task.
    """
    spec = workspace.candidate(candidate)
    fingerprint = workspace.fingerprint(spec)
    by_task: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_task.setdefault(pair.task, []).append(pair)
    if new_calls:
        store_calls(store, [pair for each in by_task.values() for pair in each])
    store.append(
        "candidates",
        [{"fingerprint": fingerprint, "name": spec.name, "spec": "{}", "created_at": START}],
        ignore_known=True,
    )
    return {
        task: _store_replay(workspace, store, task, spec.name, fingerprint, each)
        for task, each in by_task.items()
    }


def call_id_of(pair: Pair) -> str:
    """Return the id under which `fill` stores a pair's call."""
    return content_hash("call", pair.task, str(pair.number))


def store_calls(store: Store, pairs: list[Pair]) -> None:
    """Store the calls of pairs as an import, with what the frontier answered."""
    manifest = content_hash("manifest", str(len(pairs)), pairs[0].text)
    calls: list[dict[str, Any]] = []
    controls: list[dict[str, Any]] = []
    for index, pair in enumerate(pairs):
        request = Request((Message("system", "Answer as support does."), Message("user", pair.text)))
        body = to_json(request).decode()
        calls.append(
            {
                "call_id": call_id_of(pair),
                "manifest_id": manifest,
                "source": "test",
                "native_id": f"{pair.task}-{pair.number}",
                "task": pair.task,
                "occurred_at": START + timedelta(hours=7 * index % 600),
                "session_id": f"{pair.task}-session-{pair.number}",
                "served_by": None,
                "sampling_rate": 1.0,
                "model": "frontier-1",
                "language": pair.language,
                "input_chars": len(pair.text),
                "turn_depth": 1,
                "tool_count": 0,
                "request_hash": content_hash("request", body),
                "content_hash": content_hash("content", body, str(pair.number)),
                "request": body,
                "attributes": "{}",
                "marks": [],
            }
        )
        controls.append(
            {
                "call_id": call_id_of(pair),
                "manifest_id": manifest,
                "output": to_json(pair.control).decode(),
                "text": pair.control.text,
                "error_kind": pair.control.error.kind if pair.control.error else None,
                "latency_ms": pair.control.latency_ms,
                "input_tokens": pair.control.usage.input_tokens,
                "cached_input_tokens": None,
                "output_tokens": pair.control.usage.output_tokens,
                "marks": [],
            }
        )
    with store.writing() as writer:
        writer.append("calls", calls)
        writer.append("controls", controls)
        writer.append(
            "manifests",
            [
                {
                    "manifest_id": manifest,
                    "created_at": START + timedelta(days=28),
                    "task": None,
                    "source": "test",
                    "format": "openai_chat",
                    "files": json.dumps([{"name": "log.jsonl", "bytes": 10, "sha256": "0"}]),
                    "sampling_rate": 1.0,
                    "report": json.dumps({"records": len(pairs), "accepted": len(pairs)}),
                }
            ],
        )


def _store_replay(
    workspace: Workspace, store: Store, task: str, name: str, fingerprint: str, pairs: list[Pair]
) -> str:
    config = workspace.eval_for(task)
    replay_id = content_hash("replay", task, fingerprint, str(len(pairs)))
    similarity = 0.9 if config.kind == "text" else None
    rows: dict[str, list[dict[str, Any]]] = {"replay_calls": [], "observations": [], "comparisons": []}
    for rank, pair in enumerate(pairs):
        call_id = call_id_of(pair)
        rows["replay_calls"].append(
            {
                "replay_id": replay_id,
                "call_id": call_id,
                "batch": 0,
                "rank": rank,
                "audit_key": content_hash("audit", replay_id, call_id),
                "inclusion_probability": 1.0,
            }
        )
        rows["observations"].append(
            {
                "replay_id": replay_id,
                "call_id": call_id,
                "repeat": 0,
                "output": to_json(pair.observed).decode(),
                "text": pair.observed.text,
                "error_kind": pair.observed.error.kind if pair.observed.error else None,
                "attempts": 1,
                "latency_ms": 90.0,
                "input_tokens": 120,
                "output_tokens": 8,
                "started_at": START + timedelta(days=29),
            }
        )
        found = compare_outputs(config, None, pair.control, pair.observed, similarity=similarity).of(
            replay_id, call_id, 0, evaluator_version(config)
        )
        rows["comparisons"].append(
            {
                "replay_id": replay_id,
                "call_id": call_id,
                "repeat": 0,
                "evaluator_version": found.evaluator_version,
                "verdict": found.verdict,
                "score": found.score,
                "reason": found.reason,
                "identical": found.identical,
                "invalid": found.invalid,
                "ignored_by": found.ignored_by,
                "control_group": found.control_group,
                "candidate_group": found.candidate_group,
                "flags": list(found.flags),
                "details": json.dumps(found.details),
            }
        )
    plan = {"limit": len(pairs), "seed": 0}
    with store.writing() as writer:
        writer.append(
            "replays",
            [
                {
                    "replay_id": replay_id,
                    "task": task,
                    "candidate": name,
                    "candidate_fingerprint": fingerprint,
                    "seed": 0,
                    "repeats": 1,
                    "plan": json.dumps(plan),
                    "created_at": START + timedelta(days=29),
                }
            ],
        )
        for table, content in rows.items():
            writer.append(table, content)
        for event in ("started", "finished"):
            writer.append(
                "replay_events",
                [
                    {
                        "replay_id": replay_id,
                        "event": event,
                        "detail": "{}",
                        "created_at": START + timedelta(days=29, hours=1),
                    }
                ],
            )
    return replay_id
