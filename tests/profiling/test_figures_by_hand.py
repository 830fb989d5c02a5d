"""Every figure of a workload, worked out by hand from a log of five calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from profile_world import made

START = datetime(2026, 3, 2, tzinfo=UTC)
CALLS = [
    # asked, tokens in of which cached, tokens out, milliseconds, messages before, tools
    ("where is my parcel", 100, 20, 10, 100, 0, 0),
    ("where is my parcel", 100, 20, 10, 200, 0, 0),
    ("the invoice is wrong", 200, 0, 20, 300, 2, 1),
    ("close my account now", 300, 60, 30, 400, 4, 0),
    ("nothing arrives here", 400, 100, 5, 1000, 0, 2),
]


def rows() -> list[dict[str, Any]]:
    found = []
    for number, (asked, tokens, cached, out, latency, before, tools) in enumerate(CALLS):
        said = [
            {"role": ("user", "assistant")[n % 2], "content": f"earlier {n} of {number}"}
            for n in range(before)
        ]
        request: dict[str, Any] = {
            "model": "frontier-1",
            "messages": [*said, {"role": "user", "content": asked}],
        }
        if tools:
            request["tools"] = [
                {"type": "function", "function": {"name": f"look_{n}", "parameters": {"type": "object"}}}
                for n in range(tools)
            ]
        usage = {
            "prompt_tokens": tokens,
            "completion_tokens": out,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        found.append(
            {
                "request": request,
                "latency_ms": latency,
                "response": {
                    "id": f"c{number}",
                    "model": "frontier-1",
                    "created": int((START + timedelta(days=number)).timestamp()),
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "stop",
                            "message": {"role": "assistant", "content": "billing"},
                        }
                    ],
                    "usage": usage,
                },
            }
        )
    return found


def test_every_figure_of_a_workload_is_what_a_hand_works_out(tmp_path: Path) -> None:
    """Tokens, shares, quantiles, turns, tools, duplicates, calls a day and costs, of five calls."""
    with made(tmp_path / "w", []) as bench:
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in rows()))
        bench.import_logs([path], task="care", sampling_rate=0.5)
        report = bench.profile()
    (each,) = report.workloads
    assert (each.name, each.calls, each.share, each.undated, each.quiet_since) == ("care", 5, 1.0, 0, None)
    assert each.first_at == START.replace(tzinfo=None)
    assert each.last_at == (START + timedelta(days=4)).replace(tzinfo=None)
    assert each.input_tokens == pytest.approx((100 + 100 + 200 + 300 + 400) / 5)
    assert each.output_tokens == pytest.approx((10 + 10 + 20 + 30 + 5) / 5)
    assert each.cached_share == pytest.approx((20 + 20 + 0 + 60 + 100) / 1100)
    # Sorted 100, 200, 300, 400, 1000: between the k-th and the next, at 4 q from the first.
    assert each.latency_p50_ms == pytest.approx(300)
    assert each.latency_p95_ms == pytest.approx(400 + 0.8 * 600)
    assert each.latency_p99_ms == pytest.approx(400 + 0.96 * 600)
    assert each.latencies == 5
    # Turns of the user: 1, 1, 2, 3, 1.
    assert (each.turns_p50, each.turns_max) == (1, 3)
    assert each.multi_turn_share == pytest.approx(2 / 5)
    assert each.tool_share == pytest.approx(2 / 5)
    # The second request is the first again.
    assert each.duplicate_share == pytest.approx(1 / 5)
    assert sum(each.languages.values()) == 5
    # Two calls stand behind each of the five, one a day.
    assert each.calls_per_day is not None
    assert each.calls_per_day.point == pytest.approx(2)
    dollars = (900 * 3 + 200 * 0.3 + 75 * 15) / 1e6
    assert each.usd_per_call is not None
    assert each.usd_per_call.point == pytest.approx(dollars / 5)
    assert each.logged_usd == pytest.approx(dollars)
    assert each.usd_month is not None
    assert each.usd_month.point == pytest.approx(2 * 30.4375 * dollars / 5)
    # On the small model all input counts in full: 0.1 USD in, 0.4 USD out.
    cheap = (1100 * 0.1 + 75 * 0.4) / 1e6 / 5
    assert each.could_save_usd_month == pytest.approx(2 * 30.4375 * (dollars / 5 - cheap))
    (use,) = each.models
    assert (use.model, use.calls, use.measured, use.weight) == ("frontier-1", 5, 5, 5)
    assert (use.input_tokens, use.cached_input_tokens, use.output_tokens) == pytest.approx((180, 40, 15))
    assert (each.priced_share, each.imputed, each.left_out) == (1.0, 0, ())
    assert (report.calls, report.unassigned) == (5, 0)
