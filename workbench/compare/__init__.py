"""Comparing what a candidate said with what the frontier said. Pure, and it never raises on data.

>>> from workbench.compare import compare_outputs
>>> from workbench.records import EvalKind, Output
>>> from workbench.specs import EvalConfig
>>> triage = EvalConfig("triage", EvalKind.LABEL, labels=("billing", "outage"))
>>> compare_outputs(triage, None, Output("Billing."), Output("billing")).verdict.value
'match'
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

import msgspec

from workbench.compare.custom import EVALUATOR_ERROR, Evaluator, evaluator_error, load_evaluator
from workbench.compare.fields import FieldsComparator
from workbench.compare.flags import (
    NOTES,
    contradictions,
    detector_version,
    is_contradicted,
)
from workbench.compare.judgement import (
    JOINED,
    Judgement,
    by_rule,
    control_problem,
    invalid,
    same_raw,
    uncomparable,
)
from workbench.compare.labels import LabelReader, judge_labels
from workbench.compare.ranking import RankingComparator
from workbench.compare.reading import repairer_version
from workbench.compare.refusals import is_refusal
from workbench.compare.text import CONTROL_REFUSES, SIMILARITY_MISSING, TextComparator, refused_control
from workbench.compare.tools import ToolComparator
from workbench.errors import WorkbenchError
from workbench.records import Basis, EvalKind, Output, Request, Verdict, told_error
from workbench.specs import CONTRADICTIONS, EvalConfig, IgnoreRule

__all__ = [
    "CONTRADICTIONS",
    "EVALUATOR",
    "EVALUATOR_ERROR",
    "NOTES",
    "SIMILARITY_MISSING",
    "Comparator",
    "Evaluator",
    "Judgement",
    "basis",
    "by_rule",
    "compare_outputs",
    "contradictions",
    "control_problem",
    "evaluator_version",
    "is_contradicted",
    "is_refusal",
]

EVALUATOR = 5
"""Raised whenever the code here may give another verdict for the same pair."""

_DECIDING: dict[EvalKind, tuple[str, ...]] = {
    EvalKind.LABEL: ("kind", "labels", "several", "separators", "aliases", "normalise", "ignore"),
    EvalKind.FIELDS: ("kind", "fields", "schema", "repair", "normalise", "ignore"),
    EvalKind.TEXT: ("kind", "normalise", "match_at", "contradictions", "embedder", "ignore"),
    EvalKind.TOOL_CALL: ("kind", "normalise", "ignore"),
    EvalKind.RANKING: (
        *("kind", "options", "options_pattern", "options_path", "top", "aliases", "normalise", "ignore"),
    ),
}

_AGREEING = (Verdict.MATCH, Verdict.IGNORED)
_Judge = Callable[[Output, Output, "Request | None", "float | None"], Judgement]


class Comparator:
    """Compares pairs of outputs as one eval declares. Build it once, use it for many.

    Args:
        eval: The task's eval.

    Raises:
        ConfigError: The eval names an evaluator that is not installed or can't be used.
    """

    def __init__(self, eval: EvalConfig) -> None:  # noqa: A002 - the domain's own word
        self.eval = eval
        self._custom = load_evaluator(eval)
        self._judge = _judge_for(eval)
        self._ignoring: dict[tuple[IgnoreRule, ...], _Judge] = {}

    def compare(
        self,
        control: Output,
        observed: Output,
        request: Request | None = None,
        similarity: float | None = None,
    ) -> Judgement:
        """Judge one pair.

        Args:
            control: The recorded frontier output.
            observed: What the candidate answered, or the error in its place.
            request: What was asked: its tools, its options, and what facts it holds.
            similarity: Cosine of the two texts' embeddings; None where it is missing.

        Returns:
            MATCH, MISMATCH, IGNORED by a named rule, or UNCOMPARABLE because of the control. A pair on
            which the comparison fails is a MISMATCH with the flag `EVALUATOR_ERROR`.

        Raises:
            ModelMissing: JSON has to be mended and json-repair is not installed.
        """
        try:
            found = self._compared(control, observed, request, similarity)
        except WorkbenchError:
            raise
        except Exception as error:
            # Whatever one pair holds must not end the comparison of all the rest.
            found = replace(
                evaluator_error("the comparison", error), control_group=self._known_group(control)
            )
        return self._custom.signed(found) if self._custom else found

    def _compared(
        self, control: Output, observed: Output, request: Request | None, similarity: float | None
    ) -> Judgement:
        problem = control_problem(
            control.error.kind.value if control.error else None, control.finish_reason, control.flags
        )
        if problem == CONTROL_REFUSES and self.eval.kind is EvalKind.TEXT:
            return refused_control(observed)
        if problem:
            return uncomparable(problem)
        if observed.error:
            reason = f"the candidate failed ({told_error(observed.error.kind)})"
            return invalid(reason, control_group=self.group(control))
        return self._kept(control, observed, request, similarity)

    def group(self, control: Output) -> str | None:
        """Return the outcome group that a control alone belongs to (its label, its tools)."""
        return self._kept(control, control, None, None).control_group

    def _known_group(self, control: Output) -> str | None:
        """Return the group of a control, or None where it can't be told either."""
        try:
            return self.group(control)
        except Exception:
            # The error that is told is that of the pair.
            return None

    def _kept(
        self, control: Output, observed: Output, request: Request | None, similarity: float | None
    ) -> Judgement:
        plain = self._judge(control, observed, request, similarity)
        if plain.verdict is Verdict.MATCH or not self.eval.ignore or EVALUATOR_ERROR in plain.flags:
            return plain

        def under(rules: tuple[IgnoreRule, ...]) -> Judgement:
            return self._under(rules)(control, observed, request, similarity)

        for rule in self.eval.ignore:
            if (found := under((rule,))).verdict in _AGREEING:
                return _ignored(found, (rule,), same_raw(control, observed))
            if plain.verdict is Verdict.UNCOMPARABLE:
                plain = found
        rules = self.eval.ignore
        if len(rules) < 2 or (found := under(rules)).verdict not in _AGREEING:
            return plain
        for rule in self.eval.ignore:
            fewer = tuple(each for each in rules if each is not rule)
            if fewer and (less := under(fewer)).verdict in _AGREEING:
                rules, found = fewer, less
        return _ignored(found, rules, same_raw(control, observed))

    def _under(self, rules: tuple[IgnoreRule, ...]) -> _Judge:
        """Return the comparison under some ignore rules, built where it is first wanted."""
        if rules not in self._ignoring:
            self._ignoring[rules] = _ignoring(self.eval, rules)
        return self._ignoring[rules]

    def needs_similarity(self, control: Output, observed: Output) -> bool:
        """Say whether a pair of texts can only be judged with a similarity."""
        if self.eval.kind is not EvalKind.TEXT or self._custom or control.error or observed.error:
            return False
        if control_problem(None, control.finish_reason, control.flags):
            return False
        try:
            return TextComparator(self.eval).needs_similarity(control, observed)
        except Exception:
            # Then comparing the two fails as well, and is told.
            return False


_recent: list[tuple[EvalConfig, Comparator]] = []


def compare_outputs(
    eval: EvalConfig,  # noqa: A002 - the domain's own word
    request: Request | None,
    control: Output,
    observed: Output,
    *,
    similarity: float | None = None,
) -> Judgement:
    """Judge one pair of outputs as an eval declares.

    Args:
        eval: The task's eval.
        request: What was asked, or None where it is not at hand.
        control: The recorded frontier output.
        observed: The candidate's output.
        similarity: Cosine of the two texts' embeddings; None where it is missing.

    Returns:
        The verdict with score, reason, groups, flags and details.
    """
    for known, comparator in _recent:
        if known is eval:
            return comparator.compare(control, observed, request, similarity)
    comparator = Comparator(eval)
    _recent.append((eval, comparator))
    del _recent[:-8]
    return comparator.compare(control, observed, request, similarity)


def evaluator_version(eval: EvalConfig) -> str:  # noqa: A002 - the domain's own word
    """Return the hash of all that decides a verdict: the eval's own keys and the code's version.

    Raises:
        ConfigError: The eval names an evaluator that is not installed or can't be used.
    """
    parts = {key: msgspec.to_builtins(getattr(eval, key)) for key in _DECIDING[eval.kind]}
    if "contradictions" in parts:
        # Their order does not count.
        parts["contradictions"] = sorted({*parts["contradictions"]})
    for rule in parts.get("fields", ()):
        rule.pop("critical", None)
    if eval.kind is EvalKind.FIELDS and eval.fields:
        # Until then, answers without any of the fields agreed.
        parts["no_field"] = "uncomparable"
    if eval.kind is EvalKind.FIELDS and eval.schema and not eval.fields:
        # Until then, what a schema's rules do not look at could differ.
        parts["beside_rules"] = "exact"
    if parts.get("repair"):
        parts["json-repair"] = repairer_version()
    if eval.kind is EvalKind.TEXT:
        # It chooses the words that negate where the commonest words do not tell the language.
        parts["py3langid"] = detector_version()
    if custom := load_evaluator(eval):
        parts["evaluator"] = [custom.name, custom.version]
    data = msgspec.json.encode([EVALUATOR, parts], order="sorted")
    return hashlib.sha256(data).hexdigest()[:16]


def basis(eval: EvalConfig) -> Basis:  # noqa: A002 - the domain's own word
    """Return what agreement proves: structural where every comparator is a declared equality.

    Raises:
        ConfigError: The eval names an evaluator that is not installed or can't be used.
    """
    if custom := load_evaluator(eval):
        return Basis.STRUCTURAL if custom.structural else Basis.SEMANTIC
    near = eval.kind is EvalKind.FIELDS and any(rule.compare == "fuzzy" for rule in eval.fields)
    return Basis.SEMANTIC if near or eval.kind is EvalKind.TEXT else Basis.STRUCTURAL


def _ignored(found: Judgement, rules: tuple[IgnoreRule, ...], identical: bool) -> Judgement:
    """Return a pair that agrees under some ignore rules, all of them needed, by their names."""
    names = [*(each.name for each in rules), *([found.ignored_by] if found.ignored_by else [])]
    return replace(
        found, verdict=Verdict.IGNORED, ignored_by=JOINED.join(names), reason="", identical=identical
    )


def _judge_for(eval: EvalConfig, without: frozenset[str] = frozenset()) -> _Judge:  # noqa: A002
    """Return the comparison that an eval asks for: its kind's, or that of its own evaluator on top."""
    plain = _judge_of_kind(eval, without)
    custom = load_evaluator(eval)
    if custom is None:
        return plain
    return lambda control, observed, request, similarity: custom.judge(
        control, observed, request, plain(control, observed, request, similarity)
    )


def _judge_of_kind(eval: EvalConfig, without: frozenset[str]) -> _Judge:  # noqa: A002
    """Return the comparison of one kind of eval."""
    if eval.kind is EvalKind.LABEL:
        reader = LabelReader(eval)
        return lambda control, observed, _r, _s: judge_labels(reader, control.text, observed.text)
    if eval.kind is EvalKind.FIELDS:
        fields = FieldsComparator(eval, without)
        return lambda control, observed, _request, _similarity: fields.judge(control, observed)
    if eval.kind is EvalKind.TOOL_CALL:
        tools = ToolComparator(eval)
        return lambda control, observed, request, _similarity: replace(
            tools.judge(control, observed, request, without), identical=same_raw(control, observed)
        )
    if eval.kind is EvalKind.RANKING:
        ranking = RankingComparator(eval)
        return lambda control, observed, request, _similarity: ranking.judge(control, observed, request)
    return TextComparator(eval).judge


def _ignoring(eval: EvalConfig, rules: tuple[IgnoreRule, ...]) -> _Judge:  # noqa: A002
    """Return the comparison with some ignore rules applied to both sides."""
    names = frozenset(rule.field for rule in rules if rule.field)
    judge = _judge_for(eval, names)
    patterns = [re.compile(rule.pattern) for rule in rules if rule.pattern]

    def without(output: Output) -> Output:
        text = output.text
        for pattern in patterns:
            text = pattern.sub("", text) if text is not None else None
        return output if text == output.text else replace(output, text=text)

    return lambda control, observed, request, similarity: judge(
        without(control), without(observed), request, similarity
    )
