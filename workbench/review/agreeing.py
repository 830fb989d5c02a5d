"""Agreement among reviewers, per version of the guidelines and per pair of people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from workbench.access import requires
from workbench.config import Workspace
from workbench.records import Estimate
from workbench.review.states import fingerprint_of
from workbench.roles import Right
from workbench.stats.agreement import LOW_AGREEMENT, krippendorff_alpha, pairwise_kappa
from workbench.store import Store
from workbench.store import labels as rows

LEAST_DOUBLED = 10
"""Pairs judged twice that it takes to say that people agree little: two people may differ on one or two."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How two people agree on the `n` pairs that both judged under one version of the guidelines."""

    first: str
    second: str
    n: int
    agreed: int
    kappa: Estimate
    low: bool


@dataclass(frozen=True, slots=True)
class VersionAgreement:
    """Agreement under one version of the guidelines.

    `labels` counts blind labels, `reviewers` those who gave them, `doubled` the pairs judged
    by two or more. `current` says that these are the guidelines as they stand. `low` says
    that alpha is below .6: the bound then measures the reviewers, not the model.
    """

    guideline_version: str
    current: bool
    labels: int
    reviewers: int
    doubled: int
    alpha: Estimate
    pairs: tuple[PairAgreement, ...]
    low: bool


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """Agreement among the reviewers of a task, the guidelines as they stand first."""

    task: str
    candidate: str | None
    versions: tuple[VersionAgreement, ...]

    @property
    def warning(self) -> str:
        """Return what to say above the bound; empty where nothing is wrong.

        It takes `LEAST_DOUBLED` pairs to say so. Once so many were judged twice under the guidelines as
        they stand, those alone tell whether people agree.
        """
        told = [each for each in self.versions if each.doubled >= LEAST_DOUBLED]
        low = [each for each in ([each for each in told if each.current] or told) if each.low]
        if not low:
            return ""
        worst = min(low, key=lambda each: each.alpha.point or 0.0)
        where = "the guidelines as they stand" if worst.current else "earlier guidelines"
        return (
            f"Reviewers agree little under {where} (alpha {worst.alpha.point:.2f} on {worst.doubled:,} pairs "
            "judged twice): the bound measures the reviewers, not the model. Make the guidelines clearer."
        )


@requires(Right.LABEL, Right.SEE)
def agreement(workspace: Workspace, store: Store, task: str, candidate: str | None = None) -> AgreementReport:
    """Return how far people agree who judged the same pairs blind.

    Only labels under the same guidelines are held against each other; adjudications,
    checks, hand-picked and imported labels are no blind second opinions and stay out.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: One candidate; None for all.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    config = workspace.eval_for(task)
    fingerprints = (
        [fingerprint_of(workspace, store, candidate)] if candidate else rows.candidates_replayed(store, task)
    )
    versions: dict[str, dict[tuple[str, str], dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for fingerprint in fingerprints:
        for row in rows.label_rows(store, task, fingerprint):
            if row["current"] and row["verdict"] and row["source"] == "queue":
                found = versions[row["guideline_version"] or ""]
                found[row["replay_id"], row["call_id"]][row["annotator"]] = row["verdict"]
    reports = [
        _version(version, version == config.guideline_version, list(pairs.values()))
        for version, pairs in versions.items()
    ]
    reports.sort(key=lambda each: (not each.current, -each.labels, each.guideline_version))
    return AgreementReport(task, candidate, tuple(reports))


def _version(version: str, current: bool, ratings: list[dict[str, str]]) -> VersionAgreement:
    alpha = krippendorff_alpha(ratings)
    pairs = []
    for (first, second), kappa in pairwise_kappa(ratings).items():
        both = [each for each in ratings if first in each and second in each]
        agreed = sum(each[first] == each[second] for each in both)
        pairs.append(PairAgreement(first, second, len(both), agreed, kappa, _low(kappa)))
    return VersionAgreement(
        guideline_version=version,
        current=current,
        labels=sum(map(len, ratings)),
        reviewers=len({name for each in ratings for name in each}),
        doubled=sum(len(each) >= 2 for each in ratings),
        alpha=alpha,
        pairs=tuple(pairs),
        low=_low(alpha),
    )


def _low(found: Estimate) -> bool:
    return found.point is not None and found.point < LOW_AGREEMENT
