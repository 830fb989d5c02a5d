"""Slices: those that the eval declares, those that nobody declared, and a rule for routing."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench import scoring
from workbench.records import Recommendation
from workbench.routing import RoutingReport
from workbench.scoring.found import FoundReport, found_slices, routing_rule
from workbench.slices_found import FoundSlice
from workbench.ui import answers, decision, figures, navigation, words
from workbench.ui.diff import visible
from workbench.ui.scope import Scope
from workbench.ui.session import ask, colours

AT_ONCE = 20_000
"""With more compared calls a page waits to be asked."""
DRAWN = 20
DECLARED = "Declared slices"
TRAFFIC = "Share of the task's whole log; of groups of similar inputs, of the compared calls."
LINKED = 6


def show(scope: Scope) -> None:
    """Show declared and found slices, and offer a rule."""
    answer = ask(scoring.recommend, scope.task, scope.candidate.name)
    if not answer.details["compared"]:
        st.info("Nothing is compared yet for this task and candidate.", icon=":material/hourglass_empty:")
        navigation.link("replays", "Go to Replays", task=scope.task, candidate=scope.candidate.name)
        return
    _found(scope, answer)
    _declared(scope, answer)
    _rule(scope, answer)


def _asked(name: str, scope: Scope, answer: Recommendation, label: str) -> bool:
    """Say whether to begin: at once where it is quick, else when a person says so."""
    wanted = f"{name}.{scope.task}.{scope.candidate.name}"
    compared = int(answer.details["compared"])
    if compared <= AT_ONCE or st.session_state.get(wanted):
        return True
    st.caption(f"{words.counted(compared, 'compared call')}: this takes a while.")
    if st.button(label, key=f"begin-{name}"):
        st.session_state[wanted] = True
        return True
    return False


def _found(scope: Scope, answer: Recommendation) -> None:
    st.subheader("Where it goes wrong", anchor=False, help=words.GLOSSARY["found_slice"])
    similar = st.toggle(
        "Group similar inputs too",
        key=f"similar-{scope.task}-{scope.candidate.name}",
        help=f"Embeds the compared inputs on this machine with {scope.eval.embedder}; "
        "the first time takes a while.",
    )
    if not _asked("found", scope, answer, "Look for slices"):
        return
    with st.spinner("Looking for slices", show_time=True):
        report = ask(found_slices, scope.task, scope.candidate.name, similar=similar)
    known = [each for each in report.slices if each.harm.point is not None or each.calls]
    if not known:
        st.info("Nothing that is known before a call splits these calls.", icon=":material/info:")
    else:
        _table(scope, report, known)
    if report.limit is not None:
        st.text(visible(report.limit.sentence))
    else:
        st.caption("No input length is proven to be safe yet.")
    for note in report.notes:
        st.caption(answers.quoted(note))


def _table(scope: Scope, report: FoundReport, known: list[FoundSlice]) -> None:
    bad = [each for each in known if each.status == "bad"]
    if bad:
        st.text(visible(bad[0].sentence))
    else:
        st.text("No slice is proven to be worse than the tolerance.")
    drawing = figures.slice_bounds(known[:DRAWN], report.tolerance, colours())
    st.plotly_chart(drawing.figure, key="found", config=figures.CONFIG, alt=drawing.alt, theme=None)
    frame = pd.DataFrame(
        {
            "Slice": [visible(f"{each.name} = {each.value}") for each in known],
            "Status": [each.status for each in known],
            "Worse": [words.interval(each.harm) for each in known],
            "Of traffic": [words.percent(each.traffic_share) for each in known],
            "Compared": [words.count(each.calls) for each in known],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height="content" if len(frame) <= 12 else 460,
        column_config={
            "Slice": st.column_config.TextColumn(width="medium"),
            "Of traffic": st.column_config.TextColumn(help=TRAFFIC),
        },
        alt=f"{len(frame)} slices, the worst first, with status, harm and share of traffic.",
    )
    st.caption(
        answers.quoted(
            f"The worst first. {words.counted(len(report.slices), 'slice')} were looked at together: each "
            f"bound is {words.percent(report.level, 2)} sure."
        )
    )
    _drill_down(scope, known)


def _drill_down(scope: Scope, known: list[FoundSlice]) -> None:
    """Link to the cases of the worst languages: the one slicing that Compare filters by."""
    languages = [each for each in known if each.name == "language" and each.status in ("bad", "suspect")]
    for each in languages[:LINKED]:
        if each.value.isalpha() and len(each.value) <= 3:
            navigation.link(
                "compare",
                f"Differing cases in {each.value}",
                icon=":material/compare_arrows:",
                task=scope.task,
                candidate=scope.candidate.name,
                language=each.value,
                verdict="mismatch",
            )


def _declared(scope: Scope, answer: Recommendation) -> None:
    if answer.slices:
        decision.declared(answer, scope.eval.policy, DECLARED)
        return
    st.subheader(DECLARED, anchor=False, help=words.GLOSSARY["slice"])
    st.caption("The eval declares none. A declared slice gets a share of its own:")
    st.code('[[slices]]\nby = "language"', language="toml")


def _rule(scope: Scope, answer: Recommendation) -> None:
    st.subheader("A rule for routing", anchor=False, help=words.GLOSSARY["routing_rule"])
    wanted = f"rule.{scope.task}.{scope.candidate.name}"
    if not st.session_state.get(wanted):
        st.caption("Learnt on half of the calls from what is known before a call, and proven on the others.")
        if not st.button("Learn a rule", icon=":material/account_tree:", key="learn-rule"):
            return
        st.session_state[wanted] = True
    with st.spinner("Learning a rule", show_time=True):
        report = ask(routing_rule, scope.task, scope.candidate.name)
    _leaves(report)


def _leaves(report: RoutingReport) -> None:
    frame = pd.DataFrame(
        {
            "Calls with": [visible(each.conditions) for each in report.leaves],
            "Go to": ["the candidate" if each.to_candidate else "the frontier" for each in report.leaves],
            "Of traffic": [words.percent(each.traffic_share) for each in report.leaves],
            "Worse": [words.interval(each.harm) for each in report.leaves],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height="content",
        column_config={"Calls with": st.column_config.TextColumn(width="medium")},
        alt=f"{len(frame)} kinds of calls with where they go and their harm.",
    )
    for way in report.ways:
        st.text(visible(way.sentence))
    st.caption(
        f"Learnt from {words.counted(report.learnt_from, 'call')}, proven on "
        f"{words.count(report.proven_on)} others."
    )
