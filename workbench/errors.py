"""What can go wrong that a person can mend, as one tree.

WorkbenchError               everything below; printed without a traceback
├── UsageError               exit code 2: the command, a file or a key is wrong
│   └── ConfigError          workbench.toml or an eval.toml is wrong
├── EnvironmentalError       exit code 3: the machine or a service is not ready
│   ├── StoreBusy            another process holds the store
│   ├── StoreIncompatible    the file was made by another version
│   ├── EndpointUnreachable  a candidate's server does not answer
│   └── ModelMissing         weights or an optional package are not installed
├── PrivacyRefused           exit code 2: the send would leave the allowed zone
├── AccessRefused            exit code 2: who acts has no role that allows it
└── GateRefused              exit code 1: a gate said no

Bad data is not an error: it is a `Rejected` record. A bug is none of these and
keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_GATE_REFUSED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INTERRUPTED = 130


class WorkbenchError(Exception):
    """Base of every error meant for a person.

    Args:
        message: What happened and where (file, line, key), in one sentence.
        hint: What to do next, in one sentence. Empty if there is nothing to add.
    """

    exit_code = EXIT_USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(WorkbenchError):
    """The command or one of its arguments is wrong."""


class ConfigError(UsageError):
    """`workbench.toml` or an `eval.toml` is wrong."""


class EnvironmentalError(WorkbenchError):
    """The machine or a service is not ready."""

    exit_code = EXIT_ENVIRONMENT


class StoreBusy(EnvironmentalError):
    """Another process holds the store and did not give it up in time."""


class StoreIncompatible(EnvironmentalError):
    """The store was made by a version this one can't read."""


class EndpointUnreachable(EnvironmentalError):
    """A candidate's server does not answer."""


class ModelMissing(EnvironmentalError):
    """Model weights or an optional package are not installed."""


class PrivacyRefused(WorkbenchError):
    """A send was refused because it would leave the zone the data may be in."""


class AccessRefused(WorkbenchError):
    """Who acts has no role that allows it, or nobody is signed in."""


class GateRefused(WorkbenchError):
    """A gate said no."""

    exit_code = EXIT_GATE_REFUSED


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or lists them all.

    Args:
        word: What the user wrote.
        known: What would have been understood.

    Returns:
        One sentence without a trailing space; empty if nothing is known.
    """
    options = sorted(known)
    # Whoever writes KIND for kind is as close as can be, which letters alone don't show.
    folded = {each.casefold(): each for each in reversed(options)}
    close = difflib.get_close_matches(word, options, n=1) or [
        folded[each] for each in difflib.get_close_matches(word.casefold(), folded, n=1)
    ]
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(options)}." if options else ""
