"""Every table as a file: the rows that a filter leaves, not only those on the screen."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace

import streamlit as st

from workbench import access, exporting
from workbench.exporting import CSV, MOST_BYTES, MOST_ROWS, PARQUET, Asked
from workbench.roles import Right
from workbench.ui import who, words
from workbench.ui.session import here
from workbench.ui.whose import reviewer

MIME = {CSV: "text/csv", PARQUET: "application/vnd.apache.parquet"}
TOLD = {
    CSV: "For a spreadsheet: a cell that it would run as a formula begins with an apostrophe.",
    PARQUET: "For programs: every value as it is.",
}


def offer(
    table: str,
    *,
    task: str | None = None,
    candidate: str | None = None,
    filters: Mapping[str, str] | None = None,
    rows: int | None = None,
    key: str | None = None,
    label: str = "Export",
    blind: bool = False,
) -> None:
    """Offer a table as CSV and Parquet; it is made when somebody presses the button.

    Args:
        table: Its name among `exporting.TABLES`.
        task: Whose rows.
        candidate: Whose answers.
        filters: Only these rows, in the words of the address.
        rows: How many there are, where that is known, to say when a file can't hold them all.
        key: Tells two of one table apart.
        label: What the button says.
        blind: Whether the candidate's name is left out of the file's name and of the command, which then
            writes what concerns all of them.
    """
    if task is None and not access.may(Right.SEE):
        return  # A table of all tasks is for those who may see all of them.
    name = reviewer()
    asked = Asked(task, candidate, {k: v for k, v in (filters or {}).items() if v}, name or "", bool(name))
    named = replace(asked, candidate=None) if blind else asked
    mark = key or table
    whose = task or asked.filters.get("workload")
    with st.popover(label, icon=":material/download:", key=f"export-{mark}"):
        if exporting.is_withheld(table, whose):
            refusal = access.refusal(access.current(), (Right.EXPORT,), whose)
            st.caption("This table holds what users and models wrote.")
            st.text(f"{refusal.message} {refusal.hint}")
            return
        st.caption("All rows that the filters leave." if filters else "The whole table.")
        with st.container(horizontal=True):
            for form in exporting.FORMS:
                st.download_button(
                    form.upper() if form == CSV else form.capitalize(),
                    _made(table, asked, form),
                    file_name=_file_name(table, named, form),
                    mime=MIME[form],
                    icon=":material/download:",
                    key=f"export-{mark}-{form}",
                    on_click="ignore",
                    help=TOLD[form],
                )
        most = f"At most {MOST_ROWS:,} rows or about {words.size(MOST_BYTES)}"
        if rows is not None and rows > MOST_ROWS:
            st.caption(f"{most}: {rows - MOST_ROWS:,} of {rows:,} rows are left out. The whole of it:")
        else:
            st.caption(f"{most}. On the command line, without a limit:")
        st.code(_command(table, named), language=None, wrap_lines=True)


def _made(table: str, asked: Asked, form: str) -> Callable[[], bytes]:
    now = here()
    return who.at_the_press(lambda: exporting.table_bytes(now.workspace, now.store, table, asked, form))


def _file_name(table: str, asked: Asked, form: str) -> str:
    parts = [table, asked.task, asked.candidate]
    name = "-".join(each for each in parts if each)
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in name) + f".{form}"


def _command(table: str, asked: Asked) -> str:
    parts = ["workbench export table", table, _file_name(table, asked, PARQUET)]
    parts += [f"--task {_shell(asked.task)}"] if asked.task else []
    parts += [f"--candidate {_shell(asked.candidate)}"] if asked.candidate else []
    parts += [f"--where {_shell(f'{word}={value}')}" for word, value in asked.filters.items()]
    return " ".join(parts)


def _shell(text: str) -> str:
    return shlex.quote(" ".join(text.split()))
