"""Harm under another mix: each part by its own bound, what was never evaluated as harmed."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.records import Basis
from workbench.stats import reweighted, reweighting
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
    """Beside it stand how far chance takes a mean of the sample, and what the sample has none of."""
    found = reweighted(PARTS, {"en": 3_000_000, "de": 1_000_000}, 0.05)
    assert found is not None
    sides = [regressions(each.population, 0.8 * 0.05 / 2).estimate for each in PARTS]
    exact = 0.75 * sides[0].high + 0.25 * sides[1].high
    assert exact < found.high < exact + 0.001
    assert 0.75 * sides[0].low + 0.25 * sides[1].low - 0.001 < found.low < found.high
    assert (found.n, found.level) == (600, 0.95)


def test_fewer_calls_of_the_new_mix_and_a_later_look_at_it_tell_less() -> None:
    """What the mix is is known from a sample, and somebody may look until it looks good."""
    many, few = (reweighted(PARTS, {"en": 3 * n, "de": n}, 0.05) for n in (5_000, 50))
    later = reweighted(PARTS, {"en": 15_000, "de": 5_000}, 0.05, look=30)
    assert many is not None
    assert few is not None
    assert later is not None
    assert many.high < later.high < few.high
    assert few.low <= later.low <= many.low


def test_the_bound_covers_the_harm_of_new_traffic_that_a_sample_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts of known harm, and one nobody evaluated; the sample taken for the traffic misses it often."""
    dice = np.random.default_rng(5)
    parts = [part("a", 3_000, 60), part("b", 3_000, 900)]
    harm = {id(each.population): regressions(each.population, 0.8 * 0.05 / 2) for each in parts}
    monkeypatch.setattr(reweighting, "regressions", lambda population, _: harm[id(population)])
    limits = [each.estimate.high for each in harm.values()]
    mix = np.asarray([0.6, 0.35, 0.05])
    truth = float(np.asarray([0.02, 0.3, 1.0]) @ mix)
    missed = naive = 0
    for _ in range(300):
        calls = dice.multinomial(150, mix)
        found = reweighted(parts, dict(zip("abc", calls.tolist(), strict=True)), 0.05)
        assert found is not None
        missed += found.high < truth
        naive += float(np.asarray([*limits, 1.0]) @ calls) / 150 < truth
    assert missed <= 0.05 * 300 * 0.2
    assert naive > 0.05 * 300


def test_more_of_the_worse_part_raises_it_and_an_unseen_part_counts_as_harmed() -> None:
    """Nothing is known of what was never evaluated."""
    even, worse = (reweighted(PARTS, {"en": 500, "de": n}, 0.05) for n in (500, 5000))
    unseen = reweighted(PARTS, {"en": 50, "fr": 50}, 0.05)
    assert even is not None
    assert worse is not None
    assert unseen is not None
    assert worse.high > even.high
    assert unseen.high > 0.5
    assert unseen.point is None


@pytest.mark.parametrize("mix", [{}, {"fr": 10}, {"en": 0}])
def test_without_an_evaluated_part_there_is_no_figure(mix: dict[str, int]) -> None:
    """A bound of one would look like a finding."""
    assert reweighted(PARTS, mix, 0.05) is None
