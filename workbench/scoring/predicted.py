"""Harm estimated with a prediction for every call: shown beside the bound, never a gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from workbench.access import requires
from workbench.config import Workspace
from workbench.records import Estimate, Policy, Verdict
from workbench.roles import Right
from workbench.scoring.columns import clusters_in
from workbench.scoring.gathered import Gathered, gather_compared
from workbench.stats.cluster import design_effect
from workbench.stats.parts import beside_predictions, outcomes_of
from workbench.stats.prediction import predicted_harm
from workbench.stats.wording import count, measured, plural

if TYPE_CHECKING:
    from workbench.store import Store

SCORE = "1 - similarity score"
GIVEN = "given predictions"
EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class PredictedHarm:
    """A prediction-powered estimate of the share of calls that get worse, or why there is none.

    `labels` outcomes were known, `others` calls had a prediction alone, and `left_out` had
    neither a prediction nor a place in the estimate. `power` says how far the predictor is
    trusted: 0 ignores it. No share rests on this.
    """

    estimate: Estimate | None
    power: float
    predictor: str
    labels: int
    others: int
    left_out: int
    reason: str

    @property
    def sentence(self) -> str:
        """Return the estimate in words."""
        if self.estimate is None or self.estimate.point is None:
            return f"No estimate with predictions: {self.reason}."
        low, high = max(self.estimate.low, 0.0), min(self.estimate.high, 1.0)
        known = self.labels + self.others
        of = f"{count(known)} of {plural(known + self.left_out, 'call')}" if self.left_out else "all calls"
        return (
            f"Estimated with predictions for {of}: {measured(max(self.estimate.point, 0.0))} get worse "
            f"({measured(low)} to {measured(high)}; {plural(self.labels, 'known outcome')}, "
            f"{count(self.others)} other calls). It moves no traffic."
        )


@requires(Right.SEE)
def predicted(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    predictions: Mapping[str, float] | None = None,
    policy: Policy | None = None,
) -> PredictedHarm:
    """Estimate the harm of a candidate by PPI++ (Angelopoulos, Duchi and Zrnic, 2023).

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        predictions: Chance of harm by call id, of a judge for example, for labelled and other calls
            alike; calls without one are left out. 1 - the similarity score unless given.
        policy: Another policy than the eval's own.

    Raises:
        UsageError: Task or candidate is unknown, or no batch is compared.
    """
    return predict(gather_compared(workspace, store, task, candidate, policy), predictions)


def predict(found: Gathered, predictions: Mapping[str, float] | None = None) -> PredictedHarm:
    """Return the estimate from calls that are gathered already; see `predicted`."""
    frame = found.frame
    if predictions is None:
        differs = (frame["verdict"] == Verdict.MISMATCH.value).to_numpy()
        scores = frame["score"].to_numpy(dtype=np.float64, na_value=np.nan)
        # A difference without a score, such as an error, is as far from equal as can be.
        guesses = np.where(np.isnan(scores), differs.astype(np.float64), 1 - scores)
    else:
        guesses = np.asarray([predictions.get(each, np.nan) for each in frame["call_id"]], dtype=np.float64)
    name = SCORE if predictions is None else GIVEN
    outcomes = outcomes_of(found.audit, basis=found.basis, draws=found.draws)
    if outcomes is None:
        reason = "an answer that is equal after normalisation was found worse, so outcomes are not known"
        return PredictedHarm(None, 0.0, name, 0, 0, len(frame), reason)
    known = np.isfinite(guesses)
    within = np.zeros(len(frame), dtype=np.bool_)
    for pool in outcomes.pools:
        within |= pool
    if not known[within].all() and np.ptp(outcomes.weights) > EPSILON:
        # The weights stand for all calls together: those of a part don't add up to it.
        reason = (
            f"{plural(int((within & ~known).sum()), 'call')} without a prediction, and the labels were "
            "drawn with unequal chances, so that no call can be left out"
        )
        return PredictedHarm(None, 0.0, name, 0, 0, int((~known).sum()), reason)
    labelled = np.zeros(len(frame), dtype=np.bool_)
    labelled[outcomes.places] = True
    used = known[outcomes.places]
    places = outcomes.places[used]
    others = int((known & within & ~labelled).sum())
    taken = replace(
        outcomes,
        places=places,
        harmed=outcomes.harmed[used],
        weights=outcomes.weights[used],
        pool=outcomes.pool[used],
    )
    # A queue that aims takes more from some strata than from others: the calls it left are no sample of
    # all, and only all calls of its batches have the mean that the weighted draws stand for.
    own, rest = beside_predictions(taken, guesses)
    answer = predicted_harm(
        taken.harmed,
        own,
        rest,
        found.policy.delta,
        weights=taken.weights,
        deff=design_effect(
            taken.harmed, [each[places] for each in clusters_in(frame)], found.policy.icc
        ).value,
    )
    return PredictedHarm(
        estimate=answer.estimate,
        power=answer.power,
        predictor=name,
        labels=int(places.size),
        others=others,
        left_out=len(frame) - int(places.size) - others,
        reason=answer.reason,
    )
