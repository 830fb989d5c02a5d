"""Slices: those that the eval declares, those that nobody declared, and a rule for routing."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench import scoring
from workbench.records import Recommendation
from workbench.routing import RoutingReport
from workbench.scoring.case_filters import FOUND, rules_by_name
from workbench.scoring.found import FoundReport, found_slices, routing_rule
from workbench.scoring.slice_map import slice_map, slice_names, tasks_of
from workbench.slices_found import FEWEST_CALLS, FoundSlice
from workbench.store import pages
from workbench.ui import address, answers, case_figures, decision, exports, figures, navigation, words
from workbench.ui.diff import visible
from workbench.ui.heights import table_px
from workbench.ui.scope import Scope
from workbench.ui.session import ask, colours, here, read

AT_ONCE = 20_000
"""With more compared calls a page waits to be asked."""
DRAWN = 20
DECLARED = "Declared slices"
TRAFFIC = "Share of the task's whole log; of groups of similar inputs, of the compared calls."
NONE_DIFFERS = "None of its compared calls differs."
SPLIT = "split"
"""What the map of slices is split by, in the address."""
ACROSS = 12
"""Values of a slice in the map; the export holds all."""
NAMES = {"input_length": "input length", "turn_depth": "turns", "tool_use": "tools"}


def show(scope: Scope) -> None:
    """Show declared and found slices, and offer a rule."""
    answer = ask(scoring.recommend, scope.task, scope.candidate.name)
    if not answer.details["compared"]:
        st.info("Nothing is compared yet for this task and candidate.", icon=":material/hourglass_empty:")
        navigation.link("replays", "Go to Replays", task=scope.task, candidate=scope.candidate.name)
        return
    compared, differ = int(answer.details["compared"]), int(answer.details["disagreements"])
    # What slices are held against; it stands at once, while they are still looked for.
    st.text(
        visible(
            f"All together: {words.counted(compared, 'compared call')}, {words.percent(differ / compared)} "
            f"differ. Calls that get worse: {words.interval(answer.harm)}."
        )
    )
    _found(scope, answer)
    _declared(scope, answer)
    _map(scope)
    _rule(scope, answer)


def _asked(name: str, scope: Scope, answer: Recommendation, label: str) -> bool:
    """Say whether to begin: at once where it is quick, else when a person says so."""
    wanted = f"{name}.{scope.task}.{scope.candidate.name}"
    compared = int(answer.details["compared"])
    if compared <= AT_ONCE or st.session_state.get(wanted):
        return True
    st.caption(f"{words.counted(compared, 'compared call')}: this takes a while.")
    if st.button(label, icon=":material/search:", key=f"begin-{name}"):
        st.session_state[wanted] = True
        return True
    return False


def _found(scope: Scope, answer: Recommendation) -> None:
    st.header("Where it goes wrong", anchor=False, help=words.GLOSSARY["found_slice"])
    similar = address.switch(
        "Group similar inputs too",
        name="similar",
        help=f"Embeds the compared inputs on this machine with {scope.eval.embedder}; "
        "the first time takes a while.",
    )
    if not _asked("found", scope, answer, "Look for slices"):
        return
    with st.spinner("Looking for slices", show_time=True):
        report = ask(found_slices, scope.task, scope.candidate.name, similar=similar)
    known = [each for each in report.slices if each.harm.point is not None or each.calls]
    if not known:
        few = int(answer.details["compared"]) < 2 * FEWEST_CALLS
        st.info(
            f"Too few calls are compared to split them: each part needs {FEWEST_CALLS}."
            if few
            else "Nothing that is known before a call splits these calls.",
            icon=":material/info:",
        )
        if few:
            navigation.link(
                "replays",
                "Replay more calls",
                icon=":material/play_circle:",
                task=scope.task,
                candidate=scope.candidate.name,
            )
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
            "Differ": [f"{words.count(each.differing)} of {words.count(each.calls)}" for each in known],
            "Of traffic": [words.percent(each.traffic_share) for each in known],
        }
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 12),
        key="found-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Slice": st.column_config.TextColumn(width="medium"),
            "Of traffic": st.column_config.TextColumn(help=TRAFFIC),
        },
        alt=f"{len(frame)} slices, the worst first, with status, harm and share of traffic.",
    )
    st.caption(
        answers.quoted(
            "The worst first; where there are no labels, the share that differs decides. "
            f"{words.counted(len(report.slices), 'slice')} were looked at together: each "
            f"bound is {words.stage(report.level)} sure. Select one to see its cases."
        )
    )
    with st.container(horizontal=True):
        chosen = [each for each in event.selection.rows if each < len(known)]
        _drill_down(scope, known[chosen[0]] if chosen else (bad or known)[0])
        exports.offer(
            "found-slices",
            task=scope.task,
            candidate=scope.candidate.name,
            filters={"similar": "on"} if "similar" in st.query_params else None,
        )


def _drill_down(scope: Scope, each: FoundSlice) -> None:
    """Lead to the differing cases of one slice: a button, since a link's words are read as Markdown."""
    if st.button(
        f"Differing cases of {answers.quoted(f'{each.name} = {each.value}'[:60])}",
        icon=":material/compare_arrows:",
        key="found-cases",
        disabled=not each.differing,
        help=None if each.differing else NONE_DIFFERS,
    ):
        _to_cases(scope.task, scope, f"{FOUND}{each.name}", each.value)


def _to_cases(task: str, scope: Scope, by: str, value: str) -> None:
    query = {"task": task, "candidate": scope.candidate.name, "by": by, "value": value, "verdict": "mismatch"}
    st.switch_page(navigation.page("compare"), query_params=query)


def _map(scope: Scope) -> None:
    """Show how often the answers differ in every task of this candidate, by one slice."""
    workspace, name = here().workspace, scope.candidate.name
    tasks = tasks_of(workspace, read(pages.replayed), name)
    st.header(
        "All tasks of this candidate",
        anchor=False,
        help="How often the answers differ. What differs need not be worse: it shows where to look.",
    )
    names = slice_names(workspace, tasks)
    if (earlier := st.query_params.pop("by", None)) and SPLIT not in st.query_params:
        # Links from before it had a name of its own: in Compare's address `by` filters.
        st.query_params[SPLIT] = earlier
    by = address.select(
        "Slice by",
        names,
        name=SPLIT,
        default="language",
        labels={each: NAMES.get(each, visible(each)) for each in names},
        width=220,
    )
    cells = [cell for task in tasks for cell in ask(slice_map, task, name, by)]
    if not cells:
        st.caption("No task of this candidate can be split by it.")
        return
    values = list(dict.fromkeys(each.value for each in cells))
    drawn = [each for each in cells if each.value in values[:ACROSS]]
    drawing = case_figures.slice_map(drawn, by, colours())
    st.plotly_chart(drawing.figure, key="slice-map", config=figures.CONFIG, alt=drawing.alt, theme=None)
    more = f" {len(values) - ACROSS:,} rarer values are in the table." if len(values) > ACROSS else ""
    st.caption(
        f"The stronger the orange, the more differ. No colour: fewer than {case_figures.FEW} calls.{more} "
        "Limits in the table are for one look."
    )
    ordered = sorted(cells, key=lambda each: (-each.differing.low, -(each.differing.point or 0.0)))
    event = st.dataframe(
        pd.DataFrame(
            {
                "Task": [visible(each.task) for each in ordered],
                "Value": [visible(each.value) for each in ordered],
                "Differ": [words.interval(each.differing) for each in ordered],
            }
        ),
        hide_index=True,
        lazy=False,
        height=table_px(len(ordered), 8),
        key="map-table",
        on_select="rerun",
        selection_mode="single-row",
        alt=f"{len(ordered)} tasks and values, those that surely differ most first.",
    )
    with st.container(horizontal=True):
        chosen = [each for each in event.selection.rows if each < len(ordered)]
        cell = ordered[chosen[0] if chosen else 0]
        if st.button(
            f"Differing cases of {answers.quoted(f'{cell.task}, {cell.value}'[:60])}",
            icon=":material/compare_arrows:",
            key="map-cases",
            disabled=not cell.differing.point or by not in rules_by_name(workspace.eval_for(cell.task)),
            help=None if cell.differing.point else NONE_DIFFERS,
        ):
            _to_cases(cell.task, scope, by, cell.value)
        exports.offer("slice-map", candidate=name, filters={"by": by})


def _declared(scope: Scope, answer: Recommendation) -> None:
    if answer.slices:
        decision.declared(answer, scope.eval.policy, DECLARED)
        exports.offer("slices", task=scope.task, candidate=scope.candidate.name)
        return
    st.header(DECLARED, anchor=False, help=words.GLOSSARY["slice"])
    st.caption("The eval declares none. A declared slice gets a share of its own:")
    st.code('[[slices]]\nby = "language"', language="toml", wrap_lines=True)


def _rule(scope: Scope, answer: Recommendation) -> None:
    st.header("A rule for routing", anchor=False, help=words.GLOSSARY["routing_rule"])
    wanted = f"rule.{scope.task}.{scope.candidate.name}"
    if not st.session_state.get(wanted):
        st.caption("Learnt on half of the calls from what is known before a call, and proven on the others.")
        if not st.button("Learn a rule", icon=":material/account_tree:", key="learn-rule"):
            return
        st.session_state[wanted] = True
    with st.spinner("Learning a rule", show_time=True):
        report = ask(routing_rule, scope.task, scope.candidate.name)
    _leaves(report)
    exports.offer("routing-rule", task=scope.task, candidate=scope.candidate.name)


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
        height=table_px(len(frame)),
        column_config={"Calls with": st.column_config.TextColumn(width="medium")},
        alt=f"{len(frame)} kinds of calls with where they go and their harm.",
    )
    for way in report.ways:
        st.text(visible(way.sentence))
    st.caption(
        f"Learnt from {words.counted(report.learnt_from, 'call')}, proven on "
        f"{words.count(report.proven_on)} others."
    )
