"""The report of a candidate, to be taken along: made when somebody asks for it, not before."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from workbench.report import Report, as_html, as_markdown, gather_report
from workbench.ui import who
from workbench.ui.scope import Scope
from workbench.ui.session import here

FORMS: tuple[tuple[str, str, str, Callable[[Report], str]], ...] = (
    ("Report (HTML)", "html", "text/html", as_html),
    ("Report (Markdown)", "md", "text/markdown", as_markdown),
)


def show(scope: Scope, current_share: float) -> None:
    """Offer the report as a file in each form.

    Args:
        scope: The task and the candidate.
        current_share: Share that the candidate serves now, 0..1.
    """
    now = here()
    task, candidate = scope.task, scope.candidate.name

    def made(form: Callable[[Report], str]) -> Callable[[], str]:
        # It runs in another thread than the page, so it takes nothing from the page's state.
        return who.at_the_press(
            lambda: form(
                gather_report(now.workspace, now.store, task, candidate, current_share=current_share)
            )
        )

    with st.container(horizontal=True):
        for label, ending, kind, form in FORMS:
            st.download_button(
                label,
                made(form),
                file_name=f"{task}-{candidate}.{ending}",
                mime=kind,
                icon=":material/description:",
                key=f"report-{ending}",
                on_click="ignore",
                help="One file with figures, evidence, method and hashes; it holds no text of a call.",
            )
