"""What a judge, a third model, says: how far it agrees with people, and of a case. Never a gate."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from workbench import scoring
from workbench.access import requires
from workbench.compare.judge import JudgeFigures
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import Estimate, LabelVerdict
from workbench.roles import Right
from workbench.scoring.judging import (
    MINIMUM_SHARED,
    JudgeResults,
    judge_of,
    judge_results,
    people_on,
    rulings,
    scope_of,
)
from workbench.specs import EvalConfig
from workbench.store import Store, judgements
from workbench.store.judgements import JudgeScope
from workbench.ui import answers, exports, figures, words
from workbench.ui.diff import capped, visible
from workbench.ui.heights import metric, metrics, table_px
from workbench.ui.scope import Scope
from workbench.ui.session import ask, colours, here

REASON_CHARS = 500
TOLD = {
    "verdict": "Pairs on which the judge's answers could be read in both orders. The figures beside this are "
    "of them alone.",
    "position": "How much more often the first place wins in both orders than the second. A judge without "
    "bias is near 0.",
    "swayed": "Pairs of which the judge said something else once the two answers changed places.",
    "kappa": "Agreement with people beyond chance: 0 is chance, 1 is always.",
}


def show(scope: Scope) -> None:
    """Show how far the eval's judge can be believed, and what it predicts."""
    st.text(
        "A judge is a third model that is asked which answer is better. It explains; it moves no traffic."
    )
    found: JudgeResults | None = ask(_results, scope.eval, _fingerprint(scope))
    if found is None:
        _how_to(scope)
        return
    measured = found.figures
    _trust(measured)
    if found.verdicts:
        said = (
            f"{words.count(n)} {words.LABEL_VERDICTS[LabelVerdict(each)]}"
            for each, n in found.verdicts.items()
        )
        st.text(f"It said, of both orders together: {', '.join(said)}.")
    _matrix(scope)
    _predicted(scope, found)
    if found.errors_because:
        st.caption(f"Without a verdict: {words.counted(measured.errors, 'pair')}. An error is never a tie.")
        answers.plain("\n".join(f"{n:,} × {why}" for why, n in found.errors_because.items()), limit=4_000)
    st.caption(answers.quoted(f"Judge: {found.judge}{f' ({found.model})' if found.model else ''}."))
    exports.offer("judge", task=scope.task, candidate=scope.candidate.name)


def _how_to(scope: Scope) -> None:
    try:
        judge_of(here().workspace, scope.eval)
    except UsageError as error:
        st.info("This task has no judge that can be asked.", icon=":material/gavel:")
        st.text(visible(error.message))
        if error.hint:
            st.text(visible(error.hint))
        st.code('[judge]\ncandidate = "NAME"', language="toml", wrap_lines=True)
        return
    st.info("The judge has not been asked yet.", icon=":material/gavel:")
    st.code(
        f"workbench judge --task {scope.task} --candidate {scope.candidate.name} --limit 100 --dry-run",
        language=None,
        wrap_lines=True,
    )


def _trust(found: JudgeFigures) -> None:
    with metrics("judge-trust"):
        metric("Pairs asked", words.count(found.pairs))
        metric("With a verdict", words.count(found.pairs - found.errors), help=TOLD["verdict"])
        metric("Labelled too", words.count(found.compared))
        metric("Agrees with the labels", _rate(found.agreement))
        metric("Kappa", words.coefficient(found.kappa), help=TOLD["kappa"])
        metric("Swayed by the order", words.percent(found.swayed), help=TOLD["swayed"])
        metric("Position bias", _leaning(found.position_bias), help=TOLD["position"])
    if not found.compared:
        st.warning("None of these pairs has a label: how far to believe it is not known.")
    elif found.compared < MINIMUM_SHARED:
        st.caption(
            f"From {MINIMUM_SHARED} pairs on that people judged too, its predictions may be shown; "
            f"{found.compared} are there."
        )


def _leaning(bias: float | None) -> str:
    place = f" to the {'first' if bias > 0 else 'second'}" if bias else ""
    return f"{words.percent(None if bias is None else abs(bias))}{place}"


def _rate(value: Estimate) -> str:
    return "not known" if value.point is None else words.interval(value)


def _matrix(scope: Scope) -> None:
    """Draw what people said against what the judge said of the same pairs."""
    counts: dict[tuple[str, str], int] = ask(_both, scope.eval, _fingerprint(scope))
    if not counts:
        return
    st.header("Labels and judge on the same pairs", anchor=False)
    order = [words.LABEL_VERDICTS[each] for each in LabelVerdict]
    drawing = figures.confusion(counts, order, colours(), sides=("Labels", "Judge"))
    st.plotly_chart(drawing.figure, key="judge-matrix", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.caption("Rows: labels, given here or imported. Columns: what the judge said in both orders together.")


def _predicted(scope: Scope, found: JudgeResults) -> None:
    st.header("Harm as the judge would have it", anchor=False, help=words.GLOSSARY["predicted"])
    predicted = found.predicted
    if predicted is None or predicted.estimate is None:
        st.caption(
            "Not shown: it needs enough pairs that people judged too, and a judge asked for every pair."
        )
        return
    bound = ask(scoring.recommend, scope.task, scope.candidate.name).harm
    st.dataframe(
        pd.DataFrame(
            [
                ("With the judge's verdicts, for one look", words.interval(predicted.estimate)),
                ("The bound that decides", words.interval(bound)),
            ],
            columns=["Calls that get worse", "Estimate"],
        ),
        hide_index=True,
        lazy=False,
        height=table_px(2),
        alt=f"With the judge {words.interval(predicted.estimate)}; the bound {words.interval(bound)}.",
    )
    st.caption(answers.quoted(predicted.sentence))


def has_opinion(scope: Scope, pair: tuple[str, str]) -> bool:
    """Say whether the eval's judge said something of a pair."""
    return bool(scope.eval.judge and ask(_votes, scope.eval, _fingerprint(scope), pair))


def of_case(scope: Scope, pair: tuple[str, str]) -> None:
    """Show what the eval's judge said of a pair, in each order.

    Args:
        scope: The task and the candidate.
        pair: Replay and call.
    """
    st.caption("What the judge said, in each order; it moves no traffic")
    for row in ask(_votes, scope.eval, _fingerprint(scope), pair):
        first = "frontier first" if row["control_first"] else "candidate first"
        if row["vote"] is None:
            said = f"no verdict, {row['error']}"
        else:
            said = _side(row["vote"], control_first=row["control_first"])
        why = f" – {capped(row['said'], REASON_CHARS)}" if row["said"] else ""
        st.text(visible(f"{first}: {said}{why}"))


def _side(vote: str, *, control_first: bool) -> str:
    if vote == "equal":
        return words.LABEL_VERDICTS[LabelVerdict.EQUAL]
    better = (
        LabelVerdict.CONTROL_BETTER if (vote == "first") == control_first else LabelVerdict.CANDIDATE_BETTER
    )
    return words.LABEL_VERDICTS[better]


def _fingerprint(scope: Scope) -> str:
    return here().workspace.fingerprint(scope.candidate)


@requires(Right.SEE, task=lambda given: given["config"].task)
def _results(workspace: Workspace, store: Store, config: EvalConfig, fingerprint: str) -> JudgeResults | None:
    return judge_results(workspace, store, config, fingerprint)


def _scope(workspace: Workspace, config: EvalConfig, fingerprint: str) -> JudgeScope | None:
    try:
        return scope_of(workspace, config, fingerprint)
    except UsageError:
        return None


@requires(Right.READ, task=lambda given: given["config"].task)
def _votes(
    workspace: Workspace, store: Store, config: EvalConfig, fingerprint: str, pair: tuple[str, str]
) -> list[dict[str, Any]]:
    scope = _scope(workspace, config, fingerprint)
    return judgements.votes_on(store, scope, pair) if scope else []


@requires(Right.SEE, task=lambda given: given["config"].task)
def _both(
    workspace: Workspace, store: Store, config: EvalConfig, fingerprint: str
) -> dict[tuple[str, str], int]:
    scope = _scope(workspace, config, fingerprint)
    people = people_on(store, config, fingerprint) if scope else {}
    counts: dict[tuple[str, str], int] = {}
    for pair, ruling in (rulings(store, scope) if scope else {}).items():
        if ruling.verdict is not None and pair in people:
            key = (words.LABEL_VERDICTS[people[pair]], words.LABEL_VERDICTS[ruling.verdict])
            counts[key] = counts.get(key, 0) + 1
    return counts
