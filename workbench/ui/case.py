"""One case: both answers with their differences, what was noticed, what people and a judge said."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from workbench import access, review
from workbench.compare.features import in_words
from workbench.errors import WorkbenchError
from workbench.records import LabelVerdict, Output, Verdict
from workbench.review import PastVerdict, VerdictHistory
from workbench.roles import Right
from workbench.store import cases, imported_labels
from workbench.store.cases import Case, Pool
from workbench.ui import address, answers, navigation, opinion, words
from workbench.ui.diff import capped, visible
from workbench.ui.scope import Scope, token_of
from workbench.ui.seat import ITEM, TROUBLE
from workbench.ui.session import complain, here, read
from workbench.ui.whose import has_read, remember_read, reviewer

LABELS_SHOWN = 20
LABEL_CHARS = 500
NOTES_CHARS = 4_000
"""Of the notes on one case; an evaluator of one's own may say more."""


def show(scope: Scope, pool: Pool, call_id: str) -> None:
    """Show a case, or say that there is none of this name.

    Args:
        scope: The task and the candidate.
        pool: The comparisons that it has to belong to.
        call_id: The call, maybe from an address.
    """
    found = read(cases.case, pool, call_id[:200])
    if found is None:
        address.leave_out("Case")
        st.info("The case in the address does not belong to this task and candidate.")
        return
    with st.container(border=True, key="case"):
        _head(scope, found)
        if found.reason:
            st.text(visible(words.why(found.reason)))
        if found.ignored_by:
            st.text(visible(f"Different, and equal by what the eval ignores: {found.ignored_by}"))
        _notes(found)
        answers.show_pair(found.control, found.observed, _rules(found))
        st.caption("Request")
        answers.show_request(found.request)
        _said(scope, found)
        _imported_labels(found.call_id)
        with st.expander("Where this comes from", icon=":material/info:"):
            st.text(visible(f"Call {found.native_id} of {found.source}"))
            st.text(
                f"Recorded {found.occurred_at:%Y-%m-%d %H:%M} UTC"
                if found.occurred_at
                else "No time recorded"
            )
            for side, output in (("Frontier", found.control), ("Candidate", found.observed)):
                # A replay runs at full speed: its latencies say nothing beside production's.
                st.text(visible(f"{side}: {_facts(output, timed=output is found.control)}"))


def _head(scope: Scope, found: Case) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="case-head"
    ):
        score = "" if found.score is None else f", score {found.score:.2f}"
        verdict = words.VERDICTS[Verdict(found.verdict)].capitalize()
        st.header(f"{verdict}{score}", anchor=False, width="content")
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            # A link to the page that it stands on would lead nowhere: the address itself becomes the link.
            st.button(
                "Link to this case",
                icon=":material/link:",
                key="case-link",
                type="tertiary",
                on_click=_address,
                args=(found.call_id,),
            )
            if access.may(Right.LABEL, scope.task):
                navigation.link(
                    "review",
                    "Open in Review",
                    icon=":material/rate_review:",
                    task=scope.task,
                    queue=token_of(scope.candidate.name),
                    pair=found.call_id,
                )


def _address(call_id: str) -> None:
    st.query_params["case"] = call_id
    st.toast("The address of this page leads to this case: copy it from there.", icon=":material/link:")


def _said(scope: Scope, found: Case) -> None:
    """Show what people said, and a judge, to whoever need not judge this pair blind any more."""
    pair = (found.replay_id, found.call_id)
    name = reviewer()
    known = review.verdict_history(here().store, pair, name)
    if known.hidden and name is None and has_read(pair):
        known = review.open_history(here().store, pair, None)
    judged = opinion.has_opinion(scope, pair)
    unread = not has_read(pair) if name is None else bool(review.hidden_from(here().store, [pair], name))
    if known.hidden or (judged and unread):
        _hidden(pair, known, judged=judged)
        return
    if trouble := st.session_state.pop(TROUBLE, None):
        complain(trouble)
    if known.verdicts:
        st.caption("Verdicts and where they are from, the newest last")
        for each in known.verdicts:
            st.text(visible(_told_by(each)))
    else:
        st.caption("No verdict on this case yet.")
    if judged:
        opinion.of_case(scope, pair)


def _hidden(pair: tuple[str, str], known: VerdictHistory, *, judged: bool) -> None:
    what = [words.counted(known.labels, "label")] if known.labels else []
    what += ["a judge's opinion"] if judged else []
    with st.container(horizontal=True, vertical_alignment="center", key="case-hidden"):
        st.text(
            f"{' and '.join(what).capitalize() or 'Earlier verdicts'}, not shown to who may judge this blind."
        )
        st.button(
            "Show what was said",
            key=f"show-said-{pair[1]}",
            icon=":material/visibility:",
            disabled=bool(known.barred),
            help=known.barred or "Whoever reads it is not asked to judge this case blind any more.",
            on_click=_open,
            args=(pair,),
        )


def _open(pair: tuple[str, str]) -> None:
    name = reviewer()
    remember_read([pair])
    if name is None:
        return
    try:
        review.open_history(here().store, pair, name)
        review.note_read(here().store, [pair], name)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    # Were it the pair on their own desk, it is not asked for any more.
    st.session_state.pop(ITEM, None)


def _told_by(each: PastVerdict) -> str:
    said = "skipped"
    if each.verdict:
        said = words.LABEL_VERDICTS.get(LabelVerdict(each.verdict), each.verdict)
    extra = "; ".join(part for part in [*each.reasons, each.note] if part)
    right = f" Right answer: {capped(each.corrected, LABEL_CHARS)}" if each.corrected else ""
    about = f"{words.ago(each.created_at)}, {words.LABEL_ORIGINS.get(each.source, each.source)}"
    gone = " – superseded" if each.superseded else ""
    return f"{each.annotator}: {said}{f' – {extra}' if extra else ''} ({about}){gone}{right}"


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


def _notes(found: Case) -> None:
    """Say what the comparison noticed beside the verdict; the facts in it come from logs and models."""
    notes = in_words(found.flags, found.details)
    if notes:
        st.caption("What the comparison noticed")
        st.text(visible(capped("\n".join(f"• {each}" for each in notes), NOTES_CHARS)))


def _rules(found: Case) -> dict[str, bool] | None:
    """Return what the field rules said of a case, by path; None where the task has none."""
    fields = found.details.get("fields")
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
        *(words.told(each, words.OUTPUT_FLAGS) for each in output.flags),
    ]
    return ", ".join(each for each in facts if each)
