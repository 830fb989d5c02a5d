"""Who visits: the person that the provider vouches for, or whoever works on this machine.

The actor is found anew for each question, so that a role taken away in `workbench.toml` counts
from the next click, for buttons and fragments too.
"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from workbench import access
from workbench.config import CONFIG_NAME, Workspace, WorkspaceConfig, read_config, read_toml
from workbench.errors import ConfigError
from workbench.local_name import local_name
from workbench.roles import Actor, SignIn, all_rights, is_email, plain_email

ROOT = "workbench.root"
LABELLING_AS = "review.annotator"
CLOCK_SKEW_S = 300.0
"""The provider's clock may run ahead of this machine's by so much."""

Version: TypeAlias = tuple[Path, int, int, int]
"""A file as it is now: where it lies, when it was changed, its size and its number."""

_signed_out: set[tuple[str, int]] = set()
"""Sign-ins that were ended here: a copy of their cookie opens nothing any more while this app runs."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a visitor where people sign in. `actor` is None unless they are let in.

    `problem` says in plain words why not; it is empty for somebody who has not signed in yet.
    """

    actor: Actor | None
    email: str = ""
    problem: str = ""


def watch(root: Path) -> None:
    """Let every use case that this visit reaches know who visits; the router calls it first.

    Args:
        root: The workspace's folder.
    """
    st.session_state[ROOT] = str(root)
    access.serve(visitor)


def visitor() -> Actor | None:
    """Return who visits, or None where nobody may: also in a thread that belongs to no visit."""
    if get_script_run_ctx(suppress_warning=True) is None or ROOT not in st.session_state:
        return _nobody()
    root = Path(st.session_state[ROOT])
    if settings(root).sign_in is not None:
        return visit(root).actor
    # Sign-in that is taken out of the file while the app runs opens it to nobody: start it anew.
    return None if access.is_guarded() or from_elsewhere() else local(root)


def from_elsewhere() -> bool:
    """Say whether a visit comes from another machine: without sign-in none does, however the app was started.

    `workbench app` listens on a loopback address; whoever starts the app in another way may not.
    """
    address = st.context.ip_address
    if not isinstance(address, str):
        return False
    try:
        return not ipaddress.ip_address(address.split("%", 1)[0]).is_loopback
    except ValueError:
        return True


def _nobody() -> Actor | None:
    """Return who acts outside any visit: where people sign in, nobody."""
    return None if access.is_guarded() else all_rights(access.local_name())


def settings(root: Path) -> WorkspaceConfig:
    """Return what `workbench.toml` says now, read again only where the file has changed.

    Raises:
        ConfigError: It can't be read: nobody is let in by what it said before.
    """
    return _settings(*_version(root))


def _version(root: Path) -> Version:
    path = root / CONFIG_NAME
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.", "Put it back.") from error
    return path, found.st_mtime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=16)
def _settings(path: Path, _changed_ns: int, _size: int, _inode: int) -> WorkspaceConfig:
    return read_config(read_toml(path), path)


@lru_cache(maxsize=4096)
def _actor(version: Version, email: str, verified: bool) -> Actor:
    """Return an actor; a rule file of a thousand people is not gone through with every question."""
    return _settings(*version).access.actor(email, verified=verified)


def visit(root: Path) -> Visit:
    """Return what is known of who visits a workspace where people sign in."""
    version = _version(root)
    sign_in = _settings(*version).sign_in
    claims = st.user.to_dict()
    if sign_in is None or claims.get("is_logged_in") is not True:
        return Visit(None)
    email = claims.get("email")
    if not isinstance(email, str) or not is_email(plain_email(email)):
        return Visit(None, problem="Your sign-in brought no e-mail address, and roles go by it.")
    name = plain_email(email)
    problem = _unusable(claims, sign_in, name)
    if problem:
        return Visit(None, name, problem)
    actor = _actor(version, name, _says_verified(claims))
    if not actor.grants:
        return Visit(None, name, f"You are signed in as {name}, and nobody has given you a role here.")
    return Visit(actor, name)


def _says_verified(claims: dict[str, Any]) -> bool:
    # Some providers send the word instead of the value.
    return claims.get("email_verified") in (True, "true")


def _unusable(claims: dict[str, Any], sign_in: SignIn, name: str) -> str:
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        return "Your sign-in does not say when it was made. Sign in again."
    age_s = time.time() - issued
    if age_s > sign_in.session_hours * 3600 or age_s < -CLOCK_SKEW_S:
        return f"Your sign-in is older than {sign_in.session_hours:g} hours. Sign in again."
    if (name, int(issued)) in _signed_out:
        return "You have signed out. Sign in again."
    if claims.get("email_verified") is None and sign_in.emails_are_verified:
        return ""
    if not _says_verified(claims):
        return f"Your provider does not say that {name} is yours, so nothing is shown under it."
    return ""


def sign_out() -> None:
    """End this sign-in, here and in every other window of the same browser."""
    claims = st.user.to_dict()
    email, issued = claims.get("email"), claims.get("iat")
    if isinstance(email, str) and isinstance(issued, int | float):
        _signed_out.add((plain_email(email), int(issued)))
    st.logout()


def local(root: Path) -> Actor:
    """Return whoever works on this machine, with every right."""
    labelling_as = st.session_state.get(LABELLING_AS)
    return all_rights(str(labelling_as) if labelling_as else local_name(Workspace(root, settings(root))))
