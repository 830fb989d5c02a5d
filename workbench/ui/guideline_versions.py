"""Earlier guidelines beside the labels that were made under them."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from workbench import review
from workbench.ui import guidelines, markup, words
from workbench.ui.scope import Scope
from workbench.ui.session import ask

SHOWN = 4
"""Versions that are offered beside each other."""


def offer(scope: Scope, versions: Iterable[str | None], *, key: str) -> None:
    """Offer the guidelines of some versions to read: a button each, which opens the text.

    Args:
        scope: The task.
        versions: As labels carry them; None and repeats are left out.
        key: Tells this place on the page from others.
    """
    wanted = [each for each in dict.fromkeys(versions) if each]
    known = {each.version: each for each in ask(review.guideline_texts, scope.task)}
    found = [known[each] for each in wanted if each in known][:SHOWN]
    if not found:
        return
    with st.container(horizontal=True, key=f"guidelines-{key}"):
        for each in found:
            with st.popover(f"Guidelines {named(each)}", icon=":material/history:"):
                _read(each)


def named(each: review.GuidelineText) -> str:
    """Return how a version is called on a page."""
    return f"{words.guidelines(each.version)} ({'now' if each.current else 'earlier'})"


def _read(each: review.GuidelineText) -> None:
    if each.text is None:
        st.info("Of this version only the name is known: its text was not kept.", icon=":material/info:")
    elif each.text.strip():
        markup.show(guidelines.card(each.text))
    else:
        st.text("There were no guidelines.")
    when = f", kept {words.ago(each.kept_at)}" if each.kept_at else ""
    st.caption(f"Version {each.version}: {words.counted(each.labels, 'label')}{when}.")
