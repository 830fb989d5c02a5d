"""On Ramp: which labels moved the bound, and what would change this decision."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench import access, review
from workbench.review import LabelMove
from workbench.roles import Right
from workbench.ui import answers, exports, navigation, words
from workbench.ui.diff import visible
from workbench.ui.heights import table_px
from workbench.ui.scope import Scope
from workbench.ui.session import ask
from workbench.ui.whose import hidden_here

SHOWN = 8


def show(scope: Scope, current: float) -> None:
    """Show both, side by side; who may not read what people said sees the first alone.

    Args:
        scope: The task and the candidate.
        current: Share that the candidate serves today, 0..1.
    """
    if not access.may(Right.READ, scope.task):
        # Which label moved it is what somebody said of a pair.
        with st.container(border=True, key="would-change"):
            _would_change(scope, current)
        return
    left, right = st.columns(2, gap="large")
    with left.container(border=True, key="would-change", height="stretch"):
        _would_change(scope, current)
    with right.container(border=True, key="moved", height="stretch"):
        _moved(scope)


def _would_change(scope: Scope, current: float) -> None:
    st.header(
        "What would change this decision?",
        anchor=False,
        help="Each piece of missing evidence alone, as good or as bad as it could come out. "
        "It says what could be, not what will be.",
    )
    found = ask(review.what_would_change, scope.task, scope.candidate.name, current_share=current)
    st.text(words.kept(visible(found.sentence)))
    # The first sentence names those that would let more traffic move now.
    for each in (each for each in found.changes if each.sentence not in found.sentence):
        icon = ":material/arrow_upward:" if each.up else ":material/arrow_downward:"
        st.caption(f"{icon} {answers.quoted(words.kept(each.sentence))}")
    if any(each.what == "labels" for each in found.changes):
        navigation.link("review", "Label now", icon=":material/rate_review:", task=scope.task)


def _moved(scope: Scope) -> None:
    st.header("Which labels moved the bound", anchor=False, help=words.GLOSSARY["bound"])
    found = ask(review.label_moves, scope.task, scope.candidate.name, limit=SHOWN)
    if not found:
        st.caption("No label has moved it yet.")
        return
    pairs = [(each.replay_id, each.call_id) for each in found]
    # A reviewer who may still be asked for a pair learns here neither who judged it nor how.
    hidden = hidden_here(pairs)
    is_told = [pair not in hidden for pair in pairs]
    frame = pd.DataFrame(
        {
            "Said": [
                f"{each.together:,} labels together"
                if each.together > 1
                else words.LABEL_VERDICTS[each.verdict]
                if told
                else "labelled"
                for each, told in zip(found, is_told, strict=True)
            ],
            "By": [
                visible(each.annotator) if told and each.together == 1 else "–"
                for each, told in zip(found, is_told, strict=True)
            ],
            "From": [
                words.LABEL_ORIGINS.get(each.source, each.source) if told else "–"
                for each, told in zip(found, is_told, strict=True)
            ],
            "Bound before": [words.percent(each.before) for each in found],
            "Bound after": [words.percent(each.after) for each in found],
            "Moved, points": [_points(each) for each in found],
        }
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame)),
        key="label-moves",
        on_select="rerun",
        selection_mode="single-row",
        alt=f"{len(found)} labels that moved the bound most.",
    )
    chosen = [each for each in event.selection.rows if each < len(found)]
    if chosen and found[chosen[0]].together == 1:
        navigation.link(
            "compare",
            "Open this case",
            icon=":material/compare_arrows:",
            task=scope.task,
            candidate=scope.candidate.name,
            case=found[chosen[0]].call_id,
        )
    else:
        st.caption("The largest moves first. Select a row to open its case.")
    exports.offer("label-moves", task=scope.task, candidate=scope.candidate.name)


def _points(each: LabelMove) -> str:
    return f"{'+' if each.moved > 0 else '−'}{abs(100 * each.moved):.1f}"
