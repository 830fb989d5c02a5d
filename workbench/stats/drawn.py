"""The queue's draws as evidence about all calls they were drawn from, or about a part of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from workbench.records import Basis, LabelVerdict
from workbench.stats.calls import Calls
from workbench.stats.cluster import DesignEffect, design_effect
from workbench.stats.evidence import Population, WeightedOutcome
from workbench.stats.rows import AuditRow, Bools, DrawRow, Places, count


def semantic(
    rows: Iterable[AuditRow],
    draws: Sequence[DrawRow],
    *,
    weight_max: float,
    part: Iterable[AuditRow] | None = None,
    icc: float = 0.05,
) -> Population:
    """Return the evidence of a semantic comparison, or that of a part of its calls.

    Draws that fall into a part are a sample of it whose weights are off by one
    factor: the part's chance of being drawn over its share of traffic. It follows from
    the weight of the draw and the share of what it was aimed at, inside the part and overall:
    of mismatches, or of those of one slice. Shares are those of the batches that were there when it
    was drawn. Where that slice is declared no more, the draw says nothing of a part.

    The factor is known before the draw, and so is the largest weight it leaves: that is the draw's
    ceiling. The largest that came up, for all, would choose the stakes of early draws by late ones.

    Args:
        rows: Every compared call, each once.
        draws: The queue's draws of the whole task, in draw order.
        weight_max: The largest weight of the plan.
        part: The rows of a slice or group; the whole task if left out.
        icc: Planned correlation within a cluster.
    """
    calls = Calls.of(rows)
    places: Places | None = None
    if part is not None:
        wanted = {row.call_id for row in part}
        places = np.flatnonzero([call_id in wanted for call_id in calls.place_of])
    return Draws(calls, draws, weight_max, icc).population(places)


class Draws:
    """The queue's draws beside the calls they were drawn from.

    Args:
        calls: Every compared call, each once.
        draws: The queue's draws of the whole task, in draw order.
        weight_max: The largest weight of the plan.
        icc: Planned correlation within a cluster.
    """

    def __init__(self, calls: Calls, draws: Sequence[DrawRow], weight_max: float, icc: float) -> None:
        self.calls, self.table, self.weight_max, self.icc = calls, calls.table, weight_max, icc
        self.place_of = calls.place_of
        self.draws = draws
        self.closed = closed_draws(draws)
        by_focus = {draw.focus: draw for draw in self.closed}
        self.aims = {focus: self._aimed_at(draw) for focus, draw in by_focus.items()}

    def _aimed_at(self, draw: DrawRow) -> Bools:
        """Return which calls a draw was aimed at."""
        differs = ~self.table.agrees
        if draw.focus is None:
            return differs
        if draw.aimed_at is None:
            return differs & self.calls.inside(draw.focus)
        inside = np.zeros(len(self.table), dtype=np.bool_)
        inside[[self.place_of[each] for each in draw.aimed_at if each in self.place_of]] = True
        return differs & inside

    def population(self, places: Places | None = None) -> Population:
        """Return the evidence of all calls, or of the calls at some places."""
        table = self.table
        part = np.ones(len(table), dtype=np.bool_)
        if places is not None:
            part = np.zeros(len(table), dtype=np.bool_)
            part[places] = True
        differs = ~table.agrees[part]
        shares = self._shares(part) if places is not None else {}
        outcomes: list[WeightedOutcome] = []
        members: list[int | None] = []
        for draw in self.closed:
            place = self.place_of.get(draw.call_id)
            factor = 1.0
            if places is not None:
                if place is None or not part[place]:
                    continue
                overall, within = shares[draw.focus, draw.batches]
                if draw.focus and not overall:
                    continue
                factor = _factor(draw.weight, bool(self.aims[draw.focus][place]), overall, within)
            weight, ceiling = draw.weight * factor, self.weight_max * factor
            outcomes.append(WeightedOutcome(weight, outcome_of(draw), max(ceiling, weight)))
            members.append(place)
        largest = max((each.ceiling for each in outcomes), default=self.weight_max)
        looked, unseen = table.looked, table.unseen
        for draw in self.draws:
            if draw.verdict is not None and draw.call_id in self.place_of:
                looked[self.place_of[draw.call_id]] = True
                unseen[self.place_of[draw.call_id]] = False
        drawn = [[None if place is None else int(ids[place]) for place in members] for ids in table.clusters]
        return Population(
            basis=Basis.SEMANTIC,
            compared=int(differs.size),
            disagreements=count(differs),
            draws=tuple(outcomes),
            weight_max=largest,
            looked=count(looked & part),
            unseen=count(unseen & part),
            disagreement_effect=design_effect(differs, [ids[part] for ids in table.clusters], self.icc),
            harm_effect=_harm_effect(outcomes, members, drawn, self.icc),
        )

    def _shares(self, part: Bools) -> dict[tuple[tuple[str, str] | None, int | None], tuple[float, float]]:
        """Return how much of all calls, and of a part, a draw was aimed at, by its focus and its batches."""
        found = {}
        for focus, batches in {(draw.focus, draw.batches) for draw in self.closed}:
            # Calls stand in the order of their batches.
            end = None if batches is None else int(np.searchsorted(self.calls.batch, batches))
            aim, inside = self.aims[focus][:end], part[:end]
            found[focus, batches] = (_share(aim), _share(aim[inside]))
        return found


def _harm_effect(
    outcomes: Sequence[WeightedOutcome],
    members: Sequence[int | None],
    clusters: Sequence[Sequence[int | None]],
    icc: float,
) -> DesignEffect:
    """Return what clusters cost, and that a call tells once what it tells however often it is drawn.

    The effect of sessions and equal requests among the calls that were drawn, times sum c^2 / sum c for calls
    drawn c times each: a call that is put back makes the estimate no surer. Source: as for unequal weights,
    Kish, Survey Sampling, 1965.

    Args:
        outcomes: Of each draw.
        members: The call of each; None for one that is not among the compared.
        clusters: One sequence for each kind of cluster, by draw.
        icc: Planned correlation within a cluster.
    """
    times = Counter(place for place in members if place is not None)
    first = {place: at for at, place in reversed(list(enumerate(members))) if place is not None}
    once = [at for at, place in enumerate(members) if place is None or first[place] == at]
    effect = design_effect(
        [outcomes[at].outcome > 0 for at in once], [[ids[at] for at in once] for ids in clusters], icc
    )
    if len(once) == len(members):
        return effect
    repeated = sum(n * n for n in times.values()) + len(members) - sum(times.values())
    value = min(effect.value * repeated / len(members), float(len(members)))
    return replace(effect, value=value, used="repeated")


def closed_draws(draws: Sequence[DrawRow]) -> list[DrawRow]:
    """Return the draws that count: those before the first one still open."""
    closed: list[DrawRow] = []
    for draw in draws:
        if draw.verdict is None and not draw.lapsed:
            break
        closed.append(draw)
    return closed


def outcome_of(draw: DrawRow) -> int:
    """Return +1 for harm or a lapse, -1 for a better candidate, 0 otherwise."""
    if draw.verdict is None or draw.verdict is LabelVerdict.CONTROL_BETTER:
        return 1
    return -1 if draw.verdict is LabelVerdict.CANDIDATE_BETTER else 0


def _share(marked: Bools) -> float:
    return count(marked) / marked.size if marked.size else 0.0


def _factor(weight: float, aimed: bool, overall: float, within: float) -> float:
    """Return the part's chance of being drawn over its share, when this draw was made.

    The plan has two odds of being drawn: of what it aims at and of the rest. The draw's own
    is 1 / weight, and the other follows because all probabilities sum to 1.
    """
    own, other = (overall, 1 - overall) if aimed else (1 - overall, overall)
    odds = 1 / weight
    others = (1 - own * odds) / other if other > 0 else odds
    share = within if aimed else 1 - within
    return share * odds + (1 - share) * max(others, 0.0)
