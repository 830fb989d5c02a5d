"""What moved the bound, and which single piece of evidence would change the decision. Pure.

`bound_path` follows the upper bound from label to label; `what_would_change` asks the
decision again with one thing added at a time, and returns what changes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from workbench import ramp
from workbench.records import Action, Basis, Estimate, LabelVerdict, Policy, Recommendation
from workbench.stats.ahead import labelled_on, least, open_disagreements
from workbench.stats.evidence import Evidence, Population, WeightedOutcome
from workbench.stats.harm import highs_of_regressions, net, regressions
from workbench.stats.ladder import EPSILON
from workbench.stats.wording import percent, plural

MOST_LABELS = 20_000
"""More labels than this are not worth asking for."""
MOST_TIMES = 50
"""Nor are more compared calls than this many times those there are."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A label on a disagreement: its place among all compared calls in audit order, and its verdict."""

    place: int
    verdict: LabelVerdict


def upper_bound(population: Population, policy: Policy, delta: float) -> float:
    """Return the bound that the decision looks at: of harm, or of net harm where the policy asks for it."""
    judged = net(population, delta) if policy.harm == "net" else regressions(population, delta)
    return judged.estimate.high


def audit_path(
    population: Population,
    disagreements: Sequence[int],
    lapsed: Sequence[int],
    labels: Sequence[Judged],
    policy: Policy,
) -> list[float]:
    """Return the upper bound before the first label of a structural audit and after each one.

    Clusters are taken as they are known now, so that the path shows what labels did and
    nothing else.

    Args:
        population: The evidence with all the labels.
        disagreements: Places of all disagreements among the compared calls, ascending.
        lapsed: Places of those that were skipped or lapsed without a verdict.
        labels: The labels that count, in the order in which they were given.
        policy: Kind of harm and level.
    """
    status: dict[int, LabelVerdict | None] = dict.fromkeys(lapsed)
    reached = harms = better = settled = lapses = 0
    cleared = cleared_better = 0

    def advance() -> int:
        """Take in every disagreement up to the first open one; return how many calls that reaches."""
        nonlocal reached, harms, better, settled, lapses
        while reached < len(disagreements) and disagreements[reached] in status:
            said = status[disagreements[reached]]
            harms += said in (None, LabelVerdict.CONTROL_BETTER)
            better += said is LabelVerdict.CANDIDATE_BETTER
            lapses += said is None
            settled += 1
            reached += 1
        return disagreements[reached] if reached < len(disagreements) else population.compared

    def now(audited: int) -> Population:
        return replace(
            population,
            audited=audited,
            audited_disagreements=settled,
            audited_lapses=lapses,
            harms=harms,
            audited_better=better,
            cleared=cleared,
            cleared_better=cleared_better,
        )

    path = [now(advance())]
    for each in labels:
        status[each.place] = each.verdict
        if each.verdict is not LabelVerdict.CONTROL_BETTER:
            cleared += 1
            cleared_better += each.verdict is LabelVerdict.CANDIDATE_BETTER
        path.append(now(advance()))
    if policy.harm == "net":
        return [upper_bound(each, policy, policy.delta) for each in path]
    return highs_of_regressions(path, policy.delta)


def draw_path(population: Population, policy: Policy) -> list[float]:
    """Return the upper bound of a semantic comparison before the first draw, and after each that counts."""
    return [
        upper_bound(replace(population, draws=population.draws[:n]), policy, policy.delta)
        for n in range(len(population.draws) + 1)
    ]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would change the decision by itself, and what it would then be.

    `up` says that more traffic could move. `n` is how many labels or calls it takes, where it
    is a number of them.
    """

    what: str
    sentence: str
    up: bool
    action: Action
    share: float
    cap: float
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What would change a decision: each alone, and all that is missing together.

    `changes` is empty where no single piece of evidence would do; `sentence` says it in words.
    """

    changes: tuple[Change, ...]
    together: Change | None
    sentence: str


def what_would_change(
    evidence: Evidence,
    policy: Policy,
    state: ramp.State | None = None,
) -> Sensitivity:
    """Return which single missing evidence would change the decision.

    Each kind of missing evidence is filled in alone, as good as it could come out: labels
    without harm, a latency within the limit, enough days. Harmful labels are asked about too:
    how few would take traffic away. It says what could be, not what will be.

    Args:
        evidence: What is known. Where it does not say where disagreements stand (`differing`), a label
            is taken to reach no further than its own call, until all are labelled: it may take fewer than
            is said.
        policy: What the team accepts.
        state: Where the roll-out stands; None is no live traffic yet.
    """
    state = state or ramp.State()
    now = ramp.recommend(evidence, policy, state)
    found: list[Change] = []
    fillers = _fillers(evidence, policy, state, now)
    for what, sentence, other, at in fillers:
        _add(found, now, ramp.step_of(other, policy, at), what, sentence)

    def labelled(k: int, harmful: bool) -> ramp.Step:
        return ramp.step_of(_labelled(evidence, k, harmful=harmful), policy, state)

    clean = _fewest(lambda k: labelled(k, False), now, up=True)
    if clean:
        k, answer = clean
        _add(found, now, answer, "labels", _clean_labels(evidence.task, k), k)
    harmful = _fewest(lambda k: labelled(k, True), now, up=False)
    if harmful:
        k, answer = harmful
        _add(found, now, answer, "harmful_labels", f"The next {plural(k, 'label')} saying worse", k)
    calls = _more_calls(evidence, policy, state, now)
    if calls:
        k, answer = calls
        _add(found, now, answer, "calls", f"About {plural(k, 'more compared call')} like those so far", k)
    together = _together(evidence, policy, state, now, fillers, found)
    return Sensitivity(tuple(found), together, _summary(now, found, together))


def _differs(now: Recommendation, other: ramp.Step) -> bool:
    return abs(now.share - other.share) > EPSILON or abs(now.cap - other.cap) > EPSILON


def _is_up(now: Recommendation, other: ramp.Step) -> bool:
    return (other.share, other.cap) > (now.share, now.cap)


def _add(
    found: list[Change],
    now: Recommendation,
    other: ramp.Step,
    what: str,
    sentence: str,
    n: int | None = None,
) -> None:
    if not _differs(now, other):
        return
    if abs(now.share - other.share) > EPSILON:
        effect = f"share {percent(now.share)} to {percent(other.share)}"
    else:
        effect = f"supported share {percent(now.cap)} to {percent(other.cap)}"
    text = f"{sentence}: {effect}."
    found.append(Change(what, text, _is_up(now, other), other.action, other.share, other.cap, n))


def _days(days: float) -> str:
    return f"{days:g} day{'' if days == 1 else 's'}"


_Filler = tuple[str, str, Evidence, ramp.State]


def _fillers(evidence: Evidence, policy: Policy, state: ramp.State, now: Recommendation) -> list[_Filler]:
    """Return the evidence with each missing measurement filled in, one at a time."""
    failing = {each.name for each in now.guards if not each.ok}
    found: list[_Filler] = []
    limit = policy.latency_p95_ms
    if "latency" in failing and evidence.latency_p95_ms is None and limit is not None:
        measured = Estimate(limit, limit, limit, policy.level, "within the limit", 1, 1.0)
        sentence = "A latency at production rate within the limit"
        found.append(("latency", sentence, replace(evidence, latency_p95_ms=measured), state))
    if "days_of_traffic" in failing:
        days = policy.minimum_days_of_traffic
        sentence = f"Evidence that spans {_days(days)}"
        found.append(("days_of_traffic", sentence, replace(evidence, days=days), state))
    if "stage" in failing:
        later = replace(
            state,
            days_in_stage=max(state.days_in_stage or 0.0, policy.minimum_days_in_stage),
            live_compared=max(state.live_compared or 0, policy.minimum_live_calls),
        )
        sentence = (
            f"{plural(policy.minimum_live_calls, 'compared live call')} and "
            f"{_days(policy.minimum_days_in_stage)} in the stage"
        )
        found.append(("stage", sentence, evidence, later))
    if "held" in failing:
        found.append(("held", "What holds the share settled", replace(evidence, held=()), state))
    return found


def _labelled(evidence: Evidence, k: int, *, harmful: bool) -> Evidence:
    """Return the evidence with so many more labels of one kind, as the queue would ask for them."""
    task = evidence.task
    if task.basis is Basis.SEMANTIC:
        more = (WeightedOutcome(1.0, int(harmful)),) * k
        largest = max(task.weight_max, 1.0)
        return replace(
            evidence, task=replace(task, draws=task.draws + more, weight_max=largest, looked=task.looked + k)
        )
    if evidence.differing is None:
        audited = _audited_at_least(task, min(k, open_disagreements(task)), harmful)
    else:
        audited = labelled_on(task, k, evidence.differing, harmful=harmful)
    # Where nothing disagrees a look at any output counts as a look.
    return replace(evidence, task=replace(audited, looked=task.looked + k))


def _clean_labels(task: Population, k: int, *, start: str = "About") -> str:
    """Say how many labels without harm it takes; the queue hands out some ahead of their turn."""
    where = " on disagreements, in order," if task.basis is Basis.STRUCTURAL and task.disagreements else ""
    return f"{start} {plural(k, 'more label')}{where} without harm"


def _audited_at_least(task: Population, k: int, harmful: bool) -> Population:
    """Return the same where it is not known where the disagreements stand: the next may follow at once."""
    whole = k >= open_disagreements(task)
    ahead = max(task.disagreements - task.audited_disagreements, 0)
    taken = ahead if whole else min(k, ahead)
    return replace(
        task,
        audited=task.compared if whole else min(task.audited + taken, task.compared),
        audited_disagreements=task.audited_disagreements + taken,
        harms=task.harms + (k if harmful else 0),
        cleared=task.cleared + (0 if harmful else k),
        set_aside=0 if whole else min(task.set_aside, ahead - taken),
    )


def _fewest(
    ask: Callable[[int], ramp.Step], now: Recommendation, *, up: bool, share: bool = False
) -> tuple[int, ramp.Step] | None:
    """Return the smallest number for which the decision moves the way asked about, and that decision.

    With `share`, it is the share itself that must grow, not only what the evidence supports.
    """

    def moves(answer: ramp.Step) -> bool:
        if share:
            return answer.share > now.share + EPSILON
        return _differs(now, answer) and _is_up(now, answer) is up

    answers: dict[int, ramp.Step] = {}

    def does(number: int) -> bool:
        answers[number] = ask(number)
        return moves(answers[number])

    found = least(does, MOST_LABELS)
    return None if found is None else (found, answers[found])


def _more_calls(
    evidence: Evidence, policy: Policy, state: ramp.State, now: Recommendation
) -> tuple[int, ramp.Step] | None:
    """Return how many more compared calls at the same rates would let more traffic move."""
    task = evidence.task
    if task.basis is Basis.SEMANTIC or not task.compared:
        return None

    def ask(more: int) -> ramp.Step:
        return ramp.step_of(replace(evidence, task=_grown(task, more)), policy, state)

    step = max(task.compared // 20, 1)
    found = _fewest(lambda k: ask(k * step), now, up=True)
    if found is None or found[0] * step > MOST_TIMES * task.compared:
        return None
    return found[0] * step, found[1]


def _grown(task: Population, more: int) -> Population:
    """Return a structural population with more calls, of which as many disagree, all of them open."""
    disagreeing = math.ceil(task.disagreements * more / task.compared - EPSILON)
    whole = task.audited >= task.compared
    return replace(
        task,
        compared=task.compared + more,
        disagreements=task.disagreements + disagreeing,
        audited=task.audited + (math.floor(more / (disagreeing + 1)) if whole else 0),
        normalised=task.normalised + math.floor(task.normalised * more / task.compared),
    )


def _together(
    evidence: Evidence,
    policy: Policy,
    state: ramp.State,
    now: Recommendation,
    fillers: Sequence[_Filler],
    found: Sequence[Change],
) -> Change | None:
    """Return what would let more traffic move if it all came in, where no single piece does."""
    if any(each.share > now.share + EPSILON for each in found):
        return None
    at = state
    best = evidence
    named = []
    for what, sentence, other, later in fillers:
        named.append(sentence[0].lower() + sentence[1:])
        at = later if what == "stage" else at
        best = replace(
            best,
            latency_p95_ms=other.latency_p95_ms,
            days=other.days if what == "days_of_traffic" else best.days,
            held=other.held if what == "held" else best.held,
        )
    few = _fewest(
        lambda k: ramp.step_of(_labelled(best, k, harmful=False), policy, at),
        now,
        up=True,
        share=True,
    )
    if few is None:
        return None
    named.append(_clean_labels(best.task, few[0], start="about"))
    one: list[Change] = []
    text = " and ".join(named)
    _add(one, now, few[1], "together", text[0].upper() + text[1:], few[0])
    return one[0] if one else None


def _summary(now: Recommendation, found: Sequence[Change], together: Change | None) -> str:
    sharing = [each for each in found if each.share > now.share + EPSILON]
    if sharing:
        said = " ".join(each.sentence for each in sharing)
        return (
            f"{'Any one of these' if len(sharing) > 1 else 'This alone'} would let more traffic move: {said}"
        )
    if together:
        return f"No single piece of evidence would let more traffic move. Together: {together.sentence}"
    if now.share > now.current_share + EPSILON:
        most = f"{percent(now.share)} is the most that may move now, whatever else is known"
        if now.share >= 1 - EPSILON:
            return f"{most}: it is all of the traffic."
        after = " What is missing is missing for the stages after it." if now.missing else ""
        return f"{most}: traffic grows one stage at a time.{after}"
    if now.missing:
        missing = " ".join(now.missing)
        return f"No single piece of evidence would let more traffic move. Missing for more: {missing}"
    return "No missing evidence would let more traffic move now."
