"""Routing before the small model is asked: what a learnt rule sends, and how often that is a wrong path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.truth.table import Row, Size, compared, generator, promised, spread, target
from evals.truth.worlds import compared_call
from workbench.records import Policy
from workbench.routing import RoutingReport, learning_half, route
from workbench.stats.audit import AuditRow

NAME = "routing before"
POLICY = Policy()
CALLS, FRESH = 3000, 10_000
GOOD, HARD, ABOVE = 0.01, 0.30, 0.055
CHARS, LANGUAGE = 600, "de"
"""Longer inputs in this language are the hard ones."""
SENT = 0.55
"""Share of all calls that a rule must send; 84 % are fit to be sent, 60 % by the language alone."""

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]


def rows(size: Size) -> Iterator[Row]:
    """Yield how often a rule sends what it must not, and whether both wrong paths are within their bounds."""
    yield from _hard(size.runs(50, least=12))
    yield from _hopeless(size.runs(80, least=20))


def _hard(runs: int) -> Iterator[Row]:
    rng = generator(NAME, "hard")
    broken = dict.fromkeys(("leaf", "sent", "kept", "confidence", "both"), 0)
    found_useful, shares, by_both = 0, [], []
    for _ in range(runs):
        columns, confidence, risk = _world(rng, CALLS)
        report = route(_rows(rng.random(CALLS) < risk), columns, POLICY, confidence=confidence.tolist())
        # What is true of the rule is what it does to calls that nobody has seen.
        fresh, sure, truth = _world(rng, FRESH)
        leaf, sends = report.tree.leaf_of(fresh), report.sends(fresh)
        broken["leaf"] += any(
            claim.to_candidate and truth[leaf == number].mean() > POLICY.tolerance
            for number, claim in enumerate(report.leaves)
            if (leaf == number).any()
        )
        broken["sent"] += not _holds(report.sent_though_harmed.of_path, truth[sends])
        broken["kept"] += not _holds(report.kept_though_fine.of_path, 1 - truth[~sends])
        for name, way in zip(("confidence", "both"), report.ways[1:], strict=True):
            reached = way.sends(leaf, sure)
            if way.harm_at_most is not None:
                broken[name] += bool(truth[reached].mean() > way.harm_at_most + 1e-12)
        by_both.append(float(reached.mean()))
        found_useful += float(sends.mean()) >= SENT
        shares.append(float(sends.mean()))
    world = (
        f"{CALLS} labelled calls, long {LANGUAGE} inputs {HARD:.0%} harm (16 % of traffic), else {GOOD:.0%}"
    )
    yield promised(NAME, world, "any leaf is sent that is above the tolerance", broken["leaf"], runs)
    what = "sent though harmed: outside of its bounds on calls never seen"
    yield promised(NAME, world, what, broken["sent"], runs, delta=2 * POLICY.delta)
    what = "kept though fine: outside of its bounds on calls never seen"
    yield promised(NAME, world, what, broken["kept"], runs, delta=2 * POLICY.delta)
    what = "by confidence: harm above what is said"
    yield promised(NAME, world, what, broken["confidence"], runs)
    what = "by rule and confidence both together: harm above what is said"
    yield promised(NAME, world, what, broken["both"], runs)
    what = f"sends at least {SENT:.0%} of traffic"
    yield target(NAME, world, what, found_useful / runs, 0.9, error=spread(found_useful, runs))
    yield compared(NAME, world, "share sent, mean (best possible .84)", float(np.mean(shares)), None)
    yield compared(NAME, world, "share sent by both together, mean", float(np.mean(by_both)), None)


def _hopeless(runs: int) -> Iterator[Row]:
    """Harm is just above the tolerance whatever is known before: nothing may be sent."""
    rng = generator(NAME, "hopeless")
    broken, naive = 0, 0
    for _ in range(runs):
        columns, _, _ = _world(rng, CALLS)
        harmed = rng.random(CALLS) < ABOVE
        found = _rows(harmed)
        report = route(found, columns, POLICY)
        broken += any(each.to_candidate for each in report.leaves)
        naive += _looks_good(report, columns, harmed, learning_half(found))
    world = f"{CALLS} labelled calls, {ABOVE:.1%} harm whatever is known before"
    yield promised(NAME, world, "any leaf is sent", broken, runs)
    what = "a single split looks fine: observed harm at most 5 %, on the calls it was picked on"
    yield compared(NAME, world, what, naive / runs, spread(naive, runs))


def _looks_good(
    report: RoutingReport, columns: Columns, harmed: NDArray[np.bool_], learnt: NDArray[np.bool_]
) -> bool:
    """Say whether the best of the usual single splits looks fine on the very calls it was chosen on."""
    sides = [columns["language"] == each for each in ("en", "fr", "de")]
    sides += [columns["turns"] == each for each in (1, 2, 3)]
    sides += [columns["input characters"] > each for each in range(100, 1000, 100)]
    sides.append(report.tree.leaf_of(columns) == 0)
    return any(
        harmed[part & learnt].mean() <= POLICY.tolerance for part in sides if (part & learnt).sum() >= 100
    )


def _world(rng: np.random.Generator, n: int) -> tuple[Columns, Floats, Floats]:
    """Return what is known before each call, the candidate's confidence, and each call's true risk."""
    columns: Columns = {
        "input characters": rng.integers(1, 1001, n).astype(np.float64),
        "turns": rng.integers(1, 4, n).astype(np.float64),
        "language": rng.choice(np.asarray(["de", "en", "fr"], dtype=object), n, p=(0.4, 0.4, 0.2)),
    }
    hard = (columns["input characters"] > CHARS) & (columns["language"] == LANGUAGE)
    confidence = rng.random(n)
    # Confidence knows a part of it: the surest half is harmed at half of the rate.
    risk = np.where(hard, HARD, GOOD) * np.where(confidence > 0.5, 0.5, 1.5)
    return columns, confidence, risk


def _rows(harmed: NDArray[np.bool_]) -> list[AuditRow]:
    return [compared_call(at, bad) for at, bad in enumerate(harmed.tolist())]


def _holds(said: Any, truth: Floats) -> bool:
    """Say whether bounds hold what is true of a path; a path that no call takes promises nothing."""
    return said is None or not truth.size or bool(said.low <= truth.mean() <= said.high)
