"""Harm under another mix: each part by its own bound, what was never evaluated as harmed."""

from __future__ import annotations

import pytest

from workbench.records import Basis
from workbench.stats import reweighted
from workbench.stats.audit import AuditRow, from_rows
from workbench.stats.evidence import SliceEvidence
from workbench.stats.harm import regressions


def part(value: str, n: int, differing: int) -> SliceEvidence:
    """Return a value with so many compared calls, of which some differ."""
    rows = [
        AuditRow(
            call_id=f"{value}{at}",
            batch=0,
            audit_key=f"{at:06d}",
            agrees=at >= differing,
            identical=at >= differing,
        )
        for at in range(n)
    ]
    return SliceEvidence("language", value, 0.5, from_rows(rows, basis=Basis.STRUCTURAL).task)


PARTS = [part("en", 400, 2), part("de", 200, 40)]


def test_the_bound_is_the_mean_of_the_parts_bounds_by_the_new_shares() -> None:
    """Each at delta over the number of parts."""
    found = reweighted(PARTS, {"en": 30, "de": 10}, 0.05)
    assert found is not None
    highs = [regressions(each.population, 0.025).estimate.high for each in PARTS]
    assert found.high == pytest.approx(0.75 * highs[0] + 0.25 * highs[1])
    assert (found.n, found.level) == (600, 0.95)


def test_more_of_the_worse_part_raises_it_and_an_unseen_part_counts_as_harmed() -> None:
    """Nothing is known of what was never evaluated."""
    even, worse = (reweighted(PARTS, {"en": 50, "de": n}, 0.05) for n in (50, 500))
    unseen = reweighted(PARTS, {"en": 50, "fr": 50}, 0.05)
    assert even is not None
    assert worse is not None
    assert unseen is not None
    assert worse.high > even.high
    assert unseen.high > 0.5
    assert unseen.point is None


@pytest.mark.parametrize("mix", [{}, {"fr": 10}, {"en": 0}])
def test_without_an_evaluated_part_there_is_no_figure(mix: dict[str, float]) -> None:
    """A bound of one would look like a finding."""
    assert reweighted(PARTS, mix, 0.05) is None
