"""The top of the overview: all tasks in one line, the next step, the way there, the report to take along."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from workbench.costing.wording import between
from workbench.journey import DONE, NEXT, Journey, TaskStatus, wants_labels
from workbench.report import PortfolioReport, gather_portfolio, portfolio_html, portfolio_markdown
from workbench.scoring import OverviewRow, Portfolio
from workbench.scoring import portfolio as together
from workbench.ui import answers, money, who, words
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics
from workbench.ui.session import here
from workbench.ui.task_card import step_button

MARKS = {DONE: ":material/check_circle:", NEXT: ":material/arrow_circle_right:"}
FORMS: tuple[tuple[str, str, str, Callable[[PortfolioReport], str]], ...] = (
    ("Report on all tasks (HTML)", "html", "text/html", portfolio_html),
    ("Report (Markdown)", "md", "text/markdown", portfolio_markdown),
)


def show(rows: Sequence[OverviewRow], way: Journey, *, weighing: bool) -> None:
    """Show the answer for all tasks and the one thing to do next.

    Args:
        rows: What is known of every task and candidate.
        way: How far the way to a recommendation is done.
        weighing: Whether newer evidence is still being weighed.
    """
    found = together(rows)
    if found.compared_tasks:
        st.markdown(f"**{answer(found)}**")
        _figures(found, rows)
    elif rows:
        st.info(
            "Only synthetic candidates have been compared so far. They show that planted mistakes are found, "
            "and count for nothing here: replay a candidate of your own.",
            icon=":material/science:",
        )
    with st.container(horizontal=True, vertical_alignment="center", key="next"):
        _next(way)
        if rows:
            with st.container(horizontal=True, key="portfolio-reports", width="content"):
                _downloads(rows, weighing)
    if not way.finished:
        done = sum(each.state == DONE for each in way.stages)
        label = f"{done} of {len(way.stages)} steps to a first recommendation are done"
        with st.expander(label, icon=":material/checklist:"):
            _stages(way, with_button=False)


def answer(found: Portfolio) -> str:
    """Return what can move as one sentence."""
    if not found.moving:
        none = f"None of {words.counted(found.compared_tasks, 'compared task')} can move"
        whose = "its" if found.compared_tasks == 1 else "their"
        back = f", and {words.percent(found.present)} of {whose} traffic does: take it back."
        return f"{none}{back}" if found.present else f"{none} yet."
    can = f"{found.moving} of {words.counted(found.compared_tasks, 'compared task')} can move"
    if found.share is None:
        return f"{can}."
    whose = "its" if found.compared_tasks == 1 else "their"
    reach = "" if found.reach is None else f"; evidence reaches {words.percent(found.reach)}"
    now = f" ({words.percent(found.present)} now)" if found.present else ""
    return f"{can}: {words.percent(found.share)} of {whose} traffic next{now}{reach}."


def _figures(found: Portfolio, rows: Sequence[OverviewRow]) -> None:
    by = "calls a day" if found.by_volume else "logged calls, since the volume of a task is not known"
    with metrics("portfolio"):
        metric(
            "Tasks that can move",
            f"{found.moving} of {found.compared_tasks}",
            help="Tasks for which at least one candidate may take some traffic. Synthetic ones don't count.",
        )
        metric(
            "Traffic that could move next",
            words.percent(found.share),
            help=f"Recommended shares with the best candidate of each task, weighted by {by}.",
        )
        metric(
            "Harm at most",
            "–" if found.harm_high is None else words.percent(found.harm_high),
            help=f"Of the calls that would move. {words.GLOSSARY['portfolio_harm']}",
        )
        metric(
            "Saving a month",
            _saving(found),
            help=answers.quoted(f"At the recommended shares. {money.price_dates()}"),
        )
        metric(
            "Tasks waiting for labels",
            str(len({row.task for row in rows if not row.synthetic and wants_labels(row)})),
            help="Labels by people would let these tasks go further.",
        )
    st.caption(answers.quoted(words.kept(found.harm_sentence)), help=words.GLOSSARY["portfolio_harm"])
    saving = found.saving_usd_month
    if found.moving and saving is not None and (sure := between(saving.low, saving.high)):
        said = f"Saving a month: {words.money(saving.point)}{sure}."
        st.caption(answers.quoted(said), help=words.GLOSSARY["saving"])
    if found.unpriced:
        st.text(visible(f"Money not known for: {', '.join(found.unpriced)}."))
    if found.synthetic_left_out:
        st.caption("Synthetic candidates are left out of these figures.")


def _saving(found: Portfolio) -> str:
    if not found.moving:
        return words.money(0)
    if found.saving_usd_month is None:
        return "not known"
    return words.money(found.saving_usd_month.point) + (" and more" if found.unpriced else "")


def _next(way: Journey) -> None:
    """Offer the one thing to do next: a stage of the way, or the task that goes furthest."""
    if way.next_step is None:
        return
    step_button(way.next_step, key="next-step", is_first=True, words_before="Next: ")
    if way.urgent is not None:
        st.text(visible(words.kept(_told(way.urgent))), width="content")
    elif way.finished:
        best = max(way.tasks, key=lambda each: (not each.synthetic, each.share, each.cap))
        st.text(visible(f"{best.task}, {best.candidate}"), width="content")
    else:
        following = next(each for each in way.stages if each.state == NEXT)
        st.text(visible(words.kept(following.said)), width="content")


def _told(found: TaskStatus) -> str:
    headline = found.headline[0].lower() + found.headline[1:]
    return f"{found.task}, {found.candidate}: {headline}"


def checklist(way: Journey) -> None:
    """Show the way to a first recommendation: what is done, and the next step as a button.

    Args:
        way: How far it is done.
    """
    with st.container(border=True, key="first-steps"):
        done = sum(each.state == DONE for each in way.stages)
        st.header("To a first recommendation", anchor=False)
        st.progress(done / len(way.stages), text=f"{done} of {len(way.stages)} steps done")
        _stages(way, with_button=True)


def _stages(way: Journey, *, with_button: bool) -> None:
    for each in way.stages:
        icon = MARKS.get(each.state, ":material/radio_button_unchecked:")
        title = f"**{each.title}**" if each.state == NEXT else each.title
        st.markdown(f"{icon} {title} · {answers.quoted(words.kept(each.said))}")
        if each.state == NEXT:
            if with_button:
                step_button(each.step, key=f"stage-{each.name}", is_first=True)
            st.code(each.step.command, language=None, wrap_lines=True)


def _downloads(rows: Sequence[OverviewRow], weighing: bool) -> None:
    now = here()

    def made(form: Callable[[PortfolioReport], str]) -> Callable[[], str]:
        # It runs in another thread than the page, so it takes nothing from the page's state.
        def report() -> str:
            return form(gather_portfolio(now.workspace, now.store, rows))

        return who.at_the_press(report)

    for label, ending, kind, form in FORMS:
        st.download_button(
            label,
            made(form),
            file_name=f"portfolio.{ending}",
            mime=kind,
            icon=":material/description:",
            key=f"portfolio-{ending}",
            on_click="ignore",
            disabled=weighing,
            help="Newer evidence is still being weighed."
            if weighing
            else "One file with figures, method and dates, to print or send; it holds no text of a call.",
        )
