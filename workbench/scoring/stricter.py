"""Stricter readings of the same evidence: they may keep a share from growing, and nothing else.

Two choices lie with whoever replays, after the first answers were seen: to drop a sample
that was begun, and to try another candidate on the same calls. Either makes what is left
look better than it is. And the frontier or the traffic may have changed since (`control_window`,
`traffic_window`). No such reading can lower a live share that was accepted as recommended, or raise any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from workbench import ramp
from workbench.records import Policy, Recommendation
from workbench.stats.wording import count, percent, plural

BEGUN = (
    "{calls} of samples that are not finished look worse than the closed ones: with them the evidence does "
    "not carry the next stage. Finish the replay; a sample that is dropped after its answers were seen "
    "would make the rest look better than it is."
)
TRIED = (
    "{tried} were tried on these calls, and the best of several is partly the luckiest: {sure} sure of "
    "each, the evidence does not carry the next stage. More calls do."
)


def decide(
    found: ramp.Evidence,
    policy: Policy,
    state: ramp.State,
    begun: Callable[[], tuple[ramp.Evidence, int] | None],
    tried: int,
    windows: Sequence[Callable[[float], str | None]] = (),
) -> Recommendation:
    """Recommend a share, and hold it where a stricter reading of the evidence would.

    Args:
        found: The evidence of closed batches.
        policy: What the team accepts.
        state: Where the roll-out stands.
        begun: Returns the evidence with the calls of unfinished batches in it and how many
            these are, or None without any. Asked only where a share would grow.
        tried: Candidates tried on the same calls, this one included.
        windows: Each says why the evidence since something changed does not carry a share by itself;
            None where it does, or nothing changed. Asked only where a share would grow.

    Returns:
        The recommendation. Its reasons say how many candidates were tried.
    """
    answer = ramp.recommend(found, policy, state)
    several = replace(found, candidates=max(tried, found.candidates))
    if answer.share > state.accepted:
        held = []
        if (other := begun()) is not None and ramp.recommend(other[0], policy, state).share < answer.share:
            held.append(BEGUN.format(calls=plural(other[1], "call")))
        if tried > 1 and ramp.recommend(several, policy, state).share < answer.share:
            sure = percent(1 - policy.delta / tried)
            held.append(TRIED.format(tried=plural(tried, "candidate"), sure=sure))
        held += [why for window in windows if (why := window(answer.share)) is not None]
        if held:
            answer = ramp.recommend(replace(found, held=(*found.held, *held)), policy, state)
    if tried <= 1:
        return answer
    best = ramp.recommend(several, policy, state)
    said = (
        f"{count(tried)} candidates were tried on these calls. If this one was picked as the best of them, "
        f"the evidence supports up to {percent(min(best.cap, answer.cap))} "
        f"({percent(1 - policy.delta / tried)} sure of each)."
    )
    details = {**answer.details, "candidates_tried": tried, "cap_of_best": min(best.cap, answer.cap)}
    return replace(answer, reasons=(*answer.reasons, said), details=details)
