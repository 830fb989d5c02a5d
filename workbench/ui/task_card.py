"""One card of the overview: how far a task may move to a candidate, how sure, what it saves, what next."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from workbench import access
from workbench.journey import NextStep, headline, held_back, next_steps
from workbench.records import Action, Policy, Recommendation
from workbench.roles import Right
from workbench.scoring import OverviewRow
from workbench.scoring.freshness import is_old, stale
from workbench.scoring.sizes import judged
from workbench.stats import ladder
from workbench.stats.wording import harmed_a_day, holds_for
from workbench.ui import accepting, answers, figures, gate, money, navigation, scope, words
from workbench.ui.session import colours, here

ICONS = {
    "compare": ":material/compare_arrows:",
    "ramp": ":material/stacked_line_chart:",
    "replays": ":material/play_circle:",
    "review": ":material/rate_review:",
    "traffic": ":material/analytics:",
    "upload": ":material/upload_file:",
}

STEP_RIGHTS = {"review": Right.LABEL, "replays": Right.REPLAY}
"""What a step needs on its task, where its page opens to others who can only look."""

UNTIMED = "at a time not known"
"""When a call was logged where no call of the log has a time."""


def synthetic_badge() -> None:
    """Say that a candidate is made up."""
    st.badge("synthetic", icon=":material/science:", color="violet", help=words.GLOSSARY["synthetic"])


def card(row: OverviewRow, *, waiting: bool = False, rivals: int = 0) -> None:
    """Show a task and a candidate.

    Args:
        row: What is known.
        waiting: Whether newer evidence is still being weighed.
        rivals: Other candidates of the task that this view does not show.
    """
    answer = row.recommendation
    policy = here().workspace.eval_for(row.task).policy
    mark = f"{row.task}-{row.candidate}"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header(answers.quoted(row.task), anchor=False, width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            if row.synthetic:
                synthetic_badge()
            said, icon = called(answer)
            is_moving = answer.action is Action.RAMP and not held_back(answer)
            st.badge(said, icon=icon, color="blue" if is_moving else "gray")
    st.caption(answers.quoted(f"Candidate: {row.candidate}"), help=words.GLOSSARY["candidate"])
    if waiting:
        st.caption(":material/hourglass_top: From before the newest evidence, which is being weighed.")
    accepting.loud(row.task, row.candidate)
    st.markdown(f"**{words.kept(headline(row))}**")
    drawing = figures.ladder(policy.ladder, answer.current_share, answer.share, answer.cap, colours())
    st.plotly_chart(drawing.figure, key=f"ladder-{mark}", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.text(words.kept(answer.binding_reason))
    drawing = bound_figure(answer, policy)
    st.caption(
        answers.quoted(
            f"Calls that get worse: {words.interval(answer.harm)}. "
            f"The bound {words.kept(holds_for(judged(answer, policy).high, policy))}."
        ),
        help=words.GLOSSARY["bound"],
    )
    st.plotly_chart(drawing.figure, key=f"bound-{mark}", config=figures.CONFIG, alt=drawing.alt, theme=None)
    _evidence(row)
    money.briefly(row)
    if harmed := harmed_a_day(answer):
        st.text(words.kept(harmed), help=words.EVIDENCE[words.HARM_A_DAY])
    _freshness(row)
    _steps(row, mark, rivals)


def called(answer: Recommendation) -> tuple[str, str]:
    """Return what a recommendation is called, and its icon; one that slices hold back whole is no step up."""
    if not held_back(answer):
        return words.ACTIONS[answer.action]
    return words.ACTIONS[Action.STEP_DOWN if answer.current_share > ladder.EPSILON else Action.HOLD]


def bound_figure(answer: Recommendation, policy: Policy) -> figures.Drawing:
    """Draw the bound on harm against the tolerance and what the share to move, or the first stage, allows.

    Args:
        answer: The recommendation.
        policy: What the team accepts.
    """
    allowed = ladder.allowed(answer.share, policy)
    return figures.bound(answer.harm, policy.tolerance, colours(), allowed=allowed)


def _evidence(row: OverviewRow) -> None:
    st.caption(
        answers.quoted(
            f"{words.count(row.compared)} of {words.counted(row.calls, 'call')} compared "
            f"({words.percent(row.coverage)}) · agree {words.interval(row.agreement)} · "
            f"{words.labels(row.labels, imported=row.labels_imported, gold=row.labels_gold)}"
        ),
        help=f"{words.GLOSSARY['agreement']} {words.GLOSSARY[row.basis.value]}",
    )
    if row.floor is not None:
        st.caption(
            answers.quoted(
                f"The frontier agrees with itself in {words.interval(row.floor.agreement)}, so that a "
                f"candidate can agree on at most about {words.percent(row.floor.ceiling.point)}."
            ),
            help=words.GLOSSARY["noise"],
        )


def _freshness(row: OverviewRow) -> None:
    """Show how old the evidence is: each age once, the stale ones in a sentence of their own."""
    now = datetime.now(UTC)
    ages = (
        ("last logged call", row.ages.last_call_at, UNTIMED),
        ("last replay", row.ages.last_replay_at, "never"),
        ("last label", row.ages.last_label_at, "never"),
    )
    fresh = [
        f"{what} {words.ago(moment, now, without=without)}"
        for what, moment, without in ages
        if not is_old(moment, now)
    ]
    if fresh:
        line = " · ".join(fresh)
        st.caption(f"{line[0].upper()}{line[1:]}")
    for each in stale(row.ages, now):
        st.caption(f":material/history: **Stale.** {answers.quoted(words.kept(each))}")


def _steps(row: OverviewRow, mark: str, rivals: int) -> None:
    steps = [each for each in next_steps(row) if _is_open(each)]
    with st.container(horizontal=True):
        for index, step in enumerate(steps):
            step_button(step, key=f"{step.page}-{mark}", is_first=index == 0)
        if rivals and st.button(
            f"Compare {words.counted(rivals + 1, 'candidate')}",
            key=f"candidates-{mark}",
            icon=":material/scatter_plot:",
        ):
            st.query_params["task"] = row.task
            st.rerun()


def _is_open(step: NextStep) -> bool:
    """Say whether a step leads to what one's role may do there: any other is a dead end."""
    right, task = STEP_RIGHTS.get(step.page), step.query.get("task")
    if right is not None and task is not None:
        return access.may(right, task)
    return access.current().may_somewhere(right) if right else gate.opens(step.page, access.current())


def step_button(step: NextStep, *, key: str, is_first: bool, words_before: str = "") -> None:
    """Offer a step that one's role opens; its button leads there with the task and the candidate.

    A step for another role is nothing to press: it is told in words where words come before it.

    Args:
        step: What to do.
        key: The button's own.
        is_first: Whether it is the one to press.
        words_before: Our own words in front of its own.
    """
    if not _is_open(step):
        if words_before:
            # What is to be done is worth knowing, too, for those who can ask somebody to do it.
            rights = (STEP_RIGHTS[step.page],) if step.page in STEP_RIGHTS else gate.PAGE_RIGHTS[step.page]
            st.text(
                f"{words_before}{step.words}. It needs the role {access.roles_with(*rights)}.",
                width="content",
            )
        return
    label, icon = f"{words_before}{step.words}", ICONS.get(step.page)
    if st.button(label, key=key, icon=icon, type="primary" if is_first else "secondary"):
        query = dict(step.query)
        if step.page == "review" and "candidate" in query:
            # A reviewer does not read a model's name, not even in the address.
            query["queue"] = scope.token_of(query.pop("candidate"))
        st.switch_page(navigation.page(step.page), query_params=query)
