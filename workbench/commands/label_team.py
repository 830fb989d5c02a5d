"""`workbench label agreement|conflicts|adjudicate|...`: what several reviewers make of the same pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from workbench.commands.base import common, open_workspace
from workbench.commands.label_desk import (
    item_document,
    judged,
    of_queue,
    reviewer_option,
    says_sides,
    sides_options,
    task_option,
)
from workbench.commands.label_text import item_text
from workbench.errors import UsageError
from workbench.terminal import emit

if TYPE_CHECKING:
    from workbench.records import Estimate


@click.command("agreement")
@task_option
@click.option("--candidate", "candidate_name", help="Default: all candidates of the task.")
@common
def label_agreement(task: str, candidate_name: str | None, workspace: str | None, as_json: bool) -> None:
    """Show how far reviewers agree, per version of the guidelines and pair of people."""
    from workbench.review import agreement

    space, store = open_workspace(workspace)
    with store:
        report = agreement(space, store, task, candidate_name)
    lines = [report.warning] if report.warning else []
    for each in report.versions:
        now = " (now)" if each.current else ""
        lines.append(
            f"Guidelines {each.guideline_version}{now}: {each.labels:,} labels by {each.reviewers}, "
            f"{each.doubled:,} pairs judged twice, Krippendorff's alpha {_shown(each.alpha)}"
        )
        lines += [
            f"  {pair.first} and {pair.second}: {pair.agreed} of {pair.n} agree, kappa {_shown(pair.kappa)}"
            for pair in each.pairs
        ]
    from workbench.records import as_builtins

    document = as_builtins(report) | {"warning": report.warning}
    emit(document, as_json=as_json, text="\n".join(lines) or "No labels yet.")


def _shown(found: Estimate) -> str:
    if found.point is None:
        return "can't be said"
    return f"{found.point:.2f} ({found.low:.2f} to {found.high:.2f})"


@click.command("conflicts")
@of_queue
@reviewer_option
@click.option(
    "--open", "key", metavar="KEY", help="Show one with what was said. You won't judge it blind then."
)
@common
def label_conflicts(
    task: str, candidate_name: str, annotator: str, key: str | None, workspace: str | None, as_json: bool
) -> None:
    """List pairs on which reviewers differ; the worse verdict counts until one is adjudicated."""
    from workbench.records import as_builtins
    from workbench.review import conflicts, open_conflict

    space, store = open_workspace(workspace)
    with store:
        if key is None:
            heads = conflicts(space, store, task, candidate_name, annotator)
            lines = [
                f"{each.key}  {each.native_id}  {each.votes} labels  {each.barred}".rstrip() for each in heads
            ]
            emit(heads, as_json=as_json, text="\n".join(lines) or "Nobody differs.")
            return
        found = open_conflict(space, store, task, candidate_name, annotator, key)
    said = [
        f"{vote.annotator}: {vote.choice}{' (' + ', '.join(vote.reasons) + ')' if vote.reasons else ''}"
        f"{' - ' + vote.note if vote.note else ''}"
        for vote in found.votes
    ]
    document: dict[str, Any] = item_document(found.item) | {"ticket": None, "key": found.key}
    document["votes"] = as_builtins(found.votes)
    where = f"--task {task} --candidate {candidate_name}"
    how = f"workbench label adjudicate {key} {where} --as NAME --choice left|right|equal|both_bad"
    emit(document, as_json=as_json, text=item_text(found.item, how="\n\n".join([*said, how])))


@click.command("adjudicate")
@click.argument("key")
@of_queue
@reviewer_option
@click.option("--choice", type=click.Choice(["left", "right", "equal", "both_bad"]))
@sides_options
@click.option("--take-back", is_flag=True, help="Take your decision back: the pair is a conflict again.")
@click.option("--reason", "reasons", multiple=True)
@click.option("--note", default="")
@click.option("--corrected", help="The right answer; it becomes a gold answer.")
@common
def label_adjudicate(
    key: str,
    task: str,
    candidate_name: str,
    annotator: str,
    choice: str | None,
    rights: str | None,
    left_wrong: tuple[str, ...],
    right_wrong: tuple[str, ...],
    take_back: bool,
    reasons: tuple[str, ...],
    note: str,
    corrected: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Decide a conflict. Left and right are the sides that `conflicts --open` showed you."""
    from workbench.review import adjudicate, decision_of, open_conflict, take_decision_back

    sides = says_sides(rights, left_wrong, right_wrong)
    if (choice is not None) + sides + take_back != 1:
        raise UsageError(
            "The decision is missing, or there are two.",
            "Say --choice left|right|equal|both_bad; or --right, or the wrong fields; or --take-back.",
        )
    space, store = open_workspace(workspace)
    with store:
        if take_back:
            decided = decision_of(space, store, task, candidate_name, annotator, key)
            label = take_decision_back(store, decided.label, annotator)
            document: dict[str, Any] = {"label_id": label.label_id, "call_id": label.call_id, "choice": None}
            emit(document, as_json=as_json, text="Taken back. The pair is a conflict again.")
            return
        found = open_conflict(space, store, task, candidate_name, annotator, key)
        label = adjudicate(
            space,
            store,
            found,
            annotator,
            found.item.verdict(choice) if choice else None,
            absolute=judged(found.item, rights, left_wrong, right_wrong),
            reasons=reasons,
            note=note,
            corrected=corrected,
        )
    made = label.verdict and found.item.choice(label.verdict)
    document = {"label_id": label.label_id, "call_id": label.call_id, "choice": made}
    emit(document, as_json=as_json, text="Decided. What was said before stays on record.")


@click.command("checks")
@task_option
@click.option("--candidate", "candidate_name", help="Default: all candidates of the task.")
@common
def label_checks(task: str, candidate_name: str | None, workspace: str | None, as_json: bool) -> None:
    """Show how reviewers did on attention checks, which no bound takes in."""
    from workbench.review import attention

    space, store = open_workspace(workspace)
    with store:
        found = attention(space, store, task, candidate_name)
    lines = [f"{each.annotator}: {each.passed} of {each.answered} passed" for each in found]
    none = "No checks were shown. An eval asks for them with attention_share under [review]."
    emit(found, as_json=as_json, text="\n".join(lines) or none)


@click.command("effect")
@of_queue
@click.option("--as", "annotator", metavar="NAME", help="Who reads it. Default: your own name.")
@click.option(
    "--open",
    "opening",
    is_flag=True,
    help="Tell who said what of every pair. You won't judge them blind then.",
)
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True)
@common
def label_effect(
    task: str,
    candidate_name: str,
    annotator: str | None,
    opening: bool,
    limit: int,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Show which labels moved the bound, what would change the decision, and who was right.

    Who labelled a pair and how is told of those alone that you have judged yourself or have opened.
    """
    from workbench.review import by_hand, paired_truth, told_moves, what_would_change

    space, store = open_workspace(workspace)
    with store:
        where = (space, store, task, candidate_name)
        moves = told_moves(*where, annotator, limit=limit, opening=opening)
        changes = what_would_change(*where)
        truth = paired_truth(*where)
        first = by_hand(*where)
    lines = [
        f"{f'{each.annotator}: {each.verdict.value}' if each.verdict else 'a label'} on {each.call_id} "
        "moved the bound from "
        f"{100 * each.before:.2f} % to {100 * each.after:.2f} %"
        for each in moves
    ]
    lines.append(changes.sentence)
    if truth.n:
        lines.append(
            f"Of {truth.n:,} pairs with a known answer: both right {truth.both_right:,}, only the control "
            f"{truth.control_only:,}, only the candidate {truth.candidate_only:,}, "
            f"neither {truth.both_wrong:,}."
        )
    if first.judged:
        lines.append(
            f"By hand: {first.control_better} worse, {first.equal} equal, {first.candidate_better} better, "
            f"{first.both_bad} both bad, {first.identical} identical."
        )
    document = {"moves": moves, "changes": changes, "truth": truth, "by_hand": first}
    emit(document, as_json=as_json, text="\n".join(lines))


COMMANDS = (
    label_agreement,
    label_conflicts,
    label_adjudicate,
    label_checks,
    label_effect,
)
