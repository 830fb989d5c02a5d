"""Answers from a fixed set of labels: one, or where the eval says so, several."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from workbench.compare.folding import name_normaliser
from workbench.compare.judgement import JOINED, Judgement, invalid, uncomparable
from workbench.compare.reading import extract_json
from workbench.records import Verdict
from workbench.specs import EvalConfig, Normalisation, json_key

JSON_WRAPPER = "json"
"""A wrapper of this name unwraps a JSON object of one key that holds a text, number or truth value."""
NEUTRAL_KEYS = (
    *("answer", "category", "categories", "choice", "choices", "class"),
    *("classes", "classification", "decision", "final_answer", "intent", "intents"),
    *("label", "labels", "option", "options", "output", "predicted_category"),
    *("predicted_class", "predicted_label", "prediction", "predictions", "response", "result"),
    *("results", "selection", "tag", "tags", "topic", "topics"),
    *("type", "value", "verdict"),
)
"""Keys that say no more than that a label follows. Of others, `refuse_refund` may mean the opposite of
`refund`."""
CACHE_TEXTS, CACHE_CHARS = 65_536, 400
NO_LABEL = "(no label)"
"""Group of an answer that says, as an empty JSON list, that no label fits."""
MAX_LABELS = 1_000
"""An answer of more pieces is none."""
_MARKS = "*_~<>"
_BULLET = re.compile(r"(?:[-*•–]|\d{1,3}[.)])[ \t]+")

Labels = tuple[str, ...]
"""The labels of one answer, sorted, each once."""


@dataclass(frozen=True, slots=True)
class Named:
    """The labels that an answer names, and the key of a JSON object under which they mean what they mean.

    `key` is empty where they stand in no object, or the key says no more than that a label follows.
    """

    labels: Labels
    key: str = ""


class LabelReader:
    """Reads the labels of an answer, as far as the eval declares answers equal.

    Every declared normalisation is tried from the strictest on, and a form that
    two labels share is left out: labels that differ in case alone stay apart. An
    answer holds one label; where the eval declares several, it holds a set of them,
    all of which have to be known.

    Args:
        eval: The labels, aliases, normalisation, wrappers and separators.
    """

    def __init__(self, eval: EvalConfig) -> None:  # noqa: A002 - the domain's own word
        self._wrappers = tuple(
            re.compile(each, re.IGNORECASE | re.DOTALL)
            for each in eval.normalise.wrappers
            if each != JSON_WRAPPER and json_key(each) is None
        )
        declared = {key for each in eval.normalise.wrappers if (key := json_key(each)) is not None}
        self._any_key = JSON_WRAPPER in eval.normalise.wrappers
        self._json = self._any_key or bool(declared)
        plain = {*declared, *((*NEUTRAL_KEYS, eval.task) if self._any_key else ())}
        self._plain_keys = frozenset(map(_in_one_spelling, plain))
        self._open = not eval.labels
        self._several = eval.several
        self._between = re.compile("|".join(map(re.escape, eval.separators)) or r"(?!)")
        self._levels = [(level, _forms(eval, level)) for level in _levels(eval.normalise)]
        self._known: dict[str, Named | None] = {}

    def read(self, text: str | None) -> str | None:
        """Return the group that an answer names, or None where it names none.

        That is its label; where there are several, all of them in one order.

        Args:
            text: The answer as the model wrote it.
        """
        found = self.named(text)
        return None if found is None else group_of(found.labels)

    def named(self, text: str | None) -> Named | None:
        """Return the labels that an answer names, or None where it names none or an unknown one.

        Args:
            text: The answer as the model wrote it.
        """
        if text is None:
            return None
        if text in self._known:
            return self._known[text]
        found = self._find(text)
        if len(text) <= CACHE_CHARS:
            if len(self._known) >= CACHE_TEXTS:
                self._known.clear()
            self._known[text] = found
        return found

    def _find(self, text: str) -> Named | None:
        for answers, key in self._unwrapped(text):
            found = self._named(answers[0])
            if found is None:
                continue
            others = (self._named(each) for each in answers[1:])
            # "Answer: billing. Answer: outage" names two: of programs some take the first, some the last.
            return Named(found, key) if all(each in (None, found) for each in others) else None
        return self._listed(text) if self._several else None

    def _named(self, answer: str) -> Labels | None:
        """Return the labels that an answer without its wrapper names, or None."""
        if (label := self._one(answer)) is not None:
            return (label,)
        if self._several and (labels := self._all(self._pieces(answer))) is not None:
            return labels
        if self._open and (form := self._levels[-1][0](answer)):
            return (form,)
        return None

    def _one(self, answer: str) -> str | None:
        """Return the label that an answer is, or None."""
        for level, forms in self._levels:
            form = level(answer)
            if form in forms:
                return forms[form]
        return None

    def _pieces(self, answer: str) -> list[str]:
        """Split an answer at the declared separators; nothing between two of them is no label."""
        return [piece for piece in self._between.split(answer) if piece.strip()]

    def _all(self, pieces: list[str]) -> Labels | None:
        """Return the labels of all pieces, or None where one is not known."""
        if not 0 < len(pieces) <= MAX_LABELS:
            return None
        found: set[str] = set()
        for piece in pieces:
            label = self._one(piece)
            if label is None:
                label = self._one(_BULLET.sub("", piece.strip(), count=1))
            if label is None and self._open:
                label = self._levels[-1][0](piece) or None
            if label is None:
                return None
            found.add(label)
        return tuple(sorted(found))

    def _listed(self, text: str) -> Named | None:
        """Read a JSON list of labels, alone or, under the JSON wrapper, in an object of one key."""
        good, value = extract_json(text, (list, dict) if self._json else (list,))
        key = ""
        if good and isinstance(value, dict):
            value, key = self._opened(value) or (None, key)
        if not good or not isinstance(value, list) or len(value) > MAX_LABELS:
            return None
        if not value:
            return Named((), key)
        names = [_name(each) for each in value]
        labels = None if None in names else self._all([name for name in names if name is not None])
        return None if labels is None else Named(labels, key)

    def _opened(self, value: dict[Any, Any]) -> tuple[Any, str] | None:
        """Return what an object of one key holds and the key, empty where it is neutral or declared."""
        if len(value) != 1:
            return None
        ((key, inner),) = value.items()
        if _in_one_spelling(key) in self._plain_keys:
            return inner, ""
        named = key.strip().casefold()
        return (inner, named) if self._any_key and named else None

    def _unwrapped(self, text: str) -> list[tuple[list[str], str]]:
        """Return the answers a text may hold, by the wrapper they stand in, each at least one, and its key.

        The text itself comes first unless labels are open, and what stands under a key of its own last.
        """
        inner: list[tuple[list[str], str]] = []
        if self._json:
            good, value = extract_json(text)
            opened = self._opened(value) if good else None
            only = _name(opened[0]) if opened else None
            inner += [([only], opened[1])] if opened and only is not None else []
        for wrapper in self._wrappers:
            found = (each.group(1) if wrapper.groups else each.group(0) for each in wrapper.finditer(text))
            answers = list(dict.fromkeys(each for each in islice(found, MAX_LABELS) if each is not None))
            inner += [(answers, "")] if answers else []
        inner.sort(key=lambda each: each[1] != "")
        return [*inner, ([text], "")] if self._open else [([text], ""), *inner]


def judge_labels(reader: LabelReader, control: str | None, candidate: str | None) -> Judgement:
    """Compare two answers from a set of labels. Symmetric where both are in the set.

    Under another key than the recorded one a label may say anything: such an answer is none. The score is
    the share of labels in common, of those that either side names.

    Args:
        reader: Reads labels as the eval declares.
        control: The frontier's answer.
        candidate: The candidate's answer.
    """
    recorded = reader.named(control)
    if recorded is None:
        return uncomparable("the control is not one of the labels" if control else "the control is empty")
    left, group = recorded.labels, group_of(recorded.labels)
    answered = reader.named(candidate)
    if answered is None:
        reason = "the answer is not one of the labels" if candidate and candidate.strip() else "no answer"
        return invalid(reason, control_group=group)
    if answered.key != recorded.key:
        reason = f"the label stands under {_told(answered.key)}, the recorded one under {_told(recorded.key)}"
        return invalid(reason, control_group=group)
    right, other = answered.labels, group_of(answered.labels)
    if left == right:
        same = control == candidate
        return Judgement(Verdict.MATCH, 1.0, identical=same, control_group=group, candidate_group=other)
    score = len(set(left) & set(right)) / len(set(left) | set(right))
    reason = f"{group} became {other}"
    return Judgement(Verdict.MISMATCH, score, reason, control_group=group, candidate_group=other)


def group_of(labels: Labels) -> str:
    """Return the name of the outcome group of an answer with these labels."""
    return JOINED.join(labels) or NO_LABEL


def labels_of(group: str | None) -> frozenset[str]:
    """Return the labels of an answer by the name of its outcome group; none where it is no answer.

    Args:
        group: What `group_of` named, of an eval with several labels.
    """
    return frozenset() if group is None or group == NO_LABEL else frozenset(group.split(JOINED))


def _in_one_spelling(key: str) -> str:
    """Return a key however its words are joined: finalAnswer, final_answer and Final Answer are one."""
    return "".join(filter(str.isalnum, key)).casefold()


def _told(key: str) -> str:
    return f"the key {key[:80]!r}" if key else "no key of its own"


def _name(value: Any) -> str | None:
    """Return a scalar of a JSON answer as the label it may be."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


def _levels(rules: Normalisation) -> list[Callable[[str], str]]:
    """Return the declared normalisations, from the strictest to all of them together."""
    steps: list[Callable[[str], str]] = [str.strip]
    so_far = Normalisation(case=False, whitespace=False, punctuation=False, unicode=False)
    for name in ("unicode", "whitespace", "case", "punctuation"):
        if getattr(rules, name):
            flags: dict[str, Any] = {name: True}
            so_far = replace(so_far, **flags)
            steps.append(name_normaliser(so_far))
    if rules.punctuation:
        last = steps[-1]
        steps.append(lambda text: last(last(text.strip().strip(_MARKS)).strip(_MARKS).strip()))
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
