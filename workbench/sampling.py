"""Which calls are replayed, and which of the compared ones people look at.

Everything here is chosen by hashes of a seed, so that the same command again chooses
the same calls and a larger sample extends the smaller one.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from workbench.records import Verdict

NORMALISATION_PAIRS = 20
"""How many pairs that agree only after normalisation are drawn for an audit."""
SIMILARITY_EDGES = (0.0, 0.6, 0.8, 0.9, 0.95, 1.0)
CORE = 0.8
"""Share of draws that follow the traffic; the rest is aimed at mismatches."""
WEIGHT_MAX = 1 / CORE
"""The largest stratum share over probability that the plan allows."""
HORIZON = 300
"""How many draws ahead the plan keeps enough mismatches in reserve for."""


@dataclass(frozen=True, slots=True)
class SampledCall:
    """One call drawn for a replay. `rank` counts from 0 over the whole sample."""

    call_id: str
    rank: int
    inclusion_probability: float


def draw_sample(
    call_ids: Iterable[str], n: int | None, seed: int, already: Iterable[str] = ()
) -> list[SampledCall]:
    """Draw calls at random, or extend an earlier draw.

    Args:
        call_ids: Every call that may be drawn.
        n: Size of the whole sample, the earlier draw included; None for all calls.
        seed: Seed of the draw.
        already: Calls drawn earlier; they stay.

    Returns:
        The calls to add, in random order. Without new calls in the log, the earlier
        sample and the addition are together what one larger draw would have been;
        `inclusion_probability` is each call's chance to be in that whole sample.
    """
    pool = set(call_ids)
    kept = set(already)
    total = pool | kept
    size = len(total) if n is None else min(max(n, 0), len(total))
    order = sorted(pool - kept, key=lambda call_id: (_hash("sample", seed, call_id), call_id))
    chance = size / len(total) if total else 0.0
    return [
        SampledCall(call_id, len(kept) + place, chance)
        for place, call_id in enumerate(order[: max(size - len(kept), 0)])
    ]


def audit_key(replay_id: str, call_id: str) -> str:
    """Return the key that orders a call within its batch for auditing."""
    return hashlib.sha256(f"audit\0{replay_id}\0{call_id}".encode()).hexdigest()[:32]


def draw_normalisation_pairs(call_ids: Iterable[str], seed: int, n: int = NORMALISATION_PAIRS) -> list[str]:
    """Draw pairs that agree only after normalisation, to check the normalisation itself.

    Args:
        call_ids: Calls whose outputs agree but are not identical.
        seed: Seed of the draw.
        n: How many.

    Returns:
        Calls in random order; a larger n extends a smaller one.
    """
    return sorted(set(call_ids), key=lambda call_id: (_hash("normalisation", seed, call_id), call_id))[:n]


@dataclass(frozen=True, slots=True)
class PoolItem:
    """One compared call that the queue may draw. `batch` counts the batches that closed before its own."""

    call_id: str
    verdict: Verdict
    similarity: float | None = None
    flagged: bool = False
    batch: int = 0

    @property
    def mismatch(self) -> bool:
        """Return whether the call belongs to the strata the queue aims at."""
        return self.verdict is Verdict.MISMATCH

    @property
    def stratum(self) -> str:
        """Return verdict, similarity bin and contradiction flag as one name."""
        return stratum(self.verdict, self.similarity, self.flagged)


@dataclass(frozen=True, slots=True)
class QueueDraw:
    """One draw of the queue, to be stored before anybody sees the item.

    `probability` is that of the stratum when it was drawn, `weight` its share over it.
    `focused` says that the draw was aimed at the mismatches of a slice.
    """

    call_id: str
    position: int
    stratum: str
    stratum_share: float
    probability: float
    weight: float
    weight_max: float = WEIGHT_MAX
    focused: bool = False


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No draw is possible: every call that the plan may take has been drawn.

    Stopping here keeps the bound valid; more compared calls let the queue go on.
    """

    reason: str


def stratum(verdict: Verdict, similarity: float | None, flagged: bool) -> str:
    """Return the name of a stratum: verdict, similarity bin, contradiction flag."""
    place = _similarity_bin(similarity)
    where = f"{SIMILARITY_EDGES[place - 1]:g}-{SIMILARITY_EDGES[place]:g}" if place else "unknown"
    kind = "mismatch" if verdict is Verdict.MISMATCH else "match"
    return f"{kind} {where}{' flagged' if flagged else ''}"


def _similarity_bin(similarity: float | None) -> int:
    """Return the bin counted from 1, or 0 where the similarity is unknown."""
    if similarity is None:
        return 0
    return max(min(bisect_right(SIMILARITY_EDGES, similarity), len(SIMILARITY_EDGES) - 1), 1)


def _stratum_key(item: PoolItem) -> tuple[bool, int, bool]:
    return item.mismatch, _similarity_bin(item.similarity), item.flagged


def next_draw(
    pool: Sequence[PoolItem],
    drawn: Mapping[str, float],
    *,
    seed: int,
    position: int,
    focus: frozenset[str] | None = None,
    earlier: Sequence[frozenset[str]] = (),
    batches: Collection[int] = (),
) -> QueueDraw | Exhausted:
    """Choose the next call to label in a semantic comparison.

    A stratum h with share W_h is drawn with probability q_h = 0.8 W_h + 0.2 focus_h,
    the focus being the mismatch strata in proportion to W_h. All mismatch strata so
    have the same odds q_h / W_h, and all others too, so the draw is made in two
    steps, kind first and then a random undrawn call of that kind, each time in another
    order: a small stratum can't run out by itself.

    With `focus`, the aim is the mismatches of one slice. Calls that ever had other odds than
    the rest of their kind are a kind of their own from then on, so that the undrawn calls of
    each kind are always a random part of it: those of a slice that was aimed at, and those that
    were not there yet when earlier draws were made.

    Where so few mismatches of the slice are left that the focus would use them up, the focus is all
    mismatches; and where so few of those are, it is dropped for this draw (q_h = W_h, weight 1): a choice
    made from what was drawn before, so the bound stays valid, and no weight exceeds the maximum. As long as
    the focus was never used, the pool is drawn in plain random order down to its
    last call. When all mismatches, or all matches, have been drawn, the queue ends until
    more calls are compared: drawing from the others in their place would bias the
    estimate. A part that a slice or a later batch split off is drawn from again instead, put
    back: its calls are known by then, and the mean over them is what the draw stands for.

    Args:
        pool: Every compared call of closed batches, without uncomparable ones.
        drawn: Weight of each earlier draw by call. Labels picked by hand are no draws.
        seed: Seed of the queue.
        position: How many draws were made before.
        focus: Calls of the slice to aim at.
        earlier: Calls of the slices that earlier draws were aimed at.
        batches: How many batches were closed when earlier draws were made, each number once.

    Returns:
        The draw, or why there is none.
    """
    aims = list(dict.fromkeys(each for each in (*earlier, focus) if each))
    steps = sorted(set(batches))
    none = (False,) * len(aims)

    def kind_of(item: PoolItem) -> _Kind:
        since = bisect_right(steps, item.batch) if steps else 0
        if not item.mismatch:
            return False, since, ()
        return True, since, tuple([item.call_id in each for each in aims]) if aims else none

    kinds = list(map(kind_of, pool))
    left = [place for place, item in enumerate(pool) if item.call_id not in drawn]
    if not left:
        return Exhausted("Every compared call has been drawn. Compare more calls to go on.")
    sizes, remaining = Counter(kinds), Counter(kinds[place] for place in left)
    mismatching = [kind for kind in sizes if kind[0]]
    options = [mismatching]
    if focus:
        number = aims.index(focus)
        options.insert(0, [kind for kind in mismatching if kind[2][number]])
    aimed: list[_Kind] = []
    for option in options:
        share = sum(sizes[kind] for kind in option) / len(pool)
        # Together, since a part that is used up is drawn from again.
        enough = sum(remaining[kind] for kind in option) >= _reserve(share, len(left))
        if 0.0 < share < 1.0 and enough:
            aimed = option
            break
    focused = bool(focus) and bool(aimed) and aimed is options[0]
    share = sum(sizes[kind] for kind in aimed) / len(pool)
    odds = (CORE + (1 - CORE) / share, CORE) if aimed else (1.0, 1.0)

    def key(place: int) -> tuple[bytes, str]:
        call_id = pool[place].call_id
        return _hash("queue", seed, call_id), call_id

    candidates = left
    if aimed or any(abs(weight - 1) > 1e-9 for weight in drawn.values()):
        order = sorted(sizes, key=lambda kind: (kind not in aimed, not kind[0], kind[1:]))
        chances = [sizes[kind] / len(pool) * odds[kind not in aimed] for kind in order]
        kind = _pick(order, chances, _uniform("kind", seed, str(position)))
        candidates = [place for place in left if kinds[place] == kind]
        if not candidates:
            if not any(kinds[place][0] is kind[0] for place in left):
                word = "mismatching" if kind[0] else "matching"
                return Exhausted(f"Every compared {word} call has been drawn. Compare more calls to go on.")
            again = sorted((place for place, each in enumerate(kinds) if each == kind), key=key)
            candidates = [again[int(_uniform("again", seed, str(position)) * len(again))]]
        # In one order for all draws, calls whose batch nobody noted would come first until they catch up.
        factor = int.from_bytes(_hash("pick", seed, str(position))[:8]) | 1

        def shuffled(place: int) -> tuple[int, str]:
            content, call_id = key(place)
            # An odd factor makes it a permutation of all hashes.
            return int.from_bytes(content[:8]) * factor % (1 << 64), call_id

        place = min(candidates, key=shuffled)
    else:
        place = min(candidates, key=key)
    chosen = pool[place]
    stratum_key = _stratum_key(chosen)
    stratum_share = sum(_stratum_key(item) == stratum_key for item in pool) / len(pool)
    own = odds[kinds[place] not in aimed]
    return QueueDraw(
        call_id=chosen.call_id,
        position=position,
        stratum=chosen.stratum,
        stratum_share=stratum_share,
        probability=stratum_share * own,
        weight=min(1 / own, WEIGHT_MAX),
        focused=focused,
    )


_Kind = tuple[bool, int, tuple[bool, ...]]
"""Calls that always had the same odds: do they mismatch, since when are they there, in which aims."""


def _pick(order: Sequence[_Kind], chances: Sequence[float], uniform: float) -> _Kind:
    reached = 0.0
    for kind, chance in zip(order, chances, strict=True):
        reached += chance
        if uniform < reached:
            return kind
    return order[-1]


def _reserve(share: float, left: int) -> float:
    """Return how many undrawn mismatches the focus must leave for draws to come."""
    expected = CORE * share * min(left, HORIZON)
    return expected + 2 * math.sqrt(expected) + 1


@lru_cache(maxsize=1 << 18)
def _hash(purpose: str, seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{purpose}\0{seed}\0{text}".encode()).digest()


def _uniform(purpose: str, seed: int, text: str) -> float:
    return int.from_bytes(_hash(purpose, seed, text)[:7]) / 2**56
