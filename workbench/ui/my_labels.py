"""My labels: what somebody has said so far, filtered, looked at again, changed."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from workbench import access, review
from workbench.errors import WorkbenchError
from workbench.records import EvalKind, Label
from workbench.review import REASONS, ReviewItem
from workbench.ui import address, apart, card, exports, guideline_versions, words
from workbench.ui.diff import visible
from workbench.ui.heights import table_px
from workbench.ui.markup import element
from workbench.ui.markup import show as show_html
from workbench.ui.scope import Scope
from workbench.ui.seat import CHOICES, CHOICES_APART, ITEM, LAST, NOTICE, TROUBLE, notice, said_of
from workbench.ui.session import ask, complain, here

SHOWN = 100
ANY = "all"
SAID = {
    ANY: "whatever I said",
    "left": "Response 1 better",
    "right": "Response 2 better",
    "equal": "equal",
    "both_bad": "both bad",
    "skipped": "skipped",
}


def show(scope: Scope, annotator: str) -> None:
    """Show this person's own labels, newest first; nobody else's, and no model's name.

    Args:
        scope: The task and the candidate.
        annotator: Whose labels.
    """
    if trouble := st.session_state.pop(TROUBLE, None):
        complain(trouble, blind=scope.task)
    notice()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choice = address.select("What I said", list(SAID), name="said", labels=SAID, width=200)
        reason = address.select(
            "Reason", [ANY, *REASONS], name="reason", labels={ANY: "any or none", **REASONS}, width=240
        )
        text = address.text("Search", name="find", placeholder="in request, note and answer")
    found = ask(
        review.history,
        scope.task,
        scope.candidate.name,
        annotator,
        choices=() if choice == ANY else (choice,),
        reasons=() if reason == ANY else (reason,),
        text=text,
        limit=SHOWN + 1,
    )
    if not found:
        st.info("No label of yours matches.", icon=":material/filter_alt_off:")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(_counted(found))
        exports.offer(
            "my-labels",
            task=scope.task,
            candidate=scope.candidate.name,
            filters={
                "said": "" if choice == ANY else choice,
                "reason": "" if reason == ANY else reason,
                "find": text,
                "who": "" if access.current().signed_in else annotator,
            },
            blind=True,
        )
    picked = _table(scope, found[:SHOWN])
    if picked is not None:
        _look_again(scope, annotator, picked)


def _counted(found: list[Label]) -> str:
    if len(found) > SHOWN:
        return f"Your newest {SHOWN} labels that match. Select one to look at it again."
    return f"{_labels_and_skips(found)} of yours. Select one to look at it again."


def _labels_and_skips(found: list[Label]) -> str:
    skips = sum(each.skipped for each in found)
    counts = [words.counted(len(found) - skips, "label")] if len(found) > skips or not skips else []
    return " and ".join([*counts, *([words.counted(skips, "skip")] if skips else [])])


def _table(scope: Scope, found: list[Label]) -> Label | None:
    now = scope.eval.guideline_version
    frame = pd.DataFrame(
        {
            "When": [words.ago(each.created_at) for each in found],
            "I said": [said_of(each) for each in found],
            "Reasons": [
                "; ".join(REASONS.get(word, visible(word)) for word in each.reasons) for each in found
            ],
            "Note": [visible(each.note) for each in found],
            "Right answer": [visible(each.corrected or "") for each in found],
            "Guidelines": [_version(each, now) for each in found],
        }
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 8),
        key="my-labels",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Guidelines": st.column_config.TextColumn(
                help="The version of guidelines.md that a label was made under."
            )
        },
        alt=f"{_labels_and_skips(found)} of yours.",
    )
    chosen = [each for each in event.selection.rows if each < len(found)]
    return found[chosen[0]] if chosen else None


def _version(label: Label, now: str) -> str:
    version = label.guideline_version
    if not version:
        return ""
    return f"{words.guidelines(version)} ({'now' if version == now else 'earlier'})"


def _look_again(scope: Scope, annotator: str, label: Label) -> None:
    workspace, store = here().workspace, here().store
    item = review.look_again(workspace, store, scope.task, scope.candidate.name, annotator, label)
    show_html(
        element(
            "div",
            card.request_card(item.request),
            card.pair_card(item.left, item.right, rules=item.field_rules),
            classes="wb-item",
        )
    )
    if label.guideline_version != scope.eval.guideline_version:
        guideline_versions.offer(scope, [label.guideline_version], key="mine")
    if label.verdict is None:
        st.caption("Undo takes back your last label or skip, on the desk.")
        return
    if label.absolute is not None:
        _say_again(item, label, annotator)
        return
    with st.container(horizontal=True, vertical_alignment="center", key="change-label"):
        st.text("Change it to", width="content")
        for choice, said, _ in CHOICES:
            if choice != item.choice(label.verdict):
                st.button(
                    said,
                    key=f"change-{choice}-{label.label_id}",
                    on_click=_change,
                    args=(label, annotator, item.verdict(choice)),
                )


def _say_again(item: ReviewItem, label: Label, annotator: str) -> None:
    """Let somebody change what they said of each response by itself."""
    has_fields = item.kind is EvalKind.FIELDS
    mark = f"again-{label.label_id}"
    if has_fields:
        apart.ask(item, mark, label.absolute)
    with st.container(horizontal=True, vertical_alignment="center", key="change-label"):
        st.text("Change it to", width="content")
        said = apart.choice_of(item, label.absolute) if label.absolute else ""
        for choice, name, _ in CHOICES_APART:
            # With fields the same choice may stand for others.
            if has_fields or choice != said:
                st.button(
                    name,
                    key=f"change-{choice}-{label.label_id}",
                    on_click=_change_apart,
                    args=(item, label, annotator, choice, mark),
                )


def _change(label: Label, annotator: str, verdict: str) -> None:
    _changed(lambda: review.amend(here().store, label, annotator, verdict=verdict), label)


def _change_apart(item: ReviewItem, label: Label, annotator: str, choice: str, mark: str) -> None:
    now = here()
    judged = apart.judged(item, choice, mark)
    _changed(
        lambda: review.amend_absolute(now.workspace, now.store, item, label, annotator, judged),
        label,
    )


def _changed(change: Callable[[], Label], before: Label) -> None:
    try:
        label = change()
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    if label.label_id == before.label_id:
        st.session_state[NOTICE] = "That is what you said already."
        return
    for key in (ITEM, LAST):
        st.session_state.pop(key, None)
    st.session_state[NOTICE] = "Changed. What you said before is kept beside it."
