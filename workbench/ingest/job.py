"""What is said between an import and the processes that read for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.checks import NAME_HINT
from workbench.errors import UsageError
from workbench.formats import Passed
from workbench.ingest.report import REJECTS_KEPT, reject_reason
from workbench.records import LEAST_RATE, EvalKind, Rejected
from workbench.specs import NAME_PATTERN, EvalConfig, MatchRule

REASONS_KEPT = 100


@dataclass(slots=True)
class Secret:
    """What personal data is replaced with: the workspace's key as hexadecimal digits, and a model's name.

    It goes through the pipe to the reading process, never through its environment or arguments.
    """

    key: str
    model: str | None = None


@dataclass(slots=True)
class Job:
    """What is to be read, and how. `rules` say which calls belong to which task.

    With `preview`, so many calls are shown and nothing is written. Of the files, those in `found`
    come from a folder or a pattern: one that is no log is left out. With `secret`, personal
    data is replaced. `candidates` are names, `served_as` candidates by the name of a model in the log.
    """

    files: list[str]
    format: str
    mapping: dict[str, str] | None
    task: str | None
    rules: dict[str, tuple[MatchRule, ...]]
    source: str | None = None
    sampling_rate: float | None = None
    folder: str = ""
    preview: int | None = None
    found: list[str] = field(default_factory=list)
    secret: Secret | None = None
    candidates: list[str] = field(default_factory=list)
    served_as: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Look:
    """What a look into the head of a file says. `alone`: no record has to be joined with another."""

    path: str
    name: str
    format: str
    because: str
    source: str
    alone: bool
    shareable: bool
    bytes: int


@dataclass(slots=True)
class Told:
    """One message of a reading process; only what it is about is filled in.

    `looks` comes first; `records` and the `position` in bytes (0: not known) say how far it is in
    `file`, `part` which part is complete; `refused` holds
    kind, message and hint of an error for people, `preview` a `Preview` as JSON; `done` comes last.
    """

    looks: list[Look] | None = None
    file: int = 0
    records: int = 0
    position: int = 0
    refused: tuple[str, str, str] | None = None
    preview: bytes | None = None
    part: str | None = None
    done: Count | None = None


@dataclass(slots=True)
class Count:
    """What became of the records that one process read, before the store judges them.

    `unrecognised` are the files that are no logs, each with the reason, `capture_lost` the calls
    that capture could not write; the first process tells both. `renamed` are tasks that the log calls
    by what is no name, with their names.
    """

    records: list[int] = field(default_factory=list)
    blank: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    passed: int = 0
    skip_reasons: dict[str, int] = field(default_factory=dict)
    rejects: list[tuple[int, Rejected]] = field(default_factory=list)
    unnamed: bool = False
    redacted: dict[str, int] = field(default_factory=dict)
    unrecognised: list[tuple[str, str]] = field(default_factory=list)
    capture_lost: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    def skip(self, item: Passed) -> None:
        """Count records that are no calls, by their kind."""
        self.passed += 1 + item.parts
        self.skip_reasons[item.reason] = self.skip_reasons.get(item.reason, 0) + 1 + item.parts

    def reject(self, file: int, item: Rejected) -> None:
        """Count a rejected record, and keep it as long as there is room."""
        self.rejected += 1
        reason = reject_reason(item.reason)
        if reason not in self.reasons and len(self.reasons) >= REASONS_KEPT:
            reason = "other"
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if len(self.rejects) < REJECTS_KEPT:
            self.rejects.append((file, item))


def evals_of(rules: Mapping[str, Sequence[MatchRule]]) -> list[EvalConfig]:
    """Return evals that hold what a `TaskRouter` asks of them, and nothing else."""
    return [EvalConfig(task, EvalKind.LABEL, match_any=tuple(each)) for task, each in rules.items()]


def check_arguments(
    paths: Sequence[Path | str], task: str | None, source: str | None, sampling_rate: float | None
) -> None:
    """Check what a person typed.

    Raises:
        UsageError: An argument is wrong.
    """
    if not paths:
        raise UsageError("No file to import.", "Name at least one file.")
    if task is not None and not NAME_PATTERN.fullmatch(task):
        raise UsageError(f"{task!r} is no name for a task.", NAME_HINT)
    if source is not None and (not source.strip() or len(source) > 200 or not source.isprintable()):
        raise UsageError(f"{source[:50]!r} is no name for a source.", "Use a short name such as `prod-eu`.")
    if sampling_rate is not None and not LEAST_RATE <= sampling_rate <= 1:
        raise UsageError(
            f"The sampling rate {sampling_rate} is not a share of traffic.", "Use 10% or 0.1, up to 100%."
        )
