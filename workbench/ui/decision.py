"""Ramp: how much may move, how sure that is, what is missing, and what another policy would say."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from workbench import journey, scoring
from workbench.records import Action, Guard, Policy, Recommendation
from workbench.scoring.latency_pairs import PairedLatency, heading, ms
from workbench.scoring.predicted import PredictedHarm
from workbench.scoring.sizes import judged
from workbench.stats.slice_shares import bounds_at_once
from workbench.stats.wording import a_day, holds_for, sentence_case
from workbench.stats.wording import count as whole
from workbench.stats.wording import guard as named_guard
from workbench.ui import (
    accepting,
    address,
    answers,
    exports,
    figures,
    markup,
    money,
    moves,
    navigation,
    newer,
    overview,
    reporting,
    task_card,
    thresholds,
    trail,
    what_if,
    words,
)
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics, table_px, told_columns
from workbench.ui.heuristic import usual_rule
from workbench.ui.scope import Scope
from workbench.ui.session import ask, colours, quarter


def show(scope: Scope) -> None:
    """Show the recommendation of the saved policy, its evidence, and a policy to try out."""
    policy = scope.eval.policy
    offer = partial(exports.offer, task=scope.task, candidate=scope.candidate.name)
    held = accepting.standing_of(scope.task, scope.candidate.name)
    accepting.in_force(scope, held)
    current = _present_share(scope, held.share)
    # A stage lasts by the clock, which no commit tells of.
    now = quarter() if current else None
    answer = ask(scoring.recommend, scope.task, scope.candidate.name, current_share=current, now=now)
    log = accepting.log_of(scope)
    _answer(scope, answer)
    accepting.form(scope, answer, current, held.share, log)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _reasons(answer)
    with right:
        _figure_bound(answer, policy)
        _numbers(answer)
        served = {"now": f"{current:g}"} if current != held.share else None
        offer("recommendation", filters=served, label="Export evidence")
    trail.show(scope, int(answer.details["compared"]), log)
    if answer.details["compared"]:
        newer.show(scope)
    declared(answer, policy)
    with st.container(horizontal=True, vertical_alignment="center"):
        if answer.slices:
            offer("slices", label="Export slices")
        navigation.link(
            "slices", "Find slices nobody declared", task=scope.task, candidate=scope.candidate.name
        )
    _latency(scope, answer)
    if answer.details["latency"].pairs:
        offer("latencies", label="Export latencies")
    thresholds.panel(scope, int(answer.details["compared"]))
    left, right = st.columns(2, gap="large")
    with left:
        what_if.show(scope, answer, current)
    with right:
        _usual(scope, answer)
    moves.show(scope, current)
    accepting.log_table(scope, log, answer.details["policy_version"])
    reporting.show(scope, current)


def _present_share(scope: Scope, accepted: float) -> float:
    """Ask what is served today: what was accepted, unless a person or the address says otherwise."""
    stages = sorted({*scope.eval.policy.ladder, accepted})
    known, before = (scope.task, scope.candidate.name, accepted), st.session_state.get("now.known")
    if before not in (None, known):
        # Another task, or another decision: its own share is where its traffic is.
        st.query_params.pop("now", None)
        st.session_state.pop("address.now", None)
    st.session_state["now.known"] = known
    key = address.number("now", lambda asked: asked in stages, accepted)
    if st.session_state[key] not in stages:
        st.session_state[key] = accepted
    current = st.select_slider(
        "Share that the candidate serves today",
        stages,
        format_func=words.stage,
        key=key,
        width=460,
        help="What was accepted last. The workbench does not see your gateway: say where the traffic is.",
    )
    address.publish("now", float(current), accepted)
    return float(current)


def _answer(scope: Scope, answer: Recommendation) -> None:
    icon = task_card.called(answer)[1]
    with st.container(border=True, key="answer"):
        if scope.candidate.synthetic:
            overview.synthetic_badge()
        st.header(f"{icon} {_headline(answer)}", anchor=False)
        st.text(words.kept(answer.binding_reason))
        drawing = figures.ladder(
            scope.eval.policy.ladder, answer.current_share, answer.share, answer.cap, colours()
        )
        st.plotly_chart(drawing.figure, key="ladder", config=figures.CONFIG, alt=drawing.alt, theme=None)
        with metrics("decision"):
            metric("Share now", words.stage(answer.current_share))
            metric("Next", words.stage(answer.share), help=words.GLOSSARY["share"])
            metric("Cap", words.stage(answer.cap), help=words.GLOSSARY["cap"])
            metric(
                "Moves in all", words.percent(answer.effective_share), help=words.GLOSSARY["effective_share"]
            )
        if row := row_of(scope, answer):
            money.show(row)


def row_of(scope: Scope, answer: Recommendation) -> scoring.OverviewRow | None:
    """Return what Overview says of a choice at its present share, or None where nothing is compared yet."""
    if not answer.details["compared"]:
        return None
    return ask(scoring.overview_row, scope.task, scope.candidate.name, current_share=answer.current_share)


def _headline(answer: Recommendation) -> str:
    if journey.held_back(answer):
        return journey.told_held_back(answer)
    if answer.action is Action.RAMP:
        return f"Move {words.stage(answer.share)} of the traffic"
    if answer.action is Action.HOLD:
        return f"Hold at {words.stage(answer.share)}"
    if answer.action is Action.COLLECT:
        return "Collect more evidence before anything moves"
    if answer.action is Action.STEP_DOWN:
        return f"Step down to {words.stage(answer.share)}"
    if answer.action is Action.ROLLBACK:
        return f"Roll back to {words.stage(0)}"
    return "Stop: this candidate makes too many calls worse"


def _reasons(answer: Recommendation) -> None:
    binding = int(answer.details["binding_reasons"])
    following = binding + int(answer.details["next_reasons"])
    groups = (
        # The first one, which decides, stands below the answer.
        ("Further reasons", answer.reasons[1:binding]),
        ("What would hold it next", answer.reasons[binding:following]),
        ("Also", answer.reasons[following:]),
    )
    for title, reasons in groups:
        if reasons:
            st.header(title, anchor=False)
        for reason in reasons:
            st.text(words.kept(f"• {reason}"))
    if answer.missing:
        st.header("What is missing for more", anchor=False)
        for each in answer.missing:
            st.text(words.kept(f"• {each}"))
    _guards(answer)


def _guards(answer: Recommendation) -> None:
    stopping = [each for each in answer.guards if not each.ok]
    holding = [each for each in answer.guards if each.ok]
    st.header("Guards", anchor=False, help="Rules that hold traffic back whatever the bound says.")
    for guard in stopping:
        # What it says may stand above already, as a reason.
        said = "not passed, as said above." if guard.message in answer.reasons else words.kept(guard.message)
        st.text(f"✗ {_named(guard)}: {said}")
    if holding:
        with st.expander(f"{words.counted(len(holding), 'guard')} passed", icon=":material/check_circle:"):
            for guard in holding:
                st.text(words.kept(f"✓ {_named(guard)}: {guard.message}"))


def _named(guard: Guard) -> str:
    return sentence_case(named_guard(guard.name))


def _figure_bound(answer: Recommendation, policy: Policy) -> None:
    st.header("How sure", anchor=False, help=words.GLOSSARY["bound"])
    drawing = task_card.bound_figure(answer, policy)
    st.plotly_chart(drawing.figure, key="bound", config=figures.CONFIG, alt=drawing.alt, theme=None)
    held = holds_for(judged(answer, policy).high, policy)
    st.text(words.kept(f"The bound {held}; tolerance {words.percent(policy.tolerance)}."))


def _numbers(answer: Recommendation) -> None:
    harm, net = answer.harm, answer.net
    rows = [
        ("Worse, at most (U)", words.percent(harm.high)),
        ("Worse, at least (L)", words.percent(harm.low)),
        ("Worse, estimated", words.estimated(harm.point)),
        ("Worse minus better", _net(net.point, net.low, net.high)),
        ("Confidence, one-sided", words.stage(harm.level)),
        ("Calls (n)", words.count(harm.n)),
        ("Worth as independent calls", whole(harm.n_effective)),
        (words.HARM_A_DAY, _per_day(answer.harm_per_day_at_most)),
        *_served_now(answer),
        *_sessions(answer),
    ]
    # Not a grid: on a phone, cells break where a grid would cut them off.
    lines = [
        markup.element("tr", markup.element("th", name), markup.element("td", each)) for name, each in rows
    ]
    body = markup.element("tbody", *lines)
    markup.show(markup.element("table", body, classes="wb-evidence", label="Evidence"))
    with st.expander("What these figures mean", icon=":material/help:"):
        for name, _ in rows:
            st.text(f"{name}: {words.EVIDENCE[name]}")
    st.caption(
        answers.quoted(f"Method: {harm.method}. In this task {words.BASES[answer.basis]}."),
        help=words.GLOSSARY["method"],
    )
    if answer.harm_per_day_at_most is None:
        st.caption(f"Harm a day is not known: {money.NO_VOLUME}")
    predicted: PredictedHarm | None = answer.details["predicted"]
    if predicted is not None and predicted.estimate is not None:
        st.caption(answers.quoted(predicted.sentence), help=words.GLOSSARY["predicted"])


def _sessions(answer: Recommendation) -> list[tuple[str, str]]:
    found = answer.details["sessions"]
    if found is None:
        return []
    return [
        ("Sessions with a worse call", words.interval(found["harm"])),
        ("Seen in part, taken as worse", words.count(found["unseen"])),
    ]


def _served_now(answer: Recommendation) -> list[tuple[str, str]]:
    now = answer.details["harm_per_day_now"]
    return [] if now is None else [(words.HARM_A_DAY_NOW, _per_day(now))]


def _net(point: float | None, low: float, high: float) -> str:
    return f"{words.estimated(point)} ({words.percent(low)} to {words.percent(high)})"


def _per_day(harmed: float | None) -> str:
    return "not known" if harmed is None else f"{a_day(harmed)} calls"


def _latency(scope: Scope, answer: Recommendation) -> None:
    """Show both models' latencies on the same calls; without a probe the page says how to get them."""
    found: PairedLatency = answer.details["latency"]
    st.header("Latency of both models", anchor=False)
    if not found.pairs:
        st.caption(answers.quoted(found.reason.replace("`", "")))
        if scope.candidate.engine != "recorded":
            navigation.link(
                "replays",
                "Measure latency",
                icon=":material/timer:",
                task=scope.task,
                candidate=scope.candidate.name,
                measure="latency",
            )
        return
    rows = [
        {
            "Percentile": f"p{pair.percentile * 100:g}",
            "Candidate": ms(pair.candidate_ms),
            "Frontier": ms(pair.control_ms),
            "Candidate minus frontier": ms(pair.difference_ms),
        }
        for pair in found.pairs
    ]
    frame = pd.DataFrame(rows)
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(rows)),
        column_config=told_columns(frame),
        alt="; ".join(found.lines),
    )
    st.caption(
        answers.quoted(
            f"{heading(found)}, measured {words.ago(found.measured_at)}. Limits by the bootstrap, each "
            f"{words.stage(found.pairs[0].control_ms.level)} sure, for one look."
        ),
        help=words.GLOSSARY["bootstrap"],
    )


REASONS = 3
"""So many slices' reasons are told at once, those of the worst; the others open."""
DRAWN_SLICES = 20
"""So many slices are drawn, the worst ones."""


def declared(answer: Recommendation, policy: Policy, heading: str = "Slices") -> None:
    """Show the slices that the eval declares, where it declares any, and what moves with each."""
    if not answer.slices:
        return
    st.header(heading, anchor=False, help=words.GLOSSARY["slice"])
    frame = declared_frame(answer)
    drawing = figures.slice_bounds(answer.slices[:DRAWN_SLICES], policy.tolerance, colours())
    st.plotly_chart(drawing.figure, key="slices", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.text(effective_sentence(answer))
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 12),
        column_config=told_columns(frame),
        alt=f"{len(frame)} slices, the worst first, with status and harm. {effective_sentence(answer)}",
    )
    # A cell would cut them off.
    told = [
        words.kept(visible(f"{each.name} = {each.value}, {each.status}: {each.reason}"))
        for each in answer.slices
    ]
    first = min(REASONS, sum(each.status != "active" for each in answer.slices))
    for text in told[:first]:
        st.text(text)
    if others := told[first:]:
        label = f"Reasons of {words.counted(len(others), 'other slice' if first else 'slice')}"
        with st.expander(label, icon=":material/rule:"):
            for text in others:
                st.text(text)
    st.caption(answers.quoted(at_once_sentence(answer)))


def declared_frame(answer: Recommendation) -> pd.DataFrame:
    """Return a row for each declared slice, the worst first."""
    at_once = bounds_at_once(answer)
    return pd.DataFrame(
        {
            "Slice": [f"{each.name} = {each.value}" for each in answer.slices],
            "Status": [each.status for each in answer.slices],
            "Own share": [words.stage(each.share) for each in answer.slices],
            "Own cap": [words.stage(each.cap) for each in answer.slices],
            "Of traffic": [words.percent(each.traffic_share) for each in answer.slices],
            "Moves": [words.percent(each.traffic_share * each.share) for each in answer.slices],
            "Worse": [words.interval(each.harm) for each in answer.slices],
            "All at once": [
                words.interval(at_once[key]) if (key := (each.name, each.value)) in at_once else "–"
                for each in answer.slices
            ],
        }
    )


def at_once_sentence(answer: Recommendation) -> str:
    """Say in which order slices stand, how sure each bound is, and which ones are drawn."""
    n = len(answer.slices)
    sure = words.stage(answer.slices[0].harm.level)
    text = f"The worst first. Worse: {sure} sure of each slice, which is what its share rests on."
    levels = {each.level for each in bounds_at_once(answer).values()}
    if n > 1 and levels:
        text += (
            f" All at once: {words.stage(min(levels))} sure of each, so that all {n} hold together with "
            f"{sure}; look there for the worst of them."
        )
    if n > DRAWN_SLICES:
        text += f" The {DRAWN_SLICES} worst are drawn."
    return text


def effective_sentence(answer: Recommendation) -> str:
    """Say how the shares of the slices make up what moves in all."""
    names = {each.name for each in answer.slices}
    held = [each for each in answer.slices if each.share < answer.share - figures.EPSILON]
    text = (
        f"At {words.stage(answer.share)} of the task, {words.percent(answer.effective_share)} of its traffic "
        "moves: each slice carries what its own evidence allows, and never more than the task."
    )
    if held:
        part = sum(each.traffic_share for each in held) if len(names) == 1 else None
        of_traffic = "" if part is None else f", {words.percent(part)} of the traffic,"
        text += (
            f" {words.counted(len(held), 'slice')}{of_traffic} {'lags' if len(held) == 1 else 'lag'} behind."
        )
    if len(names) > 1:
        text += " A call that is in several slices moves at the smallest of their shares."
    return text


def _usual(scope: Scope, answer: Recommendation) -> None:
    row = row_of(scope, answer)
    with st.container(border=True, key="usual-rule", height="stretch"):
        st.header(words.kept('What "more than 95 % agree" would have said'), anchor=False)
        if row is None:
            st.caption("Nothing is compared yet.")
            return
        usual = usual_rule(row.agreement, answer, row.labels)
        st.text(words.kept(usual.answer))
        st.text(words.kept(usual.why))
        st.caption(answers.quoted(f"Agreement: {words.interval(row.agreement)}."))
