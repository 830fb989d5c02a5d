"""Free text: equal after normalisation, or similar enough and without a contradiction."""

from __future__ import annotations

from workbench.compare.flags import contradictions, is_contradicted
from workbench.compare.judgement import Judgement, invalid, is_refusal, uncomparable
from workbench.compare.reading import text_normaliser
from workbench.compare.tools import ToolComparator
from workbench.records import Output, Request, Verdict
from workbench.specs import EvalConfig

SIMILARITY_MISSING = "similarity missing"


class TextComparator:
    """Compares texts by normalised equality, then by a similarity from outside.

    Turns with tool calls are compared as tool calls, never dropped.

    Args:
        eval: Normalisation and the similarity from which a pair matches.
    """

    def __init__(self, eval: EvalConfig) -> None:  # noqa: A002 - the domain's own word
        self._text = text_normaliser(eval.normalise)
        self._match_at = eval.match_at
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
            request: What was asked, for its tools.
            similarity: Cosine of the two texts' embeddings, -1..1; None where it is missing.
        """
        if control.tool_calls or candidate.tool_calls:
            return self._tools.judge(control, candidate, request)
        left, right = control.text or "", candidate.text or ""
        if not left.strip():
            return uncomparable("the control is empty")
        if is_refusal(left):
            return uncomparable("the control is a refusal")
        if not right.strip():
            return invalid("no answer")
        if self._text(left) == self._text(right):
            return Judgement(Verdict.MATCH, 1.0, identical=left == right)
        flags = contradictions(left, right)
        if candidate.finish_reason in ("length", "max_tokens") or "truncated" in candidate.flags:
            flags = (*flags, "truncated")
        if similarity is None:
            return Judgement(Verdict.MISMATCH, None, SIMILARITY_MISSING, flags=flags)
        score = min(1.0, max(0.0, float(similarity)))
        if similarity < self._match_at:
            return Judgement(Verdict.MISMATCH, score, f"similarity {similarity:.2f}", flags=flags)
        if is_contradicted(flags):
            reason = f"similar ({similarity:.2f}), but differs in {' and '.join(_contradicting(flags))}"
            return Judgement(Verdict.MISMATCH, score, reason, flags=flags)
        return Judgement(Verdict.MATCH, score, f"similarity {similarity:.2f}", flags=flags)


def _contradicting(flags: tuple[str, ...]) -> list[str]:
    return [flag for flag in flags if is_contradicted((flag,))]
