"""What some of the compared calls say by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compare import basis, evaluator_version
from workbench.records import Basis, Policy, Verdict, to_json
from workbench.review import draw_states, effective_verdicts
from workbench.scoring.evidence import EVIDENCE_BYTES, wanted_of, weighed
from workbench.specs import EvalConfig
from workbench.stats.evidence import Evidence, Population
from workbench.stats.parts import part_of
from workbench.stats.rows import Bools
from workbench.store.compared import comparable, evidence_frame
from workbench.store.remembered import remembered

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Alone:
    """Some of the compared calls: their population, and how many of them are invalid or differ ignorably."""

    population: Population
    invalid: int
    ignored: int

    def instead(self, found: Evidence) -> Evidence:
        """Return evidence with these calls in place of all; what is not known of them alone stays."""
        return replace(found, task=self.population, invalid=self.invalid, ignored=self.ignored)


def evidence_alone(
    store: Store,
    config: EvalConfig,
    fingerprint: str,
    policy: Policy,
    name: tuple[Any, ...],
    chosen: Callable[[pd.DataFrame], Bools],
) -> Alone:
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

    def made() -> Alone:
        compared = comparable(evidence_frame(*scope, wanted=wanted_of(config)))
        verdicts = effective_verdicts(*scope)
        calls, draws, weight_max = weighed(store, config, scope, compared, verdicts, states)
        rows = np.flatnonzero(chosen(compared))
        population = part_of(
            calls,
            rows,
            basis=basis(config),
            draws=draws if basis(config) is Basis.SEMANTIC else (),
            weight_max=weight_max,
            icc=policy.icc,
        )
        mine = compared.iloc[rows]
        return Alone(
            population,
            invalid=int(mine["invalid"].sum()),
            ignored=int((mine["verdict"] == Verdict.IGNORED.value).sum()),
        )

    question = ("evidence alone", name, *scope[1:], to_json(config), policy, hash(tuple(states)))
    return remembered(store, question, made, lambda _: EVIDENCE_BYTES)
