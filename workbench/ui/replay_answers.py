"""What came of a replay: its errors with examples, how long answers took, how many came when."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench.records import told_error
from workbench.replay import ReplayStatus
from workbench.specs import CONTROL
from workbench.store import replay_facts
from workbench.store.replay_facts import ErrorKindCount
from workbench.ui import answers, figures, navigation, replay_figures, words
from workbench.ui.diff import visible
from workbench.ui.heights import counts, table_px
from workbench.ui.session import colours, read


def errors(status: ReplayStatus) -> None:
    """Show the errors of a replay by kind, each with a few calls and what the server said.

    Args:
        status: The replay.
    """
    if not status.errors:
        return
    rows = sorted(status.errors.items(), key=lambda each: -each[1])
    against = (
        "left out of the noise floor" if status.candidate == CONTROL else "counted against the candidate"
    )
    st.caption(f"{words.counted(sum(status.errors.values()), 'error')}, {against}:")
    st.dataframe(
        pd.DataFrame([(told_error(kind), count) for kind, count in rows], columns=["Error", "Calls"]),
        hide_index=True,
        lazy=False,
        height=table_px(len(rows)),
        width=420,
        column_config=counts("Calls"),
        alt="; ".join(f"{told_error(kind)}: {count}" for kind, count in rows),
    )
    # What a server quoted is read, and noted as read, when somebody opens it.
    opened = st.expander(
        "Examples", icon=":material/bug_report:", key=f"examples-{status.replay_id}", on_change="rerun"
    )
    if opened.open:
        with opened:
            for each in read(replay_facts.errors_of, status.replay_id):
                _examples(status, each)


def _examples(status: ReplayStatus, each: ErrorKindCount) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        name = told_error(each.kind)
        st.text(visible(f"{name.capitalize()}: {words.counted(each.calls, 'call')}"))
        if status.candidate != CONTROL:
            navigation.link(
                "compare",
                "See these cases",
                icon=":material/compare_arrows:",
                task=status.task,
                candidate=status.candidate,
                error=each.kind,
            )
    lines = [
        f"{example.native_id or example.call_id}, {words.counted(example.attempts, 'attempt')}: "
        f"{' '.join(example.message.split()) or 'no message'}"
        for example in each.examples
    ]
    answers.plain("\n".join(lines), limit=4_000)


def times_and_pace(status: ReplayStatus) -> None:
    """Offer the charts of a replay: how long its answers took, and how many came when.

    Args:
        status: The replay.
    """
    if not status.done:
        return
    key = f"charts-{status.replay_id}"
    if not st.toggle(
        "Latency and throughput", key=key, help="At the pace of this replay, which is not production's."
    ):
        return
    times = read(replay_facts.times_of, status.replay_id)
    pace = read(replay_facts.pace_of, status.replay_id)
    left, right = st.columns(2)
    with left:
        if times.timed:
            drawing = replay_figures.times(times, colours())
            st.plotly_chart(
                drawing.figure,
                key=f"times-{status.replay_id}",
                config=figures.CONFIG,
                alt=drawing.alt,
                theme=None,
            )
            st.caption(drawing.alt)
        else:
            st.caption("No answer of this replay has a latency.")
    with right:
        if pace is not None and pace.offsets_s:
            drawing = replay_figures.pace(pace, colours())
            st.plotly_chart(
                drawing.figure,
                key=f"pace-chart-{status.replay_id}",
                config=figures.CONFIG,
                alt=drawing.alt,
                theme=None,
            )
            st.caption(drawing.alt)
        else:
            st.caption("When its answers came is not recorded.")
