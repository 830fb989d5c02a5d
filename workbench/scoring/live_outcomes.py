"""The evaluated rate and the outcomes since, as the drift detector takes them, and whether it alarms.

Structural: a live disagreement. Semantic: a labelled harm of a live call, by its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.normal import naive_utc
from workbench.records import Basis, Estimate, Policy
from workbench.scoring.columns import agreeing, clusters_in
from workbench.scoring.gathered import Gathered, gather_of
from workbench.scoring.stage import Stage
from workbench.specs import EvalConfig
from workbench.stats import bounds
from workbench.stats.cluster import design_effect
from workbench.stats.drift import EDetector
from workbench.stats.harm import regressions
from workbench.stats.parts import parts_of
from workbench.store.live import live_replay_of

if TYPE_CHECKING:
    from workbench.store import Store

WATCHABLE = 0.999
"""An evaluation that bounds nothing leaves nothing to rise above."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The evaluated rate, what the detector watches for a rise above, and the live outcomes in order."""

    evaluated: Estimate
    p0: float
    live: list[float]


def live_outcomes(
    found: Gathered, before: NDArray[np.bool_], live: NDArray[np.bool_], order: Mapping[str, int]
) -> Outcomes:
    """Return what was evaluated and what came since.

    Args:
        found: What is compared.
        before: Of each call of its frame, whether it belongs to the evaluation.
        live: Of each call, whether it came since.
        order: Place of each live call in time, by id.
    """
    frame, policy = found.frame, found.policy
    if found.basis is Basis.SEMANTIC:
        first, after = parts_of(
            found.audit,
            [before, live],
            basis=found.basis,
            draws=found.draws,
            weight_max=found.weight_max,
            icc=policy.icc,
        )
        harm = regressions(first, policy.delta).estimate
        # Both sides are divided by the largest weight, so that a drawn outcome stays within 0..1.
        top = max(first.weight_max, after.weight_max)
        drawn = [each.weight * float(each.outcome > 0) / top for each in after.draws]
        return Outcomes(harm, harm.high / top, drawn)
    differs = ~agreeing(frame)
    evaluated = frame[before]
    effect = design_effect(differs[before], clusters_in(evaluated), policy.icc)
    rate = bounds.anytime(int(differs[before].sum()), len(evaluated), policy.delta, deff=effect.value)
    pairs = sorted(zip(map(order.__getitem__, frame["call_id"][live]), differs[live].tolist(), strict=True))
    return Outcomes(rate, rate.high, [float(value) for _, value in pairs])


def live_alarm(store: Store, config: EvalConfig, fingerprint: str, policy: Policy, stage: Stage) -> bool:
    """Say whether calls that the candidate served got worse than it was evaluated.

    The detector (Shin, Ramdas and Rinaldo, 2023) begins anew with each fall of the share, so that an alarm
    moves the share once.

    Args:
        store: Holds comparisons, draws and labels.
        config: The eval.
        fingerprint: The candidate's.
        policy: What the team accepts.
        stage: Where the roll-out stands.
    """
    replay = live_replay_of(store, config.task, fingerprint)
    if replay is None:
        return False
    found = gather_of(store, config, fingerprint, policy)
    frame = found.frame
    served = (frame["replay_id"] == replay.replay_id).to_numpy(dtype=np.bool_)
    times = frame["occurred_at"].to_numpy()
    live = served
    if stage.lowered_at is not None:
        live = served & (times >= np.datetime64(naive_utc(stage.lowered_at)))
    if not live.any() or served.all():
        return False
    places = np.flatnonzero(live)
    ordered = places[np.argsort(times[places], kind="stable")]
    order = {frame["call_id"].iloc[place]: rank for rank, place in enumerate(ordered.tolist())}
    known = live_outcomes(found, ~served, live, order)
    if known.evaluated.high >= WATCHABLE:
        return False
    detector = EDetector(known.p0)
    detector.run(known.live)
    return bool(detector.alarms)
