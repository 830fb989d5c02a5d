"""The demo logs: what they hold, that they can be made again, and what was planted in them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from workbench.config import Workspace
from workbench.records import EvalKind

REPOSITORY = Path(__file__).resolve().parents[1]
DEMO = REPOSITORY / "sample_logs" / "demo"
TASKS = ("support_triage", "order_fields", "message_rewriting")
RATES = {"support_triage": (9, 360), "order_fields": (6, 200), "message_rewriting": (10, 100)}
"""Planted harm as the README states it: calls made worse, of comparable calls."""


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / name).read_text(encoding="utf-8").splitlines()]


def calls(task: str) -> list[dict[str, Any]]:
    """Return the calls of a task, each once."""
    return list({each["response"]["id"]: each for each in lines(f"{task}.jsonl")}.values())


def answer(call: dict[str, Any]) -> str | None:
    """Return the answer that can be compared, if the call has one."""
    choice = call["response"].get("choices", [{}])[0]
    return choice["message"]["content"] if choice.get("finish_reason") == "stop" else None


def truth() -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in lines("planted_outputs/truth.jsonl")}


def planted() -> dict[str, str]:
    return {each["id"]: each["output"] for each in lines("planted_outputs/planted.jsonl")}


def every_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(DEMO.rglob("*.jsonl")))


def test_the_generator_writes_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    script = DEMO / "make_demo.py"
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", _run(script), "--out", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")}
    assert made == {f"{task}.jsonl" for task in TASKS} | {
        "planted_outputs/planted.jsonl",
        "planted_outputs/truth.jsonl",
        "planted_outputs/labels_order_fields.csv",
    }
    for name in made:
        assert (tmp_path / name).read_bytes() == (DEMO / name).read_bytes(), name


def _run(script: Path) -> str:
    # Without site-packages, so that anything but the standard library fails.
    return (
        f"import runpy, sys; sys.path.insert(0, {str(script.parent)!r}); "
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )


def test_the_demo_set_stays_under_two_megabytes() -> None:
    assert (
        sum(path.stat().st_size for path in DEMO.rglob("*") if path.suffix in (".jsonl", ".csv")) < 2_000_000
    )


@pytest.mark.parametrize(
    ("task", "at_least"), [("support_triage", 240), ("order_fields", 140), ("message_rewriting", 80)]
)
def test_each_task_has_enough_calls_in_five_languages(task: str, at_least: int) -> None:
    found = calls(task)
    assert len(found) >= at_least
    tenants = Counter(each["metadata"]["tenant"] for each in found)
    assert set(tenants) == {"north", "harbour", "alpen", "riviere", "costa", "sakura"}
    assert min(tenants.values()) >= 8


@pytest.mark.parametrize("task", TASKS)
def test_every_line_says_that_it_belongs_to_the_demo(task: str) -> None:
    assert all(each["metadata"]["demo"] is True for each in lines(f"{task}.jsonl"))
    assert {each["request"]["model"] for each in lines(f"{task}.jsonl")} == {"frontier-large-demo"}


@pytest.mark.parametrize("task", TASKS)
def test_the_calls_cover_four_weeks_with_a_weekly_and_a_daily_pattern(task: str) -> None:
    times = [datetime.fromtimestamp(each["response"]["created"], UTC) for each in calls(task)]
    assert times == sorted(times)
    assert date(2026, 10, 5) <= min(times).date()
    assert max(times).date() <= date(2026, 11, 2)
    assert len({time.date() for time in times}) >= 21
    weekend = sum(time.weekday() >= 5 for time in times)
    night = sum(time.hour < 6 for time in times)
    assert weekend / 2 < (len(times) - weekend) / 5
    assert night < len(times) / 12


def test_sessions_hold_several_turns_whose_history_is_in_the_request() -> None:
    found = calls("support_triage")
    sizes = Counter(each["metadata"]["session_id"] for each in found)
    assert len(sizes) >= 150
    assert sum(size > 1 for size in sizes.values()) >= 30
    longest = max(len(each["request"]["messages"]) for each in found)
    assert longest >= 6


def test_every_triage_label_is_given_often_enough_to_be_watched() -> None:
    counts = Counter((answer(each) or "").strip(".").lower() for each in calls("support_triage"))
    assert all(counts[label] >= 20 for label in ("billing", "technical", "account", "other"))


def test_the_oddities_of_real_logs_are_there_but_few() -> None:
    found = [each for task in TASKS for each in calls(task)]
    finish = Counter(each["response"].get("choices", [{}])[0].get("finish_reason", "error") for each in found)
    refusals = sum(
        bool(c["message"].get("refusal")) for each in found for c in each["response"].get("choices", [])
    )
    assert finish["length"] >= 4
    assert finish["error"] >= 3
    assert finish["tool_calls"] >= 5
    assert refusals >= 4
    for task in TASKS:
        odd = sum(answer(each) is None for each in calls(task))
        assert odd / len(calls(task)) < 0.05, "the demo must not trip the guard for uncomparable calls"


def test_some_prompts_were_sent_twice_and_three_lines_stand_twice() -> None:
    found = calls("support_triage")
    prompts = Counter(json.dumps(each["request"], sort_keys=True) for each in found)
    assert 3 <= sum(count - 1 for count in prompts.values()) <= 10
    assert len(lines("support_triage.jsonl")) - len(found) == 3


def test_texts_differ_as_messages_of_people_do() -> None:
    for task, share in (("support_triage", 0.95), ("order_fields", 1.0), ("message_rewriting", 1.0)):
        texts = [each["request"]["messages"][-1]["content"] for each in calls(task)]
        assert len(set(texts)) >= share * len(texts)
    assert not re.search(
        r"\{\w*\}", "".join(each["request"]["messages"][-1]["content"] for t in TASKS for each in calls(t))
    )


def test_tokens_and_latencies_are_plausible() -> None:
    for task in TASKS:
        for each in calls(task):
            assert 150 <= each["latency_ms"] <= 15_000
            usage = each["response"].get("usage")
            if usage:
                assert 0 < usage["completion_tokens"] < 250
                assert usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]


def test_recorded_orders_say_what_their_message_says() -> None:
    """The frontier's order number and article numbers stand in the customer's message."""
    for each in calls("order_fields"):
        text, raw = each["request"]["messages"][-1]["content"], answer(each)
        if raw is None or raw.startswith("I'm sorry"):
            continue
        fields = json.loads(raw.removeprefix("```json\n").removesuffix("\n```"))
        assert fields["order_id"] in text
        assert all(item["sku"] in text for item in fields["items"])
        assert set(fields) == set(each["request"]["response_format"]["json_schema"]["schema"]["required"])


@pytest.mark.parametrize("task", TASKS)
def test_planted_harm_has_exactly_the_stated_rate(task: str) -> None:
    of_task = [each for each in truth().values() if each["task"] == task]
    comparable = [each for each in of_task if each["comparable"]]
    harmed = [each for each in of_task if each["planted"] == "harm"]
    assert {each["id"] for each in of_task} == {each["response"]["id"] for each in calls(task)}
    assert {each["id"] for each in comparable} == {
        each["response"]["id"] for each in calls(task) if answer(each)
    }
    assert (len(harmed), len(comparable)) == RATES[task]
    assert all(each["comparable"] for each in harmed)


def test_planted_harm_is_really_in_the_outputs() -> None:
    outputs, known = planted(), truth()
    assert set(outputs) == set(known)
    for task in TASKS:
        for each in calls(task):
            fact, control = known[each["response"]["id"]], answer(each)
            if control is None:
                continue
            output = outputs[fact["id"]]
            if task == "support_triage":
                same = output.strip().strip(".").lower() == control.strip().strip(".").lower()
                assert same == (fact["planted"] != "harm")
            elif task == "order_fields":
                assert (_order(output) == _order(control)) == (fact["planted"] != "harm")
            elif fact["planted"] == "harm":
                assert output != control
                changed = _numbers(output) != _numbers(control)
                assert changed == (fact["kind"] == "number_changed")
            else:
                assert _numbers(output) == _numbers(control)


def _order(text: str) -> tuple[Any, ...]:
    fields = json.loads(text.removeprefix("```json\n").removesuffix("\n```"))
    items = sorted((item["sku"], item["quantity"]) for item in fields["items"])
    return fields["order_id"], items, float(fields["total"]), fields["delivery_date"], fields["gift"]


def _numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d[\d.,]*\d|\d", text))


def test_the_synthetic_labels_say_that_no_person_gave_them() -> None:
    with (DEMO / "planted_outputs" / "labels_order_fields.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = truth()
    expected = {
        each["id"]
        for each in known.values()
        if each["task"] == "order_fields" and (each["planted"] == "harm" or each["kind"] == "reworded_note")
    }
    assert {row["id"] for row in rows} == expected
    for row in rows:
        assert row["annotator"] == "demo-truth"
        assert row["note"].startswith("synthetic, no person looked")
        assert (row["verdict"] == "control_better") == (known[row["id"]]["planted"] == "harm")


def test_no_personal_data_is_in_the_demo() -> None:
    text = every_text()
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", text), "an e-mail address"
    without_times = re.sub(r'"created":\d+|\d{4}-\d\d-\d\d', "", text)
    assert not re.search(r"(?<![\w-])\+?\d[\d ()/-]{8,}\d(?![\w-])", without_times), "a phone number"
    assert not re.search(r"https?://", text)


def test_the_evals_of_the_repository_take_exactly_their_own_calls() -> None:
    evals = Workspace.load(REPOSITORY).evals
    assert set(TASKS) <= set(evals)
    kinds = {task: evals[task].kind for task in TASKS}
    assert kinds == {
        "support_triage": EvalKind.LABEL,
        "order_fields": EvalKind.FIELDS,
        "message_rewriting": EvalKind.TEXT,
    }
    for task in TASKS:
        prompts = {each["request"]["messages"][0]["content"] for each in calls(task)}
        for other in TASKS:
            rule = evals[other].match
            assert rule is not None
            assert rule.system_prompt is not None
            hits = [bool(re.search(rule.system_prompt, prompt)) for prompt in prompts]
            assert all(hits) if other == task else not any(hits)
        assert "Both bad" in evals[task].guidelines
        assert "Equal" in evals[task].guidelines


def test_the_workspace_of_the_repository_names_the_synthetic_candidate_and_invented_prices() -> None:
    workspace = Workspace.load(REPOSITORY)
    candidate = workspace.candidate("planted")
    assert candidate.synthetic
    assert candidate.description.startswith("Synthetic")
    assert candidate.engine == "recorded"
    assert workspace.fingerprint(candidate)
    assert workspace.candidate("smollm2").model == "packaged:smollm2-135m"
    for name in ("frontier-large-demo", candidate.price, "smollm2-135m"):
        price = workspace.price_of(name)
        assert price is not None
        assert price.source == "invented for the demo"
