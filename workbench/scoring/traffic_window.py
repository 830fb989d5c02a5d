"""Where the traffic moved under the evidence: what the calls imported since say by themselves.

As long as the newest check (`traffic_check`) says that the traffic is another, a share may grow only if these
calls carry it alone, or, where only the mix moved, the evaluated harm by the new mix does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench import ramp
from workbench.normal import naive_utc
from workbench.records import Policy
from workbench.scoring.alone import evidence_alone
from workbench.scoring.traffic_check import TrafficCheck
from workbench.scoring.traffic_mix import by_new_mix
from workbench.specs import EvalConfig
from workbench.stats.evidence import SliceEvidence
from workbench.stats.ladder import cap_of
from workbench.stats.rows import Bools
from workbench.stats.wording import plural
from workbench.store.drift import imported_after

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Window:
    """The calls imported since a check's beginning, as evidence by themselves.

    `by_mix` is the largest bound on harm by the new mix, where mixes alone moved and all are of declared
    slices.
    """

    check: TrafficCheck
    evidence: ramp.Evidence
    by_mix: float | None

    def carries(self, share: float, policy: Policy, state: ramp.State) -> bool:
        """Say whether what is known of the new traffic carries a share."""
        if self.by_mix is not None and cap_of(self.by_mix, policy) >= share:
            return True
        return ramp.recommend(self.evidence, policy, state).share >= share

    @property
    def sentence(self) -> str:
        """Return why a share does not grow."""
        what = " and ".join(self.check.moved)
        compared = plural(self.evidence.task.compared, "compared call")
        begins = self.check.begins
        since = (
            f"imported since {self.check.since:%Y-%m-%d}" if begins is None else f"since {begins:%Y-%m-%d}"
        )
        then = ", and label: Review asks for what is new first." if self.check.content_moved else "."
        return (
            f"Traffic {since} is of another {what} than the evaluated "
            f"(checked {self.check.checked_at:%Y-%m-%d}): by the {compared} of it alone the evidence does "
            f"not carry the next stage. Replay a larger sample, so that more of it is compared{then}"
        )


def traffic_window(
    store: Store,
    config: EvalConfig,
    fingerprint: str,
    policy: Policy,
    found: ramp.Evidence,
    check: TrafficCheck,
) -> Window | None:
    """Return the evidence of the calls imported since the traffic moved; None where it did not.

    Args:
        store: Holds calls and comparisons.
        config: The eval.
        fingerprint: The candidate's.
        policy: What the team accepts.
        found: The evidence of all of it.
        check: What a look at them found.
    """
    if not check.moved:
        return None
    moment, begins = naive_utc(check.since), None if check.begins is None else naive_utc(check.begins)

    def chosen(compared: pd.DataFrame) -> Bools:
        new = imported_after(store, config.task, moment, begins=begins)["seq"]
        return compared["call_seq"].isin(new).to_numpy(dtype=np.bool_)

    alone = evidence_alone(store, config, fingerprint, policy, ("made after", moment, begins), chosen)
    return Window(check, alone.instead(found), _by_mix(check, found.slices, policy))


def _by_mix(check: TrafficCheck, slices: Sequence[SliceEvidence], policy: Policy) -> float | None:
    """Return the largest bound on harm by the new mixes, or None where they are not all that moved."""
    if check.content_moved or check.mix_look is None:
        return None
    bounds = []
    for each in check.mix:
        if each.shifted:
            found = by_new_mix(each, slices, policy.delta, check.mix_look)
            if found is None:
                return None
            bounds.append(found.high)
    return max(bounds, default=None)
