"""What a sample of a size can prove at best, before it is paid for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.records import Basis, Policy
from workbench.stats import bounds
from workbench.stats.ladder import bound_needed, cap_of, stage_above
from workbench.stats.wording import measured, percent, plural


@dataclass(frozen=True, slots=True)
class Reach:
    """The bound and the stage that a sample supports where a share `rate` of its calls is harmful.

    `best` and `cap` are those without any harm, `bound` and `stage` those at `rate`. `next_stage` is the
    first above `cap`, and `next_calls` the calls that it takes without any harm; None at the top, or where
    no sample would do.
    """

    calls: int
    best: float
    cap: float
    rate: float | None
    bound: float | None
    stage: float | None
    next_stage: float | None
    next_calls: int | None

    def sentence(self, basis: Basis) -> str:
        """Return the same for a person.

        Args:
            basis: Of the task: what proves an answer harmless.
        """
        labelled = ", each labelled," if basis is Basis.SEMANTIC else ""
        text = f"{plural(self.calls, 'call')}{labelled} can show that at most {measured(self.best)} get worse"
        text += (
            f" if none does, which supports {percent(self.cap)} of traffic."
            if self.cap
            else " if none does, which moves nothing."
        )
        if self.rate and self.bound is not None and self.stage is not None:
            text += (
                f" Were {measured(self.rate)} of them harmful, as many as differ so far, "
                f"it would be {measured(self.bound)}, and {percent(self.stage)} of traffic."
            )
        if self.next_stage is not None and self.next_calls is not None:
            text += f" {percent(self.next_stage)} takes {plural(self.next_calls, 'call')} at least."
        return text


def reach(calls: int, policy: Policy, rate: float | None = None) -> Reach:
    """Return what a sample can prove, taking its calls as independent.

    Args:
        calls: Size of the whole sample, earlier calls included.
        policy: Level, tolerance and ladder.
        rate: Share of calls that may be harmful, 0..1; None where nothing is known.
    """
    delta = policy.delta
    best = bounds.anytime_upper(0.0, calls, delta)
    cap = cap_of(best, policy)
    bound = None if rate is None else bounds.anytime_upper(rate * calls, calls, delta)
    above = stage_above(cap, policy)
    needed = None if above is None else bounds.size_needed(0.0, min(bound_needed(above, policy), 1.0), delta)
    return Reach(
        calls=calls,
        best=best,
        cap=cap,
        rate=rate,
        bound=bound,
        stage=None if bound is None else cap_of(bound, policy),
        next_stage=above,
        next_calls=needed,
    )
