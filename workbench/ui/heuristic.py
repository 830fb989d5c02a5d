"""What the usual rule, "more than 95 % agree, then move", would say, and why the answers differ."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.records import Basis, Estimate, Recommendation
from workbench.ui.words import count, percent, stage

AGREEMENT_NEEDED = 0.95
FIRST_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class UsualRule:
    """The usual rule's answer. `share` is what it would move now; `why` says what it overlooks."""

    agreement: float | None
    share: float
    answer: str
    why: str


def usual_rule(agreement: Estimate, recommendation: Recommendation, looked: int | None = None) -> UsualRule:
    """Apply the usual rule to the same evidence.

    Args:
        agreement: Share of compared calls that agree.
        recommendation: The answer of the bound on harm.
        looked: Calls on which a person has said something; None where it is not known.
    """
    if agreement.point is None:
        return UsualRule(None, 0.0, "It has nothing to go by either.", "No call is compared yet.")
    share = FIRST_SHARE if agreement.point > AGREEMENT_NEEDED else 0.0
    seen = f"{percent(agreement.point)} of {count(agreement.n)} calls agree"
    answer = (
        f"{seen}: move {stage(FIRST_SHARE)} now, then 50 % and 100 %."
        if share
        else f"{seen}: not above 95 %, so nothing moves."
    )
    return UsualRule(agreement.point, share, answer, _why(share, recommendation, looked))


def _why(share: float, recommendation: Recommendation, looked: int | None) -> str:
    harm = percent(recommendation.harm.high)
    unseen = looked == 0
    if share and recommendation.cap <= 0:
        if recommendation.basis is Basis.SEMANTIC and unseen:
            return (
                "They differ because these answers are compared by similarity, and similar texts can mean "
                "the opposite. Nobody has looked yet, so nothing is proven."
            )
        return (
            "They differ because the usual rule counts agreement over all calls and stops there. "
            f"The binding reason here: {recommendation.binding_reason}"
        )
    if share and recommendation.share < share:
        return (
            f"Both would move traffic, but not as far: the evidence allows at most {harm} of calls to be "
            "worse, and a share rises one stage at a time. A team that looks every day at agreement alone "
            "will sooner or later see more than 95 % by chance."
        )
    if not share and recommendation.share > 0:
        return (
            "They differ because a different answer is not a worse one: "
            f"at most {harm} of calls get worse, whatever the agreement says."
        )
    if share:
        return f"Both move traffic; only the bound says how sure that is: at most {harm} of calls get worse."
    return f"Both say no. The bound also says how far off it is: at most {harm} of calls get worse."
