"""One reviewer's desk: a pair in front of them, judged by a key and committed with it, then the next.

A key runs this part alone. The label and the next item are one round to the store; the pair
and its buttons are sent first, and what belongs to the label given last comes after them,
so that it never holds up the next item.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench import access, priority, review
from workbench.errors import WorkbenchError
from workbench.records import EvalKind, Label
from workbench.review import Answer, ReviewItem, ReviewProgress
from workbench.roles import Right
from workbench.ui import afterwards, ahead, apart, card, navigation, words
from workbench.ui.heights import metric, metrics
from workbench.ui.markup import Safe, element, show
from workbench.ui.seat import ITEM, LAST, NOTICE, TROUBLE, Last, Open, Place, held, notice
from workbench.ui.session import begin, complain, friendly, here

_TAKEN_BACK_ALREADY = "It is taken back already. What you said before it can be changed under My labels."


@st.fragment
def desk(place: Place) -> None:
    """Show one item after the other, until nothing is left for this person.

    Args:
        place: Whose desk.
    """
    with friendly(blind=place.task):
        now = begin()
        if now.workspace.eval_for(place.task).guideline_version != place.guideline_version:
            # The guidelines were edited meanwhile: nobody labels under what they have not seen.
            st.rerun(scope="app")
        if trouble := st.session_state.pop(TROUBLE, None):
            complain(trouble, blind=place.task)
        notice()
        current = _current(place)
        if current is None:
            _finished(place)
            _undo_button(place, "end")
        else:
            _item(current)
        priority.served()
        afterwards.show(place)
        if current is not None and not place.by_hand and not place.picked:
            ahead.prepare(now, place.task, place.candidate)


def _current(place: Place) -> Open | None:
    """Return the item on this reviewer's desk, drawing the next one where there is none."""
    known = held()
    if known is not None and known.place == place:
        return known
    now = here()
    whose = (now.workspace, now.store, place.task, place.candidate, place.annotator)
    last = st.session_state.get(LAST)
    if place.picked and isinstance(last, Last) and last.open.place == place:
        # It was the one; nothing follows it by itself.
        return None
    item: ReviewItem | None
    if place.picked:
        item = review.pick(*whose, place.picked)
    elif place.by_hand:
        item = review.next_by_hand(*whose)
    else:
        item = review.next_item(*whose, languages=place.languages)
    found = Open(place, item) if item else None
    st.session_state[ITEM] = found
    return found


def _item(current: Open) -> None:
    item, place = current.item, current.place
    show(
        element(
            "div",
            progress_line(item.progress),
            card.request_card(item.request),
            card.pair_card(item.left, item.right, rules=item.field_rules, keys=("1", "2")),
            classes="wb-item",
        )
    )
    if place.apart and item.kind is EvalKind.FIELDS:
        apart.ask(item, current.mark)
    # The item is part of each key: a key pressed too late finds no button, and labels nothing.
    with st.container(horizontal=True, key="review-buttons"):
        for choice, label, key in place.choices:
            st.button(
                label,
                key=f"{choice}-{current.mark}",
                shortcut=key,
                type="primary" if choice in ("left", "right") else "secondary",
                on_click=_submit,
                args=(current.mark, choice),
            )
        st.button("Skip", key=f"skip-{current.mark}", shortcut="S", on_click=_skip, args=(current.mark,))
        _undo_button(place, current.mark)


def progress_line(progress: ReviewProgress) -> Safe:
    """Return how far the labelling is, tied to the decision."""
    pieces = [element("span", progress.text)]
    if progress.needed:
        done = progress.labelled / progress.needed
        pieces.insert(0, element("progress", done=done, label=progress.text))
    return element("div", *pieces, classes="wb-progress")


def _undo_button(place: Place, mark: str) -> None:
    st.button("Undo", key=f"undo-{mark}", shortcut="Z", icon=":material/undo:", on_click=_undo, args=(place,))


def _held(mark: str) -> Open | None:
    """Return the item on the desk if it is the one that the button was drawn for."""
    current = held()
    return current if current is not None and current.mark == mark else None


def _submit(mark: str, choice: str) -> None:
    current = _held(mark)
    if current is None:
        return
    if current.place.apart and current.item.absolute_possible:
        _answer(current, choice, Answer(absolute=apart.judged(current.item, choice, current.mark)))
    else:
        _answer(current, choice, Answer(current.item.verdict(choice)))


def _skip(mark: str) -> None:
    current = _held(mark)
    if current is not None:
        _answer(current, "skip", Answer())


def _answer(current: Open, choice: str, given: Answer) -> None:
    priority.served_first()
    now, place, item = here(), current.place, current.item
    try:
        if place.by_hand:
            turn = review.answer_by_hand(
                now.workspace, now.store, item, place.candidate, place.annotator, given
            )
        elif place.picked:
            turn = review.Turn(_answer_picked(current, given), None)
        else:
            turn = review.answer(
                now.workspace,
                now.store,
                item,
                place.candidate,
                place.annotator,
                given,
                languages=place.languages,
            )
        label, following = turn.label, turn.following
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        # Where this item can't be judged any more, another comes; else the same, which is still held.
        st.session_state[ITEM] = None
        return
    if _is(given, label):
        st.session_state[LAST] = Last(current, choice, label)
    else:
        st.session_state[LAST] = None
        st.session_state[NOTICE] = (
            "You had judged this item before, in another window. This key changed nothing: see My labels."
        )
    st.session_state[ITEM] = Open(place, following) if following else None


def _is(given: Answer, label: Label) -> bool:
    """Say whether a label is what was just said, rather than what was said of the item before."""
    if given.absolute is not None:
        return label.absolute == given.absolute
    return label.verdict == given.verdict and label.skipped == (given.verdict is None)


def _answer_picked(current: Open, given: Answer) -> Label:
    now, item, annotator = here(), current.item, current.place.annotator
    if given.absolute is not None:
        return review.submit_absolute(now.workspace, now.store, item, annotator, given.absolute)
    if given.verdict is not None:
        return review.submit(now.workspace, now.store, item, annotator, given.verdict)
    return review.skip(now.workspace, now.store, item, annotator)


def _undo(place: Place) -> None:
    priority.served_first()
    now = here()
    try:
        item = review.undo(now.workspace, now.store, place.task, place.candidate, place.annotator)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[LAST] = None
    if item is not None:
        opened, before = Open(place, item), held()
        st.session_state[ITEM] = opened
        is_again = before is not None and before.mark == opened.mark
        st.session_state[NOTICE] = _TAKEN_BACK_ALREADY if is_again else "Taken back. Judge it again."
    else:
        st.session_state[NOTICE] = "There is nothing of yours to take back."


def _finished(place: Place) -> None:
    now = here()
    if place.picked:
        _picked(place)
        return
    if place.by_hand:
        _by_hand(review.by_hand(now.workspace, now.store, place.task, place.candidate))
        return
    show(progress_line(review.progress(now.workspace, now.store, place.task, place.candidate)))
    st.success("Nothing waits for your label here. Thank you.", icon=":material/task_alt:")
    if place.languages:
        st.caption("There may be more in other languages.")
    # A button, since the address of a link would tell the candidate while second reviews may still come.
    if access.may(Right.SEE, place.task) and st.button(
        "See what the labels changed", icon=":material/stacked_line_chart:", key="see-ramp"
    ):
        query = {"task": place.task, "candidate": place.candidate}
        st.switch_page(navigation.page("ramp"), query_params=query)


def _picked(place: Place) -> None:
    st.success(
        "Kept. A case that somebody picked counts in a bound only once every disagreement has a label; what "
        "the queue draws counts at once.",
        icon=":material/task_alt:",
    )
    with st.container(horizontal=True):
        # Its address tells the candidate.
        if access.may(Right.READ, place.task) and st.button(
            "Back to the case", icon=":material/compare_arrows:", key="back-to-case"
        ):
            query = {"task": place.task, "candidate": place.candidate, "case": place.picked or ""}
            st.switch_page(navigation.page("compare"), query_params=query)
        if st.button("Label the queue", icon=":material/rate_review:", key="to-queue"):
            st.query_params.pop("pair", None)
            st.rerun(scope="app")


def _by_hand(found: review.ByHand) -> None:
    """Say what ten calls looked at by hand show; only once all of them were looked at."""
    show(element("div", found.text, classes="wb-note"))
    if not found.enough:
        st.info("You have looked at all of yours. Others still have some.", icon=":material/groups:")
        return
    with metrics("by-hand"):
        named: dict[str, Any] = {
            "Frontier better": found.control_better,
            "Equal": found.equal + found.identical,
            "Candidate better": found.candidate_better,
            "Both bad": found.both_bad,
        }
        for name, number in named.items():
            metric(name, words.count(number))
    st.caption(
        f"A first impression from {words.counted(found.drawn, 'call')}: it moves no traffic. "
        "If it looks hopeful, replay the whole sample and label the queue."
    )
