"""Redaction at import: every item of a log goes through here before anything of it is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.config import Workspace
from workbench.errors import ConfigError, UsageError
from workbench.formats import Draft, Feedback, Mark, OutputDraft, Passed
from workbench.formats.base import Item
from workbench.normal import canonical_json
from workbench.records import Output, Rejected, Request
from workbench.redaction import VERSION, Detector, KeyUnusable, Recall, Redactor, fingerprint, load_key

if TYPE_CHECKING:
    from workbench.store import Store


class Redaction:
    """Takes items of a log and gives them without personal data, each marked and counted.

    Args:
        key: The workspace's secret.
        detectors: Beside the built-in ones.
    """

    def __init__(self, key: bytes, detectors: Sequence[Detector] = ()) -> None:
        self.key = key
        self._redactor = Redactor(key, detectors)
        self._recall = Recall()
        # A language model takes the names of models and of tasks for those of people.
        self._plain = Redactor(key)
        self.described = json.dumps({"key": fingerprint(key), "version": VERSION})
        self.found: Counter[str] = Counter()

    def __call__(self, item: Item) -> Item:
        """Return an item without personal data. It stays the call that it was."""
        if isinstance(item, Draft | OutputDraft):
            return self._whole(item)
        if isinstance(item, Feedback):
            return self._feedback(item)
        if isinstance(item, Passed):
            return replace(item, feedback=tuple(map(self._feedback, item.feedback)))
        return self._rejected(item) if isinstance(item, Rejected) else item

    def _whole(self, item: Draft | OutputDraft) -> Item:
        """Return a call or an answer to one: what it names a phone or a key is found in all of it."""
        self._recall.forget()
        self._redactor.recall = self._recall
        try:
            # Once more where something was found: it may stand before the place that names it.
            for _ in range(2):
                if isinstance(item, Draft):
                    self._draft(item)
                else:
                    self._output_draft(item)
                if not self._recall:
                    break
        finally:
            self._redactor.recall = None
        return item

    def _draft(self, draft: Draft) -> Draft:
        if draft.native_id is None and draft.content_key is None:
            # Of the record as it was: another version of the detectors must not make another call of it.
            draft.content_key = self._redactor.digest(canonical_json(_content(draft)))
        request = self._request(draft.request)
        if request != draft.request:
            draft.request = request
            _add(draft.marks)
        before = _beside(draft)
        draft.control = self._output(draft.control)
        draft.native_id = self._text(draft.native_id)
        draft.session_id = self._text(draft.session_id)
        draft.gold = self._text(draft.gold)
        draft.attributes = self._value(draft.attributes)
        draft.rest = self._value(draft.rest)
        draft.model, draft.task = self._name(draft.model), self._name(draft.task)
        if _beside(draft) != before:
            _add(draft.control_marks)
        draft.file = self.text(draft.file)
        for label in draft.feedback:
            self._feedback(label)
        return draft

    def _feedback(self, label: Feedback) -> Feedback:
        # What it is about is redacted as the ids of calls are, so that it still finds its call.
        for name in ("native_id", "target_id", "name", "comment", "annotator", "file"):
            setattr(label, name, self.text(getattr(label, name)))
        label.value = self._value(label.value)
        label.attributes = self._value(label.attributes)
        return label

    def _output_draft(self, draft: OutputDraft) -> OutputDraft:
        output = self._output(draft.output)
        if output is not None and output != draft.output:
            draft.output = output
            _add(draft.marks)
        if draft.request is not None:
            request = self._request(draft.request)
            if request != draft.request:
                draft.request = request
                _add(draft.request_marks)
        draft.native_id = self.text(draft.native_id)
        draft.file = self.text(draft.file)
        draft.attributes = self._value(draft.attributes)
        return draft

    def _rejected(self, item: Rejected) -> Rejected:
        """Return a rejected record without its beginning, which may be cut amid an address."""
        return replace(
            item,
            file=self.text(item.file),
            reason=self.text(item.reason),
            content_hash=self._redactor.digest(item.content_hash),
            snippet="",
        )

    def _request(self, request: Request) -> Request:
        plain = msgspec.to_builtins(request)
        clean = plain | {key: self._value(plain[key]) for key in ("messages", "tools", "response_format")}
        # A number stays one: a seed that looks like a card's number is sent to candidates as a seed.
        clean["parameters"] = {
            name: item if isinstance(item, int | float) else self._value(item)
            for name, item in plain["parameters"].items()
        }
        return request if clean == plain else msgspec.convert(clean, Request)

    def _output(self, output: Output | None) -> Output | None:
        if output is None:
            return None
        plain = msgspec.to_builtins(output)
        clean = plain | {key: self._value(plain[key]) for key in ("text", "tool_calls", "reasoning", "error")}
        clean |= {key: self._name(plain[key]) for key in ("model", "finish_reason")}
        return output if clean == plain else msgspec.convert(clean, Output)

    def text(self, text: str) -> str:
        """Return a text without personal data, such as the name of a file."""
        return self._redactor.text(text, self.found)

    def _name(self, text: str | None) -> str | None:
        """Return a name without personal data as it is written: keys, addresses, numbers."""
        return None if text is None else self._plain.text(text, self.found)

    def _text(self, text: str | None) -> str | None:
        return None if text is None else self.text(text)

    def _value(self, value: Any) -> Any:
        return self._redactor.value(value, self.found)


def redaction_of(workspace: Workspace) -> Redaction:
    """Return what redacts the imports of a workspace; its secret is made on first use.

    Args:
        workspace: Holds the secret.

    Raises:
        ConfigError: The secret can't be read or made.
    """
    try:
        return Redaction(load_key(workspace.root))
    except (KeyUnusable, OSError) as error:
        raise ConfigError(
            f"The secret for redaction can't be used: {error}.", "See docs/redaction.md."
        ) from error


def redaction_with(key: bytes, model: str | None) -> Redaction:
    """Return what redacts with a secret, and with a model if one is named.

    Args:
        key: The workspace's secret.
        model: A spaCy model that finds names of people and places too, through Presidio.

    Raises:
        ModelMissing: Presidio or the model is not installed.
    """
    if model is None:
        return Redaction(key)
    from workbench.redaction.presidio import PresidioDetector

    return Redaction(key, [PresidioDetector.of_model(model)])


def check_treatment(store: Store, names: Sequence[str], redaction: Redaction | None) -> None:
    """Refuse to import a source both redacted and as logged, or redacted with two secrets.

    Raises:
        UsageError: The store's calls of a source were imported otherwise.
    """
    from workbench.store.redacted import treatments

    mine = None if redaction is None else json.loads(redaction.described)["key"]
    for name in sorted(set(names)):
        for described in treatments(store, name):
            theirs = None if described is None else json.loads(described)["key"]
            if theirs != mine:
                raise UsageError(
                    f"Source {name!r} holds calls that were imported {_how(theirs, mine)}.",
                    _advice(theirs, mine),
                )


def _how(theirs: str | None, mine: str | None) -> str:
    if theirs is None:
        return "as logged, without --redact"
    return "with --redact" if mine is None else "with --redact and another secret"


def _advice(theirs: str | None, mine: str | None) -> str:
    same = "The same call would stand there twice, or in conflict."
    if theirs is None:
        return f"{same} Take those imports back first, or name this one apart: --source NAME."
    if mine is None:
        return f"{same} Import with --redact too, or name this one apart: --source NAME."
    return f"{same} Put the earlier .redaction-key back, or name this one apart: --source NAME."


def _content(draft: Draft) -> list[Any]:
    return [
        draft.request,
        draft.control,
        draft.occurred_at,
        draft.session_id,
        draft.attributes,
        draft.rest,
    ]


def _beside(draft: Draft) -> tuple[Any, ...]:
    """Return what a draft holds beside its request."""
    return (
        *(draft.control, draft.native_id, draft.session_id, draft.gold, draft.attributes, draft.rest),
        *(draft.model, draft.task),
    )


def _add(marks: list[str]) -> None:
    if Mark.REDACTED not in marks:
        marks.append(Mark.REDACTED)
