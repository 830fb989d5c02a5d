"""Is a workload work for a small model: a checklist with what was measured and why it counts. Pure.

No score: each line stands for itself, and a team may weigh them otherwise. The limits are rules of
thumb, named here; none of them moves traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from workbench.stats.mix import population_stability
from workbench.traffic.shapes import Shape, ShapeKind

HIGH_CALLS_PER_DAY, LOW_CALLS_PER_DAY = 1_000, 100
REPEATED = 0.10
"""From this share of repeated requests on, answers repeat too."""
SHORT_INPUT_TOKENS, LONG_INPUT_TOKENS = 2_000, 8_000
CHARS_PER_TOKEN = 4
MANY_TURNS_SHARE, FEW_TURNS_SHARE = 0.30, 0.05
TOOLS_SHARE = 0.05
FEW_TOOLS = 3
MAIN_LANGUAGE = 0.95
MANY_LANGUAGES = 5
MOSTLY_KNOWN = 0.5
"""With the language of fewer calls known nothing is said for or against it."""
NEW_FACTS, MANY_NEW_FACTS = 0.05, 0.20
FEWEST_FACTS = 30
STABLE, SHIFTING = 0.10, 0.25
"""The usual limits of the population stability index."""
FEWEST_IN_WEEK = 50


class Speaks(StrEnum):
    """What a line of the checklist says."""

    FOR = "for"
    AGAINST = "against"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was measured, and what it says of a small model. `measured` is None if unknown."""

    name: str
    speaks: Speaks
    value: str
    reason: str
    measured: float | None = None


NO_SHARE = "the log does not say which share of the traffic it holds"
NO_TIMES = "most of its calls have no time in the log"
NO_DAY = "the log covers less than a day"
MIXED_SHARES = "its calls were logged at different rates, and some do not say at which"
"""Why calls a day are not known."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the checklist rests on. Shares are 0..1; None where the log does not tell.

    `no_volume` says why the calls a day are not known.

    `new_facts` is the share of names, numbers and dates of answers that are not in the request, among
    `facts` of them. `shift` is the largest stability index of one week against the next, over `weeks`.
    """

    shape: Shape
    calls: int
    calls_per_day: float | None
    duplicate_share: float
    input_tokens: float | None
    input_chars: float
    multi_turn_share: float
    tool_share: float
    tools: int
    languages: Mapping[str, int]
    new_facts: float | None
    facts: int
    shift: float | None
    weeks: int
    no_volume: str = NO_SHARE


def checklist(found: Measured) -> tuple[Check, ...]:
    """Return the checklist of a workload, always the same lines in the same order."""
    return (
        _output(found.shape),
        _volume(found),
        _repetition(found.duplicate_share),
        _context(found),
        _turns(found.multi_turn_share),
        _tools(found),
        _language(found.languages),
        _knowledge(found),
        _stability(found),
    )


def _output(shape: Shape) -> Check:
    value = shape.kind.value
    if shape.kind is ShapeKind.NONE:
        return Check("narrow output", Speaks.UNCLEAR, value, "There is no recorded answer to look at.")
    if shape.kind is ShapeKind.LABELS:
        value = f"{len(shape.labels)} labels make {_percent(shape.coverage)} of the answers"
        return Check("narrow output", Speaks.FOR, value, "Few answers to choose from.", shape.coverage)
    if shape.kind in (ShapeKind.JSON, ShapeKind.TOOLS):
        value = f"{value} in {_percent(shape.coverage)} of the answers"
        return Check(
            "narrow output", Speaks.FOR, value, "The form is given, and can be checked.", shape.coverage
        )
    if shape.median_tokens is not None:
        value = f"{value}, {shape.median_tokens:,.0f} tokens in the middle"
    if shape.kind is ShapeKind.LONG:
        reason = "Long free text leaves much room to be worse, and is slow to judge."
        return Check("narrow output", Speaks.AGAINST, value, reason, shape.median_tokens)
    reason = (
        "It mostly says again what the request says."
        if shape.kind is ShapeKind.REWRITE
        else "Short, but free: people must judge it."
    )
    speaks = Speaks.FOR if shape.kind is ShapeKind.REWRITE else Speaks.UNCLEAR
    return Check("narrow output", speaks, value, reason, shape.median_tokens)


def _volume(found: Measured) -> Check:
    a_day = found.calls_per_day
    if a_day is None:
        value = f"{found.calls:,} calls in the log"
        reason = f"{found.no_volume[:1].upper()}{found.no_volume[1:]}."
        return Check("volume", Speaks.UNCLEAR, value, reason)
    value = f"{a_day:,.0f} calls a day"
    if a_day >= HIGH_CALLS_PER_DAY:
        return Check("volume", Speaks.FOR, value, "Enough to pay for the work of moving.", a_day)
    if a_day < LOW_CALLS_PER_DAY:
        return Check("volume", Speaks.AGAINST, value, "Evidence comes slowly, and little is saved.", a_day)
    return Check("volume", Speaks.UNCLEAR, value, "Between the two.", a_day)


def _repetition(share: float) -> Check:
    value = f"{_percent(share)} repeat an earlier request"
    if share >= REPEATED:
        return Check(
            "repetition", Speaks.FOR, value, "The same questions come again; a cache helps too.", share
        )
    reason = "Nearly every request is new: the small model must generalise."
    return Check("repetition", Speaks.UNCLEAR, value, reason, share)


def _context(found: Measured) -> Check:
    known = found.input_tokens
    tokens = known if known is not None else found.input_chars / CHARS_PER_TOKEN
    value = f"{tokens:,.0f} tokens of input on average" + ("" if known is not None else " (by characters)")
    if tokens <= SHORT_INPUT_TOKENS:
        return Check("short context", Speaks.FOR, value, "Small models read short inputs well.", tokens)
    if tokens > LONG_INPUT_TOKENS:
        reason = "Small models lose the thread in long inputs, and need memory for them."
        return Check("short context", Speaks.AGAINST, value, reason, tokens)
    return Check("short context", Speaks.UNCLEAR, value, "Of middle length.", tokens)


def _turns(share: float) -> Check:
    value = f"{_percent(share)} have more than one turn"
    if share <= FEW_TURNS_SHARE:
        return Check("few turns", Speaks.FOR, value, "Each call stands for itself.", share)
    if share >= MANY_TURNS_SHARE:
        reason = "Later turns answer what the frontier said before: a replay can't show all of it."
        return Check("few turns", Speaks.AGAINST, value, reason, share)
    return Check("few turns", Speaks.UNCLEAR, value, "Some are conversations.", share)


def _tools(found: Measured) -> Check:
    value = f"{_percent(found.tool_share)} offer tools" + (f", {found.tools} called" if found.tools else "")
    if found.tool_share <= TOOLS_SHARE:
        return Check("no tools or few", Speaks.FOR, value, "Nothing to call.", found.tool_share)
    if found.tools <= FEW_TOOLS:
        return Check("no tools or few", Speaks.UNCLEAR, value, "Few tools can be learned.", found.tool_share)
    reason = "The more tools, the more often a small model picks a wrong one."
    return Check("no tools or few", Speaks.AGAINST, value, reason, found.tool_share)


def _language(languages: Mapping[str, int]) -> Check:
    known = {name: count for name, count in languages.items() if name}
    total = sum(known.values())
    if not total:
        return Check("one language", Speaks.UNCLEAR, "not known", "The inputs are too short to tell.")
    main = max(known.values()) / total
    common = sum(count >= 0.01 * total for count in known.values())
    value = f"{common} {'language' if common == 1 else 'languages'}, {_percent(main)} in the main one"
    every = sum(languages.values())
    if total < every:
        value = f"{value} of the {_percent(total / every)} for which it is known"
    if total < MOSTLY_KNOWN * every:
        return Check("one language", Speaks.UNCLEAR, value, "Most inputs are too short to tell.")
    if main >= MAIN_LANGUAGE:
        return Check("one language", Speaks.FOR, value, "One language to be good at.", main)
    if common >= MANY_LANGUAGES:
        reason = "Small models are worse in most languages: look at each as a slice."
        return Check("one language", Speaks.AGAINST, value, reason, main)
    return Check("one language", Speaks.UNCLEAR, value, "Some: look at each as a slice.", main)


def _knowledge(found: Measured) -> Check:
    name = "no knowledge of its own"
    if found.shape.kind is ShapeKind.LABELS:
        return Check(name, Speaks.FOR, "answers are labels", "All that is needed stands in the request.", 0.0)
    if found.new_facts is None or found.facts < FEWEST_FACTS:
        value = f"{found.facts} names, numbers and dates found"
        return Check(name, Speaks.UNCLEAR, value, "Too few to say where they come from.", found.new_facts)
    value = f"{_percent(found.new_facts)} of {found.facts:,} names, numbers and dates are not in the request"
    if found.new_facts <= NEW_FACTS:
        return Check(name, Speaks.FOR, value, "Answers rest on what is asked.", found.new_facts)
    if found.new_facts >= MANY_NEW_FACTS:
        reason = "Answers hold what the model knows or worked out; small models know less."
        return Check(name, Speaks.AGAINST, value, reason, found.new_facts)
    return Check(name, Speaks.UNCLEAR, value, "Some come from the model.", found.new_facts)


def _stability(found: Measured) -> Check:
    if found.shift is None:
        reason = f"It takes two weeks with {FEWEST_IN_WEEK} calls each."
        return Check("stability", Speaks.UNCLEAR, "not known", reason)
    value = (
        f"the mix moves by {found.shift:.2f} at most from week to week, over {found.weeks} weeks "
        "(stability index; 0 is not at all)"
    )
    if found.shift <= STABLE:
        return Check("stability", Speaks.FOR, value, "What is measured today holds next week.", found.shift)
    if found.shift > SHIFTING:
        return Check(
            "stability", Speaks.AGAINST, value, "The traffic changes: evidence ages fast.", found.shift
        )
    return Check("stability", Speaks.UNCLEAR, value, "It changes a little.", found.shift)


def weekly_shift(weeks: Sequence[Mapping[str, int]]) -> tuple[float | None, int]:
    """Return the largest stability index of one week's mix against the next, and how many weeks count.

    Args:
        weeks: Calls by language and size, in order of time. Weeks with fewer than `FEWEST_IN_WEEK`
            calls are passed over.
    """
    full = [each for each in weeks if sum(each.values()) >= FEWEST_IN_WEEK]
    pairs = pairwise(full)
    shifts = [population_stability(before, after, permutations=1).value for before, after in pairs]
    return (max(shifts) if shifts else None), len(full)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
