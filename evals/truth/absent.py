"""Missing evidence: a lapse, a skip or a failure never raises the share, in randomised worlds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from evals.truth.table import AT_MOST, PROMISE, Row, Size, generator, spread
from workbench import ramp
from workbench.records import Basis, LabelVerdict, Policy, Recommendation
from workbench.stats.audit import AuditRow, DrawRow, from_rows
from workbench.stats.evidence import Evidence
from workbench.stats.rows import SEVERITY

NAME = "missing evidence"
POLICIES = (Policy(), Policy(tolerance=0.1), Policy(harm="net"), Policy(critical_tolerance=0.01))
SHARES = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0)
Rows = list[AuditRow]
Change = Callable[[Rows, np.random.Generator], Rows | None]


def rows(size: Size) -> Iterator[Row]:
    """Yield how often less or worse evidence gave a larger share."""
    runs = size.runs(60, least=12)
    for name, change in (
        ("labels lapse or are skipped", _lapse),
        ("agreeing outputs fail instead", _fail),
        ("labels turn out worse", _worsen),
        ("a share of all of it", _all),
    ):
        yield _row(f"structural, {name}", _structural(runs, name, change), runs)
    yield _row("semantic, draws lapse or turn out worse", _semantic(runs), runs)
    yield _row("no days, no state, no latency, nothing critical measured", _dropped(runs), runs)


def _row(world: str, raised: int, runs: int) -> Row:
    return Row(
        NAME,
        f"{world}; {runs} random worlds",
        "the share rises",
        raised / runs,
        spread(raised, runs),
        0.0,
        AT_MOST,
        PROMISE,
    )


def _recommend(evidence: Evidence, policy: Policy, share: float) -> Recommendation:
    return ramp.recommend(evidence, policy, ramp.State(share, days_in_stage=2.0, live_compared=100))


def _drawn(rng: np.random.Generator) -> tuple[Policy, float]:
    # At full traffic the answer is the cap itself, so that the smallest rise shows.
    share = 1.0 if rng.random() < 0.6 else float(rng.choice(SHARES))
    return POLICIES[int(rng.integers(len(POLICIES)))], share


def _world(rng: np.random.Generator) -> Rows:
    """Return a task with any amount of disagreement, some of it labelled, lapsed or open."""
    n, rate = int(rng.integers(20, 500)), float(rng.beta(2, 18))
    labelled, harmful = float(rng.random()) ** 0.2, float(rng.beta(1, 1))
    found = []
    for place in range(n):
        row = AuditRow(
            f"c{place}",
            batch=2 * place // n,
            audit_key=f"{place:05d}",
            agrees=True,
            identical=bool(rng.random() < 0.8),
            control_group="rare" if rng.random() < 0.2 else "common",
        )
        if rng.random() < rate:
            verdict, lapsed = None, False
            if rng.random() < labelled:
                verdict = LabelVerdict.CONTROL_BETTER if rng.random() < harmful else SEVERITY[rng.integers(3)]
            else:
                lapsed = bool(rng.random() < 0.5)
            row = replace(
                row,
                agrees=False,
                identical=False,
                invalid=bool(rng.random() < 0.05),
                critical=bool(rng.random() < 0.1),
                verdict=verdict,
                lapsed=lapsed,
            )
        found.append(row)
    return found


def _contradicting(rng: np.random.Generator) -> Rows:
    """Return a task whose first calls hold harm that the rest does not show, so that their bounds cross."""
    # So much that the bounds cross, and not so much that harm above the tolerance is proven.
    n, spread_over = int(rng.integers(800, 2000)), 12 * int(rng.integers(3, 7))
    found = [AuditRow(f"c{at}", 2 * at // n, f"{at:05d}", agrees=True, identical=True) for at in range(n)]
    for at in range(n):
        early = at < spread_over and at % 12 == 0
        if early or at == spread_over or rng.random() < 0.02:
            verdict = LabelVerdict.CONTROL_BETTER if early else SEVERITY[int(rng.integers(3))]
            labelled = at != spread_over
            found[at] = replace(
                found[at], agrees=False, identical=False, verdict=verdict if labelled else None
            )
    return found


def _some(places: Sequence[int], rng: np.random.Generator) -> list[int]:
    chosen = rng.choice(places, size=int(rng.integers(1, len(places) + 1)), replace=False)
    return [int(each) for each in chosen]


def _lapse(found: Rows, rng: np.random.Generator) -> Rows | None:
    places = [at for at, row in enumerate(found) if row.verdict is not None]
    if not places:
        return None
    worse = list(found)
    for at in _some(places, rng):
        worse[at] = replace(worse[at], verdict=None, lapsed=True)
    return worse


def _fail(found: Rows, rng: np.random.Generator) -> Rows | None:
    places = [at for at, row in enumerate(found) if row.agrees]
    worse = list(found)
    for at in rng.choice(places, size=min(int(rng.integers(1, 20)), len(places)), replace=False).tolist():
        worse[at] = replace(worse[at], agrees=False, identical=False, invalid=True, lapsed=True)
    return worse


def _worsen(found: Rows, rng: np.random.Generator) -> Rows | None:
    places = [at for at, row in enumerate(found) if row.verdict is not None]
    if not places:
        return None
    worse = list(found)
    for at in _some(places, rng):
        verdict = worse[at].verdict
        rank = 0 if verdict is None else SEVERITY.index(verdict)
        worse[at] = replace(worse[at], verdict=SEVERITY[int(rng.integers(rank, len(SEVERITY)))])
    return worse


def _all(found: Rows, rng: np.random.Generator) -> Rows | None:
    for change in (_worsen, _lapse, _fail):
        found = change(found, rng) or found
    return found


def _structural(runs: int, name: str, change: Change) -> int:
    rng, raised = generator(NAME, name), 0
    done = 0
    while done < runs:
        policy, share = _drawn(rng)
        found = _world(rng)
        if done % 2:
            # Held while its first calls contradict the rest: there a share that may grow shows a rise.
            found, share = _contradicting(rng), 0.0
        worse = change(found, rng)
        if worse is None:
            continue
        first, second = (
            _recommend(from_rows(each, basis=Basis.STRUCTURAL, icc=0.0, days=10.0), policy, share)
            for each in (found, worse)
        )
        done += 1
        raised += second.share > first.share + 1e-12
    return raised


def _semantic(runs: int) -> int:
    rng, raised = generator(NAME, "semantic"), 0
    for _ in range(runs):
        calls = [AuditRow(f"c{at}", 0, f"{at:05d}", agrees=True) for at in range(400)]
        rate = float(rng.beta(1, 9))
        draws = [
            DrawRow(
                f"c{at}",
                float(rng.choice([1.25, 0.8, 0.3])),
                LabelVerdict.CONTROL_BETTER if rng.random() < rate else SEVERITY[int(rng.integers(3))],
            )
            for at in range(int(rng.integers(1, 200)))
        ]
        worse = list(draws)
        for at in _some(range(len(draws)), rng):
            verdict = draws[at].verdict
            rank = 0 if verdict is None else SEVERITY.index(verdict)
            turned = SEVERITY[int(rng.integers(rank, len(SEVERITY)))]
            lapsed = bool(rng.random() < 0.5)
            worse[at] = replace(draws[at], verdict=None if lapsed else turned, lapsed=lapsed)
        policy, share = _drawn(rng)
        first, second = (
            _recommend(
                from_rows(calls, basis=Basis.SEMANTIC, draws=each, weight_max=1.25, days=10.0), policy, share
            )
            for each in (draws, worse)
        )
        raised += second.share > first.share + 1e-12
    return raised


def _dropped(runs: int) -> int:
    rng, raised = generator(NAME, "dropped"), 0
    for _ in range(runs):
        evidence = from_rows(_world(rng), basis=Basis.STRUCTURAL, icc=0.0, days=10.0)
        policy, share = _drawn(rng)
        best = _recommend(evidence, policy, share).share
        unknown = replace(evidence, days=None, critical=None)
        strict = replace(policy, latency_p95_ms=100.0)
        raised += (
            _recommend(unknown, policy, share).share > best + 1e-12
            or ramp.recommend(evidence, policy, ramp.State(share)).share > best + 1e-12
            or _recommend(evidence, strict, share).share > best + 1e-12
        )
    return raised
