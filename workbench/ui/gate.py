"""The door of the app: who is let in, what others read instead, and which pages a role opens."""

from __future__ import annotations

import streamlit as st

from workbench import access
from workbench.config import Workspace
from workbench.roles import Actor, Right, described
from workbench.ui import answers, who
from workbench.ui.diff import visible
from workbench.ui.doorway import PROVIDER

LONGEST_NAME = 28
"""Characters of a name that the badge shows; opened, it shows all of them."""

PAGE_RIGHTS: dict[str, tuple[Right, ...]] = {
    "overview": (Right.SEE,),
    "upload": (Right.IMPORT,),
    "traffic": (Right.SEE,),
    "replays": (Right.SEE, Right.REPLAY),
    "compare": (Right.READ,),
    "slices": (Right.SEE,),
    "review": (Right.LABEL,),
    "ramp": (Right.SEE,),
    "costs": (Right.SEE,),
    "settings": tuple(Right),
    "help": tuple(Right),
}
"""Which rights, any one of them, put a page into the menu. The use cases decide what it shows."""


def opens(page: str, actor: Actor) -> bool:
    """Say whether a page is in the menu of somebody; a page that is not listed here needs to see numbers."""
    return actor.may_somewhere(*PAGE_RIGHTS.get(page, (Right.SEE,)))


def check(page: str, actor: Actor) -> None:
    """Refuse a page whose use cases would refuse all that it is for.

    Raises:
        AccessRefused: No role of theirs opens it.
    """
    if not opens(page, actor):
        raise access.refusal(actor, PAGE_RIGHTS.get(page, (Right.SEE,)), None)


def first(actor: Actor) -> str:
    """Return the page on which somebody starts."""
    return next((page for page in ("overview", "review", "upload") if opens(page, actor)), "settings")


def admit(workspace: Workspace) -> Actor | None:
    """Return who visits; or None, after a page has said how to be let in.

    Args:
        workspace: Its `[sign_in]` and `[access]` decide; without them, this machine's user is let in.
    """
    who.watch(workspace.root)
    if workspace.config.sign_in is None and not access.is_guarded():
        if who.from_elsewhere():
            _for_this_machine()
            return None
        return who.local(workspace.root)
    found = who.visit(workspace.root)
    if found.actor is None:
        _closed(workspace, found)
    return found.actor


def _for_this_machine() -> None:
    with st.container(width=520, key="closed"):
        st.title("Workbench", anchor=False)
        st.info("This app is for the machine that it runs on.", icon=":material/lock:")
        st.text("Whoever looks after it can let people sign in: docs/sign-in.md.")


def _closed(workspace: Workspace, found: who.Visit) -> None:
    with st.container(width=520, key="closed"):
        st.title("Workbench", anchor=False)
        if workspace.config.sign_in is None or "auth" not in st.secrets:
            st.info(
                "This workspace is open to people who sign in, and this app was not started for that.",
                icon=":material/lock:",
            )
            st.text("Stop it, and start it with: workbench app")
            return
        if found.problem:
            st.info("You are not let in yet.", icon=":material/lock:")
            st.text(visible(found.problem))
            st.text("Ask whoever looks after this workbench for a role on the tasks you work on.")
        else:
            st.text("Sign in to see what may move, to replay and to label.")
        with st.container(horizontal=True):
            again = "Sign in again" if found.problem else "Sign in"
            if st.button(again, type="primary", icon=":material/login:", key="sign-in"):
                st.login(PROVIDER)
            if found.email and st.button("Sign out", icon=":material/logout:", key="sign-out-closed"):
                who.sign_out()


def badge(actor: Actor) -> None:
    """Show who visits, on every page, and let them out again.

    Args:
        actor: Who was let in.
    """
    with (
        st.container(horizontal=True, horizontal_alignment="right", key="who"),
        st.popover(_short(actor.name), icon=":material/account_circle:", type="tertiary"),
    ):
        st.text(visible(actor.name))
        if actor.signed_in:
            st.caption("Roles")
            st.text(visible(described(actor.grants)))
            if st.button("Sign out", icon=":material/logout:", key="sign-out"):
                who.sign_out()
        else:
            st.text("At this machine: nobody signs in, and every page is open.")


def _short(name: str) -> str:
    shown = visible(name)
    # A label is Markdown; a name is anybody's, in any script.
    return answers.quoted(shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + "…")
