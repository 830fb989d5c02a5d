"""Captured calls are imported each as one, whatever ids their answers have, with the times of a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from capture_server import Server
from import_world import Desk, tallies
from openai import OpenAI

from workbench.capture import CaptureLog, wrap
from workbench.capture.litellm_callback import _take
from workbench.config import Workspace
from workbench.formats import read
from workbench.review import import_labels
from workbench.store.calls import load_calls

MARK = "identity"


@pytest.fixture
def bench(tmp_path: Path) -> Desk:
    (tmp_path / "space").mkdir()
    return Desk(tmp_path / "space")


def captured(server: Server, log: CaptureLog, behaviour: str = "counter") -> OpenAI:
    return wrap(OpenAI(base_url=server.url(behaviour), api_key="sk-canary-1"), log, task="orders")


def ask(client: OpenAI, text: str, **options: Any) -> None:
    answer: Any = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": text}], **options
    )
    if options.get("stream"):
        list(answer)


def ask_both_ways(client: OpenAI) -> None:
    """Have two calls of chat and two of Responses."""
    for text in ("one", "two"):
        ask(client, text)
        client.responses.create(model="m", input=text)


def lines(log: CaptureLog) -> list[dict[str, Any]]:
    assert log.flush()
    return [json.loads(each) for path in sorted(log.folder.glob("*.jsonl")) for each in path.open()]


def test_answers_with_one_id_are_calls_of_their_own(server: Server, log: CaptureLog, bench: Desk) -> None:
    """Counters of small servers and caches give ids again; equal calls, other calls and streams all count."""
    client = captured(server, log)
    tools = [{"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}]
    for text in ("same", "same", "other"):
        ask(client, text)
        ask(client, text, stream=True)
        ask(client, text, tools=tools)
        client.responses.create(model="m", input=text)
    found = lines(log)
    assert {each["response"]["id"] for each in found} == {"chatcmpl-7"}
    assert tallies(bench.take(log.folder)) == {"accepted": 12}
    calls = load_calls(bench.store)
    assert {each.native_id for each in calls} == {each["id"] for each in found}
    assert all(MARK not in each.attributes for each in calls)
    assert tallies(bench.take(log.folder)) == {"skipped": 12}


def test_a_log_of_before_keeps_its_identities_when_it_grows(
    server: Server, log: CaptureLog, bench: Desk
) -> None:
    """Lines without the mark are known by the answer's id as ever, so that none of them is stored twice."""
    client = captured(server, log, "good")
    ask_both_ways(client)
    before = [{key: each[key] for key in each if key != MARK} for each in lines(log)]
    for kind in ("chat", "responses"):
        path = bench.root / f"{kind}.jsonl"
        mine = [each for each in before if ("messages" in each["request"]) is (kind == "chat")]
        path.write_text("".join(f"{json.dumps(each)}\n" for each in mine))
        assert tallies(bench.take(path)) == {"accepted": 2}
        assert {each.native_id for each in load_calls(bench.store)} >= {
            each["response"]["id"] for each in mine
        }
        new = mine[0] | {"id": "capture-new", MARK: "id"}
        path.write_text("".join(f"{json.dumps(each)}\n" for each in (*mine, new)))
        assert tallies(bench.take(path)) == {"skipped": 2, "accepted": 1}


def test_the_time_to_the_first_chunk_of_a_stream_reaches_the_store(
    server: Server, log: CaptureLog, bench: Desk
) -> None:
    """A streamed answer has it, below its latency, of chat and of Responses; one that came whole has none."""
    client = captured(server, log, "good")
    ask(client, "whole")
    ask(client, "streamed", stream=True)
    ask(client, "streamed with a seed as text", stream=True, extra_body={"logit_bias": {"1": 1}})
    list(client.responses.create(model="m", input="streamed", stream=True))
    client.responses.create(model="m", input="whole")
    with pytest.raises(Exception, match="may not"):
        ask(captured(server, log, "refuse"), "refused", stream=True)
    assert lines(log)
    bench.take(log.folder)
    calls = load_calls(bench.store)
    assert len(calls) == 6
    for each in calls:
        control = each.control
        assert control is not None
        if str(each.request.messages[0].content).startswith("streamed"):
            assert control.latency_ms is not None
            assert control.time_to_first_token_ms is not None
            assert 0 < control.time_to_first_token_ms <= control.latency_ms
        else:
            assert control.time_to_first_token_ms is None
        assert "time_to_first_chunk_ms" not in each.attributes


def test_tries_of_litellm_and_its_cached_answers_are_told_apart(log: CaptureLog, tmp_path: Path) -> None:
    """All tries of a call have one id of LiteLLM's; an answer from its cache has an earlier answer's id."""

    def told(call: str, answer: dict[str, Any] | None) -> None:
        messages = [{"role": "user", "content": "hi"}]
        event = {"call_type": "completion", "litellm_call_id": call, "model": "m", "messages": messages}
        _take(log, None, event, answer, None, None)

    message = {"role": "assistant", "content": "hello"}
    answer = {"id": "a1", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    told("c1", None)
    told("c1", answer)
    told("c2", answer)
    told("c2", answer)  # LiteLLM tells an event twice: that is no other call.
    assert log.flush()
    found = [each.native_id for each in read(sorted(log.folder.glob("*.jsonl")))]  # type: ignore[union-attr]
    assert found == ["c1", "c1/a1", "c2/a1", "c2/a1"]


def test_labels_find_a_captured_call_by_the_id_of_its_answer(
    server: Server, log: CaptureLog, bench: Desk
) -> None:
    """Who kept the answers' ids can label by them; an id that came twice names no call."""
    client = captured(server, log, "good")
    ask_both_ways(client)
    again = captured(server, log)
    for text in ("three", "four"):
        ask(again, text)
    ids = [each["response"]["id"] for each in lines(log)]
    assert len(set(ids)) == 5
    assert tallies(bench.take(log.folder)) == {"accepted": 6}
    assert {each.attributes["response_id"] for each in load_calls(bench.store)} == set(ids)
    (bench.root / "evals" / "orders").mkdir(parents=True)
    (bench.root / "evals" / "orders" / "eval.toml").write_text(
        'task = "orders"\nkind = "label"\nlabels = ["yes", "no"]\n'
    )
    gold = bench.root / "gold.csv"
    gold.write_text("id,gold\n" + "".join(f"{each},yes\n" for each in [*dict.fromkeys(ids), "chatcmpl-none"]))
    report = import_labels(Workspace.load(bench.root), bench.store, gold, task="orders")
    assert (report.accepted, report.rejected) == (4, 2)
    assert {each.reason for each in report.rejections} == {
        "more than one call has this id: give the call id",
        "no call of task orders has this id",
    }
