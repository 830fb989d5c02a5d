"""How labels moved the bound, and what would change the decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from workbench import compare, sensitivity
from workbench.access import require, requires
from workbench.config import Workspace
from workbench.records import Basis, Estimate, Label, LabelVerdict, Policy
from workbench.review.states import (
    APART_SOURCES,
    EffectiveVerdict,
    Plan,
    State,
    Vote,
    draw_states,
    effective_verdicts,
    in_utc,
    scope_of,
)
from workbench.roles import Right
from workbench.stats.harm import net, regressions
from workbench.stats.ladder import cap_of
from workbench.stats.wording import measured, percent
from workbench.store import Store
from workbench.store.labels import Scope


@dataclass(frozen=True, slots=True)
class Effect:
    """How one label moved the bound, 0..1 of calls; where `moved` is below 0 the bound fell."""

    label_id: str
    before: Estimate
    after: Estimate
    cap_before: float
    cap_after: float
    moved: float
    text: str


@requires(Right.LABEL, Right.SEE)
def effect_of(
    workspace: Workspace, store: Store, task: str, candidate: str, label: Label, *, always: bool = False
) -> Effect | None:
    """Return how a label moved the bound, or None where reviewers are not to see it.

    The bound is asked for with and without this label at the moment it was given; all else is
    equal. Whoever sees that a label raised the bound knows which side was the frontier's, so
    reviewers see it only where the eval says `show_effect`.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the evidence is.
        task: The task.
        candidate: The candidate's name.
        label: The label that was given.
        always: Also where the eval does not allow it, for those who don't label.
    """
    from workbench import scoring

    if always:
        require(Right.SEE, task=task)
    config = workspace.eval_for(task)
    if not (config.review.show_effect or always) or label.source in APART_SOURCES:
        return None
    moment = in_utc(label.created_at) if label.created_at else None
    policy = config.policy
    before, after = (
        scoring.evidence(workspace, store, task, candidate, without=gone, moment=moment).task
        for gone in ((label.label_id,), ())
    )
    judge = net if policy.harm == "net" else regressions
    was, now = judge(before, policy.delta).estimate, judge(after, policy.delta).estimate
    caps = cap_of(was.high, policy), cap_of(now.high, policy)
    moved = now.high - was.high
    text = _text(now.high, moved, *caps, balance=policy.harm == "net")
    return Effect(label.label_id, was, now, *caps, moved, text)


def _text(high: float, moved: float, cap_before: float, cap_after: float, *, balance: bool) -> str:
    bound = f"{'On balance at most' if balance else 'At most'} {measured(high)} of calls get worse"
    if abs(moved) < 5e-5:
        text = f"{bound}; this label did not move it."
    else:
        points = f"{abs(100 * moved):.2f}".rstrip("0").rstrip(".")
        text = f"{bound}, {points} points {'more' if moved > 0 else 'less'} than before this label."
    if abs(cap_after - cap_before) > 1e-9:
        text += f" The evidence supports {percent(cap_after)} of traffic now, {percent(cap_before)} before."
    return text


@dataclass(frozen=True, slots=True)
class LabelMove:
    """One label that moved the upper bound, from `before` to `after` (0..1 of calls).

    `together` is above 1 where that many labels counted all at once, of which this is the last: those that no
    queue asked for count only when every disagreement has one.
    """

    label_id: str
    replay_id: str
    call_id: str
    annotator: str
    verdict: LabelVerdict
    source: str
    before: float
    after: float
    together: int = 1

    @property
    def moved(self) -> float:
        """Return by how much; below 0 the label helped."""
        return self.after - self.before


@requires(Right.READ)
def label_moves(
    workspace: Workspace, store: Store, task: str, candidate: str, *, limit: int | None = 10
) -> list[LabelMove]:
    """Return the labels that moved the upper bound the most, in the order of how far.

    A structural audit is followed in the order in which labels were given, the queue of a
    semantic task in that of its draws, which is how the bound takes them in.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the evidence is.
        task: The task.
        candidate: The candidate's name.
        limit: At most so many; None for all.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    config = workspace.eval_for(task)
    scope = scope_of(workspace, store, task, candidate)
    verdicts = effective_verdicts(store, *scope.params)
    if compare.basis(config) is Basis.SEMANTIC:
        found = _draw_moves(workspace, store, task, candidate, scope)
    else:
        found = _audit_moves(workspace, store, task, candidate, verdicts)
    found = [each for each in found if abs(each.moved) > 1e-12]
    found.sort(key=lambda each: -abs(each.moved))
    return found[:limit]


def _deciding(each: EffectiveVerdict) -> Vote:
    """Return the vote that gave a pair its verdict."""
    votes = [vote for vote in each.votes if vote.verdict is each.verdict]
    if each.adjudicated:
        return [vote for vote in votes if vote.source == "adjudicated"][-1]
    return votes[0]


def _draw_moves(
    workspace: Workspace, store: Store, task: str, candidate: str, scope: Scope
) -> list[LabelMove]:
    from workbench import scoring

    policy = workspace.eval_for(task).policy
    population = scoring.evidence(workspace, store, task, candidate).task
    path = sensitivity.draw_path(population, policy)
    mix = [each for each in draw_states(store, *scope.params) if each.plan is Plan.MIX]
    found = []
    for place, state in enumerate(mix[: len(population.draws)]):
        if state.state is State.LABELLED and state.effective:
            found.append(_move(state.effective, path[place], path[place + 1]))
    return found


def _audit_moves(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    verdicts: dict[tuple[str, str], EffectiveVerdict],
) -> list[LabelMove]:
    from workbench import scoring

    policy = workspace.eval_for(task).policy
    population = scoring.evidence(workspace, store, task, candidate).task
    calls, where = scoring.differing_calls(workspace, store, task, candidate)
    table = calls.table
    places = {call_id: int(where[place]) for call_id, place in calls.place_of.items()}
    lapsed = where[table.lapsed & ~table.looked].tolist()
    covered = bool(table.settled.all())
    counting = [
        each for (_, call_id), each in verdicts.items() if call_id in places and (each.counted or covered)
    ]
    order = {label_id: place for place, label_id in enumerate(_in_order(counting))}
    counting.sort(key=lambda each: (not each.counted, order[_deciding(each).label_id]))
    labels = [sensitivity.Judged(places[each.call_id], each.verdict) for each in counting]
    path = sensitivity.audit_path(population, where.tolist(), lapsed, labels, policy)
    asked = sum(each.counted for each in counting)
    found = [_move(each, path[place], path[place + 1]) for place, each in enumerate(counting[:asked])]
    if picked := len(counting) - asked:
        found.append(replace(_move(counting[-1], path[asked], path[-1]), together=picked))
    return found


def _in_order(found: Iterable[EffectiveVerdict]) -> list[str]:
    deciding = [_deciding(each) for each in found]
    return [vote.label_id for vote in sorted(deciding, key=lambda vote: vote.seq)]


def _move(each: EffectiveVerdict, before: float, after: float) -> LabelMove:
    vote = _deciding(each)
    return LabelMove(
        vote.label_id,
        each.replay_id,
        each.call_id,
        vote.annotator,
        each.verdict,
        vote.source,
        before,
        after,
    )


@requires(Right.SEE)
def what_would_change(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    current_share: float = 0.0,
    policy: Policy | None = None,
) -> sensitivity.Sensitivity:
    """Return which single missing evidence would change the decision on a candidate.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the evidence is.
        task: The task.
        candidate: The candidate's name.
        current_share: Share the candidate has now, 0..1.
        policy: Another policy than the eval's own.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    from workbench import scoring
    from workbench.scoring.considered import at_share
    from workbench.scoring.targets import fingerprint_of

    chosen = policy or workspace.eval_for(task).policy
    found = scoring.evidence(workspace, store, task, candidate, policy=chosen)
    config, now = workspace.eval_for(task), datetime.now(UTC)
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    found, state = at_share(store, config, candidate, fingerprint, found, chosen, current_share, now)
    return sensitivity.what_would_change(found, chosen, state)
