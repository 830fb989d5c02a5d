"""Which parts two sequences share, fast enough for answers of thousands of words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """Items `first[a:b]` and `second[c:d]`: the same ones, or what stands in each other's place."""

    equal: bool
    first: tuple[int, int]
    second: tuple[int, int]


def runs(first: Sequence[Hashable], second: Sequence[Hashable]) -> list[Run]:
    """Return two sequences as runs, equal and unequal ones in turn, from beginning to end.

    The equal ones make up a longest common subsequence (bit-parallel: Hyyrö 2004, as
    rapidfuzz has it), so that swapping both sequences leaves as much unequal.

    Args:
        first: Items of one side.
        second: Items of the other.
    """
    from rapidfuzz.distance import LCSseq

    found: list[Run] = []
    for step in LCSseq.opcodes(first, second):
        equal = step.tag == "equal"
        begin = (step.src_start, step.dest_start)
        if found and not equal and not found[-1].equal:
            last = found.pop()
            begin = (last.first[0], last.second[0])
        found.append(Run(equal, (begin[0], step.src_end), (begin[1], step.dest_end)))
    return found
