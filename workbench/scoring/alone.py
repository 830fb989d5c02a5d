"""What some of the compared calls say by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compare import basis, evaluator_version
from workbench.records import Basis, Policy, to_json
from workbench.review import draw_states, effective_verdicts
from workbench.scoring.evidence import EVIDENCE_BYTES, wanted_of, weighed
from workbench.specs import EvalConfig
from workbench.stats.evidence import Population
from workbench.stats.parts import part_of
from workbench.stats.rows import Bools
from workbench.store.compared import comparable, evidence_frame
from workbench.store.remembered import remembered

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store


def evidence_alone(
    store: Store,
    config: EvalConfig,
    fingerprint: str,
    policy: Policy,
    name: tuple[Any, ...],
    chosen: Callable[[pd.DataFrame], Bools],
) -> Population:
    """Return the evidence of some of the compared calls by themselves.

    Args:
        store: Holds comparisons, draws and labels.
        config: The eval.
        fingerprint: The candidate's.
        policy: What the team accepts.
        name: What tells these calls from others.
        chosen: Returns which rows of an `evidence_frame` without uncomparable ones they are.
    """
    scope = (store, config.task, fingerprint, evaluator_version(config))
    states = draw_states(*scope)

    def made() -> Population:
        compared = comparable(evidence_frame(*scope, wanted=wanted_of(config)))
        verdicts = effective_verdicts(*scope)
        calls, draws, weight_max = weighed(store, config, scope, compared, verdicts, states)
        return part_of(
            calls,
            np.flatnonzero(chosen(compared)),
            basis=basis(config),
            draws=draws if basis(config) is Basis.SEMANTIC else (),
            weight_max=weight_max,
            icc=policy.icc,
        )

    question = ("evidence alone", name, *scope[1:], to_json(config), policy, hash(tuple(states)))
    return remembered(store, question, made, lambda _: EVIDENCE_BYTES)
