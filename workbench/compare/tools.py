"""Tool calls: the same tools with the same arguments, whatever their order.

JSON within an argument's text is read as what it holds, so that its key order and white space
do not count. Whether a tool takes an object or its text is for the tool's schema to say.

Two answers without any tool call are compared as normalised text: the decision
not to call a tool agrees, and equal words prove that nothing else changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from workbench.compare.alignment import MAX_ALIGNED, best_pairs
from workbench.compare.folding import text_normaliser
from workbench.compare.judgement import Judgement, invalid, uncomparable
from workbench.compare.reading import decode_nested, decode_within, freeze, too_deep
from workbench.compare.schema import schema_problem
from workbench.records import Output, Request, Verdict
from workbench.specs import EvalConfig

NO_TOOL = "(no tool)"
MISSING = "(missing)"
NO_ARGUMENTS = ("", "null")
"""What servers write instead of `{}` where a tool takes no arguments."""
MAX_NAMED, MAX_SHOWN, MAX_CHARS = 5, 20, 200
"""Tools that a reason names, entries that the details keep, and characters of each value."""


@dataclass(frozen=True, slots=True)
class _ReadCall:
    name: str
    arguments: Any
    read: Any
    key: Hashable


@dataclass(frozen=True, slots=True)
class _Unpaired:
    """Calls without an equal one: of tools that one side called more often, and with other arguments."""

    missing: Counter[str]
    extra: Counter[str]
    changed: list[tuple[_ReadCall, _ReadCall]]


class ToolComparator:
    """Compares tool calls by name and parsed arguments.

    Args:
        eval: Normalisation of texts outside tool calls, and ignored arguments
            (an ignore rule's `field` is `tool.argument`).
    """

    def __init__(self, eval: EvalConfig) -> None:  # noqa: A002 - the domain's own word
        self._text = text_normaliser(eval.normalise)

    def judge(
        self,
        control: Output,
        candidate: Output,
        request: Request | None,
        without: frozenset[str] = frozenset(),
    ) -> Judgement:
        """Compare two outputs; the score is the share of calls that both sides made.

        Args:
            control: The frontier's output.
            candidate: The candidate's output.
            request: The tools on offer, where known: calls of others are invalid.
            without: Arguments to leave out, as `tool.argument`.
        """
        left, problem = _read(control, without)
        if problem:
            return uncomparable(f"the control's {problem}")
        group = group_of(control)
        if not left and not (control.text or "").strip():
            return uncomparable("the control is empty")
        right, problem = _read(candidate, without)
        if problem:
            return invalid(f"the candidate's {problem}", control_group=group)
        if not right and not (candidate.text or "").strip():
            return invalid("no answer", control_group=group)
        broken = _contract_problem(left, right, request)
        score, reason = self._score(left, right, control, candidate)
        # What breaks the contract is of no use, however near it comes.
        score = 0.0 if broken else score
        verdict = Verdict.MATCH if not reason and not broken else Verdict.MISMATCH
        return Judgement(
            verdict,
            score,
            broken or reason,
            invalid=bool(broken),
            control_group=group,
            candidate_group=group_of(candidate),
            details=_details(left, right),
        )

    def _score(
        self, left: list[_ReadCall], right: list[_ReadCall], control: Output, candidate: Output
    ) -> tuple[float, str]:
        """Return the share of calls in common and what differs (empty if nothing)."""
        if not left and not right:
            same = self._text(control.text or "") == self._text(candidate.text or "")
            return (1.0, "") if same else (0.0, "no tool called, and the texts differ")
        first, second = Counter(each.key for each in left), Counter(each.key for each in right)
        if first == second:
            return 1.0, ""
        score = (first & second).total() / max(len(left), len(right))
        unpaired = _unpaired(left, right)
        parts = [f"missing call of {_counted(unpaired.missing)}"] if unpaired.missing else []
        parts += [f"extra call of {_counted(unpaired.extra)}"] if unpaired.extra else []
        changed = sorted({one.name for one, _ in unpaired.changed})
        parts += [f"other arguments for {', '.join(changed[:MAX_NAMED])}"] if changed else []
        return score, "; ".join(parts)


def group_of(output: Output) -> str:
    """Return the tools an output calls, as one name: the group its call belongs to."""
    return " + ".join(sorted({each.name for each in output.tool_calls})) or NO_TOOL


def _read(output: Output, without: frozenset[str]) -> tuple[list[_ReadCall], str]:
    """Return the calls with parsed arguments, or what is wrong with them."""
    found = []
    for call in output.tool_calls:
        arguments = call.arguments
        if isinstance(arguments, str):
            arguments = {} if arguments.strip() in NO_ARGUMENTS else decode_nested(arguments, (dict, list))
            if isinstance(arguments, str):
                return [], f"arguments of {call.name} are not JSON"
        if too_deep(arguments):
            return [], f"arguments of {call.name} are nested too deeply"
        arguments = {} if arguments is None else arguments
        read = decode_within(arguments)
        if too_deep(read):
            return [], f"arguments of {call.name} are nested too deeply"
        if without and isinstance(arguments, dict):
            arguments = {key: each for key, each in arguments.items() if f"{call.name}.{key}" not in without}
            read = decode_within(arguments)
        found.append(_ReadCall(call.name, arguments, read, (call.name, freeze(read))))
    return found, ""


def _contract_problem(left: list[_ReadCall], right: list[_ReadCall], request: Request | None) -> str:
    """Return how the candidate broke what the request offers, where the control did not."""
    offered = _offered(request)
    if not offered:
        return ""
    for each in right:
        if each.name not in offered and all(known.name in offered for known in left):
            return f"calls {each.name}, which the request does not offer"
    if any(schema_problem(each.arguments, offered.get(each.name)) for each in left):
        return ""
    for each in right:
        if problem := schema_problem(each.arguments, offered.get(each.name)):
            return f"arguments of {each.name}: {problem}"
    return ""


def _offered(request: Request | None) -> dict[str, Any]:
    """Return the schema of the arguments by tool name."""
    offered: dict[str, Any] = {}
    for tool in request.tools if request else ():
        inner = tool.get("function") if isinstance(tool.get("function"), dict) else tool
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            offered[inner["name"]] = inner.get("parameters") or inner.get("input_schema")
    return offered


def _unpaired(left: list[_ReadCall], right: list[_ReadCall]) -> _Unpaired:
    """Tell calls that one side did not make from those that it made with other arguments."""
    ours = _rest(left, Counter(each.key for each in right))
    theirs = _rest(right, Counter(each.key for each in left))
    here, there = Counter(each.name for each in ours), Counter(each.name for each in theirs)
    changed = []
    for name in sorted(here & there):
        one = [each for each in ours if each.name == name]
        other = [each for each in theirs if each.name == name]
        if len(one) == len(other) == 1 or max(len(one), len(other)) > MAX_ALIGNED:
            changed += list(zip(one, other, strict=False))
        else:
            pairs = best_pairs(one, other, lambda a, b: _equal_arguments(a.read, b.read), None)
            found = [(a, b) for a, b in pairs if a is not None and b is not None]
            place = {id(each): number for number, each in enumerate(one)}
            changed += sorted(found, key=lambda pair: place[id(pair[0])])
    return _Unpaired(here - there, there - here, changed)


def _rest(calls: list[_ReadCall], known: Counter[Hashable]) -> list[_ReadCall]:
    """Return the calls that have no equal one on the other side, each of which is used once."""
    rest = []
    for each in calls:
        if known[each.key] > 0:
            known[each.key] -= 1
        else:
            rest.append(each)
    return rest


def _equal_arguments(one: Any, other: Any) -> list[bool]:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return [freeze(one) == freeze(other)]
    keys = sorted({*one, *other}, key=str)
    return [key in one and key in other and freeze(one[key]) == freeze(other[key]) for key in keys] or [True]


def _counted(names: Counter[str]) -> str:
    return ", ".join(
        name if count == 1 else f"{name} ({count} times)" for name, count in sorted(names.items())[:MAX_NAMED]
    )


def _details(left: list[_ReadCall], right: list[_ReadCall]) -> dict[str, Any]:
    """Return which tools were called less and more often, and which arguments differ where both called."""
    unpaired = _unpaired(left, right)
    return {
        "missing": sorted(unpaired.missing.elements())[:MAX_SHOWN],
        "extra": sorted(unpaired.extra.elements())[:MAX_SHOWN],
        "changed": [
            {"tool": one.name, "arguments": _apart(one.read, other.read)}
            for one, other in unpaired.changed[:MAX_SHOWN]
        ],
    }


def _apart(one: Any, other: Any) -> list[dict[str, str]]:
    """Return the arguments that differ, each with both values as they would be written."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return [{"name": "", "control": _shown(one), "candidate": _shown(other)}]
    names = [
        key
        for key in sorted({*one, *other}, key=str)
        if key not in one or key not in other or freeze(one[key]) != freeze(other[key])
    ]
    return [
        {
            "name": str(key),
            "control": _shown(one[key]) if key in one else MISSING,
            "candidate": _shown(other[key]) if key in other else MISSING,
        }
        for key in names[:MAX_SHOWN]
    ]


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:MAX_CHARS]
