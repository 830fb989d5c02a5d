"""Groups of similar inputs, and inputs far from all others, in the space of their embeddings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Places = NDArray[np.int64]

FEWEST_INPUTS = 100
"""With fewer distinct inputs there are no clusters, and nothing is far from the others."""
MOST_CLUSTERS = 12
INPUTS_PER_SQUARE = 20
STARTS = 3
ROUNDS = 50
NEIGHBOURS = 10
TAIL_SHARE = 0.05
MOST_REFERENCES = 20_000
"""Neighbours are looked for among at most this many inputs, drawn at random."""
CHUNK = 1_024


def cluster_count(inputs: int) -> int:
    """Return how many clusters to make: the root of a twentieth of the distinct inputs, 2 to 12.

    The root grows slowly, so that each cluster keeps enough calls for a bound of its own.
    """
    if inputs < FEWEST_INPUTS:
        return 0
    return min(MOST_CLUSTERS, max(2, round(math.sqrt(inputs / INPUTS_PER_SQUARE))))


def k_means(vectors: Vectors, k: int, *, seed: int = 0) -> Places:
    """Return the cluster of each vector, the largest cluster first (Lloyd 1982).

    The first centres are drawn far from each other (Arthur and Vassilvitskii 2007); of
    three starts the tightest result counts.

    Args:
        vectors: Shape (n, d), n >= k.
        k: Clusters.
        seed: Of the first centres.
    """
    rng = np.random.default_rng(seed)
    starts = [_lloyd(vectors, _first_centres(vectors, k, rng)) for _ in range(STARTS)]
    _, cluster = min(starts, key=lambda each: each[0])
    order = np.argsort(-np.bincount(cluster, minlength=k), kind="stable")
    rank = np.empty(k, dtype=np.int64)
    rank[order] = np.arange(k)
    return rank[cluster]


def _first_centres(vectors: Vectors, k: int, rng: np.random.Generator) -> Vectors:
    chosen = [int(rng.integers(len(vectors)))]
    nearest = np.full(len(vectors), np.inf)
    for _ in range(k - 1):
        nearest = np.minimum(nearest, _distances(vectors, vectors[chosen[-1:]])[:, 0])
        total = float(nearest.sum())
        odds = nearest / total if total > 0 else None
        chosen.append(int(rng.choice(len(vectors), p=odds)))
    return vectors[chosen]


def _lloyd(vectors: Vectors, centres: Vectors) -> tuple[float, Places]:
    cluster = np.full(len(vectors), -1, dtype=np.int64)
    spread = math.inf
    for _ in range(ROUNDS):
        distances = _distances(vectors, centres)
        nearest = distances.argmin(axis=1)
        own = distances[np.arange(len(vectors)), nearest]
        spread = float(own.sum())
        if (nearest == cluster).all():
            break
        cluster = nearest
        for each in range(len(centres)):
            members = vectors[cluster == each]
            # A centre that lost all its inputs starts again at the one that fits worst.
            centres[each] = members.mean(axis=0) if len(members) else vectors[own.argmax()]
    return spread, cluster


def _distances(vectors: Vectors, centres: Vectors) -> NDArray[np.float64]:
    """Return squared distances, shape (n, k)."""
    squares = (vectors**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)[None, :]
    return np.asarray(np.maximum(squares - 2 * (vectors @ centres.T), 0.0), dtype=np.float64)


def neighbour_distance(vectors: Vectors, *, seed: int = 0) -> NDArray[np.float64]:
    """Return how far each vector is from its tenth nearest neighbour, as 1 - cosine.

    Args:
        vectors: Of length 1, shape (n, d); all distinct inputs.
        seed: Of the inputs that neighbours are looked for among, where there are many.
    """
    n = len(vectors)
    references = np.arange(n)
    if n > MOST_REFERENCES:
        references = np.sort(np.random.default_rng(seed).choice(n, MOST_REFERENCES, replace=False))
    neighbours = min(NEIGHBOURS, n - 1)
    found = np.zeros(n)
    if neighbours < 1:
        return found
    targets = vectors[references].T
    for start in range(0, n, CHUNK):
        chunk = np.arange(start, min(start + CHUNK, n))
        cosines = vectors[chunk] @ targets
        cosines[chunk[:, None] == references[None, :]] = -np.inf
        found[chunk] = 1 - np.partition(cosines, -neighbours, axis=1)[:, -neighbours]
    return found


def far_from_all(vectors: Vectors, calls: Places, *, seed: int = 0) -> NDArray[np.bool_]:
    """Return which inputs make up the 5 % of calls that are farthest from their neighbours.

    From the farthest on, each input that still fits into the 5 % is taken. One that does not fit is passed
    over: what many calls ask is no tail, and must not hide the strays behind it.

    Args:
        vectors: Of length 1, one for each distinct input, shape (n, d).
        calls: How many calls have each input.
        seed: See `neighbour_distance`.
    """
    far = np.zeros(len(vectors), dtype=np.bool_)
    if len(vectors) < FEWEST_INPUTS:
        return far
    order = np.argsort(-neighbour_distance(vectors, seed=seed), kind="stable")
    left = TAIL_SHARE * float(calls.sum())
    for place in order.tolist():
        if calls[place] <= left:
            far[place] = True
            left -= int(calls[place])
        if left < 1:
            break
    return far
