"""Mending imports: taking one back, and saying which of two versions of a call is right."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from workbench import access, ingest
from workbench.errors import WorkbenchError
from workbench.ingest import Conflict
from workbench.roles import Right
from workbench.store.pages import Import
from workbench.ui import answers, markup, words
from workbench.ui.diff import visible, word_diff
from workbench.ui.session import complain, here, read

DONE = "corrections.done"
PLACE = "corrections.place"


def show(found: Sequence[Import]) -> None:
    """Show what can be mended: open conflicts first, then imports that may be taken back."""
    done: str | None = st.session_state.pop(DONE, None)
    if done:
        st.success("Done.", icon=":material/task_alt:")
        st.text(done)
    if access.may(Right.IMPORT):
        # Which calls two imports tell differently, and what goes with one, may be of any task.
        _conflicts()
        if found:
            _take_back(found)


def _conflicts() -> None:
    total, reread = read(ingest.conflict_count)
    if not total:
        return
    st.header(words.counted(total, "conflict"), anchor=False)
    st.text(
        "Each is a record with the id of a stored call that says something else. "
        "Neither is used until you say which one is right."
    )
    if reread:
        _readings(reread)
    place = min(int(st.session_state.get(PLACE, 0)), total - 1)
    (conflict,) = read(ingest.conflicts, limit=1, offset=place)
    with st.container(border=True, key="conflict"):
        st.caption(
            f"{place + 1:,} of {total:,}. Different: {', '.join(conflict.differs) or 'nothing shown here'}."
        )
        if conflict.reread:
            st.text("The same record: an older version of the workbench had read it otherwise.")
        st.text(visible(f"{conflict.stored.source}, id {conflict.stored.native_id}"))
        st.text(visible(f"arrived from {conflict.file}, line {conflict.line:,}"))
        _versions(conflict)
        if conflict.labels:
            st.text(
                f"{words.counted(conflict.labels, 'label')} rest on the stored version, so only that one "
                "can be kept."
            )
        with st.container(horizontal=True):
            for side, text in (("stored", "The stored one is right"), ("arrived", "The new one is right")):
                if st.button(
                    text, key=f"{side}-{conflict.call_id}", disabled=side != "stored" and conflict.labels > 0
                ):
                    _resolve(side, [conflict.call_id], conflict.manifest_id if side == "arrived" else None)
            if total > 1:
                st.button("Next", key="conflict-next", type="tertiary", on_click=_go, args=(place + 1, total))
    if total > 1 and st.button(f"The stored one is right in all {total:,}", key="conflict-all"):
        _resolve("stored", None, None)


def _readings(count: int) -> None:
    """Offer to take, or to leave, all that this version reads otherwise than an older one did."""
    with st.container(border=True, key="readings"):
        all_of = "it" if count == 1 else f"all {count:,}"
        said = f"{words.counted(count, 'conflict')} {'is' if count == 1 else 'are'} not between two records"
        st.text(
            f"{said}: an older version of the workbench imported the same log, and this version reads it "
            "otherwise. With the new reading, what was compared with the old one goes: replay and compare "
            "again. Calls that people labelled wait on, since only what they judged can be kept."
        )
        with st.container(horizontal=True):
            if st.button(f"Take the new reading of {all_of}", type="primary", key="reread-arrived"):
                _resolve("arrived", None, None, reread=True)
            if st.button(f"Keep the old reading of {all_of}", key="reread-stored"):
                _resolve("stored", None, None, reread=True)


def _go(place: int, total: int) -> None:
    st.session_state[PLACE] = place % total


def _versions(conflict: Conflict) -> None:
    pairs = []
    if conflict.arrived.request.messages and {"messages", "tools", "response format"} & set(conflict.differs):
        requests = [
            "\n\n".join(f"{each.role}: {answers.message_text(each)}" for each in call.request.messages)
            for call in (conflict.stored, conflict.arrived)
        ]
        pairs.append(("Request", requests))
    outputs = [answers.output_text(call.control) for call in (conflict.stored, conflict.arrived)]
    pairs.append(("Answer", outputs))
    for title, (stored, arrived) in pairs:
        sides = word_diff(stored, arrived)
        left, right = st.columns(2)
        left.caption(f"{title}, stored")
        markup.show(sides.left, left)
        right.caption(f"{title}, new")
        markup.show(sides.right, right)


def _resolve(keep: str, calls: list[str] | None, manifest_id: str | None, *, reread: bool = False) -> None:
    try:
        report = ingest.resolve_conflicts(
            here().store, keep, call_ids=calls, manifest_id=manifest_id, reread=reread
        )
    except WorkbenchError as error:
        complain(error)
        return
    st.session_state[DONE] = report.text
    st.rerun()


def _take_back(found: Sequence[Import]) -> None:
    with st.expander("Take an import back", icon=":material/undo:"):
        names = {each.manifest_id: each for each in found}
        chosen = st.selectbox(
            "Import", list(names), format_func=lambda each: _title(names[each]), key="undo-import"
        )
        st.text("Its calls go, with their answers and rejected lines. The file can be imported again.")
        evidence = st.checkbox(
            "Also remove what candidates answered and people labelled on its calls", key="undo-evidence"
        )
        if st.button("Take it back", icon=":material/undo:", key="undo"):
            try:
                report = ingest.undo_import(here().store, chosen, with_evidence=evidence)
            except WorkbenchError as error:
                complain(error)
                return
            st.session_state[DONE] = report.text
            st.rerun()


def _title(each: Import) -> str:
    return visible(f"{each.created_at:%Y-%m-%d %H:%M} UTC: {', '.join(each.files)} into {each.source}")
