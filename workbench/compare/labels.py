"""Answers from a fixed set of labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from workbench.compare.judgement import Judgement, invalid, uncomparable
from workbench.compare.reading import extract_json, text_normaliser
from workbench.records import Verdict
from workbench.specs import EvalConfig, Normalisation

JSON_WRAPPER = "json"
"""A wrapper of this name unwraps a JSON object that holds one text, number or truth value."""
CACHE_TEXTS, CACHE_CHARS = 65_536, 400
_MARKS = "*_~<>"


class LabelReader:
    """Reads one label out of an answer, as far as the eval declares answers equal.

    Every declared normalisation is tried from the strictest on, and a form that
    two labels share is left out: labels that differ in case alone stay apart.

    Args:
        eval: The labels, aliases, normalisation and wrappers.
    """

    def __init__(self, eval: EvalConfig) -> None:  # noqa: A002 - the domain's own word
        self._wrappers = tuple(
            re.compile(each, re.IGNORECASE | re.DOTALL)
            for each in eval.normalise.wrappers
            if each != JSON_WRAPPER
        )
        self._json = JSON_WRAPPER in eval.normalise.wrappers
        self._open = not eval.labels
        self._levels = [(level, _forms(eval, level)) for level in _levels(eval.normalise)]
        self._known: dict[str, str | None] = {}

    def read(self, text: str | None) -> str | None:
        """Return the label that an answer names, or None where it names none.

        Args:
            text: The answer as the model wrote it.
        """
        if text is None:
            return None
        if text in self._known:
            return self._known[text]
        label = self._find(text)
        if len(text) <= CACHE_CHARS:
            if len(self._known) >= CACHE_TEXTS:
                self._known.clear()
            self._known[text] = label
        return label

    def _find(self, text: str) -> str | None:
        for answer in self._unwrapped(text):
            for level, forms in self._levels:
                form = level(answer)
                if form in forms:
                    return forms[form]
            if self._open and (form := self._levels[-1][0](answer)):
                return form
        return None

    def _unwrapped(self, text: str) -> list[str]:
        """Return the answers a text may hold, the text itself first unless labels are open."""
        inner: list[str] = []
        if self._json:
            good, value = extract_json(text)
            if good and len(value) == 1:
                only = next(iter(value.values()))
                if isinstance(only, bool):
                    inner.append(str(only).lower())
                elif isinstance(only, (str, int, float)):
                    inner.append(str(only))
        for wrapper in self._wrappers:
            if found := wrapper.search(text):
                answer = found.group(1) if found.re.groups else found.group(0)
                inner += [answer] if answer is not None else []
        return [*inner, text] if self._open else [text, *inner]


def judge_labels(reader: LabelReader, control: str | None, candidate: str | None) -> Judgement:
    """Compare two answers from a set of labels. Symmetric where both are in the set.

    Args:
        reader: Reads labels as the eval declares.
        control: The frontier's answer.
        candidate: The candidate's answer.
    """
    left = reader.read(control)
    if left is None:
        return uncomparable("the control is not one of the labels" if control else "the control is empty")
    right = reader.read(candidate)
    if right is None:
        reason = "the answer is not one of the labels" if candidate and candidate.strip() else "no answer"
        return invalid(reason, control_group=left)
    if left == right:
        same = control == candidate
        return Judgement(Verdict.MATCH, 1.0, identical=same, control_group=left, candidate_group=right)
    reason = f"{left} became {right}"
    return Judgement(Verdict.MISMATCH, 0.0, reason, control_group=left, candidate_group=right)


def _levels(rules: Normalisation) -> list[Callable[[str], str]]:
    """Return the declared normalisations, from the strictest to all of them together."""
    steps: list[Callable[[str], str]] = [str.strip]
    so_far = Normalisation(case=False, whitespace=False, punctuation=False, unicode=False)
    for name in ("unicode", "whitespace", "case", "punctuation"):
        if getattr(rules, name):
            flags: dict[str, Any] = {name: True}
            so_far = replace(so_far, **flags)
            steps.append(text_normaliser(so_far))
    if rules.punctuation:
        last = steps[-1]
        steps.append(lambda text: last(text.strip().strip(_MARKS)).strip(_MARKS).strip())
    return steps


def _forms(eval: EvalConfig, level: Callable[[str], str]) -> dict[str, str]:  # noqa: A002
    """Return label by its form at one level, without the forms that two labels share."""
    forms: dict[str, str] = {}
    shared: set[str] = set()
    known = set(eval.labels)
    names = [(label, label) for label in eval.labels]
    names += [(alias, label) for alias, label in eval.aliases.items() if not known or label in known]
    for name, label in names:
        form = level(name)
        if forms.setdefault(form, label) != label:
            shared.add(form)
    return {form: label for form, label in forms.items() if form and form not in shared}
