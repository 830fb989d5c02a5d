"""Tables of Settings: what a workspace is set to, who has which roles, and who has read what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from workbench.config import Workspace
from workbench.exporting.asked import Asked, whole
from workbench.exporting.table import EVERY, NUMBER, TEXT, TEXTS, TIME, WHOLE, YES, Row, Table
from workbench.settings import access_log, settings
from workbench.store import Store


def _rows(found: Iterable[Any]) -> list[Row]:
    return [{name: list(v) if isinstance(v, tuple) else v for name, v in asdict(x).items()} for x in found]


def _tasks(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    columns = {"task": TEXT, "kind": TEXT, "tolerance": NUMBER, "allowed_zone": TEXT}
    columns |= {"evaluator_version": TEXT, "guideline_version": TEXT}
    found = settings(workspace, store).evals
    return whole(columns, _rows(each for each in found if asked.task in (None, each.task)))


def _candidates(workspace: Workspace, store: Store, asked: Asked) -> Table:
    """Return where candidates run. Of a key, the name of its variable and whether that is set."""
    asked.only()
    columns = {
        "name": TEXT, "engine": TEXT, "model": TEXT, "host": TEXT, "zone": TEXT, "open_to": TEXTS,
        "closed_to": TEXTS, "key_variable": TEXT, "key_set": YES, "fingerprint": TEXT, "problem": TEXT,
    }  # fmt: skip
    found = settings(workspace, store).candidates
    return whole(columns, _rows(each for each in found if asked.candidate in (None, each.name)))


def _people(workspace: Workspace, store: Store, asked: Asked) -> Table:
    asked.only()
    return whole({"who": TEXT, "roles": TEXT}, _rows(settings(workspace, store).people))


def _accesses(workspace: Workspace, store: Store, asked: Asked) -> Table:
    """Return the access log, whole: when, who, in which way, how many calls; never a text."""
    asked.only("who")
    columns = {
        "created_at": TIME,
        "actor": TEXT,
        "signed_in": YES,
        "kind": TEXT,
        "task": TEXT,
        "calls": WHOLE,
    }
    person = asked.filter("who").strip() or None
    return whole(columns, _rows(access_log(workspace, store, limit=EVERY, actor=person, task=asked.task)))


SETTING_TABLES: dict[str, Callable[[Workspace, Store, Asked], Table]] = {
    "tasks": _tasks,
    "candidates": _candidates,
    "people": _people,
    "accesses": _accesses,
}
"""Those tables by name."""
