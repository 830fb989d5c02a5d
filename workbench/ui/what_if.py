"""On Ramp: what another policy would say. Nothing here is saved, and nothing can be accepted by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from workbench import rollout
from workbench.errors import WorkbenchError
from workbench.records import Policy, Recommendation
from workbench.ui import address, links, words
from workbench.ui.diff import visible
from workbench.ui.scope import Scope
from workbench.ui.session import ask, complain

LEVELS = (0.80, 0.90, 0.95, 0.99)
HARMS = {"regressions": "calls that get worse", "net": "worse minus better"}
PREFIX = "try-"
"""What the parameters of the address begin with: a link opens the same policy to look at."""
PLAIN = ("tolerance", "level", "harm")
MORE = ("stages", "budget", "budget-set", "critical", "critical-set", "invalid", "days")
ABOUT, OPEN = "what-if.about", "what-if.open"
STAGES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.25, 0.50, 0.75)


def show(scope: Scope, answer: Recommendation, current: float) -> None:
    """Show the controls, and what would be recommended.

    Args:
        scope: The task and the candidate.
        answer: The recommendation under the saved policy.
        current: Share that the candidate serves today, 0..1.
    """
    saved = scope.eval.policy
    with st.container(border=True, key="what-if", height="stretch"):
        st.header(
            "What if the policy were another?",
            anchor=False,
            help="Nothing here is saved, accepted or exported. The policy is changed in eval.toml alone.",
        )
        tried = _controls(scope, saved)
        if tried == saved:
            st.caption(
                "Move a control: the answer changes here, and nothing is saved. A link opens the same."
            )
            return
        try:
            found = ask(rollout.what_if, scope.task, scope.candidate.name, tried, current_share=current)
        except WorkbenchError as error:
            complain(error)
            return
        _answer(found, answer)


def _controls(scope: Scope, saved: Policy) -> Policy:
    _begin(scope, saved)
    tolerance = _percents("Tolerance", saved.tolerance, 0.5, 20.0, 0.5, "tolerance")
    levels = sorted({*LEVELS, saved.level})
    level = st.select_slider(
        "Confidence",
        levels,
        format_func=words.stage,
        key=address.number(PREFIX + "level", levels.__contains__, saved.level, label="Confidence"),
    )
    address.publish(PREFIX + "level", float(level), saved.level)
    harm = st.segmented_control(
        "Harm counts",
        list(HARMS),
        format_func=HARMS.__getitem__,
        key=address.adopt(
            "Harm counts", PREFIX + "harm", saved.harm, lambda asked: links.read_choice(asked, list(HARMS))
        ),
        required=True,
        help=words.GLOSSARY["net"],
    )
    address.publish(PREFIX + "harm", harm or saved.harm, saved.harm)
    changes: dict[str, Any] = {"tolerance": tolerance, "level": float(level), "harm": harm or saved.harm}
    with st.expander(
        "Stages, critical harm and guards", icon=":material/tune:", expanded=st.session_state[OPEN]
    ):
        changes["ladder"] = _ladder(saved)
        changes["exploration_budget"] = _optional(
            "Exploration budget (share x bound)", saved.exploration_budget, 0.01, "budget"
        )
        changes["critical_tolerance"] = _optional(
            "Tolerance of critical harm", saved.critical_tolerance, 0.005, "critical"
        )
        changes["maximum_invalid"] = _percents(
            "Invalid outputs, at most", saved.maximum_invalid, 0.0, 20.0, 0.5, "invalid"
        )
        days, start = PREFIX + "days", min(28.0, saved.minimum_days_of_traffic)
        moved = st.slider(
            "Days of traffic before more than 10 %",
            0.0,
            28.0,
            step=1.0,
            format="%.0f",
            key=address.number(days, lambda asked: 0 <= asked <= 28, start, label="Days of traffic"),
        )
        address.publish(days, moved, start)
        if moved != start:
            changes["minimum_days_of_traffic"] = moved
    return replace(saved, **changes)


def _begin(scope: Scope, saved: Policy) -> None:
    """Forget what was tried of another task, candidate or policy; what the address says stays."""
    about = (scope.task, scope.candidate.name, saved)
    if st.session_state.get(ABOUT) != about:
        for name in (*PLAIN, *MORE):
            st.session_state.pop(f"address.{PREFIX}{name}", None)
        st.session_state[ABOUT] = about
        st.session_state[OPEN] = any(PREFIX + name in st.query_params for name in MORE)


def _ladder(saved: Policy) -> tuple[float, ...]:
    name, label = PREFIX + "stages", "Stages between 0 % and 100 %"
    options = {_stage(each): each for each in sorted({*STAGES, *saved.ladder[1:-1]})}
    standard = [_stage(each) for each in saved.ladder[1:-1]]
    chosen = st.multiselect(
        label,
        list(options),
        format_func=lambda each: words.stage(options[each]),
        key=address.adopt(label, name, standard, lambda asked: links.read_several(asked, list(options))),
    )
    address.publish(name, [each for each in options if each in chosen], standard)
    ladder = (0.0, *sorted(options[each] for each in chosen), 1.0)
    return saved.ladder if set(ladder) == set(saved.ladder) else ladder


def _stage(share: float) -> str:
    """Return a stage as the address carries it, in percent."""
    return f"{100 * share:.10g}"


def _percents(label: str, saved: float, low: float, high: float, step: float, word: str) -> float:
    """Let a person move a rate; what is not moved stays exactly as it is saved."""
    name = PREFIX + word
    start = min(high, max(low, round(100 * saved / step) * step))
    key = address.number(name, lambda asked: low <= asked <= high, start, label=label)
    moved = float(st.slider(label, low, high, step=step, format=f"%.1f{words.NARROW}%%", key=key))
    address.publish(name, moved, start)
    return saved if moved == start else round(moved / 100, 6)


def _optional(label: str, saved: float | None, start: float, word: str) -> float | None:
    """Let a person set, move or take out a rate that a policy may leave out."""
    name, given = PREFIX + word, f"{PREFIX}{word}-set"
    standard = "off" if saved is None else "on"
    base = round(100 * (start if saved is None else saved), 4)
    key = address.adopt(label, given, saved is not None, {"on": True, "off": False}.get)
    is_set = st.checkbox(f"{label} is set", key=key)
    address.publish(given, "on" if is_set else "off", standard)
    if not is_set:
        address.publish(name, base, base)
        return None
    moved = st.number_input(
        f"{label}, in %",
        min_value=0.0,
        max_value=50.0,
        step=0.1,
        format="%.2f",
        key=address.number(name, lambda asked: 0 <= asked <= 50, base, label=label),
    )
    address.publish(name, moved, base)
    return (start if saved is None else saved) if moved == base else round(moved / 100, 6)


def _answer(found: rollout.WhatIf, answer: Recommendation) -> None:
    other = found.answer
    st.badge("What if: nothing of this is saved", icon=":material/science:", color="violet")
    one, two = st.columns(2)
    one.metric("Next", words.stage(other.share), _change(other.share, answer.share), delta_color="off")
    two.metric("Cap", words.stage(other.cap), _change(other.cap, answer.cap), delta_color="off")
    st.text(words.kept(visible(other.binding_reason)))
    for note in found.notes:
        st.warning(note, icon=":material/visibility:")
    st.caption("To make it the policy, put this into eval.toml. It then decides for everybody, from then on:")
    st.code(found.lines, language="toml", wrap_lines=True)


def _change(other: float, saved: float) -> str | None:
    return None if abs(other - saved) < 1e-9 else f"saved policy: {words.stage(saved)}"
