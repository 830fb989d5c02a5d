"""On Ramp: what another policy would say. Nothing here is saved, and nothing can be accepted by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from workbench import rollout
from workbench.errors import WorkbenchError
from workbench.records import Policy, Recommendation
from workbench.ui import words
from workbench.ui.diff import visible
from workbench.ui.scope import Scope
from workbench.ui.session import ask, complain

LEVELS = (0.80, 0.90, 0.95, 0.99)
HARMS = {"regressions": "calls that get worse", "net": "worse minus better"}
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
            st.caption("Move a control: the answer changes here, and nothing is saved.")
            return
        try:
            found = ask(rollout.what_if, scope.task, scope.candidate.name, tried, current_share=current)
        except WorkbenchError as error:
            complain(error)
            return
        _answer(found, answer)


def _controls(scope: Scope, saved: Policy) -> Policy:
    mark = f"{scope.task}-{scope.candidate.name}"
    tolerance = _percents("Tolerance", saved.tolerance, 0.5, 20.0, 0.5, "what-if-tolerance")
    level = st.select_slider(
        "Confidence",
        sorted({*LEVELS, saved.level}),
        value=saved.level,
        format_func=lambda each: words.percent(each, 0),
        key="what-if-level",
    )
    harm = st.segmented_control(
        "Harm counts",
        list(HARMS),
        default=saved.harm,
        format_func=HARMS.__getitem__,
        key="what-if-harm",
        required=True,
        help=words.GLOSSARY["net"],
    )
    changes: dict[str, Any] = {"tolerance": tolerance, "level": float(level), "harm": harm or saved.harm}
    with st.expander("Stages, critical harm and guards", icon=":material/tune:"):
        stages = st.multiselect(
            "Stages between 0 % and 100 %",
            sorted({*STAGES, *saved.ladder[1:-1]}),
            default=list(saved.ladder[1:-1]),
            format_func=words.stage,
            key=f"what-if-ladder-{mark}",
        )
        changes["ladder"] = (0.0, *sorted(stages), 1.0)
        if set(changes["ladder"]) == set(saved.ladder):
            changes["ladder"] = saved.ladder
        changes["exploration_budget"] = _optional(
            "Exploration budget (share x bound)", saved.exploration_budget, 0.01, mark, "budget"
        )
        changes["critical_tolerance"] = _optional(
            "Tolerance of critical harm", saved.critical_tolerance, 0.005, mark, "critical"
        )
        changes["maximum_invalid"] = _percents(
            "Invalid outputs, at most", saved.maximum_invalid, 0.0, 20.0, 0.5, f"what-if-invalid-{mark}"
        )
        days = st.slider(
            "Days of traffic before more than 10 %",
            0.0,
            28.0,
            value=min(28.0, saved.minimum_days_of_traffic),
            step=1.0,
            format="%.0f",
            key=f"what-if-days-{mark}",
        )
        if days != min(28.0, saved.minimum_days_of_traffic):
            changes["minimum_days_of_traffic"] = days
    return replace(saved, **changes)


def _percents(label: str, saved: float, low: float, high: float, step: float, key: str) -> float:
    """Let a person move a rate; what is not moved stays exactly as it is saved."""
    start = min(high, max(low, round(100 * saved / step) * step))
    moved = st.slider(label, low, high, value=start, step=step, format="%.1f %%", key=key)
    return saved if moved == start else round(moved / 100, 6)


def _optional(label: str, saved: float | None, start: float, mark: str, name: str) -> float | None:
    """Let a person set, move or take out a rate that a policy may leave out."""
    is_set = st.checkbox(f"{label} is set", value=saved is not None, key=f"what-if-{name}-set-{mark}")
    if not is_set:
        return None
    base = start if saved is None else saved
    moved = st.number_input(
        f"{label}, in %",
        min_value=0.0,
        max_value=50.0,
        value=round(100 * base, 4),
        step=0.1,
        format="%.2f",
        key=f"what-if-{name}-{mark}",
    )
    return base if moved == round(100 * base, 4) else round(moved / 100, 6)


def _answer(found: rollout.WhatIf, answer: Recommendation) -> None:
    other = found.answer
    st.badge("What if: nothing of this is saved", icon=":material/science:", color="violet")
    one, two = st.columns(2)
    one.metric("Next", words.stage(other.share), _change(other.share, answer.share), delta_color="off")
    two.metric("Cap", words.stage(other.cap), _change(other.cap, answer.cap), delta_color="off")
    st.text(visible(other.binding_reason))
    for note in found.notes:
        st.warning(note, icon=":material/visibility:")
    st.caption("To make it the policy, put this into eval.toml. It then decides for everybody, from then on:")
    st.code(found.lines, language="toml")


def _change(other: float, saved: float) -> str | None:
    return None if abs(other - saved) < 1e-9 else f"saved policy: {words.stage(saved)}"
