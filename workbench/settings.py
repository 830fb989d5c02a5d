"""What a workspace is set to: evals, candidates, prices, who may do what, and who has read what.

Nothing here holds a secret: keys are named by their variable, and of a variable it is said
whether it is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from workbench.access import may, requires, requires_somewhere
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.doctor import Check, examine
from workbench.engines.privacy import open_gate
from workbench.errors import PrivacyRefused, WorkbenchError
from workbench.roles import AccessRules, Grant, Right, SignIn, described
from workbench.specs import Candidate
from workbench.store import Store, accesses, migrate
from workbench.store.accesses import Access
from workbench.store.conflicting import not_in_conflict


@dataclass(frozen=True, slots=True)
class EvalSetting:
    """How one task is compared. The versions change with every edit that changes what counts."""

    task: str
    kind: str
    evaluator_version: str
    guideline_version: str
    allowed_zone: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class CandidateSetting:
    """Where a candidate runs, and which tasks' data may go there.

    `host` is that of its endpoint, without path or user. `key_variable` names the variable that
    holds its key, `key_set` says whether it is set; None where it needs none. `problem` says why
    it has no fingerprint.
    """

    name: str
    engine: str
    model: str | None
    host: str | None
    zone: str
    fingerprint: str | None
    key_variable: str | None
    key_set: bool | None
    open_to: tuple[str, ...]
    closed_to: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PriceSetting:
    """The newest price of a model, and how old it is."""

    model: str
    as_of: date
    age_days: int
    source: str


@dataclass(frozen=True, slots=True)
class StoreSetting:
    """The store's file: sizes in bytes, its schema and the newest this version knows."""

    file: str
    size_bytes: int
    spool_bytes: int
    backups: int
    backup_bytes: int
    free_bytes: int
    schema: int
    newest_schema: int
    calls: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class SignInSetting:
    """How people sign in. Of secrets, the variable's name and whether it is set."""

    provider: str
    redirect_uri: str
    client_id: str
    session_hours: float
    emails_are_verified: bool
    variables: dict[str, bool]


@dataclass(frozen=True, slots=True)
class PersonSetting:
    """Who has which roles: an address, `everybody of DOMAIN`, or `everybody who signs in`."""

    who: str
    roles: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace is set to, as far as the asker may know; the rest is empty or None."""

    workspace: str
    evals: tuple[EvalSetting, ...]
    candidates: tuple[CandidateSetting, ...]
    prices: tuple[PriceSetting, ...]
    store: StoreSetting | None
    sign_in: SignInSetting | None
    people: tuple[PersonSetting, ...]


@requires_somewhere(*Right)
def settings(workspace: Workspace, store: Store, *, today: date | None = None) -> Settings:
    """Return what a workspace is set to, limited to what the asker may know.

    Who sees numbers on a task reads how it is compared; who does so everywhere reads of
    candidates, prices and the store; who oversees everything reads of sign-in and roles.

    Args:
        workspace: The workspace.
        store: Its store.
        today: For the age of prices; today in UTC unless given.
    """
    everywhere, overseeing = may(Right.SEE), may(Right.OVERSEE)
    day = today or datetime.now(UTC).date()
    sign_in = workspace.config.sign_in
    return Settings(
        workspace=workspace.root.name,
        evals=tuple(
            EvalSetting(
                task=each.task,
                kind=str(each.kind),
                evaluator_version=evaluator_version(each),
                guideline_version=each.guideline_version,
                allowed_zone=each.allowed_zone,
                tolerance=each.policy.tolerance,
            )
            for each in workspace.evals.values()
            if may(Right.SEE, each.task)
        ),
        candidates=tuple(_candidate(workspace, each) for each in workspace.config.candidates)
        if everywhere
        else (),
        prices=tuple(_prices(workspace, day)) if everywhere else (),
        store=_store(workspace, store) if everywhere else None,
        sign_in=_sign_in(sign_in) if sign_in is not None and overseeing else None,
        people=tuple(_people(workspace.config.access)) if overseeing else (),
    )


def _candidate(workspace: Workspace, each: Candidate) -> CandidateSetting:
    problem, fingerprint = "", None
    try:
        fingerprint = workspace.fingerprint(each)
    except WorkbenchError as error:
        problem = error.message
    opened, closed = [], []
    for config in workspace.evals.values():
        try:
            open_gate(each, config)
        except PrivacyRefused:
            closed.append(config.task)
        else:
            opened.append(config.task)
    return CandidateSetting(
        name=each.name,
        engine=each.engine,
        model=each.model,
        host=urlsplit(each.base_url).hostname if each.base_url else None,
        zone=each.effective_zone,
        fingerprint=fingerprint,
        key_variable=each.api_key_env,
        key_set=bool(os.environ.get(each.api_key_env)) if each.api_key_env else None,
        open_to=tuple(sorted(opened)),
        closed_to=tuple(sorted(closed)),
        problem=problem,
    )


def _prices(workspace: Workspace, day: date) -> Iterator[PriceSetting]:
    for model in dict.fromkeys(each.model for each in workspace.config.prices):
        newest = workspace.price_of(model)
        if newest is not None:
            yield PriceSetting(model, newest.as_of, (day - newest.as_of).days, newest.source)


def _store(workspace: Workspace, store: Store) -> StoreSetting:
    path = workspace.store_path
    copies = list(path.parent.glob(f"{path.name}.backup-*"))
    return StoreSetting(
        file=path.name,
        size_bytes=_size(path) + _size(path.with_name(path.name + ".wal")),
        spool_bytes=sum(_size(each) for each in workspace.spool.rglob("*"))
        if workspace.spool.is_dir()
        else 0,
        backups=len(copies),
        backup_bytes=sum(map(_size, copies)),
        free_bytes=shutil.disk_usage(workspace.root).free,
        schema=int(store.value(f"SELECT max(number) FROM {migrate.LEDGER}")),  # noqa: S608 - a constant
        newest_schema=migrate.bundled()[-1].number,
        calls=int(store.value(f"SELECT count(*) FROM calls c WHERE {not_in_conflict(store, 'c')}")),  # noqa: S608 - fixed text
        quarantined=len(store.quarantined()),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0  # Taken away in between.


def _sign_in(sign_in: SignIn) -> SignInSetting:
    names = (sign_in.client_secret_env, sign_in.cookie_secret_env)
    return SignInSetting(
        provider=urlsplit(sign_in.discovery_url).hostname or "",
        redirect_uri=sign_in.redirect_uri,
        client_id=sign_in.client_id,
        session_hours=sign_in.session_hours,
        emails_are_verified=sign_in.emails_are_verified,
        variables={name: bool(os.environ.get(name)) for name in names},
    )


def _people(rules: AccessRules) -> Iterator[PersonSetting]:
    for each in rules.people:
        grants = {Grant(role, task) for role in each.roles for task in (each.tasks or (None,))}
        who = each.email if each.email is not None else f"everybody of {each.domain}"
        yield PersonSetting(who, described(grants))
    if rules.default_role is not None:
        yield PersonSetting("everybody who signs in", str(rules.default_role))


@requires_somewhere(Right.OVERSEE)
def access_log(
    workspace: Workspace,
    store: Store,
    *,
    limit: int = 100,
    actor: str | None = None,
    task: str | None = None,
) -> list[Access]:
    """Return who read or took out the text of calls, newest first; of the asker's tasks.

    Args:
        workspace: Names the tasks.
        store: Holds the log.
        limit: Entries at most.
        actor: Of one person alone.
        task: Of one task alone.
    """
    tasks = None if task is None else [task]
    if not may(Right.OVERSEE):
        tasks = [each for each in workspace.evals if task in (None, each) and may(Right.OVERSEE, each)]
    return accesses.latest(store, limit, actor=actor, tasks=tasks)


@requires(Right.OVERSEE, Right.REPLAY, task=None)
def checks(workspace: Workspace) -> list[Check]:
    """Return what `workbench doctor` finds on this machine and in this workspace."""
    return examine(workspace.root)
