"""Compare: the cases of one task and candidate, paged and filtered, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import streamlit as st

from workbench.compare import EVALUATOR_ERROR
from workbench.errors import UsageError
from workbench.records import EvalKind, LabelVerdict, Output, Verdict, told_error
from workbench.scoring.case_filters import FOUND, case_filter, pool_of, rules_by_name, values_of
from workbench.store import cases as rows_of
from workbench.store.cases import INVALID, ORDERS, PAGE_SIZE, PREVIEW_CHARS, CaseFilter, CaseRow, Pool
from workbench.store.facets import Facets, VerdictCounts, facets, verdict_counts
from workbench.ui import address, agreeing, answers, case, exports, navigation, opinion, words
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics
from workbench.ui.scope import Scope
from workbench.ui.session import ask, here, read
from workbench.ui.whose import hidden_here, reviewer

EVERYTHING = "all"
VIEWS = {"cases": "Cases", "agreement": "Agreement", "judge": "Judge"}
ORDER = {
    rows_of.DIFFERING: "differing first",
    rows_of.LEAST_SIMILAR: "least alike first",
    rows_of.MOST_SIMILAR: "most alike first",
}
PICKED = "compare.picked"
FILTER_PX = 170
"""Six filters stand beside each other on a desk, two on a telephone."""


def show(scope: Scope) -> None:
    """Show what was compared: the cases, what the agreement is made of, or what a judge says."""
    pool = pool_of(here().workspace, scope.task, scope.candidate.name)
    counted = read(verdict_counts, pool)
    if not counted.total:
        _nothing(scope, pool)
        return
    _summary(counted)
    found = read(facets, pool)
    _evaluator_errors(scope, found)
    view = address.segmented("View", VIEWS, name="show")
    if view == "agreement":
        agreeing.show(scope, pool, counted)
    elif view == "judge":
        opinion.show(scope)
    else:
        _cases(scope, pool, counted, found)


def _cases(scope: Scope, pool: Pool, counted: VerdictCounts, found: Facets) -> None:
    asked = _filters(scope, counted, found)
    order = rows_of.DIFFERING
    if counted.scored:
        order = asked.pop("order", order)
    try:
        chosen = ask(case_filter, scope.task, scope.candidate.name, asked)
    except UsageError:
        # What the widgets offer changed under the page, such as a slice that an import has moved.
        address.leave_out("Filter")
        chosen = CaseFilter()
    total = read(rows_of.matching, pool, chosen)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        page = address.page(math.ceil(total / PAGE_SIZE))
        exports.offer("cases", task=scope.task, candidate=scope.candidate.name, filters=asked, rows=total)
    rows = read(rows_of.case_page, pool, chosen, page=page, order=order)
    if rows:
        opened = _table(rows, total, page)
        case.show(scope, pool, opened)
        return
    st.info("No case matches these filters.", icon=":material/filter_alt_off:")
    if st.button("Clear filters", icon=":material/filter_alt_off:", key="clear-filters"):
        address.start_over()
        query = {"task": scope.task, "candidate": scope.candidate.name}
        st.switch_page(navigation.page("compare"), query_params=query)
    if linked := st.query_params.get("case"):
        case.show(scope, pool, linked)


def _nothing(scope: Scope, pool: Pool) -> None:
    others = read(rows_of.compared_versions, pool.task, pool.candidate_fingerprint)
    if others:
        st.info(
            f"{words.counted(sum(others.values()), 'comparison')} were made under an earlier eval.toml. "
            "Compare again under the present one:",
            icon=":material/history:",
        )
    else:
        st.info("Nothing is compared yet for this task and candidate.", icon=":material/hourglass_empty:")
    st.code(
        f"workbench compare --task {scope.task} --candidate {scope.candidate.name}",
        language=None,
        wrap_lines=True,
    )
    navigation.link("replays", "Go to Replays", task=scope.task, candidate=scope.candidate.name)


def _summary(counted: VerdictCounts) -> None:
    of = counted.verdicts
    compared = counted.total - of.get(Verdict.UNCOMPARABLE, 0)
    agree = of.get(Verdict.MATCH, 0) + of.get(Verdict.IGNORED, 0)
    with metrics("verdicts"):
        metric("Compared", words.count(compared))
        share = words.percent(agree / compared) if compared else "–"
        metric(
            "Agree",
            f"{agree:,} ({share})",
            help=f"{words.GLOSSARY['agreement']} Its interval is on Overview and Ramp.",
        )
        metric("Differ", words.count(of.get(Verdict.MISMATCH, 0)))
        metric(
            "Not comparable",
            words.count(of.get(Verdict.UNCOMPARABLE, 0)),
            help=words.GLOSSARY["uncomparable"],
        )
    if counted.ignored:
        rules = ", ".join(f"{visible(name)} ({n:,})" for name, n in counted.ignored.items())
        # Not Markdown: names are whatever the eval says.
        st.text(f"Equal only by what the eval ignores: {rules}.")


def _evaluator_errors(scope: Scope, found: Facets) -> None:
    """Say how often the eval's own evaluator failed, and lead to these cases."""
    failed = found.flags.get(EVALUATOR_ERROR, 0)
    if not failed:
        return
    st.warning(
        f"The eval's own evaluator failed on {words.counted(failed, 'pair')}. They count as different, so "
        "the candidate looks worse than it may be. Mend the evaluator and raise its version.",
        icon=":material/report:",
    )
    navigation.link(
        "compare",
        "Show these cases",
        icon=":material/filter_alt:",
        task=scope.task,
        candidate=scope.candidate.name,
        flag=EVALUATOR_ERROR,
    )


def _filters(scope: Scope, counted: VerdictCounts, found: Facets) -> dict[str, str]:
    """Let a person say what to look at; return it in the words of a link, and how it is ordered."""
    asked: dict[str, str] = {}
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        asked["verdict"] = _one(
            "Verdict",
            [each for each in Verdict if each in counted.verdicts],
            "verdict",
            {EVERYTHING: f"all ({counted.total:,})"}
            | {each: f"{words.VERDICTS[Verdict(each)]} ({n:,})" for each, n in counted.verdicts.items()},
        )
        asked |= _slice(scope)
        asked["language"] = _one(
            "Language",
            list(found.languages),
            "language",
            {EVERYTHING: "all languages"} | {each: visible(each) or "unknown" for each in found.languages},
        )
        asked["flag"] = _one(
            "Flag",
            list(found.flags),
            "flag",
            {EVERYTHING: "with or without"}
            | {each: f"{visible(words.told(each, words.FLAGS))} ({n:,})" for each, n in found.flags.items()},
            "What the comparison noticed. A new number, name or date stands in neither request nor "
            "frontier's answer.",
        )
        asked["label"] = _label()
        asked["search"] = address.text(
            "Search", name="search", placeholder="in request and answers", width=FILTER_PX
        )
        asked |= _scored(scope, counted) | _answers(scope) | _errors(found)
    return {word: value for word, value in asked.items() if value}


def _one(
    label: str,
    options: list[str],
    name: str,
    labels: Mapping[str, str],
    told: str | None = None,
) -> str:
    """Let a person choose one value or everything, which is no filter."""
    chosen = address.select(
        label, [EVERYTHING, *options], name=name, labels=labels, width=FILTER_PX, help=told
    )
    return "" if chosen == EVERYTHING else chosen


def _slice(scope: Scope) -> dict[str, str]:
    """Let a person choose a slice and one of its values; a slice that was found comes from a link."""
    names = list(rules_by_name(scope.eval))
    linked = st.query_params.get("by", "")
    if linked.startswith(FOUND):
        with st.spinner("Looking for this slice", show_time=True):
            values = ask(values_of, scope.task, scope.candidate.name, linked)
        names += [linked] if values else []
    by = _one(
        "Slice by",
        names,
        "by",
        {EVERYTHING: "nothing"}
        | {each: visible(each.removeprefix(FOUND)).replace("_", " ") for each in names},
        words.GLOSSARY["slice"],
    )
    if not by:
        st.query_params.pop("value", None)
        return {}
    values = ask(values_of, scope.task, scope.candidate.name, by)
    value = _one(
        "Value",
        list(values),
        "value",
        {EVERYTHING: "all values"} | {each: visible(each) for each in values},
    )
    return {"by": by, "value": value} if value else {}


def _label() -> str:
    """Let a person choose by what people said; a reviewer only whether anything was said."""
    verdicts = [] if reviewer() else list(LabelVerdict)
    return _one(
        "Label",
        ["any", "none", *verdicts],
        "label",
        {EVERYTHING: "with or without", "any": "labelled", "none": "not labelled"}
        | {each: words.LABEL_VERDICTS[LabelVerdict(each)] for each in verdicts},
        "What a person said of this case."
        + (" You review here, so what others said is no filter." if reviewer() else ""),
    )


def _scored(scope: Scope, counted: VerdictCounts) -> dict[str, str]:
    if not counted.scored:
        return {}
    what = "Similarity" if scope.eval.kind is EvalKind.TEXT else "Score"
    span = address.span(
        what, name="similarity", help="How alike the two answers are, 0 to 1.", width=FILTER_PX
    )
    order = address.select("Order", list(ORDERS), name="order", labels=ORDER, width=FILTER_PX)
    return {"similarity": f"{span[0]}..{span[1]}" if span else "", "order": order}


def _answers(scope: Scope) -> dict[str, str]:
    """Let a person look at one cell of the table of labels, or at one field that differs."""
    if scope.eval.kind is EvalKind.LABEL and scope.eval.labels:
        names = {each: visible(each) for each in scope.eval.labels}
        return {
            "frontier": _one("Frontier said", list(names), "frontier", {EVERYTHING: "anything"} | names),
            "answer": _one(
                "Candidate said",
                [*names, INVALID],
                "answer",
                {EVERYTHING: "anything", INVALID: "no valid answer"} | names,
            ),
        }
    if paths := agreeing.field_paths(scope.eval):
        return {
            "field": _one(
                "Field that differs",
                paths,
                "field",
                {EVERYTHING: "any"} | {e: visible(e) for e in paths},
            )
        }
    return {}


def _errors(found: Facets) -> dict[str, str]:
    if not found.errors:
        return {}
    told = {each: f"{told_error(each)} ({n:,})" for each, n in found.errors.items()}
    return {
        "error": _one(
            "Candidate's error", list(found.errors), "error", {EVERYTHING: "with or without"} | told
        )
    }


def _table(rows: list[CaseRow], total: int, page: int) -> str:
    """Show the page and return the call that is open: the one selected last, or the one in the address."""
    first = (page - 1) * PAGE_SIZE + 1
    st.caption(f"Cases {first:,} to {first + len(rows) - 1:,} of {total:,}. Select a row to open it.")
    frame = pd.DataFrame(
        {
            "Verdict": [words.VERDICTS[Verdict(row.verdict)] for row in rows],
            "Frontier": [_begins(row.control_output, row.control) for row in rows],
            "Candidate": [_begins(row.candidate_output, row.candidate) for row in rows],
            "Score": pd.array([row.score for row in rows], dtype="Float64"),
            "Why": [visible(words.why(row.reason)) for row in rows],
            "Language": [row.language or "unknown" for row in rows],
            "Label": _labels(rows),
        }
    )
    if frame["Score"].isna().all():
        frame = frame.drop(columns="Score")
    event = st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=390,
        key=f"cases-{page}",
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        column_config={
            "Score": st.column_config.NumberColumn(format="%.2f", width="small"),
            "Language": st.column_config.TextColumn(width="small"),
            "Verdict": st.column_config.TextColumn(width="small"),
            "Frontier": st.column_config.TextColumn(width="medium"),
            "Candidate": st.column_config.TextColumn(width="medium"),
            "Why": st.column_config.TextColumn(width="medium"),
            "Label": st.column_config.TextColumn(width="small"),
        },
        alt=f"{len(rows)} cases with verdict, both answers and label.",
    )
    selected = [each for each in event.selection.rows if each < len(rows)]
    chosen = (page, rows[selected[0]].call_id) if selected else None
    if chosen != st.session_state.get(PICKED):
        # A row that was pressed just now; what the address names since then stays open.
        st.session_state[PICKED] = chosen
        if chosen:
            st.query_params["case"] = chosen[1]
    return st.query_params.get("case") or rows[0].call_id


def _begins(output: Output | None, text: str) -> str:
    """Return how an answer begins: its text, or what stands in its place, as the open case says it."""
    return visible(text if output is None else answers.output_text(output)[:PREVIEW_CHARS])


def _labels(rows: list[CaseRow]) -> list[str]:
    """Return what people said of each row; not what a reviewer may still be asked for blind."""
    pairs = [(row.replay_id, row.call_id) for row in rows if row.label]
    hidden = hidden_here(pairs)
    return [
        ""
        if not row.label
        else "labelled"
        if (row.replay_id, row.call_id) in hidden
        else words.LABEL_VERDICTS[LabelVerdict(row.label)]
        for row in rows
    ]
