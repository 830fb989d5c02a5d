"""A store of a size that pages must stay fast with: a million comparisons, laid in by bulk insert.

One task of each kind, languages and a tenant for slices, flags, similarities, labels that were
taken back and given again, and a replay whose answers took different times and failed now and then.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.records import Message, Output, Request, Usage, to_json
from workbench.store import Store
from workbench.store.comparisons import parts_of

MILLION = 1_000_000
LAID_IN = 100_000
CANDIDATE, OTHER = "small", "smaller"
TASKS = {"triage": 0.5, "orders": 0.2, "rewrite": 0.3}
"""Kind of task by its share of the calls: labels, fields, text."""
LABELS = ("billing", "outage", "how-to", "refund", "spam", "other")
LANGUAGES = ("en", "en", "en", "de", "fr", "es", "ja", "pt")
FLAGS = ("numbers", "negation", "language", "length", "names")
EVALS = {
    "triage": f"""
task = "triage"
kind = "label"
labels = {list(LABELS)}
[[slices]]
by = "language"
[[slices]]
by = "attributes.tenant"
[[slices]]
by = "input_length"
""".replace("'", '"'),
    "orders": """
task = "orders"
kind = "fields"
[[slices]]
by = "language"
[[fields]]
path = "customer"
[[fields]]
path = "total"
compare = "number"
""",
    "rewrite": """
task = "rewrite"
kind = "text"
[[slices]]
by = "language"
""",
}
CONFIG = (
    "\n".join(
        f"""
[[candidates]]
name = "{name}"
engine = "openai"
base_url = "http://127.0.0.1:9/v1"
model = "{name}-model"
price = "small-model"
"""
        for name in (CANDIDATE, OTHER)
    )
    + """
[[prices]]
model = "small-model"
as_of = 2026-10-01
source = "made up"
input_usd_per_million = 0.1
output_usd_per_million = 0.2
"""
)
START = datetime(2026, 10, 1, 8, tzinfo=UTC)


def workspace_at(root: Path) -> Workspace:
    """Write a workspace with three tasks and two candidates."""
    for task, text in EVALS.items():
        (root / "evals" / task).mkdir(parents=True, exist_ok=True)
        (root / "evals" / task / "eval.toml").write_text(text, encoding="utf-8")
    (root / "workbench.toml").write_text(CONFIG, encoding="utf-8")
    return Workspace.load(root)


def lay_in(
    workspace: Workspace,
    store: Store,
    comparisons: int = MILLION,
    labels: int = 20_000,
    shares: Mapping[str, float] = TASKS,
) -> None:
    """Store calls, controls, replays, answers, comparisons and labels.

    Args:
        workspace: Names the tasks and the candidates.
        store: Empty.
        comparisons: How many; nine in ten are the first candidate's.
        labels: How many, one in ten of them twice, superseding the first.
        shares: Which tasks, and the share of each.
    """
    dice = random.Random(7)  # noqa: S311 - answers, no secret
    for task, share in shares.items():
        mine = int(0.9 * share * comparisons)
        calls = [content_hash("page-world", task, str(number)) for number in range(mine)]
        for start in range(0, mine, LAID_IN):
            _calls(store, dice, task, calls[start : start + LAID_IN], start)
        for name, ids in ((CANDIDATE, calls), (OTHER, calls[: int(0.1 * share * comparisons)])):
            replay_id = _replay(workspace, store, task, name, ids)
            for start in range(0, len(ids), LAID_IN):
                _answers(workspace, store, dice, task, replay_id, ids[start : start + LAID_IN], start)
        _labels(workspace, store, dice, task, calls[: int(labels * share)])


def _calls(store: Store, dice: random.Random, task: str, ids: Sequence[str], start: int) -> None:
    n = len(ids)
    requests = [
        to_json(
            Request((Message("system", "Sort the message."), Message("user", f"Where is order {start + k}?")))
        ).decode()
        for k in range(n)
    ]
    columns = {
        "call_id": ids,
        "manifest_id": ["m"] * n,
        "source": ["bench"] * n,
        "native_id": [f"{task}-{start + k}" for k in range(n)],
        "task": [task] * n,
        "occurred_at": [START + timedelta(seconds=5 * (start + k)) for k in range(n)],
        "language": [dice.choice(LANGUAGES) for _ in ids],
        "model": ["frontier-1"] * n,
        "input_chars": [dice.randrange(20, 4_000) for _ in ids],
        "turn_depth": [dice.choice((1, 1, 1, 2, 3, 7)) for _ in ids],
        "tool_count": [0] * n,
        "request_hash": ids,
        "content_hash": ids,
        "request": requests,
        "attributes": [f'{{"tenant":"t{dice.randrange(8)}"}}' for _ in ids],
        "marks": pa.array([[]] * n, pa.list_(pa.string())),
    }
    texts = [_said(dice, task, start + k)[0] for k in range(n)]
    controls = {
        "call_id": ids,
        "manifest_id": ["m"] * n,
        "output": [_written(text, "frontier-1") for text in texts],
        "text": texts,
        "latency_ms": [dice.lognormvariate(6, 0.4) for _ in ids],
        "input_tokens": [40] * n,
        "output_tokens": [8] * n,
        "marks": pa.array([[]] * n, pa.list_(pa.string())),
    }
    store.append("calls", pa.table(columns))
    store.append("controls", pa.table(controls))


def _replay(workspace: Workspace, store: Store, task: str, name: str, ids: Sequence[str]) -> str:
    fingerprint = workspace.fingerprint(workspace.candidate(name))
    replay_id = content_hash("page-world", task, name)
    at = START + timedelta(days=60)
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
                    "plan": "{}",
                    "created_at": at,
                }
            ],
        )
        for event in ("started", "finished"):
            writer.append(
                "replay_events",
                [{"replay_id": replay_id, "event": event, "detail": "{}", "created_at": at}],
            )
    for start in range(0, len(ids), LAID_IN):
        part = ids[start : start + LAID_IN]
        planned = {
            "replay_id": [replay_id] * len(part),
            "call_id": part,
            "batch": pa.array([0] * len(part), pa.int32()),
            "rank": list(range(start, start + len(part))),
            "audit_key": [content_hash("audit", each) for each in part],
            "inclusion_probability": [1.0] * len(part),
        }
        store.append("replay_calls", pa.table(planned))
    return replay_id


def _answers(
    workspace: Workspace,
    store: Store,
    dice: random.Random,
    task: str,
    replay_id: str,
    ids: Sequence[str],
    start: int,
) -> None:
    n = len(ids)
    version = evaluator_version(workspace.eval_for(task))
    said = [_said(dice, task, start + k) for k in range(n)]
    failed = [dice.random() < 0.004 for _ in ids]
    differs = [bad or dice.random() < 0.12 for bad in failed]
    answers = [other if wrong else right for (right, other), wrong in zip(said, differs, strict=True)]
    scores = [dice.betavariate(4, 2) if wrong else dice.betavariate(9, 1) for wrong in differs]
    observations = {
        "replay_id": [replay_id] * n,
        "call_id": ids,
        "repeat": [0] * n,
        "output": [_written(text, "small-model") for text in answers],
        "text": [None if bad else text for text, bad in zip(answers, failed, strict=True)],
        "error_kind": [dice.choice(("timeout", "http", "rate_limited")) if bad else None for bad in failed],
        "attempts": [1] * n,
        "latency_ms": [dice.lognormvariate(5, 0.5) for _ in ids],
        "input_tokens": [40] * n,
        "output_tokens": [8] * n,
        "started_at": [START + timedelta(days=60, milliseconds=4 * (start + k)) for k in range(n)],
    }
    store.append("observations", pa.table(observations))
    seqs = {
        row["call_id"]: (row["call_seq"], row["seq"])
        for row in store.rows(
            "SELECT o.call_id, o.seq, c.seq AS call_seq FROM observations o JOIN calls c USING (call_id) "
            "WHERE o.replay_id = ? AND o.call_id IN (SELECT unnest(?))",
            (replay_id, list(ids)),
        )
    }
    details = [_details(task, wrong) for wrong in differs]
    comparisons = {
        "replay_id": [replay_id] * n,
        "call_id": ids,
        "repeat": [0] * n,
        "evaluator_version": [version] * n,
        "verdict": ["mismatch" if wrong else "match" for wrong in differs],
        "score": pa.array(scores if task == "rewrite" else [None] * n, pa.float64()),
        "reason": ["answers differ" if wrong else "" for wrong in differs],
        "identical": [not wrong for wrong in differs],
        "invalid": failed,
        "control_group": [right if task == "triage" else None for right, _ in said],
        "candidate_group": [text if task == "triage" else None for text in answers],
        "flags": pa.array(
            [[dice.choice(FLAGS)] if dice.random() < 0.1 else [] for _ in ids], pa.list_(pa.string())
        ),
        "details": details,
        "call_seq": [seqs[each][0] for each in ids],
        "observation_seq": [seqs[each][1] for each in ids],
        "batch": pa.array([0] * n, pa.int32()),
        "audit_order": [int(content_hash("audit", each)[:15], 16) for each in ids],
        "parts": [parts_of(json.loads(each)) for each in details],
    }
    store.append("comparisons", pa.table(comparisons))


def _labels(workspace: Workspace, store: Store, dice: random.Random, task: str, ids: Sequence[str]) -> None:
    replay_id = content_hash("page-world", task, CANDIDATE)
    rows: list[dict[str, Any]] = []
    for number, call_id in enumerate(ids):
        for again in range(2 if number % 10 == 0 else 1):
            rows.append(  # noqa: PERF401 - read more easily so
                {
                    "label_id": f"{task}-{number}-{again}",
                    "replay_id": replay_id,
                    "call_id": call_id,
                    "verdict": dice.choice(("control_better", "equal", "equal", "equal", "candidate_better")),
                    "annotator": dice.choice(("ann", "ben", "cleo")),
                    "reasons": [],
                    "note": "",
                    "source": "queue",
                    "supersedes": f"{task}-{number}-0" if again else None,
                    "skipped": False,
                    "created_at": START + timedelta(days=61, seconds=number),
                }
            )
    for start in range(0, len(rows), LAID_IN):
        store.append("labels", rows[start : start + LAID_IN])


def _said(dice: random.Random, task: str, number: int) -> tuple[str, str]:
    if task == "triage":
        return LABELS[number % 6], LABELS[(number + 1 + number % 3) % 6]
    if task == "orders":
        return (
            f'{{"customer":"c{number}","total":{number}}}',
            f'{{"customer":"c{number}","total":{number + 1}}}',
        )
    return f"Your parcel {number} arrives on Monday.", f"Parcel {number} arrives on Tuesday, we hope."


def _details(task: str, wrong: bool) -> str:
    if task != "orders":
        return "{}"
    other = "false" if wrong else "true"
    return (
        '{"fields":[{"path":"customer","equal":true,"control":{"value":"c"},"candidate":{"value":"c"}},'
        f'{{"path":"total","equal":{other},"control":{{"value":1}},"candidate":{{"value":2}}}}]}}'
    )


def _written(text: str, model: str) -> str:
    return to_json(Output(text, finish_reason="stop", model=model, usage=Usage(40, None, 8))).decode()
