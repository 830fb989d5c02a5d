"""Costs: four ways to pay side by side, the break-even curve, the budget, and every price with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from workbench import profiling
from workbench.costing import CostPlan
from workbench.costing.ways import Way
from workbench.costing.what_if import ASSUMPTIONS, MOST_USD, figure_of, tried
from workbench.costing.wording import amount
from workbench.errors import WorkbenchError
from workbench.profiling.costs import CostReport, costs, told_break_even
from workbench.profiling.naming import set_budget
from workbench.profiling.report import told_imputed
from workbench.specs import CONTROL, Candidate, Price
from workbench.store import pages
from workbench.ui import address, answers, exports, figures, looked, money, money_figures, words
from workbench.ui.diff import visible
from workbench.ui.heights import table_px
from workbench.ui.scope import named
from workbench.ui.session import ask, colours, complain, here, read

ALL = "all"
PRICE_ONLY = "price"
CENTS, FINEST = 2, 6
"""Decimals of a price: at least and at most."""
STAGES = (0.01, 0.05, 0.10, 0.25, 0.50, 1.0)


def show() -> None:
    """Show what a workload, or all of them, cost in each way."""
    report = looked.newest_profile("costs")
    if report is None or ask(profiling.is_stale):
        # What a month costs is worked out from the newest calls or not at all.
        return
    names = {each.workload: visible(each.name) for each in report.workloads}
    with st.container(horizontal=True, key="costs-filters"):
        workload = address.select(
            "Workload", [ALL, *names], name="workload", labels={ALL: "All together"} | names, width=280
        )
        declared = {each.name: each for each in here().workspace.config.candidates if each.name != CONTROL}
        spec = list(declared)
        candidate = address.select(
            "Small model",
            [PRICE_ONLY, *spec],
            name="candidate",
            default=_measured(declared),
            labels={PRICE_ONLY: "By price alone"}
            | {name: visible(named(each)) for name, each in declared.items()},
            width=220,
            help="A candidate that was replayed counts with its measured tokens and fall-backs.",
        )
        share = address.select(
            "Share on it",
            [f"{stage:g}" for stage in STAGES],
            name="share",
            default="1",
            labels={f"{stage:g}": words.stage(stage) for stage in STAGES},
            width=140,
        )
    plan, asked = _what_if(here().workspace.config.costs)
    found = ask(
        costs,
        None if workload == ALL else workload,
        candidate=None if candidate == PRICE_ONLY else candidate,
        share=float(share),
        plan=plan,
    )
    _figures(found)
    exports.offer(
        "costs",
        candidate=None if candidate == PRICE_ONLY else candidate,
        filters={"workload": "" if workload == ALL else workload, "share": share, **asked},
    )
    _curve(found)
    _budget(found)
    _prices()


def _measured(declared: Mapping[str, Candidate]) -> str:
    """Return the candidate to begin with: what was measured comes before what a price alone promises."""
    replayed = {candidate for _, candidate in read(pages.replayed)}
    real = (name for name, each in declared.items() if name in replayed and not each.synthetic)
    return next(real, PRICE_ONLY)


def _what_if(plan: CostPlan) -> tuple[CostPlan, dict[str, str]]:
    """Let a person try other figures; nothing is written but the address, which carries them.

    Returns:
        The plan with them, and what the address says of them.
    """
    words_of = [word for word, each in ASSUMPTIONS.items() if plan.self_hosted or not each.hosted]
    figures_of: dict[str, float | None] = {}
    with st.expander("Other costs and assumptions", icon=":material/tune:"):
        st.caption("Taken from workbench.toml ([costs]). Changed here, they count for this page alone.")
        columns = st.columns(4)
        for place, word in enumerate(words_of):
            each = ASSUMPTIONS[word]
            figures_of[word] = address.amount(
                each.label,
                name=word,
                default=figure_of(plan, word),
                least=each.least,
                most=each.most,
                step=100.0 if each.most == MOST_USD else 1.0,
                whole=each.whole,
                is_optional=not each.hosted,
                place=columns[place % 4],
            )
    asked = {word: st.query_params[word] for word in words_of if word in st.query_params}
    return tried(plan, figures_of), asked


def _figures(found: CostReport) -> None:
    volume = found.calls_per_day
    if volume is None:
        st.info(
            answers.quoted(
                f"No figure a month can be given{': ' if found.no_volume else ''}{found.no_volume}. "
                f"{words.KNOW_VOLUME}"
            ),
            icon=":material/help:",
        )
    if found.warning:
        st.warning(answers.quoted(found.warning), icon=":material/warning:")
    drawing = money_figures.ways(found.ways, colours())
    if any(way.usd_month is not None for way in found.ways):
        st.plotly_chart(drawing.figure, key="cost-ways", config=figures.CONFIG, alt=drawing.alt, theme=None)
    frame = pd.DataFrame(
        [(way.name, amount(way.usd_month), amount(way.saving_usd_month), months(way)) for way in found.ways],
        columns=["Way", "USD a month", "Saves a month", "Pays back in"],
    )
    st.dataframe(frame, hide_index=True, lazy=False, height=table_px(len(frame)), alt=drawing.alt)
    for said, names in _remarked(found.ways).items():
        whose = "; ".join(names) if len(names) < len(found.ways) else "all ways"
        st.text(f"{whose[:1].upper()}{whose[1:]}: {said}.")
    if any(way.usd_month is not None for way in found.ways):
        st.caption(f"Each limit holds with {words.stage(found.level)} confidence; what is declared has none.")
    st.text(f"Small model: {visible(found.basis)}.")
    if told := found.told_fallback:
        st.text(words.kept(told))
    if found.imputed:
        st.caption(told_imputed(found.imputed) + ".")
    for said in found.price_notes:
        st.text(visible(f"{said}."))
    if found.left_out:
        st.caption(
            f"Left out, without a price or tokens ({words.percent(1 - found.priced_share)} of the calls):"
        )
        st.text(visible(", ".join(found.left_out)))
    if found.left_out_workloads:
        st.caption("Left out of the sum, since their volume or their price is not known:")
        st.text(visible(", ".join(found.left_out_workloads)))


def months(way: Way) -> str:
    """Return in how many months a way has paid for the move."""
    paid = way.pay_back_months
    if paid is None:
        return "never" if way.saving_usd_month is not None and way.saving_usd_month.point < 0 else "–"
    high = "never" if paid.high == float("inf") else f"{paid.high:,.1f}"
    return f"{paid.point:,.1f} months ({paid.low:,.1f} to {high})"


def _remarked(ways: Sequence[Way]) -> dict[str, list[str]]:
    """Return what there is to say of ways, each once, with the names of those it is said of."""
    found: dict[str, list[str]] = {}
    for way in ways:
        if said := _remarks(way):
            found.setdefault(said, []).append(way.name)
    return found


def _remarks(way: Way) -> str:
    running = [f"{words.counted(way.replicas, 'replica')} running"] if way.replicas else []
    return visible("; ".join([*running, *(f"not known: {each}" for each in way.missing), *way.notes]))


def _curve(found: CostReport) -> None:
    st.header("Where a GPU of your own pays", anchor=False)
    if not found.curve:
        lacking = "; ".join(found.ways[0].missing) or "calls a day"
        st.text(visible(f"There is no curve yet. Not known: {lacking}."))
        return
    now = found.calls_per_day.point if found.calls_per_day else None
    drawing = money_figures.break_even_curve(found.volumes, found.curve, now, found.break_even, colours())
    st.plotly_chart(drawing.figure, key="cost-curve", config=figures.CONFIG, alt=drawing.alt, theme=None)
    even = found.break_even
    if even is None:
        st.text(
            "A GPU of your own has no curve yet: it takes its price and the throughput you measured on it "
            "([[gpus]] and [costs.self_hosted] in workbench.toml)."
        )
    else:
        st.text(
            f"{told_break_even(even, found.share)} One replica carries "
            f"{words.count(round(even.capacity_per_day))} calls a day and costs "
            f"{words.money(even.replica_usd_month)} a month."
        )


def _budget(found: CostReport) -> None:
    st.header("Budget", anchor=False)
    stored = here().workspace.config.costs.budget_usd_month
    with st.form("budget", border=False):
        typed = st.number_input(
            "USD a month",
            min_value=0.0,
            value=stored,
            step=100.0,
            placeholder="none",
            width=220,
            key="budget-usd",
        )
        saved = st.form_submit_button("Save the budget")
    if saved:
        try:
            set_budget(here().workspace, typed)
        except WorkbenchError as error:
            complain(error)
            return
        st.rerun()
    st.caption("Written to workbench.toml. A warning comes where the forecast passes it.")


def _decimals(prices: Sequence[Price]) -> int:
    """Return with how many decimals, of cents at least, every price of a table is exact."""
    sums = [
        each
        for price in prices
        for each in (
            price.input_usd_per_million,
            price.cached_input_usd_per_million,
            price.output_usd_per_million,
        )
        if each is not None
    ]
    exact = (n for n in range(CENTS, FINEST) if all(round(each, n) == each for each in sums))
    return next(exact, FINEST)


def _prices() -> None:
    config = here().workspace.config
    st.header("Prices", anchor=False)
    if not config.prices and not config.gpus:
        st.text(money.price_dates())
        return
    rows = [
        (
            visible(each.model),
            each.input_usd_per_million,
            each.cached_input_usd_per_million,
            each.output_usd_per_million,
            None if each.batch_discount is None else words.percent(each.batch_discount),
            each.as_of,
            visible(each.source),
        )
        for each in config.prices
    ]
    columns = ["Model", "Input", "Cached input", "Output", "Batch discount", "As of", "Source"]
    st.caption("US dollars per million tokens")
    st.dataframe(
        pd.DataFrame(rows, columns=columns),
        hide_index=True,
        lazy=False,
        placeholder="–",
        column_config=dict.fromkeys(
            ("Input", "Cached input", "Output"),
            st.column_config.NumberColumn(format=f"$%,.{_decimals(config.prices)}f"),
        ),
        alt=f"{len(rows)} prices of models.",
    )
    exports.offer("prices", rows=len(rows) + len(config.gpus))
    if config.gpus:
        machines = [
            (visible(each.name), each.usd_per_hour, each.as_of, visible(each.source)) for each in config.gpus
        ]
        st.caption("US dollars an hour")
        st.dataframe(
            pd.DataFrame(machines, columns=["GPU", "An hour", "As of", "Source"]),
            hide_index=True,
            lazy=False,
            column_config={"An hour": st.column_config.NumberColumn(format="$%,.2f")},
            alt=f"{len(machines)} prices of GPUs.",
        )
