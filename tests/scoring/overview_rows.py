"""Rows of the overview without a store, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench import ramp
from workbench.costing.ways import Amount
from workbench.records import Basis, EvalKind, Policy
from workbench.scoring import OverviewRow
from workbench.stats import bounds
from workbench.stats.evidence import Population
from workbench.stats.harm import regressions

POLICY = Policy()
TEN = Amount(10.0, 8.0, 12.0)


def row(
    task: str = "triage",
    candidate: str = "small",
    *,
    compared: int = 400,
    disagreements: int = 4,
    policy: Policy = POLICY,
    volume: float | None = 1_000.0,
    saving: Amount | None = TEN,
    **fields: Any,
) -> OverviewRow:
    """Return a row of a structural task that nobody labelled, as `overview` would make it."""
    population = Population(compared=compared, disagreements=disagreements, audited=0)
    evidence = ramp.Evidence(task=population, days=20.0, calls_per_day=volume)
    found = ramp.recommend(evidence, policy)
    moving = found.share > 0
    made = OverviewRow(
        task=task,
        candidate=candidate,
        fingerprint=f"{task}-{candidate}",
        kind=EvalKind.LABEL,
        basis=Basis.STRUCTURAL,
        calls=compared,
        compared=compared,
        invalid=0,
        uncomparable=0,
        labels=0,
        agreement=bounds.anytime(compared - disagreements, compared, policy.delta),
        recommendation=found,
        cost_now_usd_month=100.0,
        cost_at_share_usd_month=90.0,
        saving_usd_month=saving.point if saving else None,
        calls_per_day=volume,
        left_out=(),
        synthetic=False,
        saving=saving,
        harm_highs=tuple(
            regressions(population, policy.delta / 2**halvings).estimate.high for halvings in range(13)
        )
        if moving
        else (),
    )
    return replace(made, **fields)
