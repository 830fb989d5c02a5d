"""Candidates of a task by size: the smallest whose bound holds is what a team looks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.records import Estimate, Policy, Recommendation
from workbench.scoring.overview import OverviewRow
from workbench.stats import ladder
from workbench.stats.wording import measured, percent

BY_PARAMETERS, BY_COST = "parameters", "cost a call"


@dataclass(frozen=True, slots=True)
class Rung:
    """One candidate. `size` is billions of parameters or US dollars a call.

    `holds` says that its bound, `high`, is within the tolerance and that no guard forbids all traffic.
    """

    candidate: str
    size: float | None
    holds: bool
    high: float
    cap: float
    synthetic: bool


@dataclass(frozen=True, slots=True)
class SizeLadder:
    """Candidates of one task, the smallest first; those of unknown size stand last.

    `by` is what orders them, None where nothing does. `smallest` is the smallest candidate whose
    bound holds, `partly` the smallest that may take some traffic, where that is another.
    Made-up candidates stand among the rungs and are never named.
    """

    task: str
    by: str | None
    rungs: tuple[Rung, ...]
    smallest: str | None
    partly: str | None

    @property
    def unsized(self) -> tuple[str, ...]:
        """Return the candidates of unknown size."""
        return tuple(each.candidate for each in self.rungs if each.size is None)

    @property
    def sentence(self) -> str:
        """Return what the ladder says."""
        real = [each for each in self.rungs if not each.synthetic]
        if not real:
            return "Only synthetic candidates were compared."
        if len(real) == 1:
            only = f"One candidate was compared: {real[0].candidate}."
            return f"{only} Its bound {'holds' if real[0].holds else 'does not yet hold'} for 100 %."
        if self.by is None:
            holding = ", ".join(each.candidate for each in real if each.holds) or "none"
            return f"Which candidate is smaller is not known. The bound holds for 100 % with: {holding}."
        by = f" by {self.by}"
        if self.smallest is not None:
            found = next(each for each in self.rungs if each.candidate == self.smallest)
            said = (
                f"The smallest candidate{by} whose bound holds for 100 %: {self.smallest}, at most "
                f"{measured(found.high)} worse. Evidence lets it take {percent(found.cap)} of the traffic."
            )
        else:
            said = "No candidate's bound holds for 100 % yet."
        if self.partly is not None:
            cap = next(each.cap for each in self.rungs if each.candidate == self.partly)
            said += f" The smallest{by} that evidence lets take some traffic: {self.partly}, {percent(cap)}."
        if self.smallest is not None and self.unsized:
            # One of those may be smaller still.
            said += f" Of unknown size: {', '.join(self.unsized)}."
        return said


def size_ladder(rows: Sequence[OverviewRow], policy: Policy) -> SizeLadder:
    """Return the candidates of one task by size.

    Parameters order them where all are known, else the measured cost of a call where all are
    known; else those whose parameters are known stand first.

    Args:
        rows: Rows of one task, at least one.
        policy: What the team accepts.
    """
    parameters = [row.size_billions for row in rows]
    costs = [row.candidate_usd.point if row.candidate_usd else None for row in rows]
    sizes, by = costs, BY_COST
    if None in costs or None not in parameters:
        sizes, by = parameters, BY_PARAMETERS
    order = sorted(
        range(len(rows)),
        key=lambda at: (sizes[at] is None, sizes[at] or 0.0, costs[at] or 0.0, rows[at].candidate),
    )
    rungs = tuple(
        Rung(
            rows[at].candidate,
            sizes[at],
            bound_holds(rows[at], policy),
            judged(rows[at].recommendation, policy).high,
            rows[at].recommendation.cap,
            rows[at].synthetic,
        )
        for at in order
    )
    known = [each for each in rungs if each.size is not None and not each.synthetic]
    smallest = next((each for each in known if each.holds), None)
    partly = next((each for each in known if each.cap > 0), None)
    return SizeLadder(
        task=rows[0].task,
        by=by if known else None,
        rungs=rungs,
        smallest=smallest.candidate if smallest else None,
        partly=partly.candidate if partly and partly != smallest else None,
    )


def judged(answer: Recommendation, policy: Policy) -> Estimate:
    """Return what the policy looks at: calls that get worse, or those less the ones that get better."""
    return answer.net if policy.harm == "net" else answer.harm


def bound_holds(row: OverviewRow, policy: Policy) -> bool:
    """Say whether a candidate's bound is within the tolerance, and no guard forbids all traffic."""
    within = judged(row.recommendation, policy).high <= policy.tolerance + ladder.EPSILON
    return within and row.recommendation.cap > 0
