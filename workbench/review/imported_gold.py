"""Rows of a file as gold answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.formats.base import Blank, Record
from workbench.ingest.treated import Treatment
from workbench.records import Rejected
from workbench.review.imported_rows import Ids, Refused, cell, rows_in
from workbench.review.states import Clock, in_utc
from workbench.review.tallying import Tally
from workbench.store import Store
from workbench.store import gold as gold_rows
from workbench.store import labels as rows


def import_gold(
    store: Store,
    task: str,
    file: str,
    items: Iterator[Record | Rejected | Blank],
    where: Mapping[str, str],
    tally: Tally,
    now: Clock,
    treatment: Treatment | None,
) -> None:
    """Store the gold answers of a file, all of them or, where the file can't be read to its end, none.

    Args:
        store: Where they go.
        task: The task whose calls they answer.
        file: The file's name, kept as where each answer comes from.
        items: Its rows.
        where: Field to column.
        tally: Counts what becomes of each row.
        now: The clock.
        treatment: How texts of redacted calls are redacted, if any are.

    Raises:
        UsageError: The file can't be read to its end.
    """
    calls = Ids(rows.task_calls(store, task), f"no call of task {task} has this id", treatment)
    known = gold_rows.newest_gold(store, task)
    given: dict[str, str] = {}
    fresh: list[dict[str, Any]] = []
    moment = in_utc(now())
    for item, value in rows_in(items, file, tally):
        answer = cell(value, where, "gold")
        try:
            call_id = calls.find(cell(value, where, "id"))["call_id"]
            if not answer:
                raise Refused("the gold answer is empty")
            answer = answer if treatment is None else treatment.text(call_id, answer)
        except Refused as error:
            tally.reject(item.rejected(file, str(error)))
            continue
        if given.setdefault(call_id, answer) != answer:
            tally.conflicts += 1
            tally.reject(item.rejected(file, "the file gives this call another gold answer before"))
            continue
        if known.get(call_id) == answer:
            tally.skipped += 1
            continue
        known[call_id] = answer
        tally.accepted += 1
        # What our own file says of a first look stays true of it.
        origin = gold_rows.BY_HAND if value.get("origin") == gold_rows.BY_HAND else file
        fresh.append({"call_id": call_id, "answer": answer, "origin": origin, "created_at": moment})
    if fresh:
        store.append("gold", fresh)
