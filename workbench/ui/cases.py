"""Compare: the cases of one task and candidate, paged and filtered, each with its differences."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import streamlit as st

from workbench.compare import EVALUATOR_ERROR, evaluator_version
from workbench.compare.features import in_words
from workbench.records import EvalKind, LabelVerdict, Output, Verdict
from workbench.store import imported_labels, pages
from workbench.store.pages import PAGE_SIZE, Case, CaseFilter, CaseRow, Facets, Pool
from workbench.ui import address, answers, figures, navigation, words
from workbench.ui.diff import capped, visible
from workbench.ui.scope import Scope
from workbench.ui.session import colours, here, read

EVERYTHING = "all"
LABELS_SHOWN = 20
LABEL_CHARS = 500
NOTES_CHARS = 4_000
"""Of the notes on one case; an evaluator of one's own may say more."""


def pool_of(scope: Scope) -> Pool:
    """Return the comparisons of a choice under the present eval and the present candidate."""
    return Pool(scope.task, here().workspace.fingerprint(scope.candidate), evaluator_version(scope.eval))


def show(scope: Scope) -> None:
    """Show filters, the page of cases, the chosen case, and the table of answers for labels."""
    pool = pool_of(scope)
    facets = read(pages.facets, pool)
    if not facets.total:
        _nothing(scope, pool)
        return
    _summary(facets)
    _evaluator_errors(scope, facets)
    if scope.eval.kind is EvalKind.LABEL:
        _confusion(scope, pool)
    chosen = _filters(facets)
    total = read(pages.matching, pool, chosen)
    page = _pager(total)
    rows = read(pages.case_page, pool, chosen, page=page)
    if not rows:
        st.info("No case matches these filters.", icon=":material/filter_alt_off:")
        return
    picked = _table(rows, total, page)
    _case(pool, picked)


def _nothing(scope: Scope, pool: Pool) -> None:
    others = read(pages.compared_versions, pool.task, pool.candidate_fingerprint)
    if others:
        st.info(
            f"{words.counted(sum(others.values()), 'comparison')} were made under an earlier eval.toml. "
            "Compare again under the present one:",
            icon=":material/history:",
        )
    else:
        st.info("Nothing is compared yet for this task and candidate.", icon=":material/hourglass_empty:")
    st.code(f"workbench compare --task {scope.task} --candidate {scope.candidate.name}", language=None)
    navigation.link("replays", "Go to Replays", task=scope.task, candidate=scope.candidate.name)


def _summary(facets: Facets) -> None:
    counted = facets.verdicts
    compared = facets.total - counted.get(Verdict.UNCOMPARABLE, 0)
    agree = counted.get(Verdict.MATCH, 0) + counted.get(Verdict.IGNORED, 0)
    with st.container(horizontal=True, gap="large"):
        st.metric("Compared", words.count(compared), width="content")
        share = words.percent(agree / compared) if compared else "–"
        st.metric(
            "Agree",
            f"{agree:,} ({share})",
            width="content",
            help=f"{words.GLOSSARY['agreement']} Its interval is on Overview and Ramp.",
        )
        st.metric("Differ", words.count(counted.get(Verdict.MISMATCH, 0)), width="content")
        st.metric(
            "Not comparable",
            words.count(counted.get(Verdict.UNCOMPARABLE, 0)),
            width="content",
            help=words.GLOSSARY["uncomparable"],
        )


def _evaluator_errors(scope: Scope, facets: Facets) -> None:
    """Say how often the eval's own evaluator failed, and lead to these cases."""
    failed = facets.flags.get(EVALUATOR_ERROR, 0)
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


def _confusion(scope: Scope, pool: Pool) -> None:
    counts = read(pages.confusion, pool)
    if not counts:
        return
    with st.expander("Which answer became which", icon=":material/grid_on:"):
        if len({each for pair in counts for each in pair}) > 25:
            st.caption("More than 25 different answers: the table lists the commonest changes.")
            changes = [(*pair, n) for pair, n in counts.items() if pair[0] != pair[1]][:50]
            frame = pd.DataFrame(changes, columns=["Frontier", "Candidate", "Calls"])
            st.dataframe(frame, hide_index=True, alt="The commonest changes of answer.")
            return
        drawing = figures.confusion(counts, scope.eval.labels, colours())
        st.plotly_chart(drawing.figure, key="confusion", config=figures.CONFIG, alt=drawing.alt, theme=None)
        st.caption(drawing.alt if len(drawing.alt) < 400 else "Rows: frontier. Columns: candidate.")


def _filters(facets: Facets) -> CaseFilter:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        verdict = address.select(
            "Verdict",
            [EVERYTHING, *(each for each in Verdict if each in facets.verdicts)],
            name="verdict",
            labels=lambda each: _verdict_option(each, facets),
            width=210,
        )
        language = address.select(
            "Language",
            [EVERYTHING, *facets.languages],
            name="language",
            labels=lambda each: (
                "all languages"
                if each == EVERYTHING
                else f"{visible(each) or 'unknown'} ({facets.languages[each]:,})"
            ),
            width=170,
            help=words.GLOSSARY["slice"],
        )
        flag = address.select(
            "Flag",
            [EVERYTHING, *facets.flags],
            name="flag",
            labels=lambda each: (
                "with or without"
                if each == EVERYTHING
                else f"{visible(each).replace('_', ' ')} ({facets.flags[each]:,})"
            ),
            width=190,
            help="What the comparison noticed: another number, a negation, a name.",
        )
        label = address.select(
            "Label",
            [EVERYTHING, "any", "none", *LabelVerdict],
            name="label",
            labels=lambda each: (
                {EVERYTHING: "with or without", "any": "labelled", "none": "not labelled"}.get(each)
                or words.LABEL_VERDICTS[LabelVerdict(each)]
            ),
            width=170,
            help="What a person said of this case.",
        )
        search = address.text("Search", name="search", placeholder="in request and answers")
    return CaseFilter(
        verdict=_chosen(verdict),
        language=_chosen(language),
        flag=_chosen(flag),
        label=_chosen(label),
        search=search,
    )


def _chosen(value: str) -> str | None:
    return None if value == EVERYTHING else str(value)


def _verdict_option(each: str, facets: Facets) -> str:
    if each == EVERYTHING:
        return f"all ({facets.total:,})"
    return f"{words.VERDICTS[Verdict(each)]} ({facets.verdicts[each]:,})"


def _pager(total: int) -> int:
    count = max(1, math.ceil(total / PAGE_SIZE))
    key = address.number("page", lambda asked: asked == int(asked) and 1 <= asked <= count, 1)
    st.session_state[key] = min(int(st.session_state[key]), count)
    page = st.pagination(count, key=key) if count > 1 else 1
    address.publish("page", page, 1)
    return page


def _table(rows: list[CaseRow], total: int, page: int) -> str:
    """Show the page and return the call that is open: the selected one, or the one in the address."""
    first = (page - 1) * PAGE_SIZE + 1
    st.caption(f"Cases {first:,} to {first + len(rows) - 1:,} of {total:,}. Select a row to open it.")
    frame = pd.DataFrame(
        {
            "Verdict": [words.VERDICTS[Verdict(row.verdict)] for row in rows],
            "Frontier": [visible(row.control) for row in rows],
            "Candidate": [visible(row.candidate) for row in rows],
            "Score": pd.array([row.score for row in rows], dtype="Float64"),
            "Why": [visible(row.reason) for row in rows],
            "Language": [row.language or "" for row in rows],
            "Label": [words.LABEL_VERDICTS[LabelVerdict(row.label)] if row.label else "" for row in rows],
        }
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=390,
        key=f"cases-{page}",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Score": st.column_config.NumberColumn(format="%.2f", width="small"),
            "Language": st.column_config.TextColumn(width="small"),
            "Verdict": st.column_config.TextColumn(width="small"),
            "Frontier": st.column_config.TextColumn(width="medium"),
            "Candidate": st.column_config.TextColumn(width="medium"),
        },
        alt=f"{len(rows)} cases with verdict, both answers and label.",
    )
    selected = [each for each in event.selection.rows if each < len(rows)]
    if selected:
        st.query_params["case"] = rows[selected[0]].call_id
    return st.query_params.get("case") or rows[0].call_id


def _case(pool: Pool, call_id: str) -> None:
    case = read(pages.case, pool, call_id)
    if case is None:
        st.info("The case in the address does not belong to this task and candidate.")
        return
    with st.container(border=True, key="case"):
        verdict = Verdict(case.verdict)
        st.subheader(words.VERDICTS[verdict].capitalize(), anchor=False)
        if case.reason:
            st.text(visible(case.reason))
        _notes(case)
        answers.show_pair(case.control, case.observed, _rules(case))
        st.caption("Request")
        answers.show_request(case.request)
        for label in case.labels:
            said = "skipped" if label.skipped or not label.verdict else label.verdict
            text = words.LABEL_VERDICTS.get(said, said)  # type: ignore[call-overload]
            extra = "; ".join([*label.reasons, label.note]).strip("; ")
            st.text(visible(f"{label.annotator}: {text}{f' – {extra}' if extra else ''} ({label.source})"))
        _imported_labels(call_id)
        with st.expander("Where this comes from", icon=":material/info:"):
            st.text(visible(f"Call {case.native_id} of {case.source}"))
            st.text(
                f"Recorded {case.occurred_at:%Y-%m-%d %H:%M} UTC" if case.occurred_at else "No time recorded"
            )
            for side, output in (("Frontier", case.control), ("Candidate", case.observed)):
                # A replay runs at full speed: its latencies say nothing beside production's.
                st.text(visible(f"{side}: {_facts(output, timed=output is case.control)}"))


def _imported_labels(call_id: str) -> None:
    """Show what other tools recorded about the call's own answer; it counts in no bound."""
    labels = read(imported_labels.labels_of_call, call_id)
    if not labels:
        return
    st.caption("Imported labels on the recorded answer: shown only, in no bound")
    lines = [_told(label) for label in labels[:LABELS_SHOWN]]
    if len(labels) > LABELS_SHOWN:
        lines.append(f"… and {len(labels) - LABELS_SHOWN:,} more")
    st.text(visible(capped("\n".join(f"• {each}" for each in lines), NOTES_CHARS)))


def _told(label: dict[str, Any]) -> str:
    value = label["value"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    who = " ".join(each for each in (label["annotator_kind"], label["annotator"]) if each)
    whole = {"session": " of its session", "trace": " of its trace"}.get(label["target_kind"], "")
    told = f"{label['name']}{whole}: {' '.join(capped(text, LABEL_CHARS).split())}"
    if label["comment"]:
        told += f" – {' '.join(capped(label['comment'], LABEL_CHARS).split())}"
    return f"{told} ({label['origin']}{', by ' + who if who else ''})"


def _notes(case: Case) -> None:
    """Say what the comparison noticed beside the verdict; the facts in it come from logs and models."""
    notes = in_words(case.flags, case.details)
    if notes:
        st.caption("What the comparison noticed")
        st.text(visible(capped("\n".join(f"• {each}" for each in notes), NOTES_CHARS)))


def _rules(case: Case) -> dict[str, bool] | None:
    """Return what the field rules said of a case, by path; None where the task has none."""
    fields = case.details.get("fields")
    if not isinstance(fields, list):
        return None
    return {each["path"]: bool(each["equal"]) or "ignored" in each for each in fields}


def _facts(output: Output | None, *, timed: bool) -> str:
    if output is None:
        return "nothing recorded"
    latency = f"{output.latency_ms:,.0f} ms" if output.latency_ms is not None else "latency not recorded"
    facts = [
        output.model or "model not named",
        latency if timed else "",
        f"{output.usage.output_tokens:,} tokens" if output.usage.output_tokens is not None else "",
        f"finished: {output.finish_reason}" if output.finish_reason else "",
        *output.flags,
    ]
    return ", ".join(each for each in facts if each)
