"""What traffic costs now and at the recommended share, with the date of every price."""

from __future__ import annotations

import streamlit as st

from workbench.costing.wording import amount, between
from workbench.profiling.report import told_imputed
from workbench.scoring import OverviewRow
from workbench.stats.ladder import EPSILON
from workbench.ui import words
from workbench.ui.diff import visible
from workbench.ui.session import here

NO_VOLUME = "the log lacks a sampling rate or the times of most calls, or covers less than a day."


def briefly(row: OverviewRow) -> None:
    """Show what a row costs on a card, where what to do about an unknown volume is a tooltip."""
    if row.calls_per_day is None:
        st.text(f"Saving not known: {NO_VOLUME}", help=words.KNOW_VOLUME)
    else:
        st.text(sentence(row))


def show(row: OverviewRow) -> None:
    """Show the monthly cost now and at the recommended share, and what it leaves out."""
    st.text(sentence(row))
    if row.imputed:
        st.caption(told_imputed(row.imputed) + ".")
    for said in row.price_notes:
        st.text(visible(f"{said}."))
    if row.left_out:
        st.caption("Left out of these figures, since no price or no tokens are known:")
        st.text(visible(", ".join(row.left_out)))


def sentence(row: OverviewRow) -> str:
    """Return what a row costs in one sentence, saying why where it can't be said."""
    if row.calls_per_day is None:
        return f"Saving not known: {NO_VOLUME} {words.KNOW_VOLUME}"
    if row.cost_now_usd_month is None:
        return "Not priced: workbench.toml has no price for the model that answers now."
    if row.cost_at_share_usd_month is None:
        return (
            f"{words.money(row.cost_now_usd_month)} a month now. "
            f"The candidate {row.candidate} is not priced in workbench.toml."
        )
    if row.recommendation.effective_share <= 0:
        moves = "may move" if row.recommendation.current_share > EPSILON else "moves yet"
        return f"{words.money(row.cost_now_usd_month)} a month now; nothing {moves}.{_at_most(row)}"
    answer = row.recommendation
    share = words.stage(answer.share)
    if answer.effective_share < answer.share - EPSILON:
        share = f"{words.percent(answer.effective_share)} ({share} less what slices hold back)"
    saving = row.saving_usd_month or 0.0
    change = f"costs {words.money(-saving)} more" if saving < 0 else f"saves {words.money(saving)}"
    sure = "" if row.saving is None else between(row.saving.low, row.saving.high)
    return (
        f"{words.money(row.cost_now_usd_month)} a month now, "
        f"{words.money(row.cost_at_share_usd_month)} at {share}: {change} a month{sure}.{_at_most(row)}"
    )


def short(row: OverviewRow) -> str:
    """Return what a row saves a month at its share, in a table's cell."""
    if row.recommendation.effective_share <= 0:
        return "nothing may move" if row.recommendation.current_share > EPSILON else "nothing moves"
    return "not known" if row.saving is None else words.money(row.saving.point)


def _or_saved(usd: float) -> str:
    """Return what a move costs beside today: "$1.98 more", or "$33.15 less" where it saves."""
    return f"{words.money(abs(usd))} {'less' if usd > 0 else 'more'}"


def _at_most(row: OverviewRow) -> str:
    """Return what the whole traffic on the candidate would save: what more evidence is worth."""
    whole = row.saving_of_all
    if whole is None:
        return ""
    if whole.point < 0:
        more = f" All of it on the candidate would cost {words.money(-whole.point)} more"
        if not between(whole.low, whole.high):
            return f"{more}."
        return f"{more} ({_or_saved(whole.low)} to {_or_saved(whole.high)})."
    return f" All of it on the candidate would save {amount(whole)}."


def price_dates() -> str:
    """Return when and where the prices come from, or what to do without any."""
    prices = here().workspace.config.prices
    if not prices:
        return (
            "No prices yet: add [[prices]] to workbench.toml, with model, as_of, source, "
            "input_usd_per_million and output_usd_per_million."
        )
    dates = sorted({each.as_of for each in prices})
    span = f"{dates[0]:%Y-%m-%d}" if len(dates) == 1 else f"{dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"
    sources = sorted({each.source for each in prices})
    return f"Prices of {span}, from {', '.join(sources[:3])}{' and others' if len(sources) > 3 else ''}."
