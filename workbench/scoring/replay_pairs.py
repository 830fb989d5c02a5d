"""Two replays of one task side by side, over the calls that both of them asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.access import requires
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.costing import tokens_cost_usd
from workbench.errors import UsageError
from workbench.records import Estimate
from workbench.roles import Right
from workbench.stats import bounds
from workbench.stats.paired import mcnemar, tango
from workbench.stats.wording import count, plural
from workbench.store.labels import task_of_replay
from workbench.store.replay_facts import side_by_side
from workbench.store.replays import ReplayRow, replays_of

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class ReplaySide:
    """One of two replays, over the shared calls.

    `agreement` is with the recorded answers, over the calls that are compared in both; `usd_per_call`
    is None where no price is known or an answer came without token counts. Latencies are those at the
    pace of the replay, and no production's.
    """

    replay_id: str
    candidate: str
    answered: int
    failed: int
    agreement: Estimate
    p50_ms: float | None
    p95_ms: float | None
    usd_per_call: float | None


@dataclass(frozen=True, slots=True)
class ReplayPair:
    """Two replays side by side.

    `shared` calls were asked in both, `lost` in one alone: nothing here is about these. Of the
    `compared`, `both` agree with the recorded answer in both replays, `first_alone` and `second_alone` in
    one, `neither` in none. `difference` is the first's agreement less the second's, paired, for one look;
    `p_value` is that of no difference.
    """

    task: str
    first: ReplaySide
    second: ReplaySide
    shared: int
    lost: tuple[int, int]
    compared: int
    both: int
    first_alone: int
    second_alone: int
    neither: int
    difference: Estimate
    p_value: float | None

    @property
    def sentence(self) -> str:
        """Return what the comparison comes to."""
        if not self.shared:
            return "These replays have no call in common: draw both samples with the same seed."
        if not self.compared:
            return "No call is compared in both under the present eval: run workbench compare."
        gap = self.difference
        one, other = self.first.candidate, self.second.candidate
        if one == other:
            one, other = f"{one} (first)", f"{other} (second)"
        if gap.low > 0 or gap.high < 0:
            better, worse = (one, other) if gap.low > 0 else (other, one)
            return f"{better} agrees more often than {worse} on {plural(self.compared, 'shared call')}."
        return f"On {plural(self.compared, 'shared call')} neither is shown to agree more often."

    @property
    def lost_sentence(self) -> str:
        """Return how many calls were left out because one replay alone asked them."""
        left = sum(self.lost)
        return (
            f"{count(self.shared)} calls were asked in both; {count(left)} in one alone are left out."
            if left
            else f"{plural(self.shared, 'call')}, all asked in both."
        )


@requires(Right.SEE, task=lambda given: task_of_replay(given["store"], given["first"]))
def replay_pair(workspace: Workspace, store: Store, first: str, second: str) -> ReplayPair:
    """Set two replays of one task side by side.

    Args:
        workspace: Names the eval and the prices.
        store: Holds answers and comparisons.
        first: Id of a replay.
        second: Id of another.

    Raises:
        UsageError: One of them is not known, both are the same, or they are of two tasks.
    """
    known = {each.replay_id: each for each in replays_of(store)}
    for each in (first, second):
        if each not in known:
            raise UsageError(f"There is no replay {each!r}.", "The page Replays lists them all.")
    if first == second:
        raise UsageError("A replay can't be set beside itself.", "Choose two.")
    one, other = known[first], known[second]
    if one.task != other.task:
        raise UsageError("These replays are of two tasks.", "Choose two of one task.")
    config = workspace.eval_for(one.task)
    found = side_by_side(store, (first, second), evaluator_version(config))
    n, delta = int(found["compared"]), config.policy.delta
    alone = int(found["a_alone"]), int(found["b_alone"])
    agreeing = [int(found["both"]) + each for each in alone]
    return ReplayPair(
        task=one.task,
        first=_side(workspace, one, found["a"], bounds.exact(agreeing[0], n, delta)),
        second=_side(workspace, other, found["b"], bounds.exact(agreeing[1], n, delta)),
        shared=int(found["shared"]),
        lost=(int(found["only_a"]), int(found["only_b"])),
        compared=n,
        both=int(found["both"]),
        first_alone=alone[0],
        second_alone=alone[1],
        neither=int(found["neither"]),
        difference=tango(alone[0], alone[1], n, delta / 2),
        p_value=mcnemar(*alone) if n else None,
    )


def _side(workspace: Workspace, row: ReplayRow, told: dict[str, Any], agreement: Estimate) -> ReplaySide:
    spec = next((each for each in workspace.config.candidates if each.name == row.candidate), None)
    price = workspace.price_of(spec.price or spec.model) if spec else None
    cost = None
    if price is not None and told["metered"] and told["metered"] == told["answered"]:
        tokens = (told["input_tokens"], told["cached_input_tokens"], told["output_tokens"])
        cost = tokens_cost_usd(*tokens, price) / told["metered"]
    return ReplaySide(
        replay_id=row.replay_id,
        candidate=row.candidate,
        answered=int(told["answered"]),
        failed=int(told["failed"]),
        agreement=agreement,
        p50_ms=told["p50_ms"],
        p95_ms=told["p95_ms"],
        usd_per_call=cost,
    )
