"""Calls can be left out by their marks: of new samples, and of figures about traffic and costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from profile_world import CONFIG, lines, log, order_line, sort_line

from workbench.cli import cli
from workbench.errors import ConfigError, UsageError
from workbench.facade import Workbench
from workbench.replay.plan import make_plan
from workbench.specs import Candidate
from workbench.store import traffic_days
from workbench.store.comparisons import volume
from workbench.store.overview import control_costs

EVAL = 'task = "sort"\nkind = "text"\n'


def _logged(path: Path, hits: int = 10, task: str | None = "sort") -> Path:
    """Write 30 calls, some of them cache hits."""
    log(path, lines(sort_line if task else order_line, 30))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["cache_hit"] = number < hits
        row["task"], row["response"]["id"] = task, f"{path.stem}-{number}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _world(root: Path, more: str = "") -> Workbench:
    (root / "workbench.toml").write_text(CONFIG)
    (root / "evals" / "sort").mkdir(parents=True)
    (root / "evals" / "sort" / "eval.toml").write_text(EVAL + more)
    return Workbench(root)


def test_an_unknown_mark_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no call is marked 'cache_hits'") as refused:
        _world(tmp_path, 'exclude_marks = ["cache_hits"]\n').workspace.eval_for("sort")
    assert "cache_hit" in refused.value.hint


def test_marked_calls_are_not_drawn_and_the_plan_says_how_many(tmp_path: Path) -> None:
    """What was drawn before stays; a task whose calls are all marked says so."""
    with _world(tmp_path, 'exclude_marks = ["cache_hit"]\n') as bench:
        bench.import_logs([_logged(tmp_path / "log.jsonl")], sampling_rate=0.1)
        wanted = {"limit": None, "repeats": 1, "new": False, "seed": 0}
        spec = Candidate(name="small", engine="openai")
        plan = make_plan(bench.store, "sort", spec, "f", **wanted, exclude_marks=("cache_hit",))
        assert (plan.usable, len(plan.added)) == (20, 20)
        assert plan.notes == ("10 calls are left out by exclude_marks (cache_hit: 10).",)
        assert make_plan(bench.store, "sort", spec, "f", **wanted).usable == 30
        with pytest.raises(UsageError, match="carries one of `exclude_marks`"):
            make_plan(bench.store, "sort", spec, "f", **wanted, exclude_marks=("cache_hit", "no_latency"))


def test_marked_calls_count_in_no_figure_of_their_task(tmp_path: Path) -> None:
    with _world(tmp_path, 'exclude_marks = ["cache_hit"]\n') as bench:
        bench.import_logs(
            [_logged(tmp_path / "log.jsonl"), _logged(tmp_path / "other.jsonl", task=None)], sampling_rate=0.1
        )
        found = bench.profile()
        assert found.excluded == {"sort": 10}
        assert found.calls == 50
        assert {each.name: each.calls for each in found.workloads if each.is_task} == {"sort": 20}
        assert "Left out by their marks: 10 of sort" in found.text
        prices = bench.workspace.model_prices()
        assert [row["calls"] for row in control_costs(bench.store, "sort", prices, ("cache_hit",))] == [20]
        assert [row["calls"] for row in control_costs(bench.store, "sort", prices)] == [30]
        assert volume(bench.store, "sort", ("cache_hit",))["calls"] == 20
        assert sum(row["calls"] for row in traffic_days.of_task(bench.store, "sort", ("cache_hit",))) == 20


def test_a_profile_without_some_marks_is_kept_as_such(tmp_path: Path) -> None:
    """Calls of every task and of none are left out; the next profile without the option counts them again."""
    with _world(tmp_path) as bench:
        bench.import_logs(
            [_logged(tmp_path / "log.jsonl"), _logged(tmp_path / "other.jsonl", task=None)], sampling_rate=0.1
        )
        found = bench.profile(exclude_marks=["cache_hit"])
        assert found.excluded == {"sort": 10, "unassigned": 10}
        assert found.calls == sum(each.calls for each in found.workloads) == 40
        assert bench.profile(exclude_marks=["cache_hit"]).profile_id == found.profile_id
        assert bench.profile().calls == 60
        assert bench.profile(exclude_marks=["no_output"]).calls == 60


def test_the_command_takes_marks(tmp_path: Path) -> None:
    with _world(tmp_path) as bench:
        bench.import_logs([_logged(tmp_path / "log.jsonl")], sampling_rate=0.1)
    run = CliRunner().invoke(cli, ["profile", "--exclude-mark", "cache_hit", "--workspace", str(tmp_path)])
    assert "20 calls in 1 workloads" in run.output
    assert "Left out by their marks: 10 of sort" in run.output
    wrong = CliRunner().invoke(cli, ["profile", "--exclude-mark", "cash", "--workspace", str(tmp_path)])
    assert wrong.exit_code == 2
