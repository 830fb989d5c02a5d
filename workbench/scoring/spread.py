"""How much less calls of one session or request tell than independent ones, for figures that only explain.

The figures count every compared call; how they spread is read off the closed batches, which are a random part
of them, and off all where none is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from workbench.compare import evaluator_version
from workbench.records import EvalKind
from workbench.scoring.columns import agreeing, clusters_in, named
from workbench.scoring.evidence import wanted_of
from workbench.specs import EvalConfig
from workbench.stats.cluster import design_effect
from workbench.store.compared import comparable, evidence_frame
from workbench.store.remembered import remembered

if TYPE_CHECKING:
    from workbench.store import Store

BYTES_A_LABEL = 200


@dataclass(frozen=True, slots=True)
class Spread:
    """Design effects, by which counts are divided, each at least 1.

    `agreement` is that of agreeing or not, `invalid` that of an answer that is none, `by_label` that of
    agreeing among the calls with one answer of the frontier.
    """

    agreement: float = 1.0
    invalid: float = 1.0
    by_label: Mapping[str, float] = field(default_factory=dict)


def spread_of(store: Store, config: EvalConfig, fingerprint: str) -> Spread:
    """Return the design effects of one task and candidate.

    Args:
        store: Holds the comparisons.
        config: The task's eval; its policy says how alike calls of a cluster are at least.
        fingerprint: The candidate's.
    """
    scope = (config.task, fingerprint, evaluator_version(config))
    question = ("spread", *scope, config.kind, config.policy.icc)
    return remembered(
        store,
        question,
        lambda: _spread(store, config, scope),
        lambda found: BYTES_A_LABEL * (1 + len(found.by_label)),
    )


def effect_on(effect: float, n: float) -> float:
    """Return a design effect for a count of n: at least 1, and no larger than the count."""
    return max(min(effect, n), 1.0)


def _spread(store: Store, config: EvalConfig, scope: tuple[str, str, str]) -> Spread:
    wanted, icc = wanted_of(config), config.policy.icc
    frame = comparable(evidence_frame(store, *scope, wanted=wanted))
    if frame.empty:
        frame = comparable(evidence_frame(store, *scope, wanted=wanted, begun=True))
    clusters = clusters_in(frame)
    differs = ~agreeing(frame)
    by_label: dict[str, float] = {}
    if config.kind is EvalKind.LABEL:
        for label, places in named(frame["control_group"]).places():
            own = [ids[places] for ids in clusters]
            by_label[label] = design_effect(differs[places], own, icc).value
    return Spread(
        agreement=design_effect(differs, clusters, icc).value,
        invalid=design_effect(frame["invalid"].to_numpy(dtype=np.bool_), clusters, icc).value,
        by_label=by_label,
    )
