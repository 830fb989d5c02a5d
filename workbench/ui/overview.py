"""Overview: the portfolio in one line, then a card for each task and candidate."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from workbench import scoring
from workbench.records import Action, Basis
from workbench.scoring import OverviewRow
from workbench.scoring.retirement import leaving
from workbench.store import pages
from workbench.ui import accepting, answers, figures, money, navigation, scope, words
from workbench.ui.diff import visible
from workbench.ui.session import ask, colours, here, read

ENOUGH_AT = 1.0
"""A cap that labels can't raise."""


def show() -> None:
    """Show what can move, or what to do first."""
    st.title("What can move to a small model?", anchor=False)
    fresh = read(pages.freshness)
    if not fresh.calls:
        _first_steps()
        return
    rows = ask(scoring.overview)
    if rows:
        _portfolio(rows)
        _freshness(fresh)
        _leaving()
        _cards(rows)
    else:
        _freshness(fresh)
    _waiting(rows)


def _first_steps() -> None:
    st.text(
        "The workbench reads the log of calls your team makes to a large model, asks a small model the same "
        "questions, and says how much traffic may move, and how sure that is."
    )
    with st.container(border=True, key="first-steps"):
        st.subheader("Start here", anchor=False)
        st.text("There are no calls in this workspace yet. Bring a log:")
        if st.button("Upload a log", type="primary", icon=":material/upload_file:", key="first-upload"):
            st.switch_page(navigation.page("upload"))
        st.text("Or import it on the command line, or look at the demo:")
        st.code("workbench import LOG.jsonl --task NAME\nworkbench demo", language=None)


def _portfolio(rows: list[OverviewRow]) -> None:
    real = [row for row in rows if not row.synthetic]
    if not real:
        st.info(
            "Only synthetic candidates have been compared so far. They show that planted mistakes are found, "
            "and count for nothing here: replay a candidate of your own.",
            icon=":material/science:",
        )
        if st.button("Replay a candidate", icon=":material/play_circle:", key="replay-real"):
            st.switch_page(navigation.page("replays"))
        return
    best = {task: _furthest([row for row in real if row.task == task]) for task in {row.task for row in real}}
    moving = [row for row in best.values() if row.recommendation.effective_share > 0]
    volumes = [row.calls_per_day for row in best.values()]
    with st.container(horizontal=True, gap="large", key="portfolio"):
        st.metric(
            "Tasks that can move",
            f"{len(moving)} of {len(best)}",
            width="content",
            help="Tasks for which at least one candidate may take some traffic. Synthetic ones don't count.",
        )
        st.metric(
            "Traffic that could move next",
            _moving(list(best.values())),
            width="content",
            help="Recommended shares weighted by each task's volume, with the best candidate of each task."
            if all(volumes)
            else "Recommended shares weighted by logged calls, since the volume of a task is not known.",
        )
        st.metric(
            "Saving a month",
            _saving(moving),
            width="content",
            help=f"At the recommended shares. {answers.quoted(money.price_dates())}",
        )
        st.metric(
            "Tasks waiting for labels",
            str(len({row.task for row in real if wants_labels(row)})),
            width="content",
            help="Labels by people would let these tasks go further.",
        )
    if len(real) < len(rows):
        st.caption("Synthetic candidates are left out of these figures.")


def _furthest(rows: list[OverviewRow]) -> OverviewRow:
    return max(rows, key=lambda row: (row.recommendation.effective_share, row.recommendation.cap))


def _moving(rows: list[OverviewRow]) -> str:
    known = all(row.calls_per_day for row in rows)
    weights = [float(row.calls_per_day or 0) if known else float(row.calls) for row in rows]
    total = sum(weights)
    if not total:
        return "–"
    moved = sum(w * row.recommendation.effective_share for w, row in zip(weights, rows, strict=True))
    return words.percent(moved / total)


def _saving(rows: list[OverviewRow]) -> str:
    known = [row.saving_usd_month for row in rows if row.saving_usd_month is not None]
    if not rows:
        return words.money(0)
    if not known:
        return "not priced"
    return words.money(sum(known)) + ("" if len(known) == len(rows) else " and more")


def _freshness(fresh: pages.Freshness) -> None:
    st.caption(
        f"{words.counted(fresh.calls, 'call')} in {words.counted(fresh.tasks, 'task')} · "
        f"last logged call {words.ago(fresh.last_call_at)} · last replay {words.ago(fresh.last_replay_at)} · "
        f"last label {words.ago(fresh.last_label_at)}"
    )


def _leaving() -> None:
    """Name models that leave before it is known how often they agree with themselves."""
    for each in ask(leaving, datetime.now(UTC).date()):
        st.caption(f":material/event_busy: {answers.quoted(each.text)}")


def _cards(rows: list[OverviewRow]) -> None:
    """Lay the cards out in pairs: what can move first, candidates made up for a demonstration last."""
    ordered = sorted(
        rows,
        key=lambda row: (
            row.synthetic,
            -row.recommendation.effective_share,
            -row.recommendation.cap,
            row.task,
        ),
    )
    for start in range(0, len(ordered), 2):
        columns = st.columns(2)
        for column, row in zip(columns, ordered[start : start + 2], strict=False):
            key = f"card-{row.task}-{row.candidate}"
            with column.container(border=True, key=key, height="stretch"):
                _card(row)


def synthetic_badge() -> None:
    """Say that a candidate is made up."""
    st.badge("synthetic", icon=":material/science:", color="violet", help=words.GLOSSARY["synthetic"])


def _card(row: OverviewRow) -> None:
    answer = row.recommendation
    policy = here().workspace.eval_for(row.task).policy
    mark = f"{row.task}-{row.candidate}"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(answers.quoted(row.task), anchor=False, width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            if row.synthetic:
                synthetic_badge()
            said, icon = words.ACTIONS[answer.action]
            st.badge(said, icon=icon, color="blue" if answer.action is Action.RAMP else "gray")
    st.caption(answers.quoted(f"Candidate: {row.candidate}"), help=words.GLOSSARY["candidate"])
    accepting.loud(row.task, row.candidate)
    st.markdown(f"**{headline(row)}**")
    drawing = figures.ladder(policy.ladder, answer.current_share, answer.share, answer.cap, colours())
    st.plotly_chart(drawing.figure, key=f"ladder-{mark}", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.text(answer.binding_reason)
    drawing = figures.bound(answer.harm, policy.tolerance, colours())
    st.caption("Calls that get worse", help=words.GLOSSARY["bound"])
    st.plotly_chart(drawing.figure, key=f"bound-{mark}", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.caption(
        f"{words.counted(row.compared, 'call')} compared · agree {words.interval(row.agreement)} · "
        f"{words.counted(row.labels, 'label')}",
        help=f"{words.GLOSSARY['agreement']} {words.GLOSSARY[row.basis.value]}",
    )
    if row.floor is not None:
        st.caption(
            f"The frontier agrees with itself in {words.interval(row.floor.agreement)}, so that a candidate "
            f"can agree on at most about {words.percent(row.floor.ceiling.point)}.",
            help=words.GLOSSARY["noise"],
        )
    st.text(money.sentence(row))
    _next_step(row, mark)


def headline(row: OverviewRow) -> str:
    """Return the recommendation of a row in a few words."""
    answer = row.recommendation
    cap = f", evidence reaches {words.stage(answer.cap)}" if answer.cap > answer.share else ""
    if answer.action is Action.RAMP:
        return f"Move {words.stage(answer.share)} of the traffic next{cap}."
    if answer.action is Action.COLLECT:
        return "Too little evidence yet: nothing moves."
    if answer.action is Action.HOLD and answer.share <= 0:
        return f"Nothing may move yet{cap}."
    if answer.action is Action.HOLD:
        return f"Hold at {words.stage(answer.share)}{cap}."
    return f"{words.ACTIONS[answer.action][0]}: {words.stage(answer.share)}."


def wants_labels(row: OverviewRow) -> bool:
    """Say whether labels by people are what a row waits for."""
    answer = row.recommendation
    if answer.cap >= ENOUGH_AT or answer.action in (Action.STOP, Action.ROLLBACK):
        return False
    if _fails(row, "invalid_outputs"):
        # Outputs that can't be used stay so, whatever people say of the others.
        return False
    return (row.basis is Basis.SEMANTIC and answer.cap <= 0) or any(
        "label" in each.lower() for each in answer.missing
    )


def _fails(row: OverviewRow, guard: str) -> bool:
    return any(each.name == guard and not each.ok for each in row.recommendation.guards)


def _wants_latency(row: OverviewRow) -> bool:
    """Say whether a measurement of latency is what a row waits for, and no label would help it."""
    return _fails(row, "latency") and any("of latency" in each for each in row.recommendation.missing)


def _next_step(row: OverviewRow, mark: str) -> None:
    query = {"task": row.task, "candidate": row.candidate}
    blind = {"task": row.task, "queue": scope.queue_token(row.candidate)}
    why = ("See why and what is missing", "ramp", ":material/stacked_line_chart:")
    label = ("Label cases", "review", ":material/rate_review:")
    if row.recommendation.action is Action.COLLECT:
        steps = [("Replay more calls", "replays", ":material/play_circle:"), why]
    elif row.recommendation.action is Action.RAMP:
        steps = [("See what to move", "ramp", ":material/stacked_line_chart:"), label]
    elif _fails(row, "invalid_outputs"):
        steps = [("See the cases", "compare", ":material/compare_arrows:"), why]
    elif _wants_latency(row):
        steps = [("Measure latency", "replays", ":material/speed:"), label if wants_labels(row) else why]
    elif wants_labels(row):
        steps = [label, why]
    else:
        steps = [why, ("See the cases", "compare", ":material/compare_arrows:")]
    with st.container(horizontal=True):
        for index, (words_of, page, icon) in enumerate(steps):
            first = index == 0
            if st.button(words_of, key=f"{page}-{mark}", icon=icon, type="primary" if first else "secondary"):
                asked = blind if page == "review" else query
                if page == "replays" and _wants_latency(row):
                    asked = query | {"measure": "latency"}
                st.switch_page(navigation.page(page), query_params=asked)


def _waiting(rows: list[OverviewRow]) -> None:
    """Name the tasks that have calls and no comparison yet."""
    compared = {row.task for row in rows}
    waiting = [each for each in read(pages.tasks) if each.task not in compared]
    if not waiting:
        return
    st.subheader("Not compared yet", anchor=False)
    known = here().workspace.evals
    for each in waiting:
        with st.container(border=True, key=f"waiting-{each.task}"):
            st.text(visible(f"{each.task}: {words.counted(each.calls, 'call')}"))
            if each.task not in known:
                st.text(
                    f"Its eval is missing: write evals/{visible(each.task)}/eval.toml with task and kind."
                )
            elif st.button(
                "Start a replay", key=f"start-{each.task}", icon=":material/play_circle:", type="primary"
            ):
                st.switch_page(navigation.page("replays"), query_params={"task": each.task})
