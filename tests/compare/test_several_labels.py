"""Answers that hold several labels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.compare import Judgement, basis, compare_outputs, evaluator_version
from workbench.compare.labels import NO_LABEL, LabelReader
from workbench.records import Basis, EvalKind, Output, Verdict
from workbench.specs import EvalConfig, Normalisation

TOPICS = EvalConfig(
    "topics",
    EvalKind.LABEL,
    labels=("billing", "bug report", "spam"),
    aliases={"bug": "bug report"},
    several=True,
    normalise=Normalisation(wrappers=("json", r"answer:\s*(.*)")),
)


def judged(control: str, candidate: str, config: EvalConfig = TOPICS) -> Judgement:
    return compare_outputs(config, None, Output(control), Output(candidate))


@pytest.mark.parametrize(
    "answer",
    [
        "billing, bug report",
        "Bug; Billing.",
        "bug, bug, billing, bug",
        '["bug", "billing"]',
        '{"topics": ["bug", "billing"]}',
        '{"topics": "bug, billing"}',
        'Sure:\n```json\n["billing", "bug"]\n```',
        "Answer: **bug**, **billing**",
        "- billing\n- bug report\n",
        "1. Billing\n2. Bug",
        "billing,\nbug,",
    ],
)
def test_several_labels_are_equal_as_sets(answer: str) -> None:
    """Order, repeats, lists of any form and all that is declared for one label make no difference."""
    found = judged("bug report, billing", answer)
    assert (found.verdict, found.candidate_group) == (Verdict.MATCH, "billing + bug report")
    assert found.score == 1


def test_another_set_is_a_mismatch_whose_score_says_how_much_is_in_common() -> None:
    """One label of two is half, and the groups are named by all their labels in one order."""
    found = judged("spam, billing", "billing")
    assert (found.verdict, found.score, found.invalid) == (Verdict.MISMATCH, 0.5, False)
    assert (found.control_group, found.candidate_group) == ("billing + spam", "billing")
    assert found.reason == "billing + spam became billing"
    assert judged("spam", "billing").score == 0


@pytest.mark.parametrize(
    "answer", ["billing, refunds", '["billing", "refunds"]', '["billing", null]', ",", ""]
)
def test_one_unknown_label_makes_the_whole_answer_invalid(answer: str) -> None:
    """Every label has to be in the set; half an answer is none."""
    found = judged("billing", answer)
    assert (found.verdict, found.invalid, found.candidate_group) == (Verdict.MISMATCH, True, None)
    assert judged(answer, "billing").verdict is Verdict.UNCOMPARABLE


def test_an_empty_list_says_that_no_label_fits() -> None:
    """It is an answer of its own, not a missing one."""
    assert judged("[]", '{"topics": []}').verdict is Verdict.MATCH
    found = judged("billing", "[]")
    assert (found.invalid, found.candidate_group) == (False, NO_LABEL)


def test_only_declared_separators_separate() -> None:
    """Without a declaration, and with other separators, a comma is part of an answer."""
    assert judged("billing", "billing, spam", replace(TOPICS, several=False)).invalid
    barred = replace(TOPICS, separators=("|",))
    assert judged("billing|spam", "spam | billing", barred).verdict is Verdict.MATCH
    assert judged("billing|spam", "spam, billing", barred).invalid


def test_several_labels_are_structural_and_another_evaluator() -> None:
    """Set equality is declared equality; verdicts under other separators never mix."""
    assert basis(TOPICS) is Basis.STRUCTURAL
    versions = {
        evaluator_version(each)
        for each in (TOPICS, replace(TOPICS, several=False), replace(TOPICS, separators=("|",)))
    }
    assert len(versions) == 3


def test_an_endless_answer_is_invalid() -> None:
    """A thousand labels are an answer, more are none."""
    reader = LabelReader(TOPICS)
    assert reader.read("spam," * 1_000) == "spam"
    assert reader.read("spam," * 1_001) is None
