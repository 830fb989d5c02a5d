"""Latency probes against a real stub server, stored for the decision."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench.cli import cli
from workbench.config import Workspace
from workbench.errors import ConfigError, EnvironmentalError, PrivacyRefused, UsageError
from workbench.progress import Progress
from workbench.records import Policy
from workbench.replay.latency import probe_latency
from workbench.replay.lease import ReplayLease
from workbench.replay.stopping import signals_kept
from workbench.scoring.evidence import measured_latency
from workbench.store import Store
from workbench.store.probes import newest_probe

LIMITED = Policy(latency_p95_ms=500.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


def make(
    tmp_path: Path, server: Server, behaviour: str = "slow", zone: str = "internal", **keys: Any
) -> Workspace:
    """Return a workspace with one candidate."""
    keys = {"engine": "openai", "base_url": server.url(behaviour), "model": "m", "timeout_s": 2} | keys
    return make_workspace(tmp_path, candidate_toml("small", **keys))


def fill(store: Store, count: int = 120, gap_ms: int = 20, rate: float | None = 1.0) -> None:
    """Put calls into the store, one each `gap_ms`."""
    add_calls(store, count)
    with store.writing() as writer:
        writer.execute(
            "UPDATE calls SET occurred_at = TIMESTAMP '2026-01-05 09:00:00.001' "
            "+ to_milliseconds((seq * ?)::BIGINT), sampling_rate = ?",
            (gap_ms, rate),
        )


def test_a_probe_measures_and_the_decision_finds_it(tmp_path: Path, server: Server) -> None:
    """Percentiles lie where the stub puts them, no observation is made, and the guard gets its interval."""
    workspace = make(tmp_path, server)
    with open_store(workspace) as store:
        fill(store)
        assert (
            measured_latency(store, "spam", workspace.fingerprint(workspace.candidate("small")), LIMITED)
            is None
        )
        report = probe_latency(workspace, store, "spam", "small", limit=100)
        (run,) = report.runs
        assert (run.sent, run.answered, run.unanswered, run.dropped, run.errors) == (100, 100, 0, 0, {})
        assert run.rate_known
        assert run.calls_per_s == pytest.approx(50, rel=0.1)
        p50, p95, _ = run.latency
        assert p50.ms is not None
        assert 20 <= p50.ms <= 400
        assert p50.low_ms is not None
        assert 0 < run.mean_in_flight <= run.most_in_flight
        assert report.cold_ms is not None
        assert report.cold_ms >= 20
        found = measured_latency(store, "spam", report.fingerprint, LIMITED)
        assert found is not None
        assert found.point == p95.ms
        assert measured_latency(store, "spam", report.fingerprint, Policy()) is None
        assert store.value("SELECT count(*) FROM observations") == 0
        assert store.value("SELECT count(*) FROM replays") == 0
        assert store.value("SELECT count(*) FROM latency_probe_calls WHERE latency_ms >= 20") == 100
    assert "p95" in report.text


def test_both_models_stand_beside_each_other_on_the_same_calls(tmp_path: Path, server: Server) -> None:
    """Where the log holds the frontier's latency, the report sets it against the probe's, call by call."""
    workspace = make(tmp_path, server)
    with open_store(workspace) as store:
        fill(store)
        with store.writing() as writer:
            writer.execute("UPDATE controls SET latency_ms = 2000")
        report = probe_latency(workspace, store, "spam", "small", limit=60)
        assert report.compared is not None
        assert report.compared.calls == 60
        half = report.compared.pairs[0]
        assert half.control_ms.point == 2000
        assert half.candidate_ms.point == pytest.approx(report.runs[0].latency[0].ms)
        assert half.difference_ms.high < 0
    assert "2,000 ms (2,000 to 2,000) of the frontier" in report.text


def test_an_interrupted_probe_says_what_is_kept_and_that_it_begins_anew(
    tmp_path: Path, server: Server
) -> None:
    """A speed that was measured whole stays, one that was cut does not; nobody is told to go on."""
    workspace = make(tmp_path, server)

    def stop_at_the_second(progress: Progress) -> None:
        if progress.note.startswith("2 x"):
            signal.raise_signal(signal.SIGINT)

    with open_store(workspace) as store, signals_kept():
        # Whoever was started in the background of a shell ignores the signal.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fill(store)
        with pytest.raises(
            KeyboardInterrupt, match=r"kept: 1 x\. .*the same command measures anew"
        ) as caught:
            probe_latency(
                workspace, store, "spam", "small", limit=40, speed=[1, 2], listener=stop_at_the_second
            )
        assert "again to go on" not in str(caught.value)
        assert [row["speed"] for row in store.rows("SELECT speed FROM latency_probes")] == [1]


def test_speeds_are_measured_apart_on_different_calls_and_the_slowest_counts(
    tmp_path: Path, server: Server
) -> None:
    """The decision takes the probe nearest to production; below its pace or at an unknown one, none."""
    workspace = make(tmp_path, server)
    with open_store(workspace) as store:
        fill(store, 130)
        server.reset()
        report = probe_latency(workspace, store, "spam", "small", limit=40, speed=[4, 2, 0.5])
        assert [run.calls_per_s for run in report.runs] == pytest.approx([200, 100, 25], rel=0.1)
        prompts = server.stats("slow")["prompts"]
        assert len(prompts) >= 120
        assert max(prompts.values()) <= 2  # The call that warms the server may be one of another speed.
        found = newest_probe(store, "spam", report.fingerprint, least_speed=1.0)
        assert found is not None
        assert found.speed == 2
        other = replace(workspace.candidate("small"), parameters={"temperature": 1})
        assert newest_probe(store, "spam", workspace.fingerprint(other)) is None


def test_an_unknown_share_of_the_traffic_is_no_evidence(tmp_path: Path, server: Server) -> None:
    """The log could be a hundredth of production: the probe is shown, and the decision does not count it."""
    workspace = make(tmp_path, server)
    with open_store(workspace) as store:
        fill(store, rate=None)
        report = probe_latency(workspace, store, "spam", "small", limit=30)
        assert not report.runs[0].rate_known
        assert "--sampling-rate" in report.text
        assert measured_latency(store, "spam", report.fingerprint, LIMITED) is None


def test_a_tenth_of_the_traffic_is_sent_ten_times_as_fast(tmp_path: Path, server: Server) -> None:
    """Production's pace is the log's over the share that was logged."""
    workspace = make(tmp_path, server, "good")
    with open_store(workspace) as store:
        fill(store, gap_ms=200, rate=0.1)
        report = probe_latency(workspace, store, "spam", "small", limit=30)
        assert report.runs[0].calls_per_s == pytest.approx(50, rel=0.1)
        assert "divided by 10" in report.text


def test_streamed_answers_give_the_time_to_the_first_token(tmp_path: Path, server: Server) -> None:
    """The first piece comes well before the whole answer."""
    workspace = make(tmp_path, server, "streams")
    with open_store(workspace) as store:
        fill(store)
        report = probe_latency(workspace, store, "spam", "small", limit=30, speed=0.5)
        (run,) = report.runs
        first, whole = run.first_token[0].ms, run.latency[0].ms
        assert first is not None
        assert whole is not None
        assert first + 60 < whole
        assert report.cold_first_token_ms is not None


@pytest.mark.parametrize(("behaviour", "waiting"), [("vllm", 3.0), ("llamacpp", 2.0), ("slow", None)])
def test_requests_that_wait_at_the_server_are_read_off_its_own_figures(
    tmp_path: Path, server: Server, behaviour: str, waiting: float | None
) -> None:
    """Servers that count their queue are asked for it while the probe runs; others have none."""
    workspace = make(tmp_path, server, behaviour)
    with open_store(workspace) as store:
        fill(store)
        (run,) = probe_latency(workspace, store, "spam", "small", limit=20).runs
    assert run.most_waiting == waiting
    assert (waiting is not None) == ("waiting in the server" in "\n".join(run.lines))


def test_calls_without_an_answer_are_infinitely_slow(tmp_path: Path, server: Server) -> None:
    """A server that hangs up on most calls has no 95th percentile, however fast the others are."""
    workspace = make(tmp_path, server, "half_down")
    with open_store(workspace) as store:
        fill(store)
        server.reset()
        report = probe_latency(workspace, store, "spam", "small", limit=60)
        (run,) = report.runs
        assert run.unanswered >= 25
        assert run.errors["connection"] == run.unanswered
        assert run.latency[1].ms is None
        assert "never" in report.text
        found = measured_latency(store, "spam", report.fingerprint, LIMITED)
        assert found is not None
        assert found.high == math.inf


def test_a_log_without_times_needs_a_volume(tmp_path: Path, server: Server) -> None:
    """Without either the probe is refused with the key to set; with a volume calls come at random."""
    workspace = make(tmp_path, server, "good")
    with open_store(workspace) as store:
        add_calls(store, 40)
        with store.writing() as writer:
            writer.execute("UPDATE calls SET occurred_at = NULL")
        with pytest.raises(UsageError, match="does not tell how often") as refused:
            probe_latency(workspace, store, "spam", "small")
        assert "calls_per_day" in refused.value.hint
        path = workspace.root / "evals" / "spam" / "eval.toml"
        path.write_text(path.read_text() + "calls_per_day = 4_000_000\n")
        report = probe_latency(Workspace.load(workspace.root), store, "spam", "small", limit=40)
        assert report.runs[0].answered == 40
        assert "at random" in report.text


def test_a_probe_is_refused_where_a_replay_would_be(tmp_path: Path, server: Server) -> None:
    """Data that may not leave, a running replay, a wrong key, a recorded candidate: nothing is measured."""
    workspace = make(tmp_path, server, "unauthorised")
    with open_store(workspace) as store:
        fill(store, 20)
        with pytest.raises(UsageError, match="can't be probed"):
            probe_latency(workspace, store, "spam", "small")
        name = f"spam-{workspace.fingerprint(workspace.candidate('small'))}"
        with ReplayLease(workspace.spool, name), pytest.raises(EnvironmentalError):
            probe_latency(workspace, store, "spam", "small")
        outside = make(tmp_path, server, "good", base_url="http://example.invalid/v1")
        with pytest.raises(PrivacyRefused):
            probe_latency(outside, store, "spam", "small")
        assert store.value("SELECT count(*) FROM latency_probes") == 0


def test_the_command_takes_several_speeds_and_prints_json(tmp_path: Path, server: Server) -> None:
    """`workbench replay --probe latency --speed 1 --speed 3 --json`."""
    workspace = make(tmp_path, server, "good")
    with open_store(workspace) as store:
        fill(store, 60)
    arguments = ["replay", "--workspace", str(tmp_path), "--task", "spam", "--candidate", "small"]
    options = ["--probe", "latency", "--limit", "20", "--speed", "1", "--speed", "3", "--budget-minutes", "1"]
    done = CliRunner().invoke(cli, [*arguments, *options, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert [run["speed"] for run in document["runs"]] == [1.0, 3.0]
    assert document["runs"][0]["latency"][1]["q"] == 0.95


def test_measuring_again_makes_the_limits_wider_and_another_server_has_no_probe(
    tmp_path: Path, server: Server
) -> None:
    """The last of many probes counts at a level that leaves no gain in trying, for its server alone."""
    workspace = make(tmp_path, server, "good", revision="1" * 40)
    spec = workspace.candidate("small")
    with open_store(workspace) as store:
        fill(store, gap_ms=1)
        levels = []
        for _ in range(3):
            report = probe_latency(workspace, store, "spam", "small", limit=3)
            here = workspace.serving(spec)
            found = measured_latency(store, "spam", report.fingerprint, LIMITED, here)
            assert found is not None
            levels.append(1 - found.level)
        assert levels == pytest.approx([0.05 / 2, 0.05 / 6, 0.05 / 12])
        moved = replace(spec, base_url=server.url("slow"))
        assert workspace.fingerprint(moved) == report.fingerprint
        there = workspace.serving(moved)
        assert measured_latency(store, "spam", report.fingerprint, LIMITED, there) is None


def test_answers_of_a_response_cache_are_no_latency_of_the_model(tmp_path: Path, server: Server) -> None:
    """A replay filled the cache before the probe: what comes out of it is counted and left out."""
    workspace = make(tmp_path, server, "from_cache")
    with open_store(workspace) as store:
        fill(store, gap_ms=1)
        report = probe_latency(workspace, store, "spam", "small", limit=40)
        (run,) = report.runs
        assert run.errors["cached"] >= 10
        assert run.answered == 40 - run.errors["cached"]
        found = measured_latency(store, "spam", report.fingerprint, LIMITED)
        assert found is not None
        assert found.n == run.answered
    assert "response cache" in report.text


PRICE = (
    '\n[[prices]]\nmodel = "m"\nas_of = 2026-01-01\nsource = "list"\n'
    "input_usd_per_million = 1000.0\noutput_usd_per_million = 1000.0\n"
)


def priced(tmp_path: Path, server: Server, behaviour: str = "slow") -> Workspace:
    """Return such a workspace whose model costs money."""
    make(tmp_path, server, behaviour)
    path = tmp_path / "workbench.toml"
    path.write_text(path.read_text(encoding="utf-8") + PRICE, encoding="utf-8")
    return Workspace.load(tmp_path)


def test_a_dry_run_of_a_probe_says_what_it_would_take_and_sends_nothing(
    tmp_path: Path, server: Server
) -> None:
    """Requests of all speeds together, time by the log, tokens and money; and whether a budget will do."""
    workspace = priced(tmp_path, server)
    with open_store(workspace) as store:
        fill(store)
        server.reset()
        found = probe_latency(
            workspace, store, "spam", "small", limit=40, speed=[1, 2], budget_usd=0.001, dry_run=True
        )
        assert server.stats("slow")["hits"] == 0
        assert store.value("SELECT count(*) FROM latency_probes") == 0
    assert found.planned is not None
    assert (found.planned.requests, found.runs) == (80, ())
    assert found.planned.estimated_seconds == pytest.approx(0.02 * 39 * 1.5, rel=0.2)
    assert found.planned.estimated_cost_usd is not None
    assert found.planned.estimated_cost_usd > 0.001
    assert "80 requests would be sent; nothing was sent" in found.text
    assert "at the times of the log" in found.text
    assert "The budget of 0.001 USD will not do" in found.text


def test_a_budget_in_usd_ends_a_probe_and_what_it_cost_is_said(tmp_path: Path, server: Server) -> None:
    """No call is sent that has no room in it, and what was measured until then is kept."""
    workspace = priced(tmp_path, server)
    with open_store(workspace) as store:
        fill(store)
        whole = probe_latency(workspace, store, "spam", "small", limit=40)
        assert whole.cost_usd is not None
        server.reset()
        budget = whole.cost_usd / 2
        found = probe_latency(workspace, store, "spam", "small", limit=40, budget_usd=budget)
        (run,) = found.runs
        assert run.stopped_early
        assert 5 <= run.answered == run.sent <= 25
        assert server.stats("slow")["hits"] == run.sent + 1
        assert found.cost_usd is not None
        assert found.cost_usd <= 1.1 * budget
        assert "has no room for another call" in found.text
        assert store.value("SELECT count(*) FROM latency_probes") == 2
        server.reset()
        with pytest.raises(UsageError, match="no room for a single call"):
            probe_latency(workspace, store, "spam", "small", limit=40, budget_usd=0.001)
        # Room for the first call, and for none that is measured: the last probe still says.
        alone = probe_latency(workspace, store, "spam", "small", limit=40, budget_usd=0.022)
        assert (alone.runs[0].sent, server.stats("slow")["hits"]) == (0, 1)
        assert store.value("SELECT count(*) FROM latency_probes") == 2
    with open_store(make(tmp_path / "unpriced", server)) as store, pytest.raises(ConfigError, match="prices"):
        probe_latency(make(tmp_path / "unpriced", server), store, "spam", "small", budget_usd=1.0)


def test_what_an_estimate_calls_enough_is_enough_where_a_server_counts_no_tokens(
    tmp_path: Path, server: Server
) -> None:
    """Answers without counts stand at the length that the log tells, in the estimate and in the budget."""
    workspace = priced(tmp_path, server, "zero_usage")
    with open_store(workspace) as store:
        fill(store)
        estimate = probe_latency(workspace, store, "spam", "small", limit=20, dry_run=True).planned
        assert estimate is not None
        assert estimate.estimated_cost_usd is not None
        found = probe_latency(
            workspace, store, "spam", "small", limit=20, budget_usd=1.1 * estimate.estimated_cost_usd
        )
        assert found.runs[0].answered == 20
        assert found.cost_usd is not None
        assert found.cost_usd < 1.1 * estimate.estimated_cost_usd
