"""Rankings: options of the request put in an order, or one of them chosen.

An output is read as an ordering: tiers of options, the best first. A tier holds several
options only where the output ties them. Options that it leaves out stand tied in the last place.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.compare.folding import name_normaliser
from workbench.compare.judgement import Judgement, invalid, uncomparable
from workbench.compare.reading import DECODER, longest_json, parse_json, too_deep
from workbench.records import Output, Request, Verdict
from workbench.specs import EvalConfig

Ordering = tuple[tuple[str, ...], ...]
"""Tiers of options, the best first."""

MAX_CHARS = 100_000
"""Characters of an output or a request that are looked at."""
MAX_OPTIONS = 1_000
"""Kendall's tau looks at all pairs: of more options it is left out."""
MAX_SHOWN = 20
"""Options of an ordering that the details keep."""

_FENCE = re.compile(r"```[\w+-]*\s*\n(.*?)\s*```", re.DOTALL)
_LINE = re.compile(r"\s*(?:(?P<number>\d{1,4})[.):]|[-*•])\s+(?P<text>\S.*)")
_MARKS = "*_`#~ "
"""Mark-up around an option."""
_OPENING = re.compile(r"[\[{]")
_REMARK = re.compile(r"\s*(?::|\s[-–—]|[,(])\s*")
_ARROWS = re.compile(r"\s*(?:->|=>|→|≻|>)\s*")
_STEP = re.compile(r"([^\[\]]*)((?:\[\])*)")


class Unreadable(ValueError):
    """Why a text is no ordering of the options."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How near two orderings are; None where that is not defined."""

    top_1: float
    ndcg: float
    kendall_tau: float | None


class RankingComparator:
    """Compares orderings: equal order, or equal order of the first `top`, is a match.

    Args:
        eval: Where the options come from (`options`, `options_pattern` with `^` and `$` at lines,
            `options_path`), other spellings of them (`aliases`), normalisation, and how many places
            count (`top`).
    """

    def __init__(self, eval: EvalConfig) -> None:  # noqa: A002 - the domain's own word
        self._eval = eval
        self._text = name_normaliser(eval.normalise)
        self._pattern = re.compile(eval.options_pattern, re.MULTILINE) if eval.options_pattern else None

    def judge(self, control: Output, candidate: Output, request: Request | None) -> Judgement:
        """Compare two orderings; the score is the NDCG of the candidate's. The verdict is symmetric.

        Args:
            control: The frontier's output: its order is taken as the truth.
            candidate: The candidate's output.
            request: Holds the options where the eval does not. None where it is not at hand: then
                any option is taken as one of the request.
        """
        options = self.options(request)
        if options is not None and not options:
            return uncomparable("the request holds no options")
        find = Finder(options, self._eval.aliases, self._text)
        try:
            left = read_ordering(control.text, find)
        except Unreadable as problem:
            return uncomparable(f"the control's order can't be read: {problem}")
        try:
            right = read_ordering(candidate.text, find)
        except Unreadable as problem:
            return invalid(f"the order can't be read: {problem}", control_group=self._group(left))
        top = self._eval.top
        first, second = cut(left, top), cut(right, top)
        found = figures(left, right, options, top)
        same = [frozenset(tier) for tier in first] == [frozenset(tier) for tier in second]
        return Judgement(
            Verdict.MATCH if same else Verdict.MISMATCH,
            1.0 if same else found.ndcg,
            "" if same else _difference(first, second),
            identical=(control.text or "") == (candidate.text or ""),
            control_group=self._group(left),
            candidate_group=self._group(right),
            details={
                "top_1": found.top_1,
                "ndcg": found.ndcg,
                "kendall_tau": found.kendall_tau,
                "control": [list(tier)[:MAX_SHOWN] for tier in left[:MAX_SHOWN]],
                "candidate": [list(tier)[:MAX_SHOWN] for tier in right[:MAX_SHOWN]],
            },
        )

    def options(self, request: Request | None) -> tuple[str, ...] | None:
        """Return what may be chosen or ordered, each once; None where the request is not at hand.

        Options of a request are those of the last message that holds any; what a model said
        before is no request.

        Args:
            request: What was asked.
        """
        if self._eval.options:
            return self._eval.options
        if request is None:
            return None
        for message in reversed(request.messages):
            if message.role == "assistant":
                continue
            found = self._options_in(_text_of(message.content)[:MAX_CHARS])
            if found:
                return tuple(dict.fromkeys(found))
        return ()

    def _options_in(self, text: str) -> list[str]:
        if self._pattern:
            hits = (found.group(self._pattern.groups and 1) or "" for found in self._pattern.finditer(text))
            return [each.strip() for each in hits if each.strip()]
        good, value = longest_json(text, (dict, list))
        return values_at(value, self._eval.options_path or "") if good else []

    def _group(self, ordering: Ordering) -> str | None:
        """Return the outcome group: the choice, where the choice alone is compared (`top = 1`)."""
        return " = ".join(sorted(ordering[0])) if self._eval.top == 1 and self._eval.options else None


class Finder:
    """Finds the option that a piece of text names.

    Args:
        options: All there are; None where the request is not at hand: then anything is one.
        aliases: Option by another spelling of it.
        text: Brings texts into the form in which they are compared.
    """

    def __init__(
        self, options: Sequence[str] | None, aliases: dict[str, str], text: Callable[[str], str]
    ) -> None:
        self._text = text
        self.is_open = options is None
        self._exact = frozenset(options or ())
        near: dict[str, set[str]] = {}
        for spelled, option in (*((each, each) for each in self._exact), *aliases.items()):
            near.setdefault(text(spelled), set()).add(option)
        # Two options that normalisation would merge are told apart exactly or not at all.
        # So are options that are nothing but marks: any other marks would be one of them.
        self._near = {key: min(names) for key, names in near.items() if key and len(names) == 1}

    def __call__(self, item: str) -> str | None:
        """Return the option of that name, or None."""
        item = item.strip()
        if item in self._exact:
            return item
        near = self._text(item)
        if near not in self._near and (bare := item.strip(_MARKS)) != item:
            return self(bare)
        return self._near.get(near, (near or None) if self.is_open else None)


def read_ordering(text: str | None, find: Finder) -> Ordering:
    """Read an output as an ordering of options.

    A single choice, a JSON list (a list within it is a tie), numbered or bulleted lines (by their
    numbers where all have one; a remark after the option is left out), and options with line ends, `>`,
    `;` or `,` between them; `=` ties two.

    Args:
        text: What the model wrote.
        find: Returns the option that a piece of text names, or None.

    Raises:
        Unreadable: It is none, names what is no option, or names one twice.
    """
    text = (text or "")[:MAX_CHARS].strip()
    if not text:
        raise Unreadable("no answer")
    whole = _FENCE.fullmatch(text)
    good, value = parse_json(whole[1] if whole else text)
    if good and isinstance(value, (dict, list)):
        return _checked(_from_json(value, find))
    # An option of the request may hold a comma itself; without options anything would be one.
    if not find.is_open and (only := find(text)):
        return ((only,),)
    if listed := _lines(text):
        return _checked([_tier(each, find, remark=True) for each in listed])
    ways = [way for way in _ways_to_split(text) if len(way) > 1]
    for parts in ways:
        tiers = [_tier_or_none(part, find) for part in parts]
        if all(tiers):
            return _checked([tier for tier in tiers if tier])
    good, value = _amid_prose(text)
    if good:
        return _checked(_from_json(value, find))
    return _checked([_tier(part, find) for part in (ways[0] if ways else [text])])


def _amid_prose(text: str) -> tuple[bool, Any]:
    """Return the one JSON value of a text; where more brackets follow, as in `[2] > [1]`, there is none."""
    opening = _OPENING.search(text)
    if opening is None:
        return False, None
    try:
        value, end = DECODER.raw_decode(text, opening.start())
    except (ValueError, RecursionError):
        return False, None
    return _OPENING.search(text, end) is None, value


def _ways_to_split(text: str) -> list[list[str]]:
    ways = [text.split("\n"), _ARROWS.split(text), text.split(";"), text.split(",")]
    return [[part.strip() for part in way if part.strip()] for way in ways]


def _lines(text: str) -> list[str]:
    """Return the items of a numbered or bulleted list, in the order that it gives them."""
    found = [hit for line in text.split("\n") if (hit := _LINE.fullmatch(line.rstrip()))]
    if len(found) < 2 and len([line for line in text.split("\n") if line.strip()]) > len(found):
        return []
    numbers = [int(hit["number"]) for hit in found if hit["number"]]
    if len(numbers) > 1:
        # What stands indented below a numbered item is its explanation.
        found = [hit for hit in found if hit["number"] or not hit.group().startswith((" ", "\t"))]
    if len(numbers) == len(found) == len(set(numbers)):
        found.sort(key=lambda hit: int(hit["number"]))
    return [hit["text"] for hit in found]


def _tier(part: str, find: Finder, *, remark: bool = False) -> tuple[str, ...]:
    """Return the option that a part names, or the options that it ties.

    Raises:
        Unreadable: It names none.
    """
    tier = _tier_or_none(part, find)
    if not tier and remark:
        for hit in _REMARK.finditer(part):
            if tier := _tier_or_none(part[: hit.start()], find):
                break
    if not tier:
        raise Unreadable(f"{part[:80]!r} is not an option")
    return tier


def _tier_or_none(part: str, find: Finder) -> tuple[str, ...] | None:
    if only := find(part):
        return (only,)
    tied = [find(each) for each in part.split("=")]
    return tuple(each for each in tied if each) if len(tied) > 1 and all(tied) else None


def _from_json(value: Any, find: Finder) -> list[tuple[str, ...]]:
    """Return the tiers of a JSON answer.

    Raises:
        Unreadable: An item names no option, or an object does not hold exactly one list or choice.
    """
    if too_deep(value):
        raise Unreadable("it is nested too deeply")
    if isinstance(value, dict):
        lists = [each for each in value.values() if isinstance(each, list)]
        if len(lists) > 1:
            raise Unreadable("the object holds more than one list")
        if not lists:
            return [(_named(value, find),)]
        value = lists[0]
    return [
        tuple(_named(each, find) for each in item) if isinstance(item, list) else (_named(item, find),)
        for item in value
    ]


def _named(item: Any, find: Finder) -> str:
    """Return the option that a JSON value names: itself, or the one option among an object's values."""
    values = list(item.values()) if isinstance(item, dict) else [item]
    names = {
        option
        for each in values
        if isinstance(each, (str, int, float))
        and not isinstance(each, bool)
        and (option := find(_plain(each)))
    }
    if len(names) != 1:
        raise Unreadable(f"{str(item)[:80]!r} is not an option")
    return names.pop()


def _plain(value: str | float) -> str:
    """Return a JSON scalar as people write it: 2.0 names option 2."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _checked(tiers: list[tuple[str, ...]]) -> Ordering:
    counted = Counter(option for tier in tiers for option in tier)
    if not counted:
        raise Unreadable("it names no option")
    option, most = counted.most_common(1)[0]
    if most > 1:
        raise Unreadable(f"it names {option[:80]!r} twice")
    return tuple(tier for tier in tiers if tier)


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def values_at(value: Any, path: str) -> list[str]:
    """Return the texts and numbers at a path, as text.

    Args:
        value: A JSON value.
        path: Keys with dots between them, `[]` after one for its items (`candidates[].id`).
    """
    found = [value]
    for step in path.split("."):
        hit = _STEP.fullmatch(step)
        if hit is None:
            return []
        if hit[1]:
            found = [each[hit[1]] for each in found if isinstance(each, dict) and hit[1] in each]
        for _ in range(len(hit[2]) // 2):
            found = [item for each in found if isinstance(each, list) for item in each]
    return [
        _plain(each).strip()
        for each in found
        if isinstance(each, (str, int, float)) and not isinstance(each, bool) and _plain(each).strip()
    ]


def cut(ordering: Ordering, top: int | None) -> Ordering:
    """Return the first `top` places of an ordering; a tie across the limit is kept whole."""
    if top is None:
        return ordering
    kept: list[tuple[str, ...]] = []
    for tier in ordering:
        if sum(map(len, kept)) >= top:
            break
        kept.append(tier)
    return tuple(kept)


def figures(
    control: Ordering, candidate: Ordering, options: Sequence[str] | None = None, top: int | None = None
) -> Figures:
    """Return how near a candidate's ordering is to the control's.

    Args:
        control: The order taken as the truth.
        candidate: The order to be judged.
        options: All that could be ordered; what an ordering leaves out of them stands tied in its last
            place. None: those that either ordering names.
        top: How many places the NDCG counts; None for all.
    """
    named = dict.fromkeys(option for tier in (*control, *candidate) for option in tier)
    everything = list(dict.fromkeys([*(options or ()), *named]))
    return Figures(
        top_1=float(set(control[0]) == set(candidate[0])),
        ndcg=ndcg(control, candidate, everything, top),
        kendall_tau=kendall_tau(_places(control, everything), _places(candidate, everything)),
    )


def _places(ordering: Ordering, options: Sequence[str]) -> list[int]:
    place = {option: number for number, tier in enumerate(ordering) for option in tier}
    return [place.get(option, len(ordering)) for option in options]


def ndcg(control: Ordering, candidate: Ordering, options: Sequence[str], top: int | None = None) -> float:
    """Return the candidate's discounted cumulative gain over that of the control's own order, 0..1.

    DCG = sum over places i of rel_i / log2(i + 1), with the linear gain of Järvelin and Kekäläinen
    (ACM Transactions on Information Systems 20, 2002). rel is the number of options that the control
    lists at or below an option, ties sharing the mean, and 0 for what it leaves out. Tied places of
    the candidate share their mean gain (McSherry and Najork 2008).

    Args:
        control: The order that grades.
        candidate: The order that is graded.
        options: All that could be ordered.
        top: How many places count; None for all.
    """
    gains: dict[str, float] = {}
    left = sum(map(len, control))
    for tier in control:
        for option in tier:
            gains[option] = left - (len(tier) - 1) / 2
        left -= len(tier)
    best = _gain(control, gains, options, top)
    # The ideal order is the control's own: rounding alone could lift another above it.
    return min(1.0, _gain(candidate, gains, options, top) / best)


def _gain(ordering: Ordering, gains: dict[str, float], options: Sequence[str], top: int | None) -> float:
    listed = {option for tier in ordering for option in tier}
    last = tuple(option for option in options if option not in listed)
    total, place = 0.0, 0
    for tier in (*ordering, last) if last else ordering:
        mean = math.fsum(gains.get(option, 0.0) for option in tier) / len(tier)
        for _ in tier:
            place += 1
            if top is None or place <= top:
                total += mean / math.log2(place + 1)
    return total


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Kendall's tau-b, -1..1: (P - Q) / sqrt((P + Q + T) (P + Q + U)).

    P pairs are in the same order on both sides, Q in opposite ones, T tied on the first side alone and
    U on the second alone. Source: Kendall, Biometrika 33, 1945.

    Args:
        first: The place of each option on one side.
        second: Its place on the other.

    Returns:
        None where one side ties everything, or beyond `MAX_OPTIONS` options.
    """
    if len(first) > MAX_OPTIONS:
        return None
    same = opposite = first_tied = second_tied = 0
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        for c, d in zip(first[:i], second[:i], strict=True):
            if a == c or b == d:
                first_tied += a == c and b != d
                second_tied += b == d and a != c
            elif (a < c) == (b < d):
                same += 1
            else:
                opposite += 1
    untied = same + opposite
    below = (untied + first_tied) * (untied + second_tied)
    return max(-1.0, min(1.0, (same - opposite) / math.sqrt(below))) if below else None


def _difference(first: Ordering, second: Ordering) -> str:
    """Return in words where two orderings part."""
    for place, (one, other) in enumerate(zip(first, second, strict=False), start=1):
        if set(one) != set(other):
            return f"place {place}: {_words(one)} against {_words(other)}"
    return f"{sum(map(len, first))} options against {sum(map(len, second))}"


def _words(tier: tuple[str, ...]) -> str:
    return " = ".join(each[:60] for each in sorted(tier)[:5])
