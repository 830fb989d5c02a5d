"""What a comparator says of one pair, before it is tied to a replay and a call."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.records import Comparison, Output, Verdict, told_error

JOINED = " + "
"""Stands between the labels in the name of a group, and between ignore rules of which all were needed."""

REFUSAL = re.compile(
    r"^\W*(?:(?:i['’]?m|i am)\s+(?:really\s+|very\s+|so\s+)?sorry\W+(?:but\s+)?)?(?:unfortunately\W+)?"
    r"(?:i\s+(?:can(?:['’]t|not)|am\s+(?:not\s+able|unable)\s+to|won['’]t\s+be\s+able\s+to)"
    r"|i['’]m\s+(?:not\s+able|unable)\s+to)\s+"
    r"(?:help|assist|comply|fulfil+|provide|do\s+that|answer|continue|support|engage|create|discuss|share)"
    r"|^\W*as\s+an\s+ai\b[^.]{0,80}\b(?:can(?:['’]t|not)|unable)\b"
    r"|^\W*(?:es\s+tut\s+mir\s+leid\W+(?:aber\s+)?)?(?:dabei\s+kann\s+ich|ich\s+kann\s+(?:dir|ihnen)?\s*"
    r"(?:dabei|damit|diese\w*\s+anfrage))\s+(?:\w+\s+)?nicht\b"
    r"|^\W*(?:je\s+suis\s+)?(?:désolée?\W+(?:mais\s+)?)je\s+ne\s+(?:peux|puis)\s+pas\b"
    r"|^\W*lo\s+siento\W+(?:pero\s+)?no\s+puedo\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict with its reasons. The fields mean what they mean in `Comparison`."""

    verdict: Verdict
    score: float | None = None
    reason: str = ""
    identical: bool = False
    invalid: bool = False
    ignored_by: str | None = None
    control_group: str | None = None
    candidate_group: str | None = None
    flags: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def of(self, replay_id: str, call_id: str, repeat: int, evaluator_version: str) -> Comparison:
        """Return the comparison of one observation.

        Args:
            replay_id: The replay that made the observation.
            call_id: The call it answers.
            repeat: Which of the repeats, from 0.
            evaluator_version: The hash of all that decided the verdict.
        """
        return Comparison(
            replay_id=replay_id,
            call_id=call_id,
            repeat=repeat,
            evaluator_version=evaluator_version,
            verdict=self.verdict,
            score=self.score,
            reason=self.reason,
            identical=self.identical,
            invalid=self.invalid,
            ignored_by=self.ignored_by,
            control_group=self.control_group,
            candidate_group=self.candidate_group,
            flags=self.flags,
            details=self.details,
        )


def by_rule(counted: Mapping[str, int]) -> dict[str, int]:
    """Return how many pairs each ignore rule made equal, the commonest first.

    Where several rules were needed for one pair, it counts for each of them.

    Args:
        counted: Pairs by `ignored_by`.
    """
    found: Counter[str] = Counter()
    for names, count in counted.items():
        for name in names.split(JOINED):
            found[name] += count
    return dict(found.most_common())


def uncomparable(reason: str) -> Judgement:
    """Return the verdict for a control that can't be compared with."""
    return Judgement(Verdict.UNCOMPARABLE, reason=reason)


def invalid(reason: str, **more: Any) -> Judgement:
    """Return the verdict for a candidate output that breaks its contract."""
    return Judgement(Verdict.MISMATCH, 0.0, reason, invalid=True, **more)


def is_refusal(text: str | None) -> bool:
    """Say whether a text opens like a refusal (English, German, French, Spanish)."""
    return bool(text) and REFUSAL.search((text or "")[:300]) is not None


def control_problem(
    error_kind: str | None,
    finish_reason: str | None,
    flags: tuple[str, ...] = (),
) -> str | None:
    """Return why a control can't be compared with, or None where it can.

    Args:
        error_kind: The kind of its error, if it is one.
        finish_reason: Why the frontier model stopped.
        flags: The output's flags.
    """
    if error_kind:
        return f"the control is an error ({told_error(error_kind)})"
    if finish_reason in ("length", "max_tokens", "MAX_TOKENS") or "truncated" in flags:
        return "the control is cut off"
    if finish_reason in ("content_filter", "refusal") or "refusal" in flags:
        return "the control is a refusal"
    return None


def same_raw(control: Output, observed: Output) -> bool:
    """Say whether two outputs are equal character for character, tool calls included."""
    return (control.text or "") == (observed.text or "") and [
        (each.name, each.arguments) for each in control.tool_calls
    ] == [(each.name, each.arguments) for each in observed.tool_calls]
