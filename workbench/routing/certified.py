"""A rule for routing, learnt on one half of the calls and proven on the other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.records import Basis, Estimate, LabelVerdict, Policy
from workbench.routing.tree import Bools, Columns, Floats, Places, Tree, grow, in_words
from workbench.slices import ATTRIBUTE, rare_as_other, slice_values
from workbench.slices_found import attributes_with_few_values, templates
from workbench.slices_found.ranking import furthest_within, harm_of
from workbench.specs import SliceRule
from workbench.stats.audit import AuditRow, DrawRow, from_rows
from workbench.stats.evidence import Population
from workbench.stats.harm import regressions
from workbench.stats.ladder import EPSILON
from workbench.stats.thresholds import frozen_grid
from workbench.stats.wording import confidence as told
from workbench.stats.wording import count, get_worse, measured, percent, plural, sentence_case

_PART = "part"
_NUMBERS = {"input_chars": "input characters", "turn_depth": "turns", "tool_count": "tools"}


@dataclass(frozen=True, slots=True)
class LeafClaim:
    """One leaf of the rule. `harm` is that of the half it is proven on, at delta over the leaves."""

    conditions: str
    traffic_share: float
    calls: int
    harm: Estimate
    to_candidate: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class WrongPath:
    """How often a path is wrong: `of_path` among the calls on it, `of_all` among all calls.

    None where no call takes the path.
    """

    of_path: Estimate | None
    of_all: Estimate | None


@dataclass(frozen=True, slots=True)
class Routed:
    """One way to route: by rule, by confidence, or both. `share` goes to the candidate.

    `harm_at_most` bounds harm among the calls sent (under `harm = "net"` worse minus better, which may be
    below 0), with the policy's level for this way
    alone; None where none is sent. `leaves` of the rule are sent whole; of those in `by_confidence` the calls
    with a confidence of at least `threshold`. Only the rule saves asking the candidate.
    """

    way: str
    share: float
    harm_at_most: float | None
    threshold: float | None
    sentence: str
    leaves: tuple[int, ...] = ()
    by_confidence: tuple[int, ...] = ()

    def sends(self, leaf: Places, confidence: Floats) -> Bools:
        """Return which calls it sends to the candidate.

        Args:
            leaf: The rule's leaf of each call.
            confidence: The candidate's own; NaN where it is not known.
        """
        sent = np.isin(leaf, self.leaves)
        if self.threshold is not None:
            sent |= np.isin(leaf, self.by_confidence) & (confidence >= self.threshold)
        return np.asarray(sent, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class RoutingReport:
    """The rule, what is proven of it, and what other ways of routing reach on the same calls."""

    tree: Tree
    leaves: tuple[LeafClaim, ...]
    sent_though_harmed: WrongPath
    kept_though_fine: WrongPath
    ways: tuple[Routed, ...]
    learnt_from: int
    proven_on: int

    @property
    def text(self) -> str:
        """Return the report as lines."""
        lines = [
            f"Learnt from {plural(self.learnt_from, 'call')}, proven on {count(self.proven_on)} others.",
            *(each.sentence for each in self.leaves),
        ]
        if self.sent_though_harmed.of_path is not None:
            rate = self.sent_though_harmed.of_path
            lines.append(f"Sent to the candidate though harmed: at most {measured(rate.high)} of those sent.")
        if self.kept_though_fine.of_path is not None:
            rate = self.kept_though_fine.of_path
            lines.append(
                f"Kept on the frontier though fine: {measured(rate.low)} to {measured(rate.high)} of those."
            )
        return "\n".join([*lines, *(each.sentence for each in self.ways)])

    def sends(self, columns: Columns) -> Bools:
        """Return which calls the rule sends to the candidate."""
        sent = np.asarray([each.to_candidate for each in self.leaves], dtype=np.bool_)
        return np.asarray(sent[self.tree.leaf_of(columns)], dtype=np.bool_)


def features_of(
    calls: Sequence[Mapping[str, Any]], systems: Sequence[str], texts: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return what is known before each call, as the rule takes it.

    Args:
        calls: What `slices.value_of` takes, with `attributes` as objects.
        systems: System prompt of each call.
        texts: Input of each call.
    """
    found: dict[str, NDArray[Any]] = {
        name: np.asarray([_number(call.get(key)) for call in calls], dtype=np.float64)
        for key, name in _NUMBERS.items()
    }
    rules = [SliceRule("language"), SliceRule("model")]
    rules += [SliceRule(f"{ATTRIBUTE}{name}", name=name) for name in attributes_with_few_values(calls)]
    values = slice_values(rules, calls)
    values["template"] = rare_as_other(templates(systems, texts))
    return found | {
        name: np.asarray(column, dtype=object) for name, column in values.items() if name not in found
    }


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def learning_half(rows: Sequence[AuditRow], *, seed: int = 0) -> Bools:
    """Return which calls the rule is learnt from, by a hash of what they share.

    Calls of one session are in one half, as are equal requests outside of sessions.
    """

    def first(row: AuditRow) -> bool:
        key = f"{seed}|{row.session or row.request_hash or row.call_id}"
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[0] < 128

    return np.fromiter((first(row) for row in rows), dtype=np.bool_, count=len(rows))


def route(
    rows: Sequence[AuditRow],
    columns: Columns,
    policy: Policy,
    *,
    basis: Basis = Basis.STRUCTURAL,
    draws: Sequence[DrawRow] = (),
    weight_max: float = 1.0,
    confidence: Sequence[float | None] | None = None,
    seed: int = 0,
) -> RoutingReport:
    """Learn a rule and prove what it may send to the candidate.

    Args:
        rows: Compared calls, as `audit.from_rows` takes them.
        columns: What is known before each of them, in the same order.
        policy: Tolerance, level, kind of harm, planned correlation.
        basis: What agreement proves. Of a structural task every disagreement is harm until
            it is labelled; of a semantic one only drawn labels count.
        draws: The queue's draws, for a semantic comparison.
        weight_max: The largest weight of the queue's plan.
        confidence: The candidate's own, 0..1, for comparison; None is not known.
        seed: Of the halves.
    """
    learning = learning_half(rows, seed=seed)
    loss, weight = losses_of(rows, draws, basis)
    tree = grow(
        {name: column[learning] for name, column in columns.items()},
        loss[learning],
        weight[learning],
        tolerance=policy.tolerance,
        delta=policy.delta,
        least=policy.minimum_pairs,
    )
    leaf = tree.leaf_of(columns) if columns else np.zeros(len(rows), dtype=np.int64)
    proving = ~learning
    n = int(proving.sum())

    def parts(members: Sequence[Bools]) -> list[Population]:
        """Return the evidence of some sets of calls, none of which was learnt from."""
        keys: list[list[tuple[str, str]]] = [[] for _ in rows]
        for number, marked in enumerate(members):
            for place in np.flatnonzero(marked & proving).tolist():
                keys[place].append((_PART, str(number)))
        marked_rows = [replace(row, slices=tuple(own)) for row, own in zip(rows, keys, strict=True)]
        evidence = from_rows(marked_rows, basis=basis, draws=draws, weight_max=weight_max, icc=policy.icc)
        found = {int(each.value): each.population for each in evidence.slices}
        return [found.get(number, Population(basis=basis)) for number in range(len(members))]

    leaves = range(len(tree.leaves))
    populations = parts([leaf == number for number in leaves])
    shares = [float((leaf[proving] == number).sum()) / n if n else 0.0 for number in leaves]
    delta = policy.delta / len(tree.leaves)
    claims = tuple(
        _claim(in_words(tree.leaves[number]), populations[number], shares[number], policy, delta)
        for number in leaves
    )
    harms = [regressions(each, delta).estimate for each in populations]
    sent = [number for number in leaves if claims[number].to_candidate]
    kept = [number for number in leaves if not claims[number].to_candidate]
    ways = [_by_rule(claims, shares, sent, policy)]
    if confidence is not None:
        known = np.asarray([math.nan if each is None else each for each in confidence], dtype=np.float64)
        ways.append(_by_confidence(known, len(tree.leaves), proving, n, parts, policy))
        hopeful = _hopeful(leaf[learning], loss[learning], weight[learning], policy)
        ways.append(_by_both(known, leaf, hopeful, populations, shares, proving, n, parts, policy))
    return RoutingReport(
        tree=tree,
        leaves=claims,
        sent_though_harmed=_wrong_path(
            [harms[each] for each in sent], [shares[each] for each in sent], policy.delta
        ),
        kept_though_fine=_wrong_path(
            [_fine(harms[each]) for each in kept], [shares[each] for each in kept], policy.delta
        ),
        ways=tuple(ways),
        learnt_from=int(learning.sum()),
        proven_on=n,
    )


def losses_of(rows: Sequence[AuditRow], draws: Sequence[DrawRow], basis: Basis) -> tuple[Floats, Floats]:
    """Return harm and weight of each call, to learn from."""
    worse = LabelVerdict.CONTROL_BETTER
    if basis is Basis.SEMANTIC:
        drawn = {each.call_id: each for each in draws if each.verdict is not None or each.lapsed}
        own = [drawn.get(row.call_id) for row in rows]
        loss = [each is not None and each.verdict in (None, worse) for each in own]
        return (
            np.asarray(loss, dtype=np.float64),
            np.asarray([0.0 if each is None else each.weight for each in own], dtype=np.float64),
        )
    differs = [row.invalid or not row.agrees for row in rows]
    loss = [bad and row.verdict in (None, worse) for bad, row in zip(differs, rows, strict=True)]
    return np.asarray(loss, dtype=np.float64), np.ones(len(rows))


def _hopeful(leaf: Places, loss: Floats, weight: Floats, policy: Policy) -> list[int]:
    """Return the leaves that look good on the half that was learnt from."""
    bad, known = np.bincount(leaf, weights=weight * loss), np.bincount(leaf, weights=weight)
    good = (known > 0) & (bad <= policy.tolerance * known)
    return [int(each) for each in np.flatnonzero(good)]


def _claim(conditions: str, population: Population, share: float, policy: Policy, delta: float) -> LeafClaim:
    harm = harm_of(population, policy, delta)
    good = population.compared > 0 and harm.high <= policy.tolerance + EPSILON
    where = "the candidate" if good else "the frontier"
    sentence = (
        f"{sentence_case(conditions)}: to {where} ({measured(share)} of calls; "
        f"{get_worse(harm.high, policy, of='')}, {percent(1 - delta)} sure)."
    )
    return LeafClaim(conditions, share, population.compared, harm, good, sentence)


def _fine(harm: Estimate) -> Estimate:
    """Return the share of calls that do not get worse."""
    point = None if harm.point is None else 1 - harm.point
    return replace(harm, point=point, low=max(1 - harm.high, 0.0), high=1 - harm.low)


def _wrong_path(rates: Sequence[Estimate], shares: Sequence[float], delta: float) -> WrongPath:
    """Join leaves: their bounds hold together, so the mean by share of traffic does, too."""
    whole = math.fsum(shares)
    if whole <= 0:
        return WrongPath(None, None)

    def joined(scale: float) -> Estimate:
        points = [each.point for each in rates]
        known = [each for each in points if each is not None]
        pairs = list(zip(rates, shares, strict=True))
        return replace(
            rates[0],
            point=math.fsum(each * share for each, share in zip(known, shares, strict=True)) / scale
            if len(known) == len(points)
            else None,
            low=math.fsum(each.low * share for each, share in pairs) / scale,
            high=math.fsum(each.high * share for each, share in pairs) / scale,
            level=1 - delta,
            method="by leaf, joined",
            n=math.fsum(each.n for each in rates),
            n_effective=math.fsum(each.n_effective for each in rates),
        )

    return WrongPath(joined(whole), joined(1.0))


def _by_rule(
    claims: Sequence[LeafClaim], shares: Sequence[float], sent: Sequence[int], policy: Policy
) -> Routed:
    share = math.fsum(shares[each] for each in sent)
    if not sent:
        return Routed("rule", 0.0, None, None, "By the rule: no call is proven to be safe.")
    most = math.fsum(claims[each].harm.high * shares[each] for each in sent) / share
    sentence = (
        f"By the rule: {measured(share)} of calls, {get_worse(most, policy, of='of them ')}; the candidate "
        f"is asked for no other."
    )
    return Routed("rule", share, most, None, sentence, leaves=tuple(sent))


Parts = Callable[[Sequence[Bools]], list[Population]]


def _by_confidence(
    confidence: Floats, leaves: int, proving: Bools, n: int, parts: Parts, policy: Policy
) -> Routed:
    grid = frozen_grid(confidence[proving])
    passed = furthest_within(parts([confidence >= each for each in grid]), policy, policy.delta)
    if passed is None:
        return Routed("confidence", 0.0, None, None, "By confidence: no threshold is proven to be safe.")
    threshold = grid[passed.place]
    share = float((confidence[proving] >= threshold).sum()) / n
    sentence = (
        f"By confidence of at least {told(threshold)}: {measured(share)} of calls, "
        f"{get_worse(passed.harm.high, policy, of='of them ')}; the candidate is asked for every call."
    )
    everywhere = tuple(range(leaves))
    return Routed("confidence", share, passed.harm.high, threshold, sentence, by_confidence=everywhere)


def _by_both(
    confidence: Floats,
    leaf: Places,
    hopeful: Sequence[int],
    populations: Sequence[Population],
    shares: Sequence[float],
    proving: Bools,
    n: int,
    parts: Parts,
    policy: Policy,
) -> Routed:
    """Send what the rule sends, and of the rest what the candidate is sure of; each at delta / 2.

    Which leaves the rule may send is decided on the half it was learnt from, so that the rest
    does not depend on the outcomes that prove it.
    """
    delta = policy.delta / 2
    harms = {each: harm_of(populations[each], policy, delta / len(hopeful)) for each in hopeful}
    good = [each for each in hopeful if harms[each].high <= policy.tolerance + EPSILON]
    rest = proving & ~np.isin(leaf, list(hopeful))
    grid = frozen_grid(confidence[rest])
    passed = furthest_within(parts([rest & (confidence >= each) for each in grid]), policy, delta)
    threshold = None if passed is None else grid[passed.place]
    more = 0.0 if threshold is None else float((rest & (confidence >= threshold)).sum()) / n
    by_rule = math.fsum(shares[each] for each in good)
    share = by_rule + more
    if share <= 0:
        return Routed("both", 0.0, None, None, "By both: nothing is proven to be safe.")
    worst = math.fsum(harms[each].high * shares[each] for each in good)
    most = (worst + (passed.harm.high * more if passed else 0.0)) / share
    sentence = (
        f"By both: {measured(share)} of calls, {measured(by_rule)} by the rule; "
        f"{get_worse(most, policy, of='of them ')}."
    )
    others = tuple(sorted(set(leaf.tolist()) - set(hopeful)))
    return Routed("both", share, most, threshold, sentence, tuple(good), others)
