"""Free text: equal after normalisation, or similar enough and without a contradiction."""

from __future__ import annotations

from dataclasses import replace

from workbench.compare.features import notes_of
from workbench.compare.flags import contradictions, is_contradicted
from workbench.compare.folding import text_normaliser
from workbench.compare.judgement import Judgement, invalid, uncomparable
from workbench.compare.refusals import is_refusal
from workbench.compare.tools import ToolComparator
from workbench.records import Output, Request, Verdict
from workbench.specs import EvalConfig

SIMILARITY_MISSING = "similarity missing"
CONTROL_REFUSES = "the control is a refusal"


class TextComparator:
    """Compares texts by normalised equality, then by a similarity from outside.

    Turns with tool calls are compared as tool calls, never dropped.

    Args:
        eval: Normalisation, the similarity from which a pair matches, and the flags that stand against it.
    """

    def __init__(self, eval: EvalConfig) -> None:  # noqa: A002 - the domain's own word
        self._text = text_normaliser(eval.normalise)
        self._match_at = eval.match_at
        self._contradicting = frozenset(eval.contradictions)
        self._tools = ToolComparator(eval)

    def needs_similarity(self, control: Output, candidate: Output) -> bool:
        """Say whether a pair can only be judged with a similarity."""
        if control.tool_calls or candidate.tool_calls:
            return False
        left, right = control.text or "", candidate.text or ""
        if not left.strip() or not right.strip() or is_refusal(left):
            return False
        return self._text(left) != self._text(right)

    def judge(
        self, control: Output, candidate: Output, request: Request | None, similarity: float | None
    ) -> Judgement:
        """Compare two texts. Symmetric in everything but missing or refused answers.

        Args:
            control: The frontier's output.
            candidate: The candidate's output.
            request: What was asked: its tools, and the facts it holds.
            similarity: Cosine of the two texts' embeddings, -1..1; None where it is missing.
        """
        if control.tool_calls or candidate.tool_calls:
            return self._tools.judge(control, candidate, request)
        left, right = control.text or "", candidate.text or ""
        if not left.strip():
            return uncomparable("the control is empty")
        if is_refusal(left):
            return refused_control(candidate)
        if not right.strip():
            return invalid("no answer")
        if self._text(left) == self._text(right):
            return Judgement(Verdict.MATCH, 1.0, identical=left == right)
        flags = contradictions(left, right)
        notes, details = notes_of(left, right, request)
        flags = (*flags, *notes)
        if candidate.finish_reason in ("length", "max_tokens") or "truncated" in candidate.flags:
            flags = (*flags, "truncated")
        if similarity is None:
            return Judgement(Verdict.MISMATCH, None, SIMILARITY_MISSING, flags=flags, details=details)
        score = min(1.0, max(0.0, float(similarity)))
        verdict, reason = Verdict.MATCH, f"similarity {similarity:.2f}"
        if similarity < self._match_at:
            verdict = Verdict.MISMATCH
        elif is_contradicted(flags, self._contradicting):
            verdict = Verdict.MISMATCH
            against = " and ".join(each.replace("_", " ") for each in flags if each in self._contradicting)
            reason = f"similar ({similarity:.2f}), but differs in {against}"
        return Judgement(verdict, score, reason, flags=flags, details=details)


def refused_control(candidate: Output) -> Judgement:
    """Return the verdict for a control that refuses, flagged where the candidate does not.

    Args:
        candidate: What the candidate answered.
    """
    found = uncomparable(CONTROL_REFUSES)
    refuses = (
        candidate.error
        or candidate.finish_reason in ("content_filter", "refusal")
        or "refusal" in candidate.flags
        or not (candidate.text or "").strip()
        or is_refusal(candidate.text)
    )
    return found if refuses else replace(found, flags=("refusal",), details={"refusal": "control"})
