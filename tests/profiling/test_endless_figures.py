"""No line, option or price makes a figure that is no number: the profile is made, and can be read again."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from profile_world import CONFIG, lines, log, sort_line

from workbench.errors import ConfigError, UsageError
from workbench.facade import Workbench
from workbench.profiling import kept, made_anew
from workbench.store import workloads


def _hostile(path: Path, rate: float) -> Path:
    log(path, lines(sort_line, 30), timedelta(hours=2))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[7]["metadata"] = {"sampling_rate": rate}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("rate", [5e-324, 1e-308, 1e-160, 9e-10])
def test_a_sampling_rate_that_no_log_has_is_unknown_and_marked(tmp_path: Path, rate: float) -> None:
    """One over it would be infinite, or its square: the profile could never be read again."""
    (tmp_path / "workbench.toml").write_text(CONFIG)
    with Workbench(tmp_path) as bench:
        report = bench.import_logs([_hostile(tmp_path / "log.jsonl", rate)], sampling_rate=0.5)
        assert report.marks["bad_sampling_rate"] == 1
        found = bench.profile()
        assert found.workloads[0].calls_per_day is None
        assert bench.profile() == found, "the kept profile reads back"


def test_a_sampling_rate_may_be_small(tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_text(CONFIG)
    with Workbench(tmp_path) as bench:
        report = bench.import_logs([_hostile(tmp_path / "log.jsonl", 1e-9)], sampling_rate=1.0)
        assert "bad_sampling_rate" not in report.marks
        volume = bench.profile().workloads[0].calls_per_day
        assert volume is not None
        assert volume.point > 1e8


def test_a_rate_that_can_not_be_is_refused_where_it_is_typed(tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_text(CONFIG)
    with Workbench(tmp_path) as bench, pytest.raises(UsageError, match="is not a share of traffic"):
        bench.import_logs([log(tmp_path / "log.jsonl", lines(sort_line, 3))], sampling_rate=1e-308)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("input_usd_per_million", CONFIG.replace("= 3.0", "= 1e308")),
        ("output_usd_per_million", CONFIG.replace("= 15.0", "= inf")),
        ("one_off_usd", CONFIG + "one_off_usd = 1e200\n"),
    ],
)
def test_prices_and_amounts_that_can_not_be_are_refused(tmp_path: Path, key: str, text: str) -> None:
    (tmp_path / "workbench.toml").write_text(text)
    with pytest.raises(ConfigError, match=key):
        Workbench(tmp_path)


def test_a_kept_profile_that_can_not_be_read_is_made_anew(tmp_path: Path) -> None:
    """A workspace that was broken by an earlier version mends itself with the next profile."""
    (tmp_path / "workbench.toml").write_text(CONFIG)
    with Workbench(tmp_path) as bench:
        bench.import_logs([log(tmp_path / "log.jsonl", lines(sort_line, 30))], sampling_rate=0.1)
        found = bench.profile()
        row = workloads.newest_profile(bench.store)
        assert row is not None
        broken = row["report"].replace(f'"calls":{found.calls}', '"calls":null')
        workloads.write_profile(
            bench.store, row["profile_id"] + "x", row["fingerprint"], row["last_call"], broken
        )
        assert kept(bench.store) is None
        assert bench.profile().calls == found.calls


def test_a_figure_that_is_no_number_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workbench.toml").write_text(CONFIG)
    with Workbench(tmp_path) as bench:
        bench.import_logs([log(tmp_path / "log.jsonl", lines(sort_line, 30))], sampling_rate=0.1)
        monkeypatch.setattr("workbench.profiling.small_model", lambda _: None)
        monkeypatch.setattr("workbench.profiling.budget_warning", lambda *_: float("inf"))
        with pytest.raises(UsageError, match="warning is beyond all numbers"):
            made_anew(bench.workspace, bench.store)
        assert kept(bench.store) is None
