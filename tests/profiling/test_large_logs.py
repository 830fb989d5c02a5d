"""A profile of a large log: read a part at a time, the same figures in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from profile_world import Line, lines, made, order_line, rewrite_line, shuffled, sort_line

from workbench.cli import cli
from workbench.facade import Workbench
from workbench.profiling import ProfileReport, mining
from workbench.store import Store, traffic_texts, workloads


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Three prompts and 6 calls that say nothing; every twentieth call comes three times."""
    rows: list[Line] = shuffled(
        lines(sort_line, 120), lines(order_line, 90, seed=2), lines(rewrite_line, 60, seed=3)
    )
    rows += [Line([{"role": "user", "content": ""}], "") for _ in range(6)] + rows[::20] * 2
    with made(tmp_path_factory.mktemp("large") / "w", rows) as bench:
        with bench.store.writing() as writer:
            writer.execute("UPDATE controls SET latency_ms = hash(call_id) % 1000")
        yield bench


def again(bench: Workbench) -> ProfileReport:
    """Return a profile made anew, without what differs from one to the next."""
    report = bench.profile(again=True)
    return replace(report, profile_id="", created_at=report.workloads[0].first_at or report.created_at)


def test_parts_of_any_size_say_the_same(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call at a time, or all at once, and the samples of one workload or of several together."""
    whole = again(bench)
    monkeypatch.setattr(mining, "FIRST_PAGE", 1)
    monkeypatch.setattr(mining, "PAGE_CHARS", 1)
    monkeypatch.setattr(traffic_texts, "READ_CALLS", 1)
    assert again(bench) == whole
    monkeypatch.setattr(mining, "PAGE_CHARS", 10_000)
    monkeypatch.setattr(traffic_texts, "READ_CALLS", 10**6)
    monkeypatch.setattr(traffic_texts, "READ_CHARS", 3_000)
    assert again(bench) == whole


def test_few_calls_are_held_at_once_where_they_are_long(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first page, none holds more than twice the characters that fit."""
    monkeypatch.setattr(mining, "FIRST_PAGE", 2)
    monkeypatch.setattr(mining, "PAGE_CHARS", 4_000)
    pages = [
        sum(len(asked) for _, asked, _, _ in page) for page in mining._pages(bench.store, lambda _: None, "")
    ]
    assert len(pages) > 5
    assert max(pages) <= 2 * 4_000


def test_the_sample_for_templates_is_the_same_however_it_is_drawn(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call of each of the smallest hashes, also where the others are not told apart."""
    rows = bench.store.rows("SELECT request_hash, seq FROM calls ORDER BY request_hash, seq DESC")
    first = {row["request_hash"]: row["seq"] for row in rows}
    for room in (4, 1, 10**6):
        monkeypatch.setattr(traffic_texts, "_ROOM", room)
        assert traffic_texts._first_by_hash(bench.store, 20) == list(first.values())[:20]


def test_percentiles_of_too_many_calls_rest_on_a_sample_and_say_so(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large workload's are near those of all its calls, a small one's are those; nothing else changes."""
    whole = again(bench)
    assert all(each.percentiles_of is None for each in whole.workloads)
    monkeypatch.setattr(workloads, "PERCENTILE_CALLS", 200)
    monkeypatch.setattr(workloads, "PERCENTILES_OF", 80)
    drawn = again(bench)
    assert again(bench) == drawn
    names = {"latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "turns_p50", "percentiles_of"}
    for one, other in zip(whole.workloads, drawn.workloads, strict=True):
        if other.calls <= 80:
            assert one == other
            continue
        assert other.percentiles_of is not None
        assert abs(other.percentiles_of - 80) < 30
        assert other.latency_p50_ms == pytest.approx(one.latency_p50_ms, abs=180)
        assert f"rest on {other.percentiles_of} of {other.calls} calls, drawn at random" in drawn.text
        assert replace(one, **{name: getattr(other, name) for name in names}) == other
    assert sum(each.percentiles_of is not None for each in drawn.workloads) == 2


def test_percentiles_of_a_sample_are_weighed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a workload's calls were logged at different rates, its sample counts each as 1 / its rate."""
    monkeypatch.setattr(workloads, "PERCENTILE_CALLS", 200)
    monkeypatch.setattr(workloads, "PERCENTILES_OF", 150)
    with made(tmp_path / "w", lines(sort_line, 300)) as bench:
        with bench.store.writing() as writer:
            # Half of the logged calls are fast, and stand for ten times as many as the slow ones.
            writer.execute("UPDATE calls SET sampling_rate = if(seq % 2 = 0, 0.1, 1)")
            writer.execute(
                "UPDATE controls SET latency_ms = if(c.seq % 2 = 0, 10, 900) FROM calls c "
                "WHERE c.call_id = controls.call_id"
            )
        (found,) = bench.profile(again=True).workloads
    assert found.percentiles_of is not None
    assert (found.latency_p50_ms, found.latency_p95_ms) == (10, 900)


def test_the_command_bounds_what_the_store_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`profile` opens it with 400 MB."""
    bounds: list[str] = []
    plain = workloads.newest_call

    def watched(store: Store) -> int:
        bounds.append(store.value("SELECT current_setting('memory_limit')"))
        return plain(store)

    monkeypatch.setattr(workloads, "newest_call", watched)
    made(tmp_path / "w", lines(sort_line, 20)).store.close()
    done = CliRunner().invoke(cli, ["profile", "--json", "--workspace", str(tmp_path / "w")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["calls"] == 20
    assert set(bounds) == {"381.4 MiB"}


def test_calls_that_are_left_out_are_told_by_number(tmp_path: Path) -> None:
    """They come as one array, of nothing where nothing is left out."""
    from workbench.store import marked

    with made(tmp_path / "w", lines(sort_line, 20)) as bench:
        none = marked.excluded_seqs(bench.store, "profile-x")
        assert (len(none), none.dtype) == (0, np.int64)
