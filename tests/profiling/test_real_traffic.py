"""Workloads found in real outside data, whose names were hidden from the miner."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from profile_world import made
from real_data import DATA, needs

from workbench.normal import content_hash
from workbench.records import UNASSIGNED, Message, Request
from workbench.store import workloads
from workbench.store.replays import frame
from workbench.traffic.prompts import prompt_of
from workbench.traffic.templates import mine, templates

FEW = 2
"""Functions that were called less often by hand, to try the gateway out."""


@needs("tensorzero")
def test_the_functions_of_a_gateway_log_are_found_as_workloads(tmp_path: Path) -> None:
    """Imported and their names hidden, at most 1 % of others' calls in any with more than two calls.

    The log holds no prompt of `generate_secret`: its calls are one workload all the same; none is replayed.
    """
    with made(tmp_path / "w", []) as bench:
        files = [DATA / "tensorzero" / f"{kind}_inference_examples.jsonl" for kind in ("chat", "json")]
        report = bench.import_logs(files)
        logged = [
            json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()
        ]
        by_native = {row["id"]: row["function_name"] for row in logged}
        assert report.rejected == 0
        calls = bench.store.rows("SELECT call_id, native_id FROM calls")
        functions = {row["call_id"]: by_native[row["native_id"]] for row in calls}
        assert set(by_native.values()) == set(functions.values())
        assert {"ask_question", "answer_question", "write_haiku", "generate_secret"} < set(functions.values())
        assert any("judge" in each for each in functions.values())
        assert len(functions) == report.accepted
        assert frame(bench.store, "ask_question")
        assert frame(bench.store, "generate_secret") == []
        with bench.store.writing() as writer:
            writer.execute("UPDATE calls SET task = ?", (UNASSIGNED,))
        found = bench.profile()
        by_id: dict[str, Counter[str]] = {}
        where = "SELECT call_id, workload FROM profile_calls p JOIN calls c ON c.seq = p.call_seq"
        for row in bench.store.rows(where):
            by_id.setdefault(row["workload"], Counter())[functions[row["call_id"]]] += 1
        assert sum(each.calls for each in found.workloads) == len(functions)
        for name, count in Counter(functions.values()).items():
            if count > FEW:
                home = max(by_id.values(), key=lambda each: each[name])
                assert home[name] == count, name
                assert home.total() - count <= 0.01 * count, (name, home)
        assert {each.workload for each in found.workloads} == set(by_id)
        for each in found.workloads:
            assert each.shape.distinct is None or each.shape.distinct <= each.shape.answers, each.name
        page = workloads.workload_page(bench.store, found.profile_id, found.workloads[0].workload, limit=5)
        assert len(page) == 5


def _wrapped(added: Callable[[str], str] = str) -> list[tuple[str, Request]]:
    """Return each text within the prompt of its data, shuffled; `added` is what users make of their texts."""
    found = []
    for part in ("train", "test"):
        with (DATA / "banking77" / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                system = "You sort messages of bank customers into one of 77 intents. Answer with the intent."
                found.append(
                    ("banking", Request((Message("system", system), Message("user", added(row["text"])))))
                )
    for path in sorted((DATA / "snips").glob("*.json")):
        for rows in json.loads(path.read_text(encoding="utf-8")).values():
            for row in rows:
                text = added("".join(each["text"] for each in row["data"]))
                asked = f"Find the slots in this voice command and return JSON.\nCommand: {text}\nJSON:"
                found.append(("snips", Request((Message("user", asked),))))
    for line in (DATA / "sms_spam" / "SMSSpamCollection").read_text(encoding="latin-1").splitlines():
        text = added(line.split("\t")[1])
        asked = f"{text}\n\nIs the text message above spam or ham? Answer with one word."
        found.append(("sms", Request((Message("user", asked),))))
    random.Random(7).shuffle(found)
    return found


_EXTRAS = {
    "greeting": "Hello dear support team, I hope this message finds you well.\n{}",
    "device": "{}\n\nSent from my iPhone",
    "signature": "{}\n\nKind regards,\nAda Example\nPurchasing, Example Trading Ltd\nTel. +44 20 7946 0000",
    "disclaimer": "{}\n\nThis e-mail and any attachments are confidential and intended solely for the person "
    "to whom they are addressed. If you have received it in error, please notify the sender and delete it.",
}


def _extras(share: float, *names: str) -> Callable[[str], str]:
    """Return what adds each of some lines to a share of texts, by itself."""
    dice = random.Random(11)

    def added(text: str) -> str:
        for name in names:
            if dice.random() < share:
                text = _EXTRAS[name].format(text)
        return text

    return added


@needs("banking77", "snips", "sms_spam")
@pytest.mark.parametrize(
    ("share", "names"),
    [
        (0.0, ()),
        (0.1, ("disclaimer",)),
        (0.3, ("greeting",)),
        (0.6, ("device",)),
        (0.6, ("signature",)),
        (0.1, tuple(_EXTRAS)),
        (0.4, tuple(_EXTRAS)),
    ],
)
def test_three_prompts_around_real_texts_are_three_workloads(share: float, names: tuple[str, ...]) -> None:
    """A shuffled mix of bank questions, voice commands and text messages: at most 1 % misplaced.

    So it is, too, where users greet, sign, or send with a footer.
    """
    calls = _wrapped(_extras(share, *names))
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
