"""The pairs that a queue may draw from, with what is known of their calls before anybody answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from workbench import compare, sampling
from workbench.normal import content_hash
from workbench.records import Basis, Verdict
from workbench.review.forecast import Focus
from workbench.review.states import NEW_CONTENT, Pair
from workbench.specs import EvalConfig
from workbench.store import Store, desk
from workbench.store import labels as rows
from workbench.store.compared import call_ids, comparable, evidence_frame
from workbench.store.labels import Scope
from workbench.store.traffic_checks import calls_named

KEPT = 48
"""Things kept at a time: pools, languages, members of slices."""


@dataclass(frozen=True)
class Pool:
    """The pairs a queue may draw from.

    `disagreements` are in auditing order, `normalised` (agreeing, raw outputs
    differ) in random order, and `identical` likewise. `items` holds every comparable pair
    of a semantic task, `pairs` finds the pair of a call. `batches` counts the closed batches they are of.
    """

    size: int
    disagreements: list[Pair]
    normalised: list[Pair]
    identical: list[Pair]
    items: list[sampling.PoolItem]
    pairs: dict[str, Pair]
    batches: int = 0


_known: dict[tuple[Any, ...], tuple[Any, Any]] = {}
_lock = Lock()


def _kept(key: tuple[Any, ...], signature: Any, make: Callable[[], Any]) -> Any:
    """Return what was made before, made again only after its signature changed."""
    with _lock:
        known = _known.get(key)
    if known and known[0] == signature:
        return known[1]
    found = make()
    with _lock:
        _known.pop(key, None)
        _known[key] = (signature, found)
        while len(_known) > KEPT:
            _known.pop(next(iter(_known)))
    return found


def pool_of(store: Store, scope: Scope, config: EvalConfig, signature: Any = None) -> Pool:
    """Return the pool of a queue; read again only after the comparisons changed.

    Args:
        store: Where they are.
        scope: What the queue is about.
        config: The task's eval: whether equality proves, and which flags contradict.
        signature: What `rows.pool_signature` says, where it is known.
    """
    basis = compare.basis(config)
    # The scope's evaluator version changes with the flags.
    key = ("pool", str(store.path), scope, basis)
    signature = signature or rows.pool_signature(store, scope)
    found: Pool = _kept(key, signature, lambda: _read_pool(store, scope, basis, config.contradictions))
    return found


def languages_of(store: Store, scope: Scope, signature: Any = None) -> dict[str, str]:
    """Return the language of every call a candidate answered, where it is known."""
    key = ("languages", str(store.path), scope)
    signature = signature or rows.pool_signature(store, scope)
    found: dict[str, str] = _kept(key, signature, lambda: desk.call_languages(store, scope))
    return found


def members_of(
    store: Store, scope: Scope, config: EvalConfig, focus: Focus, signature: Any = None
) -> frozenset[str]:
    """Return the calls of one slice, or of new content."""

    def make() -> frozenset[str]:
        if focus[0] == NEW_CONTENT:
            return calls_named(store, scope.task, scope.fingerprint).get(focus[1], frozenset())
        from workbench.scoring.sliced import sliced

        found = sliced(store, config)
        inside = found.seq[found.inside(focus)].tolist() if found else []
        return frozenset(call_ids(store, inside).values())

    key = ("slice", str(store.path), scope, focus, config.slices)
    found: frozenset[str] = _kept(key, signature or rows.pool_signature(store, scope), make)
    return found


def _read_pool(store: Store, scope: Scope, basis: Basis, contradicting: tuple[str, ...]) -> Pool:
    semantic = basis is Basis.SEMANTIC
    frame = evidence_frame(store, *scope.params, wanted=("call_id", "flags") if semantic else ("call_id",))
    frame = comparable(frame)
    calls = frame["call_id"].tolist()
    pairs = dict(zip(calls, zip(frame["replay_id"].tolist(), calls, strict=True), strict=True))
    verdicts = [Verdict(each) for each in frame["verdict"].tolist()]
    same = frame["identical"].tolist()
    agreeing = [
        (call, alike)
        for call, verdict, alike in zip(calls, verdicts, same, strict=True)
        if verdict is not Verdict.MISMATCH
    ]
    identical = _shuffled([call for call, alike in agreeing if alike], scope, pairs)
    if semantic:
        scores = [None if score != score else float(score) for score in frame["score"].astype(float).tolist()]
        kinds = [
            compare.is_contradicted(json.loads(each), contradicting)
            for each in frame["flags"].cat.categories.tolist()
        ]
        flagged = [kinds[code] for code in frame["flags"].cat.codes.tolist()]
        order = frame["batch_order"].astype(int).tolist()
        items = [
            sampling.PoolItem(*each) for each in zip(calls, verdicts, scores, flagged, order, strict=True)
        ]
        batches = int(frame["batch_order"].max()) + 1 if calls else 0
        return Pool(len(calls), [], [], identical, items, pairs, batches)
    differing = [call for call, verdict in zip(calls, verdicts, strict=True) if verdict is Verdict.MISMATCH]
    normalised = _shuffled([call for call, alike in agreeing if not alike], scope, pairs)
    return Pool(len(calls), [pairs[call] for call in differing], normalised, identical, [], pairs)


def _shuffled(calls: list[str], scope: Scope, pairs: dict[str, Pair]) -> list[Pair]:
    return [pairs[call] for call in sampling.draw_normalisation_pairs(calls, seed_of(scope), len(calls))]


def seed_of(scope: Scope) -> int:
    """Return the seed of a queue: every process draws the same."""
    return int(content_hash("queue", *scope.params)[:15], 16)
