"""Measure comparing labels: a million pairs in the store, from the command's use case to its report.

Calls, controls and observations are laid in by bulk insert; what is timed is `scoring.compare` alone,
reading, judging, storing, and the report with its tables. A candidate agrees on about nine in ten calls,
writes labels in several ways, and now and then something that is no label.
"""

from __future__ import annotations

import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from measures import Figures, open_store
from replay_world import candidate_toml

from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.records import Message, Output, Request, to_json
from workbench.scoring import compare
from workbench.store import Store

SECONDS = 15.0
"""At most so long for a million pairs."""
MILLION = 1_000_000
LAID_IN = 250_000
TASK, CANDIDATE = "triage", "small"
LABELS = ("billing", "technical", "account", "shipping", "refund", "spam", "praise", "other")
EVAL = f'task = "{TASK}"\nkind = "label"\nlabels = {list(LABELS)}\n'.replace("'", '"')


def workspace_at(root: Path) -> Workspace:
    """Write a workspace with one label task and one candidate."""
    (root / "evals" / TASK).mkdir(parents=True)
    (root / "evals" / TASK / "eval.toml").write_text(EVAL, encoding="utf-8")
    keys = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    (root / "workbench.toml").write_text(candidate_toml(CANDIDATE, **keys), encoding="utf-8")
    return Workspace.load(root)


def lay_in(store: Store, fingerprint: str, count: int) -> None:
    """Store calls, controls and observations as import and replay leave them."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    replay_id = "ab" * 16
    replay = {
        "replay_id": replay_id,
        "task": TASK,
        "candidate": CANDIDATE,
        "candidate_fingerprint": fingerprint,
        "seed": 0,
        "repeats": 1,
        "plan": "{}",
        "created_at": now,
    }
    store.append("replays", [replay])
    dice = random.Random(7)  # noqa: S311 - answers, no secret
    for start in range(0, count, LAID_IN):
        numbers = range(start, min(start + LAID_IN, count))
        n = len(numbers)
        ids = [content_hash("bench", str(number)) for number in numbers]
        said = [answers(dice, number) for number in numbers]
        request = to_json(
            Request((Message("system", "Sort the message."), Message("user", "Where is it?")))
        ).decode()
        calls = {
            "call_id": ids,
            "manifest_id": ["m"] * n,
            "source": ["bench"] * n,
            "native_id": [str(number) for number in numbers],
            "task": [TASK] * n,
            "occurred_at": [now + timedelta(seconds=number) for number in numbers],
            "input_chars": [29] * n,
            "turn_depth": [1] * n,
            "tool_count": [0] * n,
            "request_hash": ids,
            "content_hash": ids,
            "request": [request] * n,
            "attributes": ["{}"] * n,
            "marks": pa.array([[]] * n, pa.list_(pa.string())),
        }
        controls = {
            "call_id": ids,
            "manifest_id": ["m"] * n,
            "output": [written(control, "frontier") for control, _ in said],
            "text": [control for control, _ in said],
            "input_tokens": [40] * n,
            "output_tokens": [2] * n,
            "marks": pa.array([[]] * n, pa.list_(pa.string())),
        }
        observations = {
            "replay_id": [replay_id] * n,
            "call_id": ids,
            "repeat": [0] * n,
            "output": [written(answer, "small") for _, answer in said],
            "text": [answer for _, answer in said],
            "attempts": [1] * n,
            "input_tokens": [40] * n,
            "output_tokens": [2] * n,
        }
        for table, columns in (("calls", calls), ("controls", controls), ("observations", observations)):
            store.append(table, pa.table(columns))


def answers(dice: random.Random, number: int) -> tuple[str, str]:
    """Return what the frontier and the candidate say to one call."""
    control = dice.choice(LABELS)
    if dice.random() < 0.01:
        return control, f"I would say that message {number} is about {control}."
    answer = control if dice.random() < 0.9 else dice.choice(LABELS)
    return control, dice.choice((answer, answer, answer.title(), f"{answer}.", f"**{answer}**"))


def written(text: str, model: str) -> str:
    """Return an output as the store keeps it."""
    return to_json(Output(text, finish_reason="stop", model=model)).decode()


def measure(figures: Figures, count: int) -> None:
    """Print how long comparing takes, and how long once there is nothing new."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = workspace_at(Path(folder))
        with open_store(workspace) as store:
            lay_in(store, workspace.fingerprint(workspace.candidate(CANDIDATE)), count)
            started = time.perf_counter()
            (report,) = compare(workspace, store, TASK, CANDIDATE)
            took_s = time.perf_counter() - started
            if report.compared != count:
                raise SystemExit(f"{report.compared:,} of {count:,} pairs were compared")
            started = time.perf_counter()
            compare(workspace, store, TASK, CANDIDATE)
            again_s = time.perf_counter() - started
    detail = f"{count / took_s:,.0f} pairs/s; {again_s:.1f} s once nothing is new"
    name = f"seconds to compare {count:,} label pairs"
    figures.ratio(name, took_s, SECONDS * count / MILLION, detail, at_most=True)
