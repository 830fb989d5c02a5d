"""Logs with known workloads, written as files and imported, for tests of profiles."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workbench.facade import Workbench

CONFIG = """# the shop's own workspace
[[prices]]
model = "frontier-1"
as_of = 2026-10-01
source = "price list of the test"
input_usd_per_million = 3.0
cached_input_usd_per_million = 0.3
output_usd_per_million = 15.0
batch_discount = 0.5

[[prices]]
model = "small-1"
as_of = 2026-10-01
source = "price list of the test"
input_usd_per_million = 0.1
output_usd_per_million = 0.4

[costs] # agreed in spring
hosted_model = "small-1"
"""
WORDS = [f"thing{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]
START = datetime(2026, 10, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    """One logged call."""

    messages: list[dict[str, Any]]
    answer: str
    model: str = "frontier-1"
    usage: tuple[int, int, int] | None = (100, 20, 5)


def sort_line(text: str, number: int) -> Line:
    system = "You sort customer messages into billing, outage or other. Answer with one word."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return Line(messages, ("billing", "outage", "other")[number % 3])


def order_line(text: str, number: int) -> Line:
    said = f"Read the order below and return JSON with sku and count.\nOrder: {text}\nJSON:"
    return Line([{"role": "user", "content": said}], json.dumps({"sku": f"A-{number}", "count": number % 7}))


def rewrite_line(text: str, number: int) -> Line:
    said = f"{text}\n\nMake the draft above polite and short, in its own language."
    return Line([{"role": "user", "content": said}], f"Dear customer, {text}.")


def lines(make: Callable[[str, int], Line], count: int, seed: int = 1) -> list[Line]:
    dice = random.Random(seed)
    return [make(" ".join(dice.choices(WORDS, k=8)), number) for number in range(count)]


def log(path: Path, rows: Sequence[Line], every: timedelta = timedelta(minutes=30)) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            answer = {"role": "assistant", "content": row.answer}
            response: dict[str, Any] = {
                "object": "chat.completion",
                "created": int((START + number * every).timestamp()),
                "model": row.model,
                "choices": [{"index": 0, "finish_reason": "stop", "message": answer}],
            }
            if row.usage is not None:
                fresh, cached, out = row.usage
                response["usage"] = {
                    "prompt_tokens": fresh + cached,
                    "completion_tokens": out,
                    "prompt_tokens_details": {"cached_tokens": cached},
                }
            request = {"model": row.model, "messages": row.messages}
            file.write(json.dumps({"id": f"c{number}", "request": request, "response": response}) + "\n")
    return path


def made(root: Path, rows: Sequence[Line], rate: float | None = 0.5, config: str = CONFIG) -> Workbench:
    """Return an open workspace with the calls of a log."""
    root.mkdir(parents=True)
    (root / "evals").mkdir()
    (root / "workbench.toml").write_text(config, encoding="utf-8")
    bench = Workbench(root)
    if rows:
        bench.import_logs([log(root / "log.jsonl", rows)], sampling_rate=rate)
    return bench


def shuffled(*parts: list[Line], seed: int = 3) -> list[Line]:
    rows = [row for part in parts for row in part]
    random.Random(seed).shuffle(rows)
    return rows
