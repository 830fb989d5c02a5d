"""Which task and candidate a page is about: chosen once, kept in the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

import streamlit as st

from workbench import access
from workbench.roles import Right
from workbench.specs import CONTROL, Candidate, EvalConfig
from workbench.store import pages
from workbench.ui import address, navigation
from workbench.ui.diff import visible
from workbench.ui.queue_tokens import queue_of, queue_token
from workbench.ui.session import here, read

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

ADD_CANDIDATE = "workbench candidate add NAME --engine openai --base-url URL --model MODEL"
CHOSEN_CANDIDATE = "chosen.candidate"
BLIND = (
    "Whose answers you judge beside the frontier's: each small model has a queue of its own. Here it has a "
    "letter, since a name would sway a judgement."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """A task with its eval, and a candidate."""

    eval: EvalConfig
    candidate: Candidate

    @property
    def task(self) -> str:
        """Return the task's name."""
        return self.eval.task


def choose(*, replayed: bool = True, blind: bool = False) -> Scope | None:
    """Let a person choose task and candidate; the address carries both, other pages remember them.

    Args:
        replayed: Offer only what has been replayed; False offers all that is declared.
        blind: Name candidates by a letter, on the page and in the address, so that a reviewer
            does not read a model's name.

    Returns:
        The choice, or None after an empty state has said what to do.
    """
    workspace = here().workspace
    rights = (Right.LABEL,) if blind else (Right.SEE, Right.READ, Right.REPLAY)
    pairs = {
        task: names
        for task, names in offered(replayed=replayed).items()
        if any(access.may(right, task) for right in rights)
    }
    if not pairs:
        _empty(replayed)
        return None
    left, right = st.container(key="scope").columns(2)
    tasks = sorted(pairs)
    task = _select("Task", tasks, "task", left, visible)
    if blind:
        name = _queue(task, pairs[task], right)
    else:
        name = _select(
            "Candidate", pairs[task], "candidate", right, lambda each: named(workspace.candidate(each))
        )
    return Scope(workspace.eval_for(task), workspace.candidate(name))


def token_of(candidate: str) -> str:
    """Return what stands for a candidate in the address of a blind page of this workspace."""
    return queue_token(here().workspace, candidate)


def letters_of(number: int) -> str:
    """Return what a candidate is called by its place: A to Z, then AA, AB and so on, no two alike."""
    before, last = divmod(number, len(ascii_uppercase))
    return (letters_of(before - 1) if before else "") + ascii_uppercase[last]


def _queue(task: str, names: list[str], place: DeltaGenerator) -> str:
    """Let a reviewer choose a candidate by a letter; the address carries a token instead of its name."""
    behind = {token_of(name): name for name in names}
    # In the order of the tokens, so that a letter says nothing about the order in workbench.toml. Candidates
    # made up to show how mistakes are found come last: their labels move no traffic, so that whoever
    # just sits down labels for a model that may serve, which is A.
    workspace = here().workspace
    ordered = sorted(behind, key=lambda token: (workspace.candidate(behind[token]).synthetic, token))
    letters = {token: f"Candidate {letters_of(n)}" for n, token in enumerate(ordered)}
    named = st.query_params.pop("candidate", None)
    if not any(access.may(right, task) for right in (Right.SEE, Right.READ)):
        # Whoever only labels could try names, and see which queue each one opens.
        named = None
    remembered = named or st.session_state.get(CHOSEN_CANDIDATE)
    if "queue" not in st.query_params and remembered in names:
        st.query_params["queue"] = token_of(str(remembered))
    asked = st.query_params.get("queue")
    if asked is not None and queue_of(behind, asked) is None:
        st.query_params.pop("queue")
        address.leave_out("Candidate")
    token = address.select(
        "Candidate",
        list(letters),
        name="queue",
        labels=letters,
        place=place,
        help=BLIND,
        is_always_shown=True,
    )
    st.session_state[CHOSEN_CANDIDATE] = behind[token]
    return behind[token]


def _select(
    label: str, options: list[str], name: str, place: DeltaGenerator, labels: Callable[[str], str]
) -> str:
    remembered = f"chosen.{name}"
    if name not in st.query_params and st.session_state.get(remembered) in options:
        st.query_params[name] = st.session_state[remembered]
    value = address.select(label, options, name=name, place=place, labels=labels, is_always_shown=True)
    st.session_state[remembered] = value
    return value


def offered(*, replayed: bool) -> dict[str, list[str]]:
    """Return the candidates by task, the made-up ones last: those replayed, or all that are declared."""
    workspace = here().workspace
    ordered = sorted(workspace.config.candidates, key=lambda each: each.synthetic)
    declared = [each.name for each in ordered if each.name != CONTROL]
    if not replayed:
        known = {each.task for each in read(pages.tasks)}
        return {task: declared for task in workspace.evals if declared and task in known}
    found = set(read(pages.replayed))
    pairs = {task: [name for name in declared if (task, name) in found] for task in workspace.evals}
    return {task: names for task, names in pairs.items() if names}


def named(candidate: Candidate) -> str:
    """Return a candidate's name, saying so where it is made up."""
    return f"{candidate.name} (synthetic)" if candidate.synthetic else candidate.name


def _empty(replayed: bool) -> None:
    if not read(pages.tasks):
        st.info("There are no calls yet. Upload a log first.", icon=":material/upload_file:")
        if st.button("Upload a log", icon=":material/upload_file:", type="primary", key="empty-upload"):
            st.switch_page(navigation.page("upload"))
        return
    if all(each.name == CONTROL for each in here().workspace.config.candidates):
        st.info("No candidate is declared yet. Add the small model you have in mind:", icon=":material/add:")
        st.code(ADD_CANDIDATE, language=None, wrap_lines=True)
        st.caption("Answers that were made elsewhere do as well: the engine recorded reads them from a file.")
        navigation.link("help", "All engines, and what each takes", icon=":material/help:", about="engines")
        return
    if not replayed or not {each.task for each in read(pages.tasks)} & set(here().workspace.evals):
        st.info(
            "No task with calls has an eval yet: evals/TASK/eval.toml says how answers are compared. Traffic "
            "drafts one.",
            icon=":material/analytics:",
        )
        if st.button(
            "See what the calls are", icon=":material/analytics:", type="primary", key="empty-traffic"
        ):
            st.switch_page(navigation.page("traffic"))
        return
    st.info(
        "No candidate has answered any of these calls yet. Start a replay first.",
        icon=":material/play_circle:",
    )
    if st.button("Start a replay", icon=":material/play_circle:", type="primary", key="empty-replay"):
        st.switch_page(navigation.page("replays"))
