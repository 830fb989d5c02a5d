"""Overview: which task can move, how far, how sure that is, what it saves, what to do next."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from workbench import journey
from workbench.records import UNASSIGNED
from workbench.scoring import OverviewRow
from workbench.scoring.portfolio import furthest
from workbench.scoring.retirement import leaving
from workbench.specs import CONTROL
from workbench.store import pages
from workbench.ui import (
    address,
    answers,
    candidates,
    exports,
    first_steps,
    money,
    navigation,
    portfolio,
    standing,
    words,
)
from workbench.ui.diff import visible
from workbench.ui.session import ask, here, read
from workbench.ui.standing import Standing, Waiting
from workbench.ui.task_card import UNTIMED, called, card, synthetic_badge

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

ALL = ""
"""Of the choice of tasks: no task has this name."""
FEW = 8
"""Up to so many pairs each has its card; of more there is a table, and a card for each task's best."""
WEIGHED_AT = "overview.weighed_at"
PAUSE_S = 30.0
"""For so long after a weighing, newer evidence does not begin another by itself."""
CARDS = 6
"""Cards of one page."""

__all__ = ["show", "synthetic_badge"]


def show() -> None:
    """Show what can move, or what to do first."""
    st.title("What can move to a small model?", anchor=False)
    made_up = tuple(each.name for each in here().workspace.config.candidates if each.synthetic)
    fresh = read(pages.freshness, without=made_up)
    if not fresh.calls:
        first_steps.show(journey.told(ask(journey.facts), []))
        return
    found = standing.look()
    place = st.empty()
    is_late = bool(found.waiting) and not found.is_small
    if found.waiting and not is_late:
        _weigh(place, len(found.waiting))
        place.empty()
        found = standing.look()
    elif is_late and _just_weighed(found):
        is_late = False
        place.caption(":material/update: Newer evidence has come in since; the next look takes it in.")
    elif is_late:
        place.progress(0.0, text=_left(len(found.waiting)))
    portfolio.show(found.rows, journey.told(ask(journey.facts), found.rows), weighing=bool(found.waiting))
    _freshness(fresh, any(row.synthetic for row in found.rows))
    _leaving()
    chosen = _pairs(found)
    if found.rows and not found.waiting:
        exports.offer("overview", task=chosen or None, rows=len(found.rows))
    _not_compared({row.task for row in found.rows} | {each.task for each in found.waiting if each.compared})
    if is_late:
        # The page is there; what it lacks is weighed now, and then it is shown again.
        _weigh(place, len(found.waiting))
        st.session_state[WEIGHED_AT] = time.monotonic()
        st.rerun()


def _just_weighed(found: Standing) -> bool:
    """Say whether all that waits was weighed a moment ago: a replay at work must not keep a page busy."""
    since = time.monotonic() - st.session_state.get(WEIGHED_AT, -math.inf)
    return since < PAUSE_S and all(_has_row(each, found.rows) or not each.compared for each in found.waiting)


def _weigh(place: DeltaGenerator, waiting: int) -> None:
    """Weigh what waits, and show how far that is."""
    place.progress(0.0, text=_left(waiting))
    for left in standing.weigh_waiting():
        place.progress(min(1.0, max(0.0, 1 - left / waiting)), text=_left(left))


def _left(waiting: int) -> str:
    return f"Weighing the evidence of {words.counted(waiting, 'candidate')}"


def _freshness(fresh: pages.Freshness, some_made_up: bool) -> None:
    left_out = " · synthetic candidates left out" if some_made_up else ""
    st.caption(
        f"{words.counted(fresh.calls, 'call')} in {words.counted(fresh.tasks, 'task')} · "
        f"last logged call {words.ago(fresh.last_call_at, without=UNTIMED)} · "
        f"last replay {words.ago(fresh.last_replay_at)} · "
        f"last label {words.ago(fresh.last_label_at)}{left_out}"
    )


def _leaving() -> None:
    """Name models that leave before it is known how often they agree with themselves."""
    for each in ask(leaving, datetime.now(UTC).date()):
        st.caption(f":material/event_busy: {answers.quoted(each.text)}")


def _pairs(found: Standing) -> str:
    """Show every pair as a card, or as a line of a table with cards for some; return which task is shown."""
    tasks = sorted({row.task for row in found.rows} | {each.task for each in found.waiting if each.compared})
    if not tasks:
        return ALL
    chosen = ALL
    if len(tasks) > 1:
        chosen = address.select(
            "Task",
            [ALL, *tasks],
            name="task",
            labels=lambda each: visible(each) if each != ALL else "All tasks",
            width=360,
        )
    waiting = {(each.task, each.candidate) for each in found.waiting}
    rows = [row for row in found.rows if chosen in (ALL, row.task)]
    by_task = {task: [row for row in rows if row.task == task] for task in tasks}
    if chosen != ALL or len(tasks) == 1:
        (task,) = (chosen,) if chosen != ALL else tasks
        if len(by_task[task]) > 1:
            candidates.show(by_task[task], here().workspace.eval_for(task).policy)
        _cards(rows, waiting, {})
        return task
    unknown = [each for each in found.waiting if not _has_row(each, rows) and each.compared]
    if len(rows) + len(unknown) <= FEW:
        several = {task: len(each) - 1 for task, each in by_task.items() if len(each) > 1}
        _cards(rows, waiting, several)
        return chosen
    _table(rows, unknown, waiting)
    best = [furthest([row for row in each if not row.synthetic] or each) for each in by_task.values() if each]
    _cards(best, waiting, {task: len(each) - 1 for task, each in by_task.items()})
    return chosen


def _has_row(each: Waiting, rows: Sequence[OverviewRow]) -> bool:
    return any((row.task, row.candidate) == (each.task, each.candidate) for row in rows)


def _ordered(rows: Sequence[OverviewRow]) -> list[OverviewRow]:
    """Return rows with what must be taken back first, then what can move; made-up candidates last."""
    return sorted(
        rows,
        key=lambda row: (
            row.synthetic,
            not journey.falls(row),
            -row.recommendation.effective_share,
            -row.recommendation.cap,
            row.task,
            row.candidate,
        ),
    )


def _cards(rows: Sequence[OverviewRow], waiting: set[tuple[str, str]], rivals: dict[str, int]) -> None:
    """Lay cards out in pairs, some on each page."""
    ordered = _ordered(rows)
    count = max(1, math.ceil(len(ordered) / CARDS)) if len(ordered) > FEW else 1
    page = 1
    if count > 1:
        key = address.number("page", lambda asked: asked == int(asked) and 1 <= asked <= count, 1)
        st.session_state[key] = min(int(st.session_state[key]), count)
        page = st.pagination(count, key=key, width="stretch")
        address.publish("page", page, 1)
        ordered = ordered[(page - 1) * CARDS : page * CARDS]
    for start in range(0, len(ordered), 2):
        columns = st.columns(2)
        for column, row in zip(columns, ordered[start : start + 2], strict=False):
            key = f"card-{row.task}-{row.candidate}"
            with column.container(border=True, key=key, height="stretch"):
                card(row, waiting=(row.task, row.candidate) in waiting, rivals=rivals.get(row.task, 0))


def _table(rows: Sequence[OverviewRow], unknown: Sequence[Waiting], waiting: set[tuple[str, str]]) -> None:
    """Show every pair on a line; choosing one opens its task."""
    ordered = _ordered(rows)
    lines = [_line(row, is_old=(row.task, row.candidate) in waiting) for row in ordered]
    lines += [
        {
            "Task": visible(each.task),
            "Candidate": visible(each.candidate),
            "Answer": "being weighed",
            "Compared": words.count(each.compared),
        }
        for each in unknown
    ]
    st.caption(f"{words.counted(len(lines), 'candidate')} of all tasks. Select a row to open its task.")
    event = st.dataframe(
        pd.DataFrame(lines).fillna("–"),
        hide_index=True,
        lazy=False,
        height=390,
        key="pairs",
        on_select="rerun",
        selection_mode="single-row",
        alt=f"{len(lines)} candidates with answer, harm, saving and age.",
    )
    picked = [each for each in event.selection.rows if each < len(ordered)]
    if picked:
        st.query_params["task"] = ordered[picked[0]].task
        st.rerun()


def _line(row: OverviewRow, *, is_old: bool) -> dict[str, str]:
    answer = row.recommendation
    return {
        "Task": visible(row.task),
        "Candidate": visible(f"{row.candidate} (synthetic)" if row.synthetic else row.candidate),
        "Answer": called(answer)[0] + (", being weighed" if is_old else ""),
        "Next": words.stage(0.0 if journey.held_back(answer) else answer.share),
        "Evidence reaches": words.stage(answer.cap),
        "Calls that get worse": words.interval(answer.harm),
        "Saving a month": money.short(row),
        "Compared": words.count(row.compared),
        "Labels": words.count(row.labels),
        "Last replay": words.ago(row.ages.last_replay_at),
        "Why": visible(answer.binding_reason),
    }


def _not_compared(compared: set[str]) -> None:
    """Name the tasks that have calls and no comparison yet."""
    waiting = [each for each in read(pages.tasks) if each.task not in compared]
    if not waiting:
        return
    st.header("Not compared yet", anchor=False)
    known, wrong = here().workspace.evals, here().workspace.wrong_evals
    has_candidate = any(each.name != CONTROL for each in here().workspace.config.candidates)
    for each in waiting:
        with st.container(border=True, key=f"waiting-{each.task}"):
            named = "Without a task" if each.task == UNASSIGNED else each.task
            st.text(visible(f"{named}: {words.counted(each.calls, 'call')}"))
            if each.task == UNASSIGNED:
                st.text("No task takes them yet. Traffic sorts them by what their prompts share.")
                if st.button("See what they are", key="sort-unassigned", icon=":material/analytics:"):
                    st.switch_page(navigation.page("traffic"))
            elif each.task in wrong:
                st.text("Its eval can't be read; what to mend stands on top of this page.")
            elif each.task not in known:
                st.text(
                    f"Its eval is missing: write evals/{visible(each.task)}/eval.toml with task and kind."
                )
            elif not has_candidate:
                st.text("A candidate comes first: no small model is declared that could be asked.")
            elif st.button("Start a replay", key=f"start-{each.task}", icon=":material/play_circle:"):
                st.switch_page(navigation.page("replays"), query_params={"task": each.task})
