"""What an agreement is made of: which label became which, which fields differ, how alike the texts are."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from workbench import review
from workbench.compare.fields import FieldsComparator
from workbench.records import EvalKind
from workbench.review.items import ABSOLUTE_KINDS
from workbench.scoring.tables import FieldTables, LabelTables, field_tables, label_tables, ranking_tables
from workbench.specs import EvalConfig
from workbench.store import cases
from workbench.store.cases import INVALID, Pool
from workbench.store.facets import VerdictCounts
from workbench.ui import answers, case_figures, exports, figures, navigation, words
from workbench.ui.diff import visible
from workbench.ui.heights import counts, metric, metrics, table_px
from workbench.ui.scope import Scope
from workbench.ui.session import ask, colours, read

DRAWN = 25
"""Labels or fields in a figure; a table lists the rest."""
AT_ONCE = 20_000
"""Compared calls whose fields are counted; of more, a random part of about this size."""
LIMITS = (
    "The limits hold however often you look; calls of one session, and equal requests, count as fewer "
    "than they are."
)


def field_paths(config: EvalConfig) -> list[str]:
    """Return the fields that an eval compares; none for other kinds of evals."""
    if config.kind is not EvalKind.FIELDS:
        return []
    return [rule.path for rule in FieldsComparator(config).rules if rule.compare != "ignore" and rule.path]


def show(scope: Scope, pool: Pool, counted: VerdictCounts) -> None:
    """Show what the agreement of a task is made of, as its kind has it.

    Args:
        scope: The task and the candidate.
        pool: The comparisons.
        counted: How they compare.
    """
    if scope.eval.kind is EvalKind.LABEL:
        _label_view(scope, read(label_tables, scope.eval, pool.candidate_fingerprint))
    elif scope.eval.kind is EvalKind.FIELDS:
        _field_view(scope, pool, counted)
    elif scope.eval.kind is EvalKind.RANKING:
        _ranking_view(scope, pool)
    if counted.scored and scope.eval.kind not in (EvalKind.LABEL, EvalKind.FIELDS):
        _scores(scope, pool)
    elif scope.eval.kind not in (EvalKind.LABEL, EvalKind.FIELDS):
        st.info("This kind of task has no score to look at: see its cases.", icon=":material/info:")
    if scope.eval.kind in ABSOLUTE_KINDS:
        _truth(scope)


def _truth(scope: Scope) -> None:
    """Show who is right how often, as far as each side was judged by itself; nothing where none was."""
    found = ask(review.paired_truth, scope.task, scope.candidate.name)
    if not found.n:
        return
    st.header(
        "Who is right",
        anchor=False,
        help="Of pairs whose sides were each called right or wrong, or that have a known right answer. "
        "It says nothing of pairs that nobody judged, and moves no traffic.",
    )
    with metrics("truth"):
        for name, n in (
            ("Both right", found.both_right),
            ("Only the frontier", found.control_only),
            ("Only the candidate", found.candidate_only),
            ("Neither", found.both_wrong),
        ):
            metric(name, words.count(n))
    st.caption(
        f"Worse minus better among them: {words.interval(found.difference)}, "
        f"{words.stage(found.difference.level)} sure of each limit, for one look."
    )
    if found.fields:
        st.dataframe(
            pd.DataFrame(
                [(visible(each.path), each.control_wrong, each.candidate_wrong) for each in found.fields],
                columns=["Field", "Frontier wrong", "Candidate wrong"],
            ),
            hide_index=True,
            lazy=False,
            height=table_px(len(found.fields), 10),
            width=560,
            column_config=counts("Frontier wrong", "Candidate wrong"),
            key="truth-fields",
            alt=f"How often each of {len(found.fields)} fields was called wrong, by side.",
        )
        exports.offer("truth-fields", task=scope.task, candidate=scope.candidate.name)


def _label_view(scope: Scope, found: LabelTables) -> None:
    st.header("Which answer became which", anchor=False)
    if not found.pairs:
        st.info("No answer of the frontier is one of the task's labels.", icon=":material/info:")
        return
    counts = {(each.control, each.candidate): each.n for each in found.pairs}
    if len({each for pair in counts for each in pair}) <= DRAWN:
        drawing = figures.confusion(counts, [*scope.eval.labels, INVALID], colours())
        st.plotly_chart(drawing.figure, key="confusion", config=figures.CONFIG, alt=drawing.alt, theme=None)
        st.caption("Rows: what the frontier said. Columns: what the candidate said. Calls in each cell.")
    else:
        st.caption(f"More than {DRAWN} different answers: the table lists the commonest changes.")
    _coefficients(found)
    _changes(scope, counts)
    st.header("Agreement by the frontier's answer", anchor=False)
    rates = dict(list(found.agreement.items())[:DRAWN])
    drawing = case_figures.agreements(rates, "label", colours())
    st.plotly_chart(drawing.figure, key="by-label", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.caption(LIMITS)
    exports.offer("agreement", task=scope.task, candidate=scope.candidate.name)
    if found.invalid_texts:
        st.caption("Commonest answers that are none of the labels")
        answers.plain("\n".join(f"{each.n:,} × {each.text}" for each in found.invalid_texts), limit=4_000)


def _coefficients(found: LabelTables) -> None:
    """Show chance-corrected agreement, which explains and gates nothing."""
    if found.kappa is None or found.ac1 is None:
        return
    with metrics("coefficients"):
        for name, value, told in (
            ("Cohen's kappa", found.kappa, "Agreement beyond what the mix of labels gives by chance."),
            ("Gwet's AC1", found.ac1, "The same, steadier where one label is nearly all of the traffic."),
        ):
            metric(name, words.coefficient(value), help=f"{told} It explains, and moves no traffic.")


def _changes(scope: Scope, counts: dict[tuple[str, str], int]) -> None:
    """List the commonest changes; a selected one leads to its cases."""
    changed = [(*pair, n) for pair, n in counts.items() if pair[0] != pair[1]][:50]
    if changed:
        st.caption("The commonest changes. Select one to see its cases.")
        event = st.dataframe(
            pd.DataFrame(
                [(n, visible(one), visible(other)) for one, other, n in changed],
                # How many stays in sight, however long an answer is.
                columns=["Calls", "Frontier", "Candidate"],
            ),
            hide_index=True,
            lazy=False,
            height=table_px(len(changed), 8),
            # On a telephone the last column begins within the page.
            column_config={
                "Calls": st.column_config.NumberColumn(width=70, format="%,d"),
                "Frontier": st.column_config.TextColumn(width=140),
            },
            key="changes",
            on_select="rerun",
            selection_mode="single-row",
            alt=f"The {len(changed)} commonest changes of answer.",
        )
        for place in event.selection.rows[:1]:
            if place < len(changed):
                control, candidate, n = changed[place]
                _to_cases(
                    scope, f"See {words.counted(n, 'case')}", "to-change", frontier=control, answer=candidate
                )
    exports.offer("confusion", task=scope.task, candidate=scope.candidate.name)


def _to_cases(scope: Scope, label: str, key: str, **query: str) -> None:
    """Offer the cases behind a figure, by a button whose words are our own."""
    if st.button(label, key=key, icon=":material/compare_arrows:", type="primary"):
        where: dict[str, Any] = {"task": scope.task, "candidate": scope.candidate.name, **query}
        st.switch_page(navigation.page("compare"), query_params=where)


def _field_view(scope: Scope, pool: Pool, counted: VerdictCounts) -> None:
    st.header("Agreement by field", anchor=False)
    part = counted.total > AT_ONCE
    found: FieldTables = read(
        field_tables, scope.eval, pool.candidate_fingerprint, sample=AT_ONCE if part else None
    )
    shown = sorted(found.fields, key=lambda each: (each.agreement.point or 0.0, each.path))[:DRAWN]
    drawing = case_figures.agreements({each.path: each.agreement for each in shown}, "field", colours())
    st.plotly_chart(drawing.figure, key="by-field", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.caption(
        "The worst first; calls in which neither side has the field are left out. "
        + (f"From a random part of about {AT_ONCE:,} calls. " if part else "")
        + LIMITS
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        paths = [each.path for each in shown if each.path]
        if paths:
            path = st.selectbox(
                "Cases in which it differs", paths, format_func=visible, key="field-to-see", width=260
            )
            _to_cases(scope, "See the cases", "to-field", field=path or paths[0])
        exports.offer("agreement", task=scope.task, candidate=scope.candidate.name)
    with metrics("json-facts"):
        if found.schema_valid is not None:
            metric("Keep the schema", words.interval(found.schema_valid))
        if found.repaired or found.control_repaired:
            metric(
                "JSON mended before it was read",
                f"{found.repaired:,} of the candidate, {found.control_repaired:,} of the frontier",
            )


def _ranking_view(scope: Scope, pool: Pool) -> None:
    found = read(ranking_tables, scope.eval, pool.candidate_fingerprint)
    st.header("How near the orders are", anchor=False)
    with metrics("orders"):
        metric(
            "First place the same",
            words.interval(found.top_1),
            help="An answer that is no order has missed it.",
        )
        for name, value, told in (
            (
                "Mean NDCG",
                found.ndcg,
                "0 to 1: how much of what the frontier puts first comes first. No order is 0.",
            ),
            (
                "Mean Kendall's tau",
                found.kendall_tau,
                "−1 to 1: pairs in the same order less pairs in the opposite one.",
            ),
        ):
            metric(name, words.mean(value), help=told)
    st.caption(LIMITS)
    exports.offer("agreement", task=scope.task, candidate=scope.candidate.name)


def _scores(scope: Scope, pool: Pool) -> None:
    st.header("How alike the answers are, and what labels say", anchor=False)
    bins = read(cases.score_bins, pool)
    measure = {EvalKind.TEXT: "Similarity", EvalKind.RANKING: "NDCG"}.get(scope.eval.kind, "Score")
    drawing = case_figures.calibration(bins, colours(), measure=measure)
    st.plotly_chart(drawing.figure, key="calibration", config=figures.CONFIG, alt=drawing.alt, theme=None)
    said = measure if measure == "NDCG" else measure.lower()
    labelled = sum(each.labelled for each in bins)
    if labelled:
        st.caption(
            f"Circles: of the {words.counted(labelled, 'labelled case')}, how often the frontier was found "
            "better; the larger, the more labels. Where circles stay high to the right, a high "
            f"{said} is no proof of equal answers. Labels of every origin are counted; the queue draws more "
            "often where answers differ."
        )
    else:
        st.caption(f"None of them has a label: how far {said} can be trusted is not known.")
    exports.offer("similarity", task=scope.task, candidate=scope.candidate.name)
