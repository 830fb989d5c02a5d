"""Bad slices that nobody declared are found from inputs alone, and none is found where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.truth.table import Row, Size, compared, generator, promised, spread, target
from evals.truth.worlds import compared_call
from workbench.records import Basis, Policy
from workbench.slices_found import (
    FoundSlice,
    LengthLimit,
    clusters_and_tail,
    find,
    length_keys,
    length_limits,
    longest_within,
    ranked,
)
from workbench.slices_found.ranking import AT_MOST
from workbench.stats.audit import from_rows

NAME = "found slices"
POLICY = Policy()
CALLS = 1500
GOOD, BAD, ABOVE = 0.015, 0.20, 0.06
TOPICS = ("invoice charged twice", "parcel never arrived", "login code fails", "contract ends early")
DIMENSIONS = 8
SHORTEST, LONGEST, HARD = 20, 1000, 700
"""Characters of inputs, and from how many on they are hard where that is planted."""
FOUND = 0.9
"""The share of worlds in which a planted slice must be called bad."""
MOSTLY = 0.9
"""A slice was found where so many of the calls of one that is called bad are in it."""


@dataclass(frozen=True, slots=True)
class Log:
    """Calls of one world: what is known before each, and vectors of their inputs, length CALLS."""

    calls: list[dict[str, Any]]
    systems: list[str]
    texts: list[str]
    vectors: NDArray[np.float32]

    def planted(self, kind: str) -> NDArray[np.bool_]:
        """Return which calls are in the slice of a kind that is planted."""
        inside = {
            "attribute": [each["attributes"]["tier"] == "trial" for each in self.calls],
            "length": [each["input_chars"] > HARD for each in self.calls],
            "template": [each.startswith("Draft") for each in self.systems],
            "topic": [TOPICS[-1] in each for each in self.texts],
        }
        return np.asarray(inside[kind], dtype=np.bool_)


PLANTS = {"attribute": "12 %", "length": "31 %", "template": "15 %", "topic": "12 %"}
"""What is planted, and its share of traffic."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the finder says of one world, and which calls each of its slices holds."""

    slices: tuple[FoundSlice, ...]
    limit: LengthLimit | None
    members: dict[tuple[str, str], NDArray[np.bool_]]

    def called(self, status: str) -> list[NDArray[np.bool_]]:
        """Return the calls of each slice that has a status, the worst slice first."""
        return [self.members[each.name, each.value] for each in self.slices if each.status == status]


def rows(size: Size) -> Iterator[Row]:
    """Yield how often planted slices are found, and others are called bad or fine that are not."""
    runs = size.runs(20, least=4)
    whole = size.scale >= 1
    for kind, share in PLANTS.items():
        rng = generator(NAME, kind)
        hits, first, wrong, unsafe, ends = 0, 0, 0, 0, []
        for _ in range(runs):
            log = _log(rng)
            inside = log.planted(kind)
            risk = np.where(inside, BAD, GOOD)
            found = _looked(
                log, rng.random(CALLS) < risk, embed=whole or kind == "topic", lengths=kind == "length"
            )
            bad = found.called("bad")
            hits += any(inside[each].mean() >= MOSTLY for each in bad)
            first += bool(bad) and inside[bad[0]].mean() >= MOSTLY
            wrong += any(risk[each].mean() <= POLICY.tolerance for each in bad)
            ends.append(0 if found.limit is None else found.limit.chars)
            unsafe += ends[-1] > _crossing()
        world = f"{CALLS} labelled calls, {BAD:.0%} harm in an undeclared {kind} ({share} of traffic)"
        yield target(NAME, world, "it is called bad", hits / runs, FOUND, error=spread(hits, runs))
        yield promised(NAME, world, "another slice, within the tolerance, is called bad", wrong, runs)
        if whole:
            what = "it stands first of all that were looked at"
            yield compared(NAME, world, what, first / runs, spread(first, runs))
        if kind == "length":
            what = "the longest safe input goes too far: calls up to it are harmed in more than 5 %"
            yield promised(NAME, world, what, unsafe, runs)
            what = f"the longest safe input, characters, mean (hard from {HARD} on)"
            yield compared(NAME, world, what, float(np.mean(ends)), None)
    yield from _nothing(size)


def _crossing() -> float:
    """Return the length up to which calls are harmed in just the tolerated share, hard ones from HARD on."""
    # GOOD (HARD - s) + BAD (x - HARD) = tolerance (x - s), lengths being uniform from s on.
    fixed = GOOD * (HARD - SHORTEST) - BAD * HARD + POLICY.tolerance * SHORTEST
    return fixed / (POLICY.tolerance - BAD)


def _nothing(size: Size) -> Iterator[Row]:
    """All calls are alike, at the tolerance or just above it: whatever is claimed is wrong."""
    runs = size.runs(60, least=15)
    rng, called, observed = generator(NAME, "tolerance"), 0, 0
    for _ in range(runs):
        found = _looked(_log(rng), rng.random(CALLS) < POLICY.tolerance)
        called += bool(found.called("bad"))
        observed += any((each.harm.point or 0.0) > POLICY.tolerance for each in found.slices)
    world = f"{CALLS} labelled calls, {POLICY.tolerance:.0%} harm everywhere"
    yield promised(NAME, world, "any of all found slices is called bad", called, runs)
    what = "observed harm above 5 % makes a slice bad"
    yield compared(NAME, world, what, observed / runs, spread(observed, runs))
    rng, fine, limits = generator(NAME, "above"), 0, 0
    for _ in range(runs):
        found = _looked(_log(rng), rng.random(CALLS) < ABOVE, lengths=True)
        fine += bool(found.called("fine"))
        limits += found.limit is not None
    world = f"{CALLS} labelled calls, {ABOVE:.0%} harm everywhere"
    yield promised(NAME, world, "any of all found slices is called fine", fine, runs)
    yield promised(NAME, world, "any length is called safe", limits, runs)


def _log(rng: np.random.Generator) -> Log:
    topic = rng.choice(len(TOPICS), size=CALLS, p=(0.4, 0.3, 0.18, 0.12))
    chars = rng.integers(SHORTEST, LONGEST + 1, CALLS)
    language = rng.choice(["en", "fr", "de", "ja"], size=CALLS, p=(0.7, 0.15, 0.12, 0.03))
    tier = rng.choice(["paid", "free", "trial"], size=CALLS, p=(0.6, 0.28, 0.12))
    region = rng.choice(list("abcdef"), size=CALLS)
    drafted = rng.random(CALLS) < 0.15
    vectors = np.eye(len(TOPICS), DIMENSIONS)[topic] + 0.15 * rng.standard_normal((CALLS, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    calls = [
        {
            "language": str(language[at]),
            "input_chars": int(chars[at]),
            "turn_depth": int(turns),
            "tool_count": int(tools),
            "model": "frontier",
            "attributes": {"tier": str(tier[at]), "region": str(region[at]), "request": f"r{at}"},
        }
        for at, (turns, tools) in enumerate(
            zip(rng.integers(1, 4, CALLS), rng.integers(0, 2, CALLS), strict=True)
        )
    ]
    systems = ["Draft a reply." if each else "Sort this message." for each in drafted]
    texts = [f"{TOPICS[topic[at]]}, case {at}" for at in range(CALLS)]
    return Log(calls, systems, texts, vectors.astype(np.float32))


def _looked(log: Log, harmed: NDArray[np.bool_], *, embed: bool = False, lengths: bool = False) -> Looked:
    """Return what the finder says of one world, as the use case behind the app puts it together."""
    slicings = find(log.calls, log.systems, log.texts)
    if embed:
        slicings |= clusters_and_tail(log.vectors, np.arange(CALLS), log.texts)
    limits = length_limits([each["input_chars"] for each in log.calls]) if lengths else ()
    keys = [
        (
            *((name, values[at]) for name, values in slicings.items()),
            *length_keys(log.calls[at]["input_chars"], limits),
        )
        for at in range(CALLS)
    ]
    audit = (compared_call(at, bad, keys[at]) for at, bad in enumerate(harmed.tolist()))
    parts = from_rows(audit, basis=Basis.STRUCTURAL).slices
    slices = [each for each in parts if each.name != AT_MOST]
    within = {int(each.value): each for each in parts if each.name == AT_MOST}
    members = {
        (each.name, each.value): np.asarray(slicings[each.name], dtype=object) == each.value
        for each in slices
    }
    return Looked(ranked(slices, POLICY), longest_within(within, POLICY, claims=len(slices)), members)
