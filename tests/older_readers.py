"""Reading processes as of an older version, which lost some of what they read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from workbench.ingest import children, rereading

OLDER = """
import sys
from dataclasses import replace
from workbench.ingest import reader
from workbench.records import Output

with reader.without_numpy():
    from workbench.ingest import plain_rows, rows

new_call, new_output, new_plain = rows.RowMaker.call, rows.RowMaker.output, plain_rows.PlainRows.call

def call(maker, draft, source):
    draft.request = replace(draft.request, tools=())
    if ANSWERS and draft.control is not None:
        draft.control = replace(draft.control, text="As it was read.")
    if INVENTED and draft.control is None:
        draft.control = Output(text="As it was read.")
    new_call(maker, draft, source)

def output(maker, draft, source):
    if ANSWERS:
        draft.output = replace(draft.output, text="As it was read.")
    new_output(maker, draft, source)

def plain(maker, pair, source, file):
    if pair.tools and ANSWERS:
        pair.text = "As it was read."
    pair.tools = []
    new_plain(maker, pair, source, file)

rows.RowMaker.call, rows.RowMaker.output, plain_rows.PlainRows.call = call, output, plain
sys.exit(reader.main())
"""


@contextmanager
def older_readers(
    monkeypatch: pytest.MonkeyPatch, *, reading: int = 0, answers: bool = False, invented: bool = False
) -> Iterator[None]:
    """Read, for the block, by processes that lose what tools were offered, or all answers too.

    Args:
        monkeypatch: Changes what is started.
        reading: The number of the older reading.
        answers: Whether the answers are lost.
        invented: Whether an answer is read where there is none.
    """
    started, code = subprocess.Popen, OLDER.replace("ANSWERS", str(answers))
    code = code.replace("INVENTED", str(invented))

    def popen(command: list[str], *args: Any, **options: Any) -> Any:
        if "workbench.ingest.reader" in command:
            command = [*command[: command.index("-m")], "-c", code, command[-1]]
        return started(command, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(children.subprocess, "Popen", popen)
        patch.setattr(rereading, "READING", reading)
        yield
