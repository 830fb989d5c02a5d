"""What comes later for calls that were imported redacted goes the same way as they did.

Outputs of recorded candidates, labels and gold answers are made elsewhere, often from the log as it
was: without this they would bring back what the import took out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import Output, Rejected
from workbench.redaction import Redactor, fingerprint, load_key
from workbench.redaction.secret import FILE, KeyUnusable

if TYPE_CHECKING:
    from workbench.store import Store

_OF_OUTPUT = ("text", "tool_calls", "reasoning", "error")


class Treatment:
    """Redacts what belongs to calls that were redacted, and leaves the rest as it is.

    Args:
        redactor: With the secret of the import, so that the same person is the same placeholder.
        calls: The ids of the calls that were redacted.
    """

    def __init__(self, redactor: Redactor, calls: frozenset[str]) -> None:
        self._redactor, self._calls = redactor, calls
        self.found: Counter[str] = Counter()

    def name(self, native_id: str) -> str:
        """Return an id of a log as the import wrote it, where it may hold an address."""
        return self._redactor.text(native_id, Counter())

    def text(self, call_id: str, text: str) -> str:
        """Return a text about a call, such as a note or a right answer."""
        return self._redactor.text(text, self.found) if call_id in self._calls else text

    def texts(self, call_id: str, texts: Iterable[str]) -> tuple[str, ...]:
        """Return texts about a call, as `text`."""
        return tuple(self.text(call_id, each) for each in texts)

    def rejected(self, item: Rejected) -> Rejected:
        """Return a record that was not taken without its beginning, which may be cut amid an address."""
        unseen: Counter[str] = Counter()
        return replace(
            item,
            reason=self._redactor.text(item.reason, unseen),
            content_hash=self._redactor.digest(item.content_hash),
            snippet="",
        )

    def output(self, call_id: str, output: Output) -> Output:
        """Return an output for a call."""
        if call_id not in self._calls:
            return output
        plain = msgspec.to_builtins(output)
        clean = plain | {key: self._redactor.value(plain[key], self.found) for key in _OF_OUTPUT}
        return output if clean == plain else msgspec.convert(clean, Output)


def treatment_of(workspace: Workspace, store: Store, task: str) -> Treatment | None:
    """Return what redacts later arrivals of a task; None where none of its calls was redacted.

    Names that a language model found at the import are not looked for again: the detectors are
    the built-in ones.

    Raises:
        UsageError: The secret of the import is not there any more, or is another one.
    """
    from workbench.store.redacted import redacted_calls

    calls, keys = redacted_calls(store, task)
    if not calls:
        return None
    key = _key(workspace.root, task)
    if keys - {fingerprint(key)}:
        raise UsageError(
            f"Calls of task {task!r} were redacted with another secret than {workspace.root / FILE}.",
            "Put the earlier .redaction-key back: without it the same person would get two placeholders.",
        )
    return Treatment(Redactor(key), calls)


def _key(root: Path, task: str) -> bytes:
    if not (root / FILE).exists():
        raise UsageError(
            f"Calls of task {task!r} were imported with --redact, and the secret {root / FILE} is gone.",
            "Put it back from a copy. What belongs to those calls would bring back what was taken out.",
        )
    try:
        return load_key(root)
    except (KeyUnusable, OSError) as error:
        why = f"The secret for redaction can't be used: {error}."
        raise UsageError(why, "See docs/redaction.md.") from None
