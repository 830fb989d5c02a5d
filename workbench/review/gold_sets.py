"""Right answers as a file of the eval, `evals/TASK/gold.jsonl`, to be kept with the code."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from workbench.access import requires
from workbench.config import Workspace
from workbench.engines.wire import message_bodies
from workbench.errors import UsageError
from workbench.records import Request, from_json
from workbench.roles import Right
from workbench.store import Store, accesses
from workbench.store import gold as gold_rows
from workbench.store.replays import requests_of

GOLD_NAME = "gold.jsonl"


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """A right answer to one call. `origin` is a file, or the kind of label that it comes from."""

    id: str
    call_id: str
    gold: str
    origin: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GoldSet:
    """What was written: how many answers, where, and where they came from."""

    path: str
    answers: int
    origins: dict[str, int]

    @property
    def text(self) -> str:
        """Return it as a line for people."""
        if not self.answers:
            return "There is no right answer yet. Correct an answer while labelling, or import gold answers."
        named = ", ".join(f"{count:,} from {origin}" for origin, count in self.origins.items())
        return f"Wrote {self.answers:,} right answers to {self.path} ({named})."


@requires(Right.EXPORT)
def gold_answers(workspace: Workspace, store: Store, task: str) -> list[GoldAnswer]:
    """Return every known right answer of a task, the newest of each call.

    They come from imported files, from corrected answers and from answers that a reviewer
    called right by themselves, of which an adjudicated one outranks the others. They were
    found on calls that candidates are evaluated on: whoever trains with them must keep those
    calls out of the evaluation.

    Args:
        workspace: Names the eval.
        store: Where they are.
        task: The task.

    Raises:
        UsageError: The task is not known.
    """
    workspace.eval_for(task)
    found = [
        GoldAnswer(row["native_id"], row["call_id"], row["answer"], row["origin"], row["created_at"])
        for row in gold_rows.answers(store, task)
    ]
    if found:
        accesses.exported(store, accesses.Kind.EXPORT_GOLD, task, len(found))
    return found


@requires(Right.EXPORT)
def write_gold_set(workspace: Workspace, store: Store, task: str, path: Path | str | None = None) -> GoldSet:
    """Write the right answers of a task as JSON lines that `label import` reads again.

    The file appears complete or not at all, in the order of ids, so that versions of it can
    be compared. Nothing is written where there is no answer.

    Args:
        workspace: Names the eval.
        store: Where the answers are.
        task: The task.
        path: Where to write; `gold.jsonl` in the eval's folder unless given.

    Raises:
        UsageError: The task is not known, or the file can't be written.
    """
    config = workspace.eval_for(task)
    target = Path(path) if path else Path(config.root) / GOLD_NAME
    return _written(target, gold_answers(workspace, store, task), lambda each: each)


@requires(Right.EXPORT)
def write_training_set(workspace: Workspace, store: Store, task: str, path: Path | str) -> GoldSet:
    """Write the right answers of a task as JSON lines of chats, as fine-tuning tools read them.

    A line holds `messages`, those of the recorded request and the right answer as the assistant's, and
    `tools` where the request offered any. The file appears complete or not at all, in the order of ids.
    A model that was trained on a call says nothing by its answer to that call: `gold_answers` tells more.

    Args:
        workspace: Names the eval.
        store: Where the answers are.
        task: The task.
        path: Where to write.

    Raises:
        UsageError: The task is not known, or the file can't be written.
    """
    found = gold_answers(workspace, store, task)
    asked = requests_of(store, [each.call_id for each in found])
    return _written(
        Path(path), found, lambda each: _chat(from_json(asked[each.call_id][1], Request), each.gold)
    )


def _written(target: Path, answers: Iterable[GoldAnswer], line_of: Callable[[GoldAnswer], object]) -> GoldSet:
    """Write a line for each answer, in the order of ids; nothing where there is no answer."""
    found = sorted(answers, key=lambda each: (each.id, each.call_id))
    if found:
        write_whole(target, b"".join(msgspec.json.encode(line_of(each)) + b"\n" for each in found))
    return GoldSet(str(target), len(found), dict(Counter(each.origin for each in found)))


def _chat(request: Request, answer: str) -> dict[str, Any]:
    chat: dict[str, Any] = {
        "messages": [*message_bodies(request.messages), {"role": "assistant", "content": answer}]
    }
    if request.tools:
        chat["tools"] = list(request.tools)
    return chat


def write_whole(target: Path, content: bytes) -> None:
    """Write a file that is there complete or not at all.

    Raises:
        UsageError: It can't be written.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise UsageError(
            f"{target} can't be written: {error.strerror or error}.", "Name a file in a folder that is yours."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
