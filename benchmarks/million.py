"""A workspace with a million comparisons: tasks of every kind of evidence, slices, draws and labels.

Run from the repository: python benchmarks/million.py WORKSPACE [COMPARISONS]
Calls, controls and observations are laid in by bulk insert as import and replay leave them; comparing and
drawing go through the product's own use cases. The benchmark of the pages opens such a workspace.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from measures import open_store
from replay_world import candidate_toml

from workbench import review
from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.records import LabelVerdict, Message, Output, Request, to_json
from workbench.scoring import compare
from workbench.store import Store

COMPARISONS = 1_000_000
LAID_IN = 100_000
LABELLED = 40
WORSE = 0.08
"""Items labelled for each task and candidate."""
DAYS = 21
LABELS = ("billing", "technical", "account", "shipping", "refund", "spam", "praise", "other")
PLACES = ("Berlin", "Lyon", "Porto", "Turin", "Ghent")
SLICES = """
[[slices]]
by = "language"
[[slices]]
by = "input_length"
[[slices]]
by = "model"
[[slices]]
by = "attributes.region"
"""
PRICES = """
[[prices]]
model = "frontier-large"
input_usd_per_million = 2.5
output_usd_per_million = 10.0
source = "benchmark"
as_of = 2026-03-01
[[prices]]
model = "frontier-small"
input_usd_per_million = 0.15
output_usd_per_million = 0.6
source = "benchmark"
as_of = 2026-03-01
[[prices]]
model = "m"
input_usd_per_million = 0.02
output_usd_per_million = 0.04
source = "benchmark"
as_of = 2026-03-01
"""


@dataclass(frozen=True, slots=True)
class Task:
    """A task, its eval, its candidates, and its part of the comparisons."""

    name: str
    eval: str
    candidates: tuple[str, ...]
    part: float

    @property
    def kind(self) -> str:
        """Return the kind that the eval names."""
        return self.eval.split('kind = "')[1].split('"')[0]


TASKS = (
    Task("triage", f'kind = "label"\nlabels = {list(LABELS)}\n'.replace("'", '"'), ("small", "tiny"), 0.5),
    Task(
        "extraction",
        'kind = "fields"\n[[fields]]\npath = "city"\nrequired = true\n'
        '[[fields]]\npath = "amount"\ncompare = "number"\nrequired = true\n',
        ("small", "tiny"),
        0.25,
    ),
    Task("routing", f'kind = "label"\nlabels = {list(LABELS[:4])}\n'.replace("'", '"'), ("small",), 0.15),
    Task("replies", 'kind = "text"\n', ("small",), 0.1),
)


class Hashed:
    """Vectors without a model: close to one another for texts of one length, so that similarities spread."""

    def __init__(self, name: str) -> None:
        self.model = name

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of two numbers for each text."""
        angles = [0.01 * (len(text) % 40) for text in texts]
        return [[math.cos(angle), math.sin(angle)] for angle in angles]


def workspace_at(root: Path) -> Workspace:
    """Write the workspace's files."""
    for task in TASKS:
        (root / "evals" / task.name).mkdir(parents=True, exist_ok=True)
        text = f'task = "{task.name}"\nallowed_zone = "internal"\n{task.eval}{SLICES}'
        (root / "evals" / task.name / "eval.toml").write_text(text, encoding="utf-8")
    keys = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    candidates = "\n".join(candidate_toml(name, **keys) for name in ("small", "tiny"))
    candidates = candidates.replace('name = "tiny"', 'name = "tiny"\nparameters = { temperature = 0.5 }')
    (root / "workbench.toml").write_text(candidates + PRICES, encoding="utf-8")
    return Workspace.load(root)


def answers(task: Task, dice: random.Random, number: int, count: int) -> tuple[str, list[str]]:
    """Return what the frontier and so many candidates say to one call."""
    worse = [dice.random() < WORSE for _ in range(count)]
    if task.kind == "label":
        control = dice.choice(LABELS[:4])
        chosen = [dice.choice(LABELS[:4]) if each else control for each in worse]
        return control, [dice.choice((each, each, each.title(), f"{each}.")) for each in chosen]
    if task.kind == "fields":
        city, amount = dice.choice(PLACES), dice.randrange(1, 5_000)
        chosen = [dice.choice(PLACES) if each else city for each in worse]
        said = [f'{{"amount": {amount}, "city": "{each}"}}' for each in chosen]
        return f'{{"city": "{city}", "amount": {amount}}}', said
    thanks = f"Thank you for your message about order {number % 5_000}. We have looked into it"
    sent = "sent the parcel again."
    return f"{thanks} and {sent}", [f"{thanks}{', and' if each else ' and'} {sent}" for each in worse]


def laid_in(task: Task, replays: list[str], count: int) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield columns of calls, controls, sample and observations, some hundred thousand rows at a time."""
    since = datetime(2026, 3, 2, tzinfo=UTC)
    dice = random.Random(task.name)  # noqa: S311 - answers, no secret
    no_marks = pa.list_(pa.string())
    for start in range(0, count, LAID_IN):
        numbers = range(start, min(start + LAID_IN, count))
        n = len(numbers)
        ids = [content_hash(task.name, str(number)) for number in numbers]
        said = [answers(task, dice, number, len(replays)) for number in numbers]
        requests = [
            to_json(
                Request((Message("system", f"Do {task.name}."), Message("user", f"Message {number}: where?")))
            ).decode()
            for number in numbers
        ]
        models = [dice.choice(("frontier-large", "frontier-large", "frontier-small")) for _ in numbers]
        yield {
            "calls": {
                "call_id": ids,
                "manifest_id": ["m1"] * n,
                "source": ["benchmark"] * n,
                "native_id": [str(number) for number in numbers],
                "task": [task.name] * n,
                "occurred_at": [since + timedelta(days=DAYS * number / count) for number in numbers],
                "session_id": [f"{task.name}-{number // 3}" for number in numbers],
                "sampling_rate": [1.0] * n,
                "model": models,
                "language": [dice.choice(("en", "en", "en", "de", "fr", "es", "it")) for _ in numbers],
                "input_chars": [dice.randrange(20, 4_000) for _ in numbers],
                "turn_depth": [1] * n,
                "tool_count": [0] * n,
                "request_hash": ids,
                "content_hash": ids,
                "request": requests,
                "attributes": [f'{{"region":"{dice.choice(PLACES)}"}}' for _ in numbers],
                "marks": pa.array([[]] * n, no_marks),
            },
            "controls": {
                "call_id": ids,
                "manifest_id": ["m1"] * n,
                "output": [written(control, model) for (control, _), model in zip(said, models, strict=True)],
                "text": [control for control, _ in said],
                "latency_ms": [dice.lognormvariate(6.5, 0.4) for _ in numbers],
                "input_tokens": [40] * n,
                "output_tokens": [2] * n,
                "marks": pa.array([[]] * n, no_marks),
            },
        }
        for place, replay_id in enumerate(replays):
            yield {
                "replay_calls": {
                    "replay_id": [replay_id] * n,
                    "call_id": ids,
                    "batch": [0] * n,
                    "rank": list(numbers),
                    "audit_key": [content_hash("audit", each) for each in ids],
                    "inclusion_probability": [1.0] * n,
                },
                "observations": {
                    "replay_id": [replay_id] * n,
                    "call_id": ids,
                    "repeat": [0] * n,
                    "output": [written(chosen[place], "m") for _, chosen in said],
                    "text": [chosen[place] for _, chosen in said],
                    "attempts": [1] * n,
                    "latency_ms": [dice.lognormvariate(5.5, 0.5) for _ in numbers],
                    "input_tokens": [40] * n,
                    "output_tokens": [2] * n,
                    "started_at": [since + timedelta(days=30)] * n,
                },
            }


def written(text: str, model: str) -> str:
    """Return an output as the store keeps it."""
    return to_json(Output(text, finish_reason="stop", model=model)).decode()


def build(root: Path, count: int = COMPARISONS) -> Workspace:
    """Make the workspace.

    Args:
        root: An empty folder, or one that doesn't exist.
        count: Comparisons over all tasks and candidates.
    """
    workspace = workspace_at(root)
    now = datetime(2026, 4, 2, tzinfo=UTC)
    with open_store(workspace) as store:
        manifest = {
            "manifest_id": "m1",
            "created_at": now,
            "source": "benchmark",
            "format": "openai_chat",
            "files": "[]",
            "report": "{}",
        }
        store.append("manifests", [manifest])
        for task in TASKS:
            replays = []
            for name in task.candidates:
                fingerprint = workspace.fingerprint(workspace.candidate(name))
                replay_id = content_hash("replay", task.name, name)[:32]
                replays.append(replay_id)
                replay = {
                    "replay_id": replay_id,
                    "task": task.name,
                    "candidate": name,
                    "candidate_fingerprint": fingerprint,
                    "seed": 0,
                    "repeats": 1,
                    "plan": "{}",
                    "created_at": now,
                }
                store.append("replays", [replay])
            for tables in laid_in(task, replays, int(count * task.part) // len(replays)):
                for table, columns in tables.items():
                    store.append(table, pa.table(columns))
        for task in TASKS:
            for name in task.candidates:
                compare(workspace, store, task.name, name, embedder=Hashed)
                label(workspace, store, task.name, name)
    return workspace


def label(workspace: Workspace, store: Store, task: str, candidate: str) -> None:
    """Label some items as a reviewer would who finds little harm."""
    dice = random.Random(f"{task}/{candidate}")  # noqa: S311 - verdicts, no secret
    for _ in range(LABELLED):
        item = review.next_item(workspace, store, task, candidate, "benchmark")
        if item is None:
            break
        verdict = dice.choice((LabelVerdict.EQUAL,) * 9 + (LabelVerdict.CONTROL_BETTER,))
        review.submit(workspace, store, item, "benchmark", verdict)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    began = time.perf_counter()
    build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else COMPARISONS)
    print(f"{time.perf_counter() - began:.0f} s")
