"""JSON answers, compared field by field.

Rules form a tree along their paths, so that `items[].sku` and `items[].price` are
compared on the same pair of items: an answer that swaps two prices does not pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import zip_longest
from typing import Any

from workbench.compare.alignment import MAX_ALIGNED, best_pairs, near_best_pairs
from workbench.compare.folding import text_normaliser
from workbench.compare.judgement import Judgement, invalid, uncomparable
from workbench.compare.reading import (
    decode_nested,
    extract_json,
    freeze,
    repair_json,
    too_deep,
)
from workbench.compare.rule_tree import (
    NOTHING,
    Node,
    covers,
    deciding_below,
    rules_below,
    rules_of_schema,
    tree_of,
)
from workbench.compare.schema import schema_problem
from workbench.compare.values import equal_values
from workbench.errors import WorkbenchError
from workbench.records import Output, Verdict
from workbench.specs import EvalConfig, FieldRule

NOTHING_COMPARED = "none of the fields that decide is in either answer"
"""Answers that differ, in nothing that a rule looks at: that agrees in nothing either."""
JSON_REPAIRED = "json_repaired"
"""Flag of a pair of which one answer could be read only after it was mended."""
READ = ("number", "money", "date")
"""Comparators that read a text as something else."""
MAX_SHOWN = 300
"""Characters of a value kept in the details of a comparison."""

NEARLY = 0.8
"""From this ratio on two names of fields are taken for one of them misspelt (difflib's own default, 0.6,
takes `ship_date` for `order_date`)."""
MAX_PATHS = 100
"""Keys of one object that a message may suggest."""

_EXACT = re.compile(r"Decimal\('([^']+)'\)")
"""How a number that no double holds stands in the text of a value."""

WHOLE = FieldRule(path="", compare="exact")
REST = FieldRule(path="", compare="text")


class _Missing:
    """Stands for a field that is not there: not the same as null."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class FieldVerdict:
    """What one rule says at one place of the answer."""

    rule: FieldRule
    place: str
    equal: bool
    control: Any
    candidate: Any


@dataclass(frozen=True, slots=True)
class Reading:
    """What an output holds: whether it is a JSON value, the value, and whether it had to be mended."""

    good: bool
    value: Any
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """Fields that none of `readable` recorded answers holds, and the paths these do hold.

    All are paths of rules that decide. `misspelt` are those of nearly the same name as a field that
    the answers hold and no rule looks at. `is_all` says that no rule that decides finds anything.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    misspelt: tuple[str, ...]
    readable: int
    known: tuple[str, ...]
    is_all: bool


class FieldsComparator:
    """Compares JSON answers under the rules of an eval, or those its schema implies.

    Args:
        eval: Fields, schema, normalisation, and whether broken JSON is mended.
        left_out: Paths at which nobody looks, nor below them.
    """

    def __init__(self, eval: EvalConfig, left_out: frozenset[str] = frozenset()) -> None:  # noqa: A002
        rules = eval.fields or rules_of_schema(eval.schema)
        whole = (WHOLE,) if not rules and not left_out else ()
        self.rules = whole or tuple(
            each for each in rules if not any(covers(path, each.path) for path in left_out)
        )
        # Whoever declares fields says what counts of an answer; a schema alone leaves nothing out on purpose.
        self._is_implied = not eval.fields and not whole
        self._schema = eval.schema
        self._text = text_normaliser(eval.normalise)
        self._unread = text_normaliser(replace(eval.normalise, punctuation=False))
        self._tree = tree_of(self.rules, left_out)
        self._wanted: tuple[type, ...] = (list,) if self._tree.items is not None else (dict,)
        if not rules:
            self._wanted = (dict, list)
        self._repair = eval.repair

    def read(self, output: Output) -> Reading:
        """Read the JSON value of an output.

        The arguments of a lone tool call count where there is no text: that is how
        some models return structured answers.

        Raises:
            ModelMissing: JSON has to be mended and json-repair is not installed.
        """
        text = output.text
        if not text and len(output.tool_calls) == 1:
            value = decode_nested(output.tool_calls[0].arguments, self._wanted)
            if not isinstance(value, str):
                return Reading(isinstance(value, self._wanted) and not too_deep(value), value)
            text = value
        good, value = extract_json(text, self._wanted)
        if good or not self._repair:
            return Reading(good, value)
        good, value = repair_json(text, self._wanted)
        return Reading(good, value, repaired=good)

    def absent(self, controls: Iterable[Output]) -> Absent:
        """Look for fields that no recorded answer holds: most likely they are misspelt.

        Args:
            controls: Recorded outputs; those that hold no JSON, or can't be looked through, are passed over.

        Raises:
            ModelMissing: JSON has to be mended and json-repair is not installed.
        """
        seen: set[str] = set()
        keys: dict[str, None] = {}
        readable = 0
        for control in controls:
            held = self._paths_held(control)
            if held is not None:
                readable += 1
                keys.update(dict.fromkeys(held[0]))
                seen |= held[1]
        deciding = [each for each in self.rules if each.compare != "ignore"]
        absent = [each for each in deciding if each.path and each.path not in seen]
        if self._is_implied:
            absent = [each for each in absent if each.required]
        ruled = {each.path for each in self.rules}
        unruled = [each.casefold() for each in keys if each not in ruled]
        return Absent(
            required=tuple(each.path for each in absent if each.required),
            optional=tuple(each.path for each in absent if not each.required),
            misspelt=tuple(
                each.path for each in absent if get_close_matches(each.path.casefold(), unruled, 1, NEARLY)
            ),
            readable=readable,
            known=tuple(keys),
            is_all=bool(absent) and len(absent) == len(deciding),
        )

    def _paths_held(self, control: Output) -> tuple[list[str], set[str]] | None:
        """Return the paths that an output holds and those of rules that find something, or None."""
        try:
            found = self.read(control)
            if not found.good:
                return None
            walked = self._walk(self._tree, found.value, found.value, "")
            seen = {each.rule.path for each in walked if each.control is not MISSING}
            return list(_paths_in(found.value)), seen
        except WorkbenchError:
            raise
        except Exception:
            # Comparing it fails as well, and is told there.
            return None

    def judge(self, control: Output, candidate: Output) -> Judgement:
        """Compare two answers; the score is the share of equal fields."""
        left, right = self.read(control), self.read(candidate)
        if not left.good:
            return uncomparable("the control is not readable JSON")
        if not right.good:
            return invalid("the answer is not readable JSON" if candidate.text else "no answer")
        identical = (control.text or "") == (candidate.text or "") and bool(control.text)
        found = self._verdict(left.value, right.value, identical=identical)
        notes: dict[str, Any] = {}
        if left.repaired or right.repaired:
            sides = [name for name, each in (("control", left), ("candidate", right)) if each.repaired]
            notes["repaired"] = sides
            found = replace(found, flags=(*found.flags, JSON_REPAIRED))
        problem = schema_problem(right.value, self._schema) if self._schema else None
        if problem:
            notes["schema_problem"] = problem[:MAX_SHOWN]
        found = replace(found, details=found.details | notes)
        if problem and not identical and schema_problem(left.value, self._schema) is None:
            # A score says how near an answer is, also to what predicts harm: this one is of no use at all.
            return replace(
                found, verdict=Verdict.MISMATCH, score=0.0, invalid=True, ignored_by=None, reason=problem
            )
        return found

    def _verdict(self, left: Any, right: Any, *, identical: bool) -> Judgement:
        by_path: dict[str, list[FieldVerdict]] = {}
        for each in self._walk(self._tree, left, right, ""):
            by_path.setdefault(each.rule.path, []).append(each)
        verdicts = [(rule, by_path.get(rule.path, [])) for rule in self.rules]
        if not self._is_implied and not _found_something(verdicts) and not _is_same(left, right):
            return uncomparable(NOTHING_COMPARED)
        counted = [
            (rule, all(e.equal for e in places)) for rule, places in verdicts if rule.compare != "ignore"
        ]
        ignored = [
            rule.path
            for rule, places in verdicts
            if rule.compare == "ignore" and any(freeze(e.control) != freeze(e.candidate) for e in places)
        ]
        wrong = [rule.path for rule, equal in counted if not equal]
        agreeing, of = sum(equal for _, equal in counted), len(counted)
        rest = self._differing_rest(left, right)
        if rest:
            wrong, of = [*wrong, *rest], of + 1
        score = agreeing / of if of else 1.0
        extra = self._uncovered(left, right)
        details = {
            "fields": [_shown(rule, places) for rule, places in verdicts],
            **({"extra_keys": extra[:20]} if extra else {}),
            **({"beside_rules": rest[:20]} if rest else {}),
        }
        flags = ("extra_keys",) if extra else ()
        if wrong:
            reason = f"differs in {', '.join(name or 'the answer' for name in wrong[:5])}"
            return Judgement(Verdict.MISMATCH, score, reason, identical, flags=flags, details=details)
        if ignored:
            names = " + ".join(f"field {name}" for name in ignored)
            return Judgement(Verdict.IGNORED, 1.0, ignored_by=names, flags=flags, details=details)
        return Judgement(Verdict.MATCH, 1.0, identical=identical, flags=flags, details=details)

    def _uncovered(self, left: Any, right: Any) -> list[str]:
        """Return the paths of keys that one side alone has and no rule looks at: shown, never decisive."""
        apart = set(_unruled(self._tree, left)) ^ set(_unruled(self._tree, right))
        return sorted(path[:80] for path in apart)

    def _differing_rest(self, left: Any, right: Any) -> list[str]:
        """Return where answers differ in what no rule looks at, if the rules are those of the schema.

        A schema may say more than rules are made of: branches (`oneOf`, `allOf`), patterns of names, and keys
        that it does not name at all. Agreement proves an answer harmless only if that is the same, too.
        """
        if not self._is_implied:
            return []
        first, second = dict(_rest(self._tree, left)), dict(_rest(self._tree, right))
        return [
            _told(place)
            for place in {**first, **second}
            if not equal_values(first.get(place), second.get(place), REST, self._text)
        ]

    def _walk(self, node: Node, left: Any, right: Any, place: str) -> Iterator[FieldVerdict]:
        """Yield a verdict for every rule at every place where one of the sides has something."""
        if node.rule is not None:
            yield FieldVerdict(node.rule, place, self._equal(node.rule, left, right), left, right)
        if node.keys:
            a, b = _as(dict, left), _as(dict, right)
            if not _may_hold_keys(a, b) and not equal_values(a, b, REST, self._text):
                # No rule finds anything in a text or a number, so that two of them would seem to agree.
                for below in node.keys.values():
                    yield from (FieldVerdict(rule, place, False, a, b) for rule in deciding_below(below))
            else:
                for key, below in node.keys.items():
                    inside = f"{place}.{key}" if place else key
                    yield from self._walk(below, _get(a, key), _get(b, key), inside)
        if node.items is not None:
            yield from self._walk_items(node, left, right, place)

    def _walk_items(self, node: Node, left: Any, right: Any, place: str) -> Iterator[FieldVerdict]:
        assert node.items is not None  # noqa: S101 - the caller looked
        first, second = _as(list, left), _as(list, right)
        if not isinstance(first, list) or not isinstance(second, list):
            # One side has no list: every rule below is unequal unless neither has one.
            if first is MISSING and second is MISSING:
                return
            for rule in rules_below(node.items):
                same = not isinstance(first, list) and not isinstance(second, list)
                equal = same and self._equal(replace(rule, compare="exact"), first, second)
                yield FieldVerdict(rule, f"{place}[]", equal, first, second)
            return
        for number, (a, b) in enumerate(self._aligned(node, first, second)):
            yield from self._walk_item(node.items, a, b, f"{place}[{number}]")

    def _walk_item(self, node: Node, left: Any, right: Any, place: str) -> Iterator[FieldVerdict]:
        """Yield the verdicts on two items of lists, of which one may have no partner or be null.

        A list that holds one more is another list, whatever that one holds: it differs in all required
        fields, and in the optional ones where none is required.
        """
        found = self._walk(node, left, right, place)
        if left is not MISSING and right is not MISSING and (left is None) == (right is None):
            yield from found
            return
        deciding = list(deciding_below(node))
        differing = {each.path for each in deciding if each.required} or {each.path for each in deciding}
        told = set()
        for each in found:
            if not each.equal or each.rule.path not in differing:
                told.add(each.rule.path)
                yield each
        for rule in deciding:
            if rule.path in differing - told:
                yield FieldVerdict(rule, place, False, left, right)

    def _aligned(self, node: Node, first: list[Any], second: list[Any]) -> list[tuple[Any, Any]]:
        """Pair the items of two lists: by place, or so that most fields agree."""
        if node.ordered:
            return list(zip_longest(first, second, fillvalue=MISSING))
        assert node.items is not None  # noqa: S101 - the caller looked
        below = node.items

        def equal_parts(a: Any, b: Any) -> list[bool]:
            return [each.equal for each in self._walk_item(below, a, b, "")]

        if max(len(first), len(second)) <= MAX_ALIGNED:
            return best_pairs(first, second, equal_parts, MISSING)
        return near_best_pairs(first, second, lambda each: freeze(each, self._text), equal_parts, MISSING)

    def _equal(self, rule: FieldRule, left: Any, right: Any) -> bool:
        if rule.compare == "ignore":
            return True
        if left is MISSING or right is MISSING:
            other = right if left is MISSING else left
            # An optional field may be left out or be null; a required one may not change between them.
            return other is MISSING or (not rule.required and other is None)
        # What can't be read as a number or a day may still be one: (5) kg are no 5 kg.
        text = self._unread if rule.compare in READ else self._text
        return equal_values(left, right, rule, text)


def _found_something(verdicts: Iterable[tuple[FieldRule, list[FieldVerdict]]]) -> bool:
    """Return whether a rule that decides finds a value on one side at least."""
    return any(
        each.control is not MISSING or each.candidate is not MISSING
        for rule, places in verdicts
        if rule.compare != "ignore"
        for each in places
    )


def _is_same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are the same, whatever the order of keys."""
    same: bool = freeze(left) == freeze(right)
    return same


def _paths_in(value: Any, place: str = "") -> Iterator[str]:
    """Yield the paths of an answer as an eval writes them, such as `items[].sku`."""
    if isinstance(value, dict):
        for key, below in list(value.items())[:MAX_PATHS]:
            inside = f"{place}.{key}" if place else str(key)
            yield inside
            yield from _paths_in(below, inside)
    elif isinstance(value, list) and value:
        yield from _paths_in(value[0], f"{place}[]")


_Place = tuple[str | int, ...]


def _rest(node: Node, value: Any, place: _Place = ()) -> Iterator[tuple[_Place, Any]]:
    """Yield place and value of all that no rule looks at; null is as good as nothing."""
    if node.rule is not None or node.is_left_out or value is None or value is MISSING:
        return
    found = _as(dict, value) if node.keys else _as(list, value)
    if node.keys and isinstance(found, dict):
        for key, below in found.items():
            yield from _rest(node.keys.get(key, NOTHING), below, (*place, str(key)))
    elif node.items is not None and isinstance(found, list):
        for number, each in enumerate(found):
            yield from _rest(node.items, each, (*place, number))
    else:
        yield place, value


def _unruled(node: Node, value: Any, place: str = "") -> Iterator[str]:
    """Yield the paths of keys that no rule looks at beside those that rules do, such as `items[].qty`."""
    if node.rule is not None or node.is_left_out:
        return
    found = _as(dict, value) if node.keys else _as(list, value)
    if node.keys and isinstance(found, dict):
        for key, below in found.items():
            inside = f"{place}.{key}" if place else str(key)
            if key in node.keys:
                yield from _unruled(node.keys[key], below, inside)
            else:
                yield inside
    elif node.items is not None and isinstance(found, list):
        for each in found:
            yield from _unruled(node.items, each, f"{place}[]")


def _told(place: _Place) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in place)[:80].lstrip(".")


def _as(kind: type, value: Any) -> Any:
    """Return an object or list, decoded where it came as text."""
    return decode_nested(value, (kind,)) if isinstance(value, str) else value


def _may_hold_keys(*values: Any) -> bool:
    """Return whether each is an object, null or missing."""
    return all(isinstance(each, dict) or each is None or each is MISSING for each in values)


def _get(value: Any, key: str) -> Any:
    return value.get(key, MISSING) if isinstance(value, dict) else MISSING


def _shown(rule: FieldRule, places: list[FieldVerdict]) -> dict[str, Any]:
    """Return what the details keep of one rule: the first place that differs, or the first.

    `there` says that the control has the field at other places, where at that one it has none.
    """
    each = next((e for e in places if not e.equal), places[0] if places else None)
    is_elsewhere = (
        each is not None and each.control is MISSING and any(e.control is not MISSING for e in places)
    )
    return {
        "path": rule.path,
        "equal": all(e.equal for e in places),
        "required": rule.required,
        "critical": rule.critical,
        **({"ignored": True} if rule.compare == "ignore" else {}),
        "control": _short(each.control) if each else None,
        "candidate": _short(each.candidate) if each else None,
        **({"place": each.place} if each and each.place != rule.path else {}),
        **({"there": True} if is_elsewhere else {}),
    }


def _short(value: Any) -> Any:
    if value is MISSING:
        return {"missing": True}
    if value is None or isinstance(value, (bool, int, float)):
        return value if not isinstance(value, int) or abs(value) < 2**53 else str(value)[:MAX_SHOWN]
    text = value if isinstance(value, str) else _EXACT.sub(r"\1", repr(value))
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
