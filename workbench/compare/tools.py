"""Tool calls: the same tools with the same arguments, whatever their order.

Two answers without any tool call are compared as normalised text: the decision
not to call a tool agrees, and equal words prove that nothing else changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from workbench.compare.judgement import Judgement, invalid, uncomparable
from workbench.compare.reading import decode_nested, freeze, text_normaliser, too_deep
from workbench.compare.schema import schema_problem
from workbench.records import Output, Request, Verdict
from workbench.specs import EvalConfig

NO_TOOL = "(no tool)"


@dataclass(frozen=True, slots=True)
class _ReadCall:
    name: str
    arguments: Any
    key: Hashable


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
        common = sum((first & second).values())
        score = common / max(len(left), len(right))
        if first == second:
            return 1.0, ""
        names, others = Counter(each.name for each in left), Counter(each.name for each in right)
        if names == others:
            tools = sorted({each.name for each in left if first[each.key] > second[each.key]})
            return score, f"other arguments for {', '.join(tools[:5])}"
        missing, extra = names - others, others - names
        parts = [f"missing call of {', '.join(sorted(missing)[:5])}"] if missing else []
        parts += [f"extra call of {', '.join(sorted(extra)[:5])}"] if extra else []
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
            arguments = decode_nested(arguments, (dict, list)) if arguments.strip() else {}
            if isinstance(arguments, str):
                return [], f"arguments of {call.name} are not JSON"
        if too_deep(arguments):
            return [], f"arguments of {call.name} are nested too deeply"
        arguments = {} if arguments is None else arguments
        if without and isinstance(arguments, dict):
            arguments = {key: each for key, each in arguments.items() if f"{call.name}.{key}" not in without}
        found.append(_ReadCall(call.name, arguments, (call.name, freeze(arguments))))
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


def _details(left: list[_ReadCall], right: list[_ReadCall]) -> dict[str, Any]:
    first, second = Counter(each.key for each in left), Counter(each.key for each in right)
    return {
        "missing": sorted({each.name for each in left if first[each.key] > second[each.key]})[:20],
        "extra": sorted({each.name for each in right if second[each.key] > first[each.key]})[:20],
    }
