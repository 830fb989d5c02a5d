"""Who reviews in this browser, and what they have read before they said so."""

from __future__ import annotations

import streamlit as st

from workbench import access, review
from workbench.roles import Right
from workbench.ui.session import here

NAME = "review.annotator"
READ = "review.read"


def reviewer() -> str | None:
    """Return the name under which somebody labels in this session, or None before they gave one.

    Who is signed in labels under their address, whether they have sat down yet or not.
    """
    actor = access.current()
    if actor.signed_in:
        return actor.name if actor.may_somewhere(Right.LABEL) else None
    name = st.session_state.get(NAME)
    return str(name) if name else None


def has_read(pair: tuple[str, str]) -> bool:
    """Say whether what people said of a pair was shown in this session to somebody without a name."""
    return pair in st.session_state.get(READ, ())


def remember_read(pairs: list[tuple[str, str]]) -> None:
    """Keep what somebody without a name was shown: as a reviewer they are not asked for it blind."""
    st.session_state.setdefault(READ, set()).update(pairs)


def hidden_here(pairs: list[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return the pairs of which this reviewer may not read yet what others said.

    Of somebody without a name nothing is hidden, and what a page shows them is remembered.
    """
    name = reviewer()
    if name is None:
        remember_read(pairs)
    return review.hidden_from(here().store, pairs, name)


def note_what_was_read(annotator: str) -> None:
    """Note in the store what this session was shown before its reviewer said who they are.

    Args:
        annotator: The name they gave.
    """
    if pairs := st.session_state.pop(READ, None):
        review.note_read(here().store, sorted(pairs), annotator)
