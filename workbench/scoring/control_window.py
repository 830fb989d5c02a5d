"""Has the frontier changed under the evidence: another model, or another system prompt?

What was compared with a model that no longer answers says little of the one that does. Where most of the
newest calls are answered by a control that most of the evidence was not compared with, a share may grow only
if the evidence of the newer control carries it alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import ramp
from workbench.compare import evaluator_version
from workbench.records import Policy
from workbench.scoring.alone import evidence_alone
from workbench.scoring.evidence import wanted_of
from workbench.specs import EvalConfig
from workbench.stats.rows import Bools
from workbench.stats.wording import measured
from workbench.store.compared import evidence_frame
from workbench.store.control_window import KEYS, controls_of, newest_controls

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store

NEWEST = 200
"""Calls that say who answers now."""
SAMPLE = 1_000
"""Compared calls that say who answered then."""
MOVED = 0.5
"""By so much the share of one model or prompt must differ between the two."""


@dataclass(frozen=True, slots=True)
class Change:
    """The control's `key`, model or prompt, is `value` in a share `now` of the newest calls.

    It was in a share `then` of the compared ones.
    """

    key: str
    value: str
    now: float
    then: float

    @property
    def sentence(self) -> str:
        """Return it in words."""
        who = f"answered by {self.value}" if self.key == "model" else "asked under another system prompt"
        return (
            f"{measured(self.now)} of the newest calls are {who}, and {measured(self.then)} of the compared "
            "ones: by these alone the evidence does not carry the next stage. Import newer logs and replay a "
            "sample of them (`workbench replay --new`)."
        )


def change_of(newest: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]]) -> Change | None:
    """Return how the control changed, or None.

    A system prompt that differs from call to call is none that changed: the commonest one has to be most
    of the newest calls.

    Args:
        newest: Model and prompt of the newest calls.
        compared: The same of compared calls.
    """
    if not newest or not compared:
        return None
    for key in KEYS:
        [(value, n)] = Counter(each[key] for each in newest).most_common(1)
        now = n / len(newest)
        then = sum(each[key] == value for each in compared) / len(compared)
        if value is not None and now - then > MOVED:
            return Change(key, str(value), now, then)
    return None


def control_window(
    store: Store, config: EvalConfig, fingerprint: str, policy: Policy, found: ramp.Evidence
) -> tuple[ramp.Evidence, Change] | None:
    """Return the evidence of the newer control alone, and what changed; None where nothing did.

    Args:
        store: Holds calls and comparisons.
        config: The eval.
        fingerprint: The candidate's.
        policy: What the team accepts.
        found: The evidence of all of it.
    """
    newest = newest_controls(store, config.task, NEWEST)
    if not newest:
        return None
    scope = (config.task, fingerprint, evaluator_version(config))
    compared = evidence_frame(store, *scope, wanted=wanted_of(config))["call_seq"].to_numpy(dtype=np.int64)
    step = max(len(compared) // SAMPLE, 1)
    change = change_of(newest, controls_of(store, compared[::step].tolist()))
    if change is None:
        return None

    def chosen(compared: pd.DataFrame) -> Bools:
        seqs = compared["call_seq"].to_numpy(dtype=np.int64)
        mine = [row["seq"] for row in controls_of(store, seqs.tolist()) if row[change.key] == change.value]
        return np.isin(seqs, mine)

    name = ("control", change.key, change.value)
    return evidence_alone(store, config, fingerprint, policy, name, chosen).instead(found), change
