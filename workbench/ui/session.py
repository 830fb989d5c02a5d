"""What every page needs of the workspace: the store, cached reads, and errors a person can mend."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from workbench import access, demo
from workbench.config import CONFIG_NAME, Workspace
from workbench.errors import AccessRefused, ConfigError, StoreBusy, WorkbenchError
from workbench.store import Store, accesses
from workbench.ui import memory, telling
from workbench.ui.palette import Palette, palette

P = ParamSpec("P")
R = TypeVar("R")

WORKSPACE_VARIABLE = "WORKBENCH_WORKSPACE"
STORE_WAIT_S = 5.0
RETRY_EVERY_S = 2.0
_HERE = "workbench.here"
_log = logging.getLogger(__name__)
DEMO = "workbench.demo"
"""In the session's state while a person looks at the demo that lies in the workspace's folder."""


@dataclass(frozen=True, slots=True)
class Here:
    """The workspace and its store in this run. `signature` changes with every file that declares it."""

    workspace: Workspace
    store: Store
    signature: str


def find() -> Workspace:
    """Read the workspace that this app shows; an eval that is wrong keeps none of the other tasks from it.

    Raises:
        WorkbenchError: There is none, or its file is wrong.
    """
    return replace(Workspace.load(os.environ.get(WORKSPACE_VARIABLE) or _nearest(Path.cwd())), tolerant=True)


def begin(workspace: Workspace | None = None) -> Here:
    """Open the store of the workspace that this run shows; the router calls it first.

    Args:
        workspace: As it was read a moment ago; read anew unless given.

    Raises:
        WorkbenchError: There is no workspace, or its files are wrong, or the store can't be opened.
    """
    workspace = workspace or find()
    if st.session_state.get(DEMO) and demo.is_demo(demo.beside(workspace)):
        workspace = Workspace.load(demo.beside(workspace))
        _say_demo()
    here = Here(workspace, _store(str(workspace.store_path), str(workspace.spool)), _signature(workspace))
    st.session_state[_HERE] = here
    return here


def _say_demo() -> None:
    """Say on every page that what it shows is invented, with the way back."""
    with st.container(horizontal=True, vertical_alignment="center", key="demo-banner"):
        st.markdown(":material/science: You are looking at the demo: its logs and prices are invented.")
        if st.button("Back to my workspace", icon=":material/arrow_back:", key="leave-demo"):
            st.session_state.pop(DEMO)
            st.query_params.clear()
            st.rerun()


def here() -> Here:
    """Return what `begin` read in this run."""
    found: Here = st.session_state[_HERE]
    return found


def read(function: Callable[Concatenate[Store, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a query of the store, and remember what it said until somebody commits.

    Args:
        function: A function of the store package, taking the store first.
        args: Plain values or frozen records.
        kwargs: The same.
    """
    store = here().store
    return _remembered(function, lambda: function(store, *args, **kwargs), args, kwargs)


def ask(function: Callable[Concatenate[Workspace, Store, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a use case that only reads, and remember what it said until something changes.

    Args:
        function: A use case, taking workspace and store first.
        args: Plain values or frozen records.
        kwargs: The same.
    """
    now = here()
    return _remembered(function, lambda: function(now.workspace, now.store, *args, **kwargs), args, kwargs)


def quarter() -> datetime:
    """Return the present to the quarter of an hour, in UTC: what is remembered of it holds so long."""
    now = datetime.now(UTC)
    return now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)


def forget() -> None:
    """Forget what was remembered, so that everything is asked again."""
    memory.forget()


def colours() -> Palette:
    """Return the colours of the theme that this person looks at."""
    return palette(st.context.theme.type)


DID_NOT_WORK = "This did not work."
LEFT_OUT = (
    "An eval can't be read. Its task is left out on all pages until it is mended. Till then no log is "
    "imported, and nothing leaves that is of all tasks; replays of other tasks go on."
)
NOT_OPENED = "This workspace can't be shown until the following is mended. Then load the page again."


@contextmanager
def friendly(*, blind: str | None = None, what: str = DID_NOT_WORK) -> Iterator[None]:
    """Show an error meant for a person as a message with its next step; let bugs through.

    Args:
        blind: The task whose answers are judged blind there: no message names a model.
        what: What did not work, our own words.
    """
    try:
        yield
    except StoreBusy as error:
        st.info("Another command is writing to the store. This page tries again by itself.")
        if telling.may_know(blind):
            st.text(error.message)
        retry_soon()
    except AccessRefused as error:
        st.info("Your role does not open this.", icon=":material/lock:")
        st.text(error.message)
        st.text(error.hint)
    except WorkbenchError as error:
        complain(error, blind=blind, what=what)


def complain(error: WorkbenchError, *, blind: str | None = None, what: str = DID_NOT_WORK) -> None:
    """Show an error: what happened, and what to do next. Its words may quote a log: never Markdown.

    Who may not know the set-up, or judges blind, reads that something of it is wrong, and the app's log what.

    Args:
        error: What happened.
        blind: As for `friendly`.
        what: What did not work, our own words.
    """
    now: Here | None = st.session_state.get(_HERE)
    knows = telling.may_know(blind)
    is_told = telling.is_harmless(error, now.workspace if now else None) or (knows and blind is None)
    with st.container(border=True):
        st.error(what, icon=":material/error:")
        if is_told:
            _words_of(error)
            return
        _log.error("Not shown to a visitor: %s", error)
        st.text(telling.UNSAID if blind is None else telling.UNSAID_BLIND)
        if knows:
            with st.expander("What it says (it may name the model)"):
                _words_of(error)


def say_left_out(*, blind: bool) -> None:
    """Say which evals can't be read.

    Args:
        blind: Whether the page names no model.
    """
    for error in here().workspace.wrong_evals.values():
        complain(error, blind="" if blind else None, what=LEFT_OUT)


def _words_of(error: WorkbenchError) -> None:
    st.text(error.message)
    if error.hint:
        st.text(error.hint)


def retry_soon() -> None:
    """Run the page again in a moment, without a click."""
    asked_at = time.monotonic()

    @st.fragment(run_every=RETRY_EVERY_S)
    def again() -> None:
        if time.monotonic() - asked_at >= RETRY_EVERY_S / 2:
            st.rerun(scope="app")

    again()


def _remembered(
    function: Callable[..., R], call: Callable[[], R], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> R:
    now = here()
    name = f"{function.__module__}.{function.__qualname__}"
    # What one person may read is never remembered for another who may not.
    key = repr((args, sorted(kwargs.items()), access.current().key))

    def looking() -> tuple[R, tuple[accesses.Seen, ...]]:
        with accesses.collecting() as shown:
            return call(), tuple(shown)

    result, shown = memory.answer((str(now.workspace.root), now.signature, name, key), now.store, looking)
    # Whose text is shown is noted each time that somebody reads it.
    for seen in shown:
        accesses.note(now.store, seen)
    return result


@st.cache_resource(show_spinner=False)
def _store(path: str, spool: str) -> Store:
    return Store.open(Path(path), spool=Path(spool), wait_s=STORE_WAIT_S)


def _nearest(folder: Path) -> Path:
    for each in (folder, *folder.parents):
        if (each / CONFIG_NAME).is_file():
            return each
    raise ConfigError(
        f"{folder} is not a workspace: it has no {CONFIG_NAME}.",
        "Start the app with `workbench app --workspace DIR`, or make one with `workbench init DIR`.",
    )


def _signature(workspace: Workspace) -> str:
    """Return a hash of all that is declared, so that an edited file is seen at the next run."""
    parts = [repr(workspace.config), repr(workspace.evals), repr(workspace.wrong_evals)]
    for each in workspace.config.candidates:
        if each.outputs:
            path = workspace.path(each.outputs)
            parts.append(str(path.stat().st_mtime_ns) if path.is_file() else "missing")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
