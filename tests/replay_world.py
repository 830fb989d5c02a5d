"""A workspace with calls and candidates, as the tests of replays need it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.records import Message, Output, Request, to_json
from workbench.specs import Price
from workbench.store import Store

EVAL = 'task = "spam"\nkind = "label"\nlabels = ["spam", "ham"]\nallowed_zone = "{zone}"\n'
PRICE = Price("m", date(2026, 1, 1), "a test", 1_000.0, 10_000.0)
"""A call of the stub reads 12 tokens and writes 3: 0.042 USD."""
CALL_USD = 0.042
PRICE_TOML = (
    '[[prices]]\nmodel = "m"\nas_of = 2026-01-01\nsource = "a test"\n'
    "input_usd_per_million = 1000.0\noutput_usd_per_million = 10000.0\n"
)


def candidate_toml(name: str, **keys: Any) -> str:
    """Return a candidate's table."""

    def value(item: Any) -> str:
        if isinstance(item, bool):
            return str(item).lower()
        if isinstance(item, dict):
            return "{ " + ", ".join(f"{key} = {value(each)}" for key, each in item.items()) + " }"
        return f'"{item}"' if isinstance(item, str) else str(item)

    lines = [f"{key} = {value(item)}" for key, item in ({"name": name} | keys).items()]
    return "[[candidates]]\n" + "\n".join(lines) + "\n"


def make_workspace(root: Path, *candidates: str, zone: str = "internal") -> Workspace:
    """Write a workspace with one label task and candidates."""
    (root / "evals" / "spam").mkdir(parents=True, exist_ok=True)
    (root / "evals" / "spam" / "eval.toml").write_text(EVAL.format(zone=zone))
    (root / "workbench.toml").write_text("\n".join(candidates))
    return Workspace.load(root)


def prompt(index: int) -> str:
    """Return the text of call `index`."""
    return f"Message {index:05d}: is this spam?"


def add_calls(store: Store, count: int, start: int = 0, without_control: int = 0) -> None:
    """Put calls with a control into the store; the last ones lack it, if asked for."""
    now = datetime.now(UTC)
    rows, controls = [], []
    for index in range(start, start + count):
        request = Request(
            (Message("system", "Answer spam or ham."), Message("user", prompt(index))),
            parameters={"temperature": 0, "max_tokens": 8},
        )
        call_id = content_hash("test", str(index))
        rows.append(
            {
                "call_id": call_id,
                "manifest_id": "m1",
                "source": "test",
                "native_id": f"row-{index}",
                "task": "spam",
                "occurred_at": now,
                "input_chars": 30 + index % 7,
                "turn_depth": 1,
                "tool_count": 0,
                "request_hash": content_hash(to_json(request)),
                "content_hash": content_hash(str(index)),
                "request": to_json(request).decode(),
                "attributes": "{}",
                "marks": [],
            }
        )
        if index < start + count - without_control:
            output = Output(text="ham", model="frontier")
            control = {
                "call_id": call_id,
                "manifest_id": "m1",
                "output": to_json(output).decode(),
                "text": "ham",
                "input_tokens": 20,
                "output_tokens": 1,
                "marks": [],
            }
            controls.append(control)
    store.append("calls", rows)
    if controls:
        store.append("controls", controls)


def open_store(workspace: Workspace) -> Store:
    """Open the store of a workspace."""
    return Store.open(workspace.store_path, spool=workspace.spool)
