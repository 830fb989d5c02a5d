"""Planted bad slices are found, and none is found where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from evals.truth.table import Row, Size, compared, generator, promised, spread, target
from workbench import ramp
from workbench.records import Basis, LabelVerdict, Policy, Recommendation
from workbench.stats.audit import AuditRow, from_rows

NAME = "slices"
POLICY = Policy()
CALLS = 2000
TRAFFIC = {"en": 0.70, "fr": 0.15, "de": 0.12, "ja": 0.03}
GOOD = 0.015
LIVE = ramp.State(0.10, days_in_stage=2.0, live_compared=100)


def rows(size: Size) -> Iterator[Row]:
    """Yield how often bad and good slices are held back."""
    runs = size.runs(40, least=10)
    found = list(_answers(runs, "planted", {"de": 0.15}))
    stopped = sum(_status(each, "de") in ("excluded", "suspect") for each in found)
    world = f"{CALLS} labelled calls, de 15 % harm (12 % of traffic), the rest {GOOD:.1%}"
    yield target(NAME, world, "the bad slice is kept out", stopped / runs, 0.95, error=spread(stopped, runs))
    whole = sum(each.cap >= 1.0 for each in found)
    what = "the task as a whole passes, with the bad slice in it"
    yield compared(NAME, world, what, whole / runs, spread(whole, runs))
    pooled = sum((each.harm.point or 0.0) <= POLICY.tolerance for each in found)
    what = "observed error at most 5 % moves the bad slice, too"
    yield compared(NAME, world, what, pooled / runs, spread(pooled, runs))
    moved = sum(each.effective_share > each.share * (1 - TRAFFIC["de"]) + 0.03 for each in found)
    yield target(
        NAME, world, "the effective share counts traffic of the bad slice", moved / runs, 0.05, sense="<="
    )

    found = list(_answers(runs, "just above", {"de": 0.06}))
    passed = sum(_cap(each, "de") >= 1.0 for each in found)
    world = f"{CALLS} labelled calls, de 6 % harm, the rest {GOOD:.1%}"
    yield promised(NAME, world, "the slice above the tolerance passes at 100 %", passed, runs)

    found = list(_answers(runs, "none", {}))
    excluded = sum(any(part.status == "excluded" for part in each.slices) for each in found)
    world = f"{CALLS} labelled calls, every slice {GOOD:.1%} harm"
    yield promised(NAME, world, "any slice excluded", excluded, runs)
    suspect = sum(any(part.status == "suspect" for part in each.slices) for each in found)
    what = "any slice suspect (estimate above 5 % by chance; no claim)"
    yield compared(NAME, world, what, suspect / runs, spread(suspect, runs))

    found = list(_answers(runs, "border", dict.fromkeys(TRAFFIC, POLICY.tolerance)))
    excluded = sum(_status(each, "fr") == "excluded" for each in found)
    world = f"{CALLS} labelled calls, every slice exactly 5 % harm"
    yield promised(NAME, world, "a slice at the tolerance is excluded", excluded, runs)
    passed = sum(_cap(each, "fr") >= 1.0 for each in found)
    yield promised(NAME, world, "a slice at the tolerance passes at 100 %", passed, runs)


def _answers(runs: int, name: str, harm: Mapping[str, float]) -> Iterator[Recommendation]:
    rng = generator(NAME, name)
    names = list(TRAFFIC)
    rates = np.asarray([harm.get(each, GOOD) for each in names])
    for _ in range(runs):
        kinds = rng.choice(len(names), size=CALLS, p=list(TRAFFIC.values()))
        bad = rng.random(CALLS) < rates[kinds]
        fine = ~bad & (rng.random(CALLS) < 0.03)
        evidence = from_rows(
            (_row(at, names[kinds[at]], bool(bad[at]), bool(fine[at])) for at in range(CALLS)),
            basis=Basis.STRUCTURAL,
            days=10.0,
        )
        yield ramp.recommend(evidence, POLICY, LIVE)


def _row(at: int, language: str, bad: bool, fine: bool) -> AuditRow:
    row = AuditRow(f"c{at}", 0, f"{at:06d}", True, identical=True, slices=(("language", language),))
    if not bad and not fine:
        return row
    verdict = LabelVerdict.CONTROL_BETTER if bad else LabelVerdict.EQUAL
    return replace(row, agrees=False, identical=False, verdict=verdict)


def _status(answer: Recommendation, language: str) -> str:
    return next(each.status for each in answer.slices if each.value == language)


def _cap(answer: Recommendation, language: str) -> float:
    return next(each.cap for each in answer.slices if each.value == language)
