"""What a call cost where the price list alone does not say it: asked in a batch, or told by the log."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from profile_world import CONFIG, made

from workbench.facade import Workbench
from workbench.formats import read
from workbench.profiling import profile
from workbench.profiling.costs import costs
from workbench.scoring.money import money_of
from workbench.specs import Candidate
from workbench.store import migrate
from workbench.store.overview import control_costs

LIST_USD = (100 * 3 + 5 * 15) / 1e6
"""What a call of 100 tokens in and 5 out costs by the price list."""
EVAL = 'task = "sort"\nkind = "text"\ncalls_per_day = 100\n'


def batch(root: Path, count: int, model: str = "frontier-1") -> list[Path]:
    """Write the two files of a batch."""
    asked, came = [], []
    for number in range(count):
        messages = [{"role": "user", "content": f"sort {number}"}]
        asked.append({"custom_id": f"r{number}", "body": {"model": model, "messages": messages}})
        answer = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "billing"}}
        body = {
            "id": f"x{number}",
            "model": model,
            "created": 1_790_000_000 + 3600 * number,
            "choices": [answer],
            "usage": {"prompt_tokens": 100, "completion_tokens": 5},
        }
        came.append(
            {"custom_id": f"r{number}", "response": {"status_code": 200, "request_id": "q", "body": body}}
        )
    paths = [root / "in.jsonl", root / "out.jsonl"]
    for path, rows in zip(paths, (asked, came), strict=True):
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return paths


def pair(number: int, model: str = "frontier-1", **response: Any) -> dict[str, Any]:
    """Return a call of the same tokens."""
    answer = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "billing"}}
    return {
        "request": {"model": model, "messages": [{"role": "user", "content": f"sort it {number}"}]},
        "response": {
            "id": f"p{number}",
            "model": model,
            "created": 1_790_000_000 + 3600 * number,
            "choices": [answer],
            "usage": {"prompt_tokens": 100, "completion_tokens": 5},
            **response,
        },
    }


def payload(number: int, model: str, **more: Any) -> dict[str, Any]:
    """Return a payload of LiteLLM."""
    return {
        "id": f"l{number}",
        "call_type": "acompletion",
        "model_group": "g",
        "model": model,
        "startTime": 1_790_000_000 + 3600 * number,
        "endTime": 1_790_000_001 + 3600 * number,
        "messages": [{"role": "user", "content": f"sort me {number}"}],
        "response": {"choices": [{"message": {"role": "assistant", "content": "billing"}}]},
        "prompt_tokens": 100,
        "completion_tokens": 5,
        **more,
    }


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """Return a workspace with a task whose volume is declared."""
    found = made(tmp_path / "space", [])
    (tmp_path / "space" / "evals" / "sort").mkdir()
    (tmp_path / "space" / "evals" / "sort" / "eval.toml").write_text(EVAL)
    found.close()
    return Workbench(tmp_path / "space")


def test_calls_of_a_batch_cost_what_a_batch_costs(bench: Workbench, tmp_path: Path) -> None:
    """At the import, in the profile, among the ways and in a recommendation; nothing is taken off twice."""
    report = bench.import_logs(batch(tmp_path, 10), task="sort")
    assert report.cost_usd == pytest.approx(10 * LIST_USD / 2)
    assert "10 at the price of a batch" in report.text
    (load,) = profile(bench.workspace, bench.store).workloads
    assert load.usd_per_call is not None
    assert load.usd_per_call.point == pytest.approx(LIST_USD / 2)
    assert "frontier-1 (100 %)" in load.notes[0]
    plan = replace(bench.workspace.config.costs, batchable_share=1.0)
    found = costs(bench.workspace, bench.store, "sort", plan=plan)
    stay, cheaper = found.ways[:2]
    assert stay.usd_month is not None
    assert stay.usd_month.point == pytest.approx(100 * 30.4375 * LIST_USD / 2)
    assert cheaper.usd_month is not None
    assert cheaper.usd_month.point == pytest.approx(stay.usd_month.point)
    assert "asked in batches already, and not discounted again: frontier-1" in cheaper.notes
    assert "at batch_discount: frontier-1 (100 %)" in found.text
    money = money_of(
        bench.workspace,
        bench.store,
        bench.workspace.evals["sort"],
        Candidate(name="small", engine="openai"),
        "f",
        calls_per_day=100,
    )
    assert money.control_usd is not None
    assert money.control_usd.point == pytest.approx(LIST_USD / 2)
    assert money.price_notes == load.notes


def test_what_can_wait_is_discounted_once(bench: Workbench, tmp_path: Path) -> None:
    """Half of the calls are asked in batches: a share that can wait counts them first."""
    bench.import_logs(batch(tmp_path, 10), task="sort")
    bench.import_logs(
        [written(tmp_path / "live.jsonl", [pair(each) for each in range(10)])], task="sort", source="live"
    )
    for share, factor in ((0.2, 0.75), (0.5, 0.75), (0.8, 0.6)):
        plan = replace(bench.workspace.config.costs, batchable_share=share)
        stay, cheaper = costs(bench.workspace, bench.store, "sort", plan=plan).ways[:2]
        assert stay.usd_month is not None
        assert cheaper.usd_month is not None
        assert stay.usd_month.point == pytest.approx(100 * 30.4375 * LIST_USD * 0.75)
        assert cheaper.usd_month.point == pytest.approx(100 * 30.4375 * LIST_USD * factor)


@pytest.mark.parametrize(
    ("row", "factor"),
    [
        (pair(1, service_tier="flex"), 0.5),
        (pair(1, service_tier="default"), 1.0),
        (pair(1) | {"request": pair(1)["request"] | {"service_tier": "flex"}}, 0.5),
        (pair(1, service_tier="default") | {"request": pair(1)["request"] | {"service_tier": "flex"}}, 1.0),
        (pair(1, choices=None, type="message", content=[{"type": "text", "text": "a"}],
              usage={"input_tokens": 100, "output_tokens": 5, "service_tier": "batch"}), 0.5),
    ],
)  # fmt: skip
def test_the_service_tier_tells_the_price(
    bench: Workbench, tmp_path: Path, row: dict[str, Any], factor: float
) -> None:
    """Flex and batch are billed at the discount; what the answer says it got goes before what was asked."""
    report = bench.import_logs([written(tmp_path / "log.jsonl", [row])], task="sort")
    assert report.cost_usd == pytest.approx(LIST_USD * factor)


def test_a_batch_of_ones_own_has_no_discount(bench: Workbench, tmp_path: Path) -> None:
    """What `vllm run-batch` answered costs what its price says."""
    paths = batch(tmp_path, 2)
    paths[1].write_text(paths[1].read_text().replace('"request_id": "q"', '"request_id": "vllm-batch-1"'))
    assert bench.import_logs(paths, task="sort").cost_usd == pytest.approx(2 * LIST_USD)


def test_a_store_from_before_gets_the_mark(bench: Workbench, tmp_path: Path) -> None:
    """Batches that an earlier version imported are priced as such too."""
    bench.import_logs(batch(tmp_path, 3), task="sort")
    with bench.store.writing() as writer:
        writer.execute("UPDATE controls SET marks = ['no_latency']")
    prices = bench.workspace.model_prices()
    step = next(each for each in migrate.bundled() if each.name == "0021_batches_and_times")
    with bench.store.writing() as writer:
        for _ in range(2):
            writer.execute(step.sql)
    (row,) = control_costs(bench.store, "sort", prices)
    assert row["usd"] == pytest.approx(LIST_USD / 2)
    assert bench.store.value("SELECT max(len(marks)) FROM controls") == 2


def test_without_a_price_the_logged_cost_counts(bench: Workbench, tmp_path: Path) -> None:
    """The report of the import, profile and costs take it where the table has no price, and say so."""
    rows = [payload(each, "rare-9", response_cost=0.002) for each in range(4)]
    rows += [payload(each, "frontier-1", response_cost=9.0) for each in range(4, 8)]
    report = bench.import_logs([written(tmp_path / "log.jsonl", rows)], task="sort")
    assert report.cost_usd == pytest.approx(4 * 0.002 + 4 * LIST_USD)
    assert (report.as_logged, report.unpriced) == ({"rare-9": 4}, {})
    assert "without a price, as the log says: rare-9 4" in report.text
    assert "the log itself says 36.0080 USD of 8 answers" in report.text
    (load,) = profile(bench.workspace, bench.store).workloads
    assert load.usd_per_call is not None
    assert load.usd_per_call.point == pytest.approx((0.002 + LIST_USD) / 2)
    assert (load.left_out, load.priced_share) == ((), 1.0)
    assert load.notes == ("Without a price, at the cost that the log says: rare-9 (4 calls)",)
    found = costs(bench.workspace, bench.store, "sort")
    assert load.notes[0] in found.text
    assert "without a price no discount is known: rare-9" in found.ways[1].notes
    stay = found.ways[0].usd_month
    assert stay is not None
    assert stay.point == pytest.approx(100 * 30.4375 * (0.002 + LIST_USD) / 2)


def test_a_cost_of_nothing_is_no_cost(bench: Workbench, tmp_path: Path) -> None:
    """A gateway writes 0 where it has no price for the model; a hit of its cache did cost nothing."""
    rows = [payload(1, "rare-9", response_cost=0), payload(2, "rare-9", response_cost=0, cache_hit=True)]
    report = bench.import_logs([written(tmp_path / "log.jsonl", rows)], task="sort")
    assert (report.cost_usd, report.as_logged, report.unpriced) == (0.0, {"rare-9": 1}, {"rare-9": 1})


LANGFUSE = {
    "id": "o", "traceId": "t", "type": "GENERATION", "startTime": "2026-09-01T10:00:00Z", "model": "m",
    "input": [{"role": "user", "content": "x"}], "output": "y",
}  # fmt: skip
HELICONE = {
    "request_id": "h", "request_created_at": "2026-09-01T10:00:00Z",
    "request_body": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "response_body": {"choices": [{"message": {"role": "assistant", "content": "y"}}]},
}  # fmt: skip
LANGSMITH = {
    "id": "s", "run_type": "llm", "start_time": "2026-09-01T10:00:00", "end_time": "2026-09-01T10:00:01",
    "inputs": {"messages": [{"role": "user", "content": "x"}]},
    "outputs": {"choices": [{"message": {"role": "assistant", "content": "y"}}]},
}  # fmt: skip
SPAN = {
    "context": {"trace_id": "a" * 32, "span_id": "b" * 16}, "start_time": "2026-09-01T10:00:00Z",
    "end_time": "2026-09-01T10:00:01Z",
}  # fmt: skip

MLFLOW = SPAN | {
    "trace_id": "t", "span_id": "s", "attributes": {
        "mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanOutputs": '"y"',
        "mlflow.spanInputs": '{"messages":[{"role":"user","content":"x"}]}',
        "mlflow.llm.cost": '{"total_cost": 0.25}',
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        payload(1, "m", response_cost="0.25"),
        {key: item for key, item in payload(1, "m", spend=0.25).items() if key != "response_cost"},
        payload(1, "m", response_cost=None, spend=0.25),
        LANGFUSE | {"costDetails": {"input": 0.2, "output": 0.05, "total": 0.25}},
        LANGFUSE | {"cost_details": '{"input": 0.2, "output": 0.05}'},
        LANGFUSE | {"totalCost": 0.25},
        LANGFUSE | {"calculatedTotalCost": 0.25},
        HELICONE | {"cost": 0.25},
        pair(1, usage={"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25}),
        LANGSMITH | {"total_cost": "0.25"},
        SPAN | {"attributes": {"openinference.span.kind": "LLM", "input.value": "x", "output.value": "y",
                               "llm.cost.total": 0.25}},
        {"info": {"trace_id": "t"}, "data": {"spans": [MLFLOW]}},
    ],
    ids=["litellm", "spend", "null beside spend", "langfuse", "parts", "total", "calculated", "helicone",
         "openrouter", "langsmith", "openinference", "mlflow"],
)  # fmt: skip
def test_a_format_tells_what_a_call_cost(tmp_path: Path, row: dict[str, Any]) -> None:
    """Each format that carries a cost has it with the answer, in US dollars."""
    found = [each for each in read([written(tmp_path / "log.jsonl", [row])]) if hasattr(each, "control")]
    (draft,) = found
    assert draft.control is not None
    assert draft.control.usage.cost_usd == pytest.approx(0.25)


def test_the_list_of_this_world_has_a_discount() -> None:
    """The figures above rest on it."""
    assert "batch_discount = 0.5" in CONFIG
