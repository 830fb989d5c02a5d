"""Who may do what: rights, the roles that hold them, and the rules of `workbench.toml` that give roles.

Pure. A person without a role has no right; a role gives rights and never takes one away; a
role given for a task gives nothing on another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

EMAIL_PATTERN = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
DOMAIN_PATTERN = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{1,63}")
_ASCII_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


class Right(StrEnum):
    """One thing that somebody may do, on a task or everywhere."""

    SEE = "see"
    """Numbers, recommendations and reports, which hold no text of a call."""
    READ = "read"
    """The text of calls and answers, with the names of models and what people said of them."""
    LABEL = "label"
    """A desk of one's own: blind items, and one's own labels."""
    ADJUDICATE = "adjudicate"
    """Others' labels on a pair, and the decision between them."""
    IMPORT = "import"
    """Logs and labels from files, taking them back, naming what they hold."""
    REPLAY = "replay"
    """Candidates, and everything that asks a model or compares what it said."""
    EXPORT = "export"
    """Files with the text of calls."""
    RAMP = "ramp"
    """Accepting a recommendation, or overriding it."""
    OVERSEE = "oversee"
    """Who has which role, and who has read what."""


class Role(StrEnum):
    """A bundle of rights with a name that people know."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    ENGINEER = "engineer"
    ADMIN = "admin"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.SEE, Right.READ}),
    # Nothing that would tell a reviewer which model wrote what, or what others said.
    Role.REVIEWER: frozenset({Right.LABEL}),
    Role.ENGINEER: frozenset({Right.SEE, Right.READ, Right.IMPORT, Right.REPLAY, Right.EXPORT}),
    Role.ADMIN: frozenset(Right),
}

DEFAULT_ROLES = (Role.VIEWER, Role.REVIEWER)
"""Roles that may be given to everybody who signs in."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on one task; on every task, and on what belongs to none, where `task` is None."""

    role: Role
    task: str | None = None


@dataclass(frozen=True)
class Actor:
    """Somebody who does something: a name and what it may do.

    `signed_in` says that the name was proved by an identity provider; such a person labels
    under no other name. `verified` says that the provider says with each sign-in that the address
    is theirs. Whoever works at a terminal or in a notebook can read the files of the
    workspace anyway, and holds every right under a name of their own choice.
    """

    name: str
    grants: frozenset[Grant] = frozenset()
    signed_in: bool = False
    verified: bool = False
    withheld: frozenset[tuple[Role, Right]] = frozenset()

    @cached_property
    def _by_task(self) -> dict[str | None, frozenset[Right]]:
        found: dict[str | None, frozenset[Right]] = {}
        for grant in self.grants:
            given = {right for right in RIGHTS[grant.role] if (grant.role, right) not in self.withheld}
            found[grant.task] = found.get(grant.task, frozenset()) | given
        return found

    def rights(self, task: str | None = None) -> frozenset[Right]:
        """Return what this actor may do on a task; without one, what it may do everywhere."""
        everywhere = self._by_task.get(None, frozenset())
        return everywhere if task is None else everywhere | self._by_task.get(task, frozenset())

    def may(self, right: Right, task: str | None = None) -> bool:
        """Say whether this actor holds a right on a task; without one, everywhere."""
        return right in self.rights(task)

    def may_somewhere(self, *rights: Right) -> bool:
        """Say whether this actor holds one of some rights on any task at all."""
        return any(right in held for held in self._by_task.values() for right in rights)

    @property
    def roles(self) -> tuple[Grant, ...]:
        """Return the roles in a steady order, those for every task first."""
        return tuple(sorted(self.grants, key=lambda each: (each.task or "", each.role)))

    @property
    def key(self) -> str:
        """Return what two actors share that may do the same: for results remembered between people."""
        return repr(sorted((task or "", sorted(rights)) for task, rights in self._by_task.items()))


def all_rights(name: str) -> Actor:
    """Return an actor that holds every right under a name."""
    return Actor(name, frozenset({Grant(Role.ADMIN)}))


@dataclass(frozen=True, slots=True)
class Person:
    """Who gets which roles (`[[access.people]]`): one e-mail address, or everybody of a domain.

    `tasks` limits the roles to these tasks; left out, they hold on all of them.
    """

    roles: tuple[Role, ...]
    email: str | None = None
    domain: str | None = None
    tasks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may do what once people sign in (`[access]`).

    `default_role` goes to everybody who signs in with a verified address: viewer or reviewer.
    With `viewers_read_text` false, viewers see numbers and reports, and no text of a call.
    """

    people: tuple[Person, ...] = ()
    default_role: Role | None = None
    viewers_read_text: bool = True

    def actor(self, email: str, *, verified: bool) -> Actor:
        """Return the actor that an identity provider's e-mail address stands for.

        Args:
            email: As the provider says it.
            verified: Whether the provider says that this person owns the address. Without it,
                only rules that name the very address count.

        Returns:
            An actor, without any role where no rule names it.
        """
        name = plain_email(email)
        grants: set[Grant] = set()
        domain = name.rpartition("@")[2]
        for person in self.people:
            by_domain = person.domain is not None and verified and plain_email(person.domain) == domain
            by_address = person.email is not None and plain_email(person.email) == name
            if by_domain or by_address:
                for role in person.roles:
                    grants |= {Grant(role, task) for task in (person.tasks or (None,))}
        if self.default_role is not None and verified:
            grants.add(Grant(self.default_role))
        return Actor(name, frozenset(grants), signed_in=True, verified=verified, withheld=self._withheld)

    @property
    def _withheld(self) -> frozenset[tuple[Role, Right]]:
        return frozenset() if self.viewers_read_text else frozenset({(Role.VIEWER, Right.READ)})


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in (`[sign_in]`): an OpenID Connect provider, with secrets named by variable.

    `discovery_url` is the provider's `.well-known/openid-configuration`. `redirect_uri` is this
    app's own address as browsers see it, ending in `/oauth2callback`. After `session_hours`
    people sign in anew. `emails_are_verified` is for a provider that vouches for its addresses
    but does not say so with each sign-in; one that it calls unverified is refused all the same.
    """

    client_id: str
    discovery_url: str
    redirect_uri: str
    client_secret_env: str = "WORKBENCH_CLIENT_SECRET"  # noqa: S105 - the name of a variable
    cookie_secret_env: str = "WORKBENCH_COOKIE_SECRET"  # noqa: S105 - the name of a variable
    session_hours: float = 12.0
    emails_are_verified: bool = False
    scopes: tuple[str, ...] = field(default=("openid", "email", "profile"))


def plain_email(email: str) -> str:
    """Return an address as it is compared: trimmed, A to Z in lower case, and nothing else folded.

    Letters beyond ASCII stay: folding them would make two addresses one.
    """
    return email.strip().translate(_ASCII_LOWER)


def is_email(text: str) -> bool:
    """Say whether a text is one plain e-mail address."""
    return EMAIL_PATTERN.fullmatch(text) is not None and len(text) <= 254


def described(grants: Iterable[Grant]) -> str:
    """Return roles as people read them: `viewer; reviewer on triage`."""
    by_role: dict[Role, list[str]] = {}
    for grant in sorted(grants, key=lambda each: (each.role, each.task or "")):
        by_role.setdefault(grant.role, []).append(grant.task or "")
    parts = [str(role) if "" in tasks else f"{role} on {', '.join(tasks)}" for role, tasks in by_role.items()]
    return "; ".join(parts) or "no role"
