"""Labels back from another program, record by record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from workbench.config import Workspace
from workbench.formats.base import Blank, Record
from workbench.formats.containers import records
from workbench.formats.files import Shape
from workbench.ingest.treated import Treatment
from workbench.records import Rejected
from workbench.review.handover import Given, Program, Refused, programs, take_back
from workbench.review.states import Clock, utc_now
from workbench.review.tallying import LabelReport, Tally
from workbench.store import Store

LOOKED_AT = 20
"""Records of a file that are looked at to see which program wrote it."""
AT_ONCE = 200
"""Answers stored in one transaction, so that reviewers in the app don't wait."""


def program_behind(shape: Shape) -> Program | None:
    """Return the program that wrote a file, by the shape of its first records, or None."""
    for item in islice(records(shape), LOOKED_AT):
        if isinstance(item, Record) and isinstance(item.value, dict):
            return next((each for each in programs().values() if each.knows(item.value)), None)
    return None


def import_answers(
    workspace: Workspace,
    store: Store,
    program: Program,
    shape: Shape,
    task: str,
    tally: Tally,
    treatment: Treatment | None = None,
    *,
    now: Clock = utc_now,
) -> LabelReport:
    """Take in every answer of a file that another program wrote.

    Args:
        workspace: Names the eval.
        store: Where the labels go.
        program: Which one wrote it.
        shape: The file.
        task: The task that its items belong to.
        tally: Counts what becomes of each answer.
        treatment: How texts about redacted calls are redacted, if any are.
        now: The clock.
    """
    waiting = _answers(program, shape, tally)
    while several := list(islice(waiting, AT_ONCE)):
        given = [each for _, each in several]
        taken = take_back(workspace, store, program, task, given, now, treatment)
        for (record, _), found in zip(several, taken, strict=True):
            if isinstance(found, Refused):
                tally.reject(record.rejected(shape.name, str(found)))
            elif found.label is None:
                tally.skipped += 1
            else:
                tally.accepted += 1
    return tally.report(shape.name, "verdicts")


def _answers(program: Program, shape: Shape, tally: Tally) -> Iterator[tuple[Record, Given]]:
    """Yield every answer with its record; count what holds none."""
    for item in records(shape):
        if isinstance(item, Rejected):
            tally.records += 1
            tally.reject(item)
            continue
        if isinstance(item, Blank):
            tally.records += 1
            tally.blank += 1
            continue
        if not isinstance(item.value, dict) or not program.knows(item.value):
            tally.records += 1
            tally.reject(item.rejected(shape.name, f"not a record of {program.title}"))
            continue
        try:
            found = list(program.read(item.value))
        except Refused as error:
            tally.records += 1
            tally.reject(item.rejected(shape.name, str(error)))
            continue
        tally.records += max(len(found), 1)
        tally.blank += not found
        yield from ((item, each) for each in found)
