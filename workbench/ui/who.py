"""Who visits: the person that the provider vouches for, or whoever works on this machine.

The actor is found anew for each question, so that a role taken away in `workbench.toml` counts
from the next click, for buttons and fragments too.
"""

from __future__ import annotations

import functools
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from workbench import access
from workbench.config import CONFIG_NAME, Workspace, WorkspaceConfig, read_config, read_toml
from workbench.errors import AccessRefused, ConfigError, WorkbenchError
from workbench.local_name import local_name
from workbench.roles import Actor, SignIn, all_rights, is_email, plain_email
from workbench.ui.sign_outs import SignOuts, file_of

P = ParamSpec("P")
R = TypeVar("R")

ROOT = "workbench.root"
LABELLING_AS = "review.annotator"
REFUSED = "downloads.refused"
CLOCK_SKEW_S = 300.0
"""The provider's clock may run ahead of this machine's by so much."""

LATEST_S = 1e12
"""A later time of issue is none: nobody signs in thirty thousand years from now."""

Version: TypeAlias = tuple[Path, int, int, int]
"""A file as it is now: where it lies, when it was changed, its size and its number."""


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


def at_the_press(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that acts as whoever looks at this page may act when it is called.

    For what a download button makes: Streamlit calls it at the press, perhaps hours after the page was
    drawn, in a thread that belongs to no visit. By then a role may be taken away, the person signed out,
    or their sign-in too old: they get nothing.

    Args:
        function: What makes it.
    """
    root = Path(st.session_state[ROOT])
    claims = st.user.to_dict()
    kept: list[WorkbenchError] = st.session_state.setdefault(REFUSED, [])
    # Without sign-in whoever sits here may do everything, and no such visit comes from elsewhere.
    here = None if settings(root).sign_in is not None else access.current()

    @functools.wraps(function)
    def pressed(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            if settings(root).sign_in is not None:
                found = visit(root, claims)
                actor, problem = found.actor, found.problem
            else:
                actor, problem = (None if access.is_guarded() else here), ""
            if actor is None:
                raise AccessRefused(
                    problem or "Nobody is signed in.", "Sign in, then press the button again."
                )
            with access.acting(actor):
                return function(*args, **kwargs)
        except WorkbenchError as error:
            kept.append(error)
            raise

    return pressed


def refused() -> list[WorkbenchError]:
    """Return why downloads of this visit came to nothing, each once.

    Streamlit hears nothing of the reason.
    """
    kept: list[WorkbenchError] = st.session_state.get(REFUSED, [])
    found = list({str(error): error for error in kept}.values())
    # The list stays: buttons on the page write into it.
    kept.clear()
    return found


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


def visit(root: Path, claims: Mapping[str, Any] | None = None) -> Visit:
    """Return what is known of who visits a workspace where people sign in.

    Args:
        root: Its folder.
        claims: What the provider said of them, where no visit is going on; that of this visit unless given.
    """
    version = _version(root)
    sign_in = _settings(*version).sign_in
    claims = st.user.to_dict() if claims is None else claims
    if sign_in is None or claims.get("is_logged_in") is not True:
        return Visit(None)
    email = claims.get("email")
    if not isinstance(email, str) or not is_email(plain_email(email)):
        return Visit(None, problem="Your sign-in brought no e-mail address, and roles go by it.")
    name = plain_email(email)
    problem = _unusable(root, claims, sign_in, name)
    if problem:
        return Visit(None, name, problem)
    actor = _actor(version, name, _says_verified(claims))
    if not actor.grants:
        return Visit(None, name, f"You are signed in as {name}, and nobody has given you a role here.")
    return Visit(actor, name)


def _says_verified(claims: Mapping[str, Any]) -> bool:
    # Some providers send the word instead of the value.
    return claims.get("email_verified") in (True, "true")


def _issued(claims: Mapping[str, Any]) -> float | None:
    """Return when a sign-in was made, s since 1970; None where it does not say."""
    issued = claims.get("iat")
    is_time = isinstance(issued, int | float) and not isinstance(issued, bool) and 0 <= issued < LATEST_S
    return issued if is_time else None


def _unusable(root: Path, claims: Mapping[str, Any], sign_in: SignIn, name: str) -> str:
    issued = _issued(claims)
    if issued is None:
        return "Your sign-in does not say when it was made. Sign in again."
    age_s = time.time() - issued
    if age_s > sign_in.session_hours * 3600 or age_s < -CLOCK_SKEW_S:
        return f"Your sign-in is older than {sign_in.session_hours:g} hours. Sign in again."
    if sign_outs(root).has(name, int(issued)):
        return "You have signed out. Sign in again."
    if claims.get("email_verified") is None and sign_in.emails_are_verified:
        return ""
    if not _says_verified(claims):
        return f"Your provider does not say that {name} is yours, so nothing is shown under it."
    return ""


def sign_outs(root: Path) -> SignOuts:
    """Return which sign-ins to a workspace were ended."""
    return _sign_outs(file_of(Workspace(root, settings(root))))


@lru_cache(maxsize=16)
def _sign_outs(path: Path) -> SignOuts:
    return SignOuts(path)


def sign_out() -> None:
    """End this sign-in, here and in every other window of the same browser, for good."""
    claims = st.user.to_dict()
    email, issued = claims.get("email"), _issued(claims)
    if isinstance(email, str) and issued is not None:
        sign_outs(Path(st.session_state[ROOT])).add(plain_email(email), int(issued))
    st.logout()


def local(root: Path) -> Actor:
    """Return whoever works on this machine, with every right."""
    labelling_as = st.session_state.get(LABELLING_AS)
    return all_rights(str(labelling_as) if labelling_as else local_name(Workspace(root, settings(root))))
