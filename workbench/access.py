"""Who acts now, and the one line with which a use case asks whether they may.

At a terminal and in a notebook the actor is whoever runs the program, with every right. The app
names the actor of each visit, for everything that the visit starts. Where people sign in and
nobody is named, everything is refused.
"""

from __future__ import annotations

import functools
import getpass
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from workbench.errors import AccessRefused
from workbench.roles import RIGHTS, Actor, Right, Role, all_rights

P = ParamSpec("P")
R = TypeVar("R")

ACTING_FOR = "WORKBENCH_ACTING_FOR"
"""Environment variable: for whom the app started this command; it has that person's roles, no others."""

VERIFIED = "WORKBENCH_ACTING_VERIFIED"
"""Environment variable: set where the provider said with the sign-in that the address is theirs."""

NAME_VARIABLE = "WORKBENCH_NAME"
"""Environment variable: what a person at a terminal wants to be called in the access log."""

MAX_NAME_CHARS = 80

_actor: ContextVar[Actor | None] = ContextVar("workbench_actor", default=None)
_inside: ContextVar[bool] = ContextVar("workbench_inside", default=False)


class Process:
    """What holds for a whole process where no actor is named for the moment.

    `default` acts for everybody (a command, a notebook). `visitor` says whose visit it is
    (the app). `guarded` is set as soon as a workspace with sign-in is read.
    """

    def __init__(self) -> None:
        self.default: Actor | None = None
        self.visitor: Callable[[], Actor | None] | None = None
        self.guarded = False


_process = Process()


def current() -> Actor:
    """Return who acts now.

    Raises:
        AccessRefused: People sign in here, and nobody has.
    """
    actor = _actor.get()
    if actor is None and _process.visitor is not None:
        actor = _process.visitor()
    elif actor is None:
        actor = _process.default or (None if _process.guarded else all_rights(local_name()))
    if actor is None:
        raise AccessRefused(
            "Nobody is signed in, and this workspace is open to people with a role alone.",
            "Sign in; in Python, open it with `Workbench(folder)`.",
        )
    return actor


def may(right: Right, task: str | None = None) -> bool:
    """Say whether who acts now holds a right on a task; without one, everywhere."""
    try:
        return current().may(right, task)
    except AccessRefused:
        return False


def require(*rights: Right, task: str | None = None) -> Actor:
    """Refuse unless who acts now holds one of some rights.

    Args:
        rights: Any one of them is enough.
        task: On which task; None for what belongs to no single task.

    Returns:
        Who acts.

    Raises:
        AccessRefused: They hold none of the rights there.
    """
    actor = current()
    if not any(actor.may(right, task) for right in rights):
        raise refusal(actor, rights, task)
    return actor


def require_somewhere(*rights: Right) -> Actor:
    """Refuse unless who acts now holds one of some rights on any task; what follows is limited to those.

    Raises:
        AccessRefused: They hold none of the rights anywhere.
    """
    actor = current()
    if not actor.may_somewhere(*rights):
        raise refusal(actor, rights, None)
    return actor


def requires(
    *rights: Right, task: str | Callable[[Mapping[str, Any]], str | None] | None = "task"
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a use case begin with a check; what it calls for its own work is not checked again.

    Args:
        rights: Any one of them is enough.
        task: Name of the argument that says which task it is about, or a function of all
            arguments by name; it is asked only where somebody's rights differ by task. None for a
            use case that belongs to no single task, or that limits itself to what may be seen.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def admitted(*args: P.args, **kwargs: P.kwargs) -> R:
            if _inside.get():
                return function(*args, **kwargs)
            actor = current()
            if not any(actor.may(right) for right in rights):
                given = signature.bind(*args, **kwargs).arguments
                require(*rights, task=_task_of(task, given))
            token = _inside.set(True)
            try:
                return function(*args, **kwargs)
            finally:
                _inside.reset(token)

        admitted.__dict__["requires"] = rights
        return admitted

    return decorate


def requires_somewhere(*rights: Right) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a use case begin with `require_somewhere`; it must limit itself with `may`, task by task."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def admitted(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _inside.get():
                require_somewhere(*rights)
            return function(*args, **kwargs)

        admitted.__dict__["requires"] = rights
        return admitted

    return decorate


def _task_of(
    task: str | Callable[[Mapping[str, Any]], str | None] | None, given: Mapping[str, Any]
) -> str | None:
    if callable(task):
        return task(given)
    return given.get(task) if task is not None else None


def refusal(actor: Actor, rights: tuple[Right, ...], task: str | None) -> AccessRefused:
    """Return the error for somebody who lacks a right: what it would need, and nothing of what is there."""
    where = f" on {task!r}" if task is not None else ""
    return AccessRefused(
        f"{actor.name} may not do this{where}: it needs the role {roles_with(*rights)}.",
        "Ask whoever looks after [access] in workbench.toml for the role.",
    )


def roles_with(*rights: Right) -> str:
    """Return which roles hold one of some rights, in words: `engineer or admin`."""
    return " or ".join(str(role) for role in Role if any(right in RIGHTS[role] for right in rights))


def own_name(name: str) -> str:
    """Return a name to label under: a signed-in person has only their own.

    Raises:
        AccessRefused: It is somebody else's.
    """
    actor = current()
    if actor.signed_in and name != actor.name:
        raise AccessRefused(
            f"You are signed in as {actor.name} and label under that name, not as {name!r}.",
            "Sign in as that person, or leave the name as it is.",
        )
    return name


@contextmanager
def acting(actor: Actor) -> Iterator[Actor]:
    """Act as somebody for the length of a block, in this thread."""
    token = _actor.set(actor)
    try:
        yield actor
    finally:
        _actor.reset(token)


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that acts, in whatever thread, as who acts now."""
    actor = current()

    @functools.wraps(function)
    def carrying(*args: P.args, **kwargs: P.kwargs) -> R:
        with acting(actor):
            return function(*args, **kwargs)

    return carrying


def for_child(environment: Mapping[str, str], actor: Actor) -> dict[str, str]:
    """Return an environment in which a command acts for somebody, and for nobody else.

    Args:
        environment: What it gets else.
        actor: For whom it is started.
    """
    found = {key: value for key, value in environment.items() if key not in (ACTING_FOR, VERIFIED)}
    if not actor.signed_in:
        return found | {NAME_VARIABLE: actor.name}
    return found | {ACTING_FOR: actor.name} | ({VERIFIED: "1"} if actor.verified else {})


def run_as(actor: Actor) -> None:
    """Name who acts in this process wherever nobody else is named: a command, a notebook."""
    _process.default = actor


def serve(visitor: Callable[[], Actor | None]) -> None:
    """Let each visit of the app say who acts; where it says nobody, everything is refused."""
    _process.visitor = visitor


def guard() -> None:
    """Note that people sign in here: from now on nobody acts without being named."""
    _process.guarded = True


def is_guarded() -> bool:
    """Say whether this process has read a workspace in which people sign in."""
    return _process.guarded


def local_name() -> str:
    """Return what to call whoever runs this program: WORKBENCH_NAME, else the login name."""
    name = os.environ.get(NAME_VARIABLE, "").strip()
    if not name:
        try:
            name = getpass.getuser()
        except (OSError, KeyError, ImportError):
            name = ""
    cleaned = "".join(each for each in name if each.isprintable()).strip()
    return cleaned[:MAX_NAME_CHARS] or "local"
