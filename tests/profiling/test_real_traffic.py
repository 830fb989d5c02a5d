"""Workloads found in real outside data, whose names were hidden from the miner."""

from __future__ import annotations

import csv
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from profile_world import stored

from workbench.normal import content_hash
from workbench.records import UNASSIGNED, Message, Request
from workbench.store import workloads
from workbench.traffic.prompts import prompt_of
from workbench.traffic.templates import mine, templates

DATA = Path(os.environ.get("WORKBENCH_DATA", ""))
FEW = 2
"""Functions that were called less often by hand, to try the gateway out."""
needs_data = pytest.mark.skipif(
    not os.environ.get("WORKBENCH_DATA") or not (DATA / "tensorzero").is_dir(),
    reason="WORKBENCH_DATA names no folder of real logs",
)


def _part(part: dict[str, Any]) -> str:
    value = part.get("value", part.get("text", ""))
    return value if isinstance(value, str) else json.dumps(value)


def _tensorzero() -> list[tuple[str, Request, str]]:
    found = []
    for kind in ("chat", "json"):
        path = DATA / "tensorzero" / f"{kind}_inference_examples.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            asked = json.loads(row["input"])
            system = asked.get("system")
            messages: list[Message] = []
            if system is not None:
                text = system if isinstance(system, str) else json.dumps(system)
                messages.append(Message("system", text))
            for message in asked["messages"]:
                content = message["content"]
                text = content if isinstance(content, str) else "\n".join(_part(each) for each in content)
                messages.append(Message(message["role"], text))
            found.append((row["function_name"], Request(tuple(messages)), row["output"]))
    return found


@needs_data
def test_the_functions_of_a_gateway_log_are_found_as_workloads(tmp_path: Path) -> None:
    """Each function with more than two calls is one workload, with at most 1 % of others' calls in it."""
    rows = _tensorzero()
    functions = Counter(name for name, _, _ in rows)
    calls = [(str(number), request, answer) for number, (_, request, answer) in enumerate(rows)]
    with stored(tmp_path / "w", calls) as bench:
        report = bench.profile()
        by_id: dict[str, Counter[str]] = {}
        where = "SELECT native_id, workload FROM profile_calls p JOIN calls c ON c.seq = p.call_seq"
        for row in bench.store.rows(where):
            by_id.setdefault(row["workload"], Counter())[rows[int(row["native_id"])][0]] += 1
        assert sum(each.calls for each in report.workloads) == len(rows)
        for name, count in functions.items():
            if count > FEW:
                home = max(by_id.values(), key=lambda found: found[name])
                assert home[name] == count, name
                assert home.total() - count <= 0.01 * count, (name, home)
        assert {each.workload for each in report.workloads} == set(by_id)
        page = workloads.workload_page(bench.store, report.profile_id, report.workloads[0].workload, limit=5)
        assert len(page) == 5
        assert bench.store.value("SELECT count(*) FROM calls WHERE task <> ?", (UNASSIGNED,)) == 0


def _wrapped() -> list[tuple[str, Request]]:
    found = []
    for part in ("train", "test"):
        with (DATA / "banking77" / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                system = "You sort messages of bank customers into one of 77 intents. Answer with the intent."
                found.append(("banking", Request((Message("system", system), Message("user", row["text"])))))
    for path in sorted((DATA / "snips").glob("*.json")):
        for rows in json.loads(path.read_text(encoding="utf-8")).values():
            for row in rows:
                text = "".join(each["text"] for each in row["data"])
                asked = f"Find the slots in this voice command and return JSON.\nCommand: {text}\nJSON:"
                found.append(("snips", Request((Message("user", asked),))))
    for line in (DATA / "sms_spam" / "SMSSpamCollection").read_text(encoding="latin-1").splitlines():
        text = line.split("\t")[1]
        asked = f"{text}\n\nIs the text message above spam or ham? Answer with one word."
        found.append(("sms", Request((Message("user", asked),))))
    random.Random(7).shuffle(found)
    return found


@needs_data
def test_three_prompts_around_real_texts_are_three_workloads() -> None:
    """A shuffled mix of bank questions, voice commands and text messages: at most 1 % misplaced."""
    calls = _wrapped()
    different = {content_hash(repr(request)): request for _, request in calls}
    sample = [prompt_of(different[key]) for key in sorted(different)[:4_000]]
    tree = mine(sample)
    by_path = templates(tree, sample)
    table: dict[str, Counter[str]] = {}
    for name, request in calls:
        leaf = by_path[tree.leaf_of(prompt_of(request)).path]
        table.setdefault(leaf.template_id, Counter())[name] += 1
    assert len(table) == 3
    misplaced = sum(each.total() - max(each.values()) for each in table.values())
    assert misplaced <= 0.01 * len(calls)
