"""The worlds with known truth: every bar is met, and a broken rule misses one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.truth import __main__ as command
from evals.truth import page, reviewing
from evals.truth.paths import Law, ever_above, ever_below, lower_crossings, upper_crossings, wilson_upper
from evals.truth.table import COMPARED, PROMISE, SMALL, Row, compared, exactly, promised
from workbench import ramp
from workbench.routing import certified
from workbench.slices_found import ranking
from workbench.stats import audit, bounds, cluster, drift, guards, slice_shares, thresholds, weighted

WORLDS = [name for name in command.SECTIONS if not name.startswith("real")]
"""Sections that read no files."""


@pytest.mark.parametrize("name", WORLDS)
def test_every_bar_is_met(name: str) -> None:
    rows, _ = command.measure(name, SMALL)
    assert not [row for row in rows if not row.ok]
    assert any(row.bar is not None for row in rows)
    assert {row.section for row in rows} == {name}
    for row, said in _documented(rows):
        # What is simulated leaves room for chance by how much was simulated; nothing else depends on it.
        fixed = replace(row, bar=None, level=None) if row.level is not None and row.error else row
        there = replace(said, bar=None, level=None) if row.level is not None and row.error else said
        assert (fixed.sense, fixed.kind) == (there.sense, there.kind)
        assert fixed.bar == pytest.approx(there.bar)
        assert row.level == pytest.approx(said.level)


def _documented(rows: list[Row]) -> list[tuple[Row, Row]]:
    """Return the rows that docs/truth.md holds as well, each beside what is said of it there."""
    known = {
        (each["section"], each["world"], each["what is promised"]): each
        for each in page.parsed(page.PAGE.read_text(encoding="utf-8"))
    }
    found = []
    for row in rows:
        said = known.get((row.section, row.world, row.promise))
        if said is not None:
            bar, sense, level = page.bar_of(said["bar"])
            found.append(
                (row, replace(row, bar=bar, sense=sense or row.sense, kind=said["kind"], level=level))
            )
    assert found or rows[0].section == "missing evidence"
    return found


# --- a measure that can't fail is worth nothing -----------------------------------------------


def _wilson(patch: pytest.MonkeyPatch) -> None:
    """Wilson at every look in place of the anytime bound."""
    patch.setattr(bounds, "anytime_upper", lambda bad, n, delta: float(wilson_upper(bad, n, delta)))


def _observed(patch: pytest.MonkeyPatch) -> None:
    """The observed error in place of its bound."""
    patch.setattr(bounds, "anytime_upper", lambda bad, n, delta: bad / n if n else 1.0)


def _mean(patch: pytest.MonkeyPatch) -> None:
    """The mean of the draws in place of its bound."""

    def upper(losses: Any, delta: float, *, weight_max: float = 1.0, counts: Any = None, **_: Any) -> float:
        values = np.asarray(losses, dtype=float)
        return float(np.average(values, weights=counts)) if np.sum(counts) else weight_max

    patch.setattr(weighted, "upper", upper)


def _half(patch: pytest.MonkeyPatch) -> None:
    """Half the mean of the draws in place of its bound: low enough for the few runs of a small size."""

    def upper(losses: Any, *_: Any, counts: Any = None, **__: Any) -> float:
        return float(np.average(losses, weights=counts)) / 2 if np.sum(counts) else 0.0

    patch.setattr(weighted, "upper", upper)


def _shut(patch: pytest.MonkeyPatch) -> None:
    """A rule that never lets anything through."""
    real = ramp.recommend
    patch.setattr(ramp, "recommend", lambda *given: replace(real(*given), share=0.0))


def _looks_good(patch: pytest.MonkeyPatch) -> None:
    """Every threshold whose observed error is within tolerance is called proven."""

    def walked(rows: list[Any], tolerance: float, *_: Any, **__: Any) -> list[Any]:
        return [
            replace(row, proven=row.risk.point is not None and row.risk.point <= tolerance) for row in rows
        ]

    patch.setattr(thresholds, "walked", walked)


def _no_clusters(patch: pytest.MonkeyPatch) -> None:
    """Calls of one cluster count as independent."""
    patch.setattr(cluster, "design_effect", lambda *_: cluster.NO_EFFECT)


def _jumpy(patch: pytest.MonkeyPatch) -> None:
    """The detector alarms at a five-hundredth of its evidence."""
    patch.setattr(drift, "EDetector", partial(drift.EDetector, alarm_at=20.0))


def _all_active(patch: pytest.MonkeyPatch) -> None:
    """Every slice moves with the task."""

    def share(each: Any, task_share: float, policy: Any, delta: float) -> Any:
        found = slice_shares.slice_share(each, task_share, policy, delta)
        return replace(found, status="active", cap=1.0, share=task_share)

    patch.setattr(ramp, "slice_share", share)


def _uncorrected(patch: pytest.MonkeyPatch) -> None:
    """What was observed in a found slice is taken for what is true of it."""
    real = ranking.harm_of

    def observed(*given: Any) -> Any:
        harm = real(*given)
        rate = 0.0 if harm.point is None else harm.point
        return replace(harm, low=rate, high=rate)

    patch.setattr(ranking, "harm_of", observed)


def _leaves_look_good(patch: pytest.MonkeyPatch) -> None:
    """A leaf is sent for what was observed in it."""
    real = certified.harm_of

    def observed(population: Any, *given: Any) -> Any:
        harm = real(population, *given)
        return replace(harm, high=1.0 if harm.point is None else harm.point)

    patch.setattr(certified, "harm_of", observed)


def _no_groups(patch: pytest.MonkeyPatch) -> None:
    """No answer is ever called given up."""
    patch.setattr(guards, "COLLAPSED", 0.0)


def _both_ways_say_too_little(patch: pytest.MonkeyPatch) -> None:
    """Rule and confidence together say a tenth of the harm that they prove."""
    real = certified._by_both

    def both(*given: Any) -> Any:
        way = real(*given)
        return replace(way, harm_at_most=None if way.harm_at_most is None else way.harm_at_most / 10)

    patch.setattr(certified, "_by_both", both)


def _harm_ends_a_contradiction(patch: pytest.MonkeyPatch) -> None:
    """Failures and verdicts further on count against what the labelled calls show."""
    real = audit.population_of
    patch.setattr(audit, "population_of", lambda *given, **named: replace(real(*given, **named), set_aside=0))


def _lapses_are_free(patch: pytest.MonkeyPatch) -> None:
    """What nobody judged in time is no harm."""
    patch.setattr(audit, "_harm", lambda table, counts: counts & table.harmful)


@pytest.mark.parametrize(
    ("name", "break_it"),
    [
        ("coverage", _wilson),
        ("false ramp", _observed),
        ("pace", _shut),
        ("thresholds", _looks_good),
        ("clusters", _no_clusters),
        ("queues", _mean),
        ("drift", _jumpy),
        ("slices", _all_active),
        ("found slices", _uncorrected),
        ("routing before", _leaves_look_good),
        ("routing before", _both_ways_say_too_little),
        ("label collapse", _no_groups),
        ("missing evidence", _lapses_are_free),
        ("missing evidence", _harm_ends_a_contradiction),
        ("semantic review", _half),
    ],
)
def test_a_broken_rule_ends_with_code_1(
    name: str,
    break_it: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    break_it(monkeypatch)
    report = tmp_path / "rows.json"
    assert command.main(["--small", "--only", name, "--jobs", "1", "--json", str(report)]) == 1
    assert "MISSED" in capsys.readouterr().out
    assert any(row["verdict"] == "MISSED" for row in json.loads(report.read_text()))


@pytest.mark.parametrize("task", ["topics", "names"])
def test_people_do_the_same_in_every_run_of_this_program(task: str) -> None:
    """The reviews are seeded like all else: what a replay is called does not depend on chance."""
    first, again = (list(reviewing._runs(task, 1)) for _ in range(2))
    assert first == again


# --- the measure itself -----------------------------------------------------------------------


def test_the_run_ends_with_code_0_where_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [exactly("a", "b", "c", 0.05), compared("a", "b", "d", 0.9)]
    monkeypatch.setattr(command, "SECTIONS", {"a": lambda size: rows})
    assert command.main(["--jobs", "1"]) == 0
    assert "2 rows, 0 missed" in capsys.readouterr().out


def test_the_bar_is_the_promise_and_three_errors_whatever_was_measured() -> None:
    """At 400 runs .05 allows .0827, and a figure without a bar is never missed."""
    row = promised("a", "b", "c", 33, 400)
    assert row.bar == pytest.approx(0.0827, abs=1e-4)
    assert row.ok
    assert not promised("a", "b", "c", 34, 400).ok
    assert row.kind == PROMISE
    assert (compared("a", "b", "c", 1.0).verdict, compared("a", "b", "c", 1.0).kind) == ("-", COMPARED)
    assert not Row("a", "b", "c", None, None, 0.5).ok
    assert not Row("a", "b", "c", float("inf"), None, 9.0).ok


def test_the_chance_of_ever_crossing_is_that_of_simulated_paths() -> None:
    """The computed chance of a crossing, upper and lower, agrees with plain simulation."""
    rate, limit, runs = 0.2, 60, 4000
    rng = np.random.default_rng(5)
    bad = np.cumsum(rng.random((runs, limit)) < rate, axis=1)
    above = np.zeros(runs, dtype=bool)
    below = np.zeros(runs, dtype=bool)
    for n in range(1, limit + 1):
        high = np.asarray([bounds.exact_upper(s, n, 0.1) for s in range(n + 1)])
        low = np.asarray([bounds.exact_lower(s, n, 0.1) for s in range(n + 1)])
        below |= high[bad[:, n - 1]] < rate
        above |= low[bad[:, n - 1]] > rate
    upper = upper_crossings(lambda s, n: bounds.exact_upper(s, n, 0.1), rate, limit)
    lower = lower_crossings(lambda s, n: bounds.exact_lower(s, n, 0.1), rate, limit)
    assert ever_below(upper, rate, limit) == pytest.approx(below.mean(), abs=0.025)
    assert ever_above(lower, rate, limit) == pytest.approx(above.mean(), abs=0.025)


def test_a_law_answers_like_the_question_with_fewer_calls() -> None:
    law = Law(lambda point: point[0] + 2 * point[1] > 30)
    rng = np.random.default_rng(1)
    points = rng.integers(0, 20, size=(2000, 2)).tolist()
    assert all(law(point) == (point[0] + 2 * point[1] > 30) for point in points)
    assert law.asked < 200
