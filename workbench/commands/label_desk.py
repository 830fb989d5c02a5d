"""`workbench label queue|next|submit|...`: one reviewer's desk without the app."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench.commands.base import common, open_workspace
from workbench.commands.label_text import item_text
from workbench.terminal import emit

if TYPE_CHECKING:
    from workbench.records import AbsoluteJudgement, Label
    from workbench.review import ReviewItem

F = TypeVar("F", bound=Callable[..., Any])

task_option = click.option("--task", required=True)
candidate_option = click.option("--candidate", "candidate_name", required=True)
reviewer_option = click.option("--as", "annotator", required=True, metavar="NAME", help="Who judges.")


def of_queue(function: F) -> F:
    """Give a command --task and --candidate."""
    return task_option(candidate_option(function))


def sides_options(function: F) -> F:
    """Give a command --right, --left-wrong and --right-wrong: what is said of each response by itself."""
    for option in (
        click.option(
            "--right-wrong", multiple=True, metavar="FIELD", help="A field that is wrong in response 2."
        ),
        click.option(
            "--left-wrong", multiple=True, metavar="FIELD", help="A field that is wrong in response 1."
        ),
        click.option(
            "--right",
            "rights",
            type=click.Choice(["left", "right", "both", "neither"]),
            help="Which is right.",
        ),
    ):
        function = option(function)
    return function


def says_sides(rights: str | None, left_wrong: tuple[str, ...], right_wrong: tuple[str, ...]) -> bool:
    """Say whether the options of `sides_options` say anything."""
    return rights is not None or bool(left_wrong or right_wrong)


def judged(
    item: ReviewItem, rights: str | None, left_wrong: tuple[str, ...], right_wrong: tuple[str, ...]
) -> AbsoluteJudgement | None:
    """Return what the options say of each response by itself; None where they say nothing."""
    if not says_sides(rights, left_wrong, right_wrong):
        return None
    return item.absolute(
        None if rights is None else rights in ("left", "both"),
        None if rights is None else rights in ("right", "both"),
        left_wrong=left_wrong,
        right_wrong=right_wrong,
    )


def item_document(item: ReviewItem | None) -> dict[str, Any]:
    """Return an item as JSON: what the review page shows, and the ticket to answer with."""
    from workbench.records import as_builtins

    if item is None:
        return {"ticket": None}
    return {
        "ticket": item.ticket,
        "task": item.task,
        "kind": item.kind.value,
        "request": as_builtins(item.request),
        "response_1": as_builtins(item.left),
        "response_2": as_builtins(item.right),
        "fields": list(item.fields),
        "guidelines": item.guidelines,
        "guideline_version": item.guideline_version,
        "progress": as_builtins(item.progress),
    }


def label_document(label: Label) -> dict[str, Any]:
    """Return a label as its author may see it: what was chosen on the page, no role of a side."""
    from workbench.review import choice_made

    return {
        "label_id": label.label_id,
        "call_id": label.call_id,
        "choice": choice_made(label),
        "reasons": list(label.reasons),
        "note": label.note,
        "corrected": label.corrected,
        "guideline_version": label.guideline_version,
        "created_at": label.created_at,
    }


@click.command("queue")
@of_queue
@common
def label_queue(task: str, candidate_name: str, workspace: str | None, as_json: bool) -> None:
    """Show how the queue stands: drawn, open, lapsed, who did what, and what it aims at."""
    from workbench.review import queue_status

    space, store = open_workspace(workspace)
    with store:
        report = queue_status(space, store, task, candidate_name)
    emit(report, as_json=as_json, text=report.text)


@click.command("next")
@of_queue
@reviewer_option
@click.option("--language", "languages", multiple=True, help="Only these (de, fr, ...); may be repeated.")
@click.option("--by-hand", is_flag=True, help="One of ten calls for a first look, which no bound takes in.")
@click.option("--call", help="A call of your choice; in a bound only once every disagreement has a label.")
@common
def label_next(
    task: str,
    candidate_name: str,
    annotator: str,
    languages: tuple[str, ...],
    by_hand: bool,
    call: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Ask for the next item to judge, blind; it is yours for ten minutes."""
    from workbench.review import next_by_hand, next_item, pick

    if by_hand and call:
        raise click.UsageError("Give --by-hand or --call, not both.")
    space, store = open_workspace(workspace)
    with store:
        where = (space, store, task, candidate_name, annotator)
        if call:
            item: ReviewItem | None = pick(*where, call)
        elif by_hand:
            item = next_by_hand(*where)
        else:
            item = next_item(*where, languages=languages or None)
    emit(item_document(item), as_json=as_json, text=item_text(item))


@click.command("submit")
@click.argument("ticket")
@reviewer_option
@click.option("--choice", type=click.Choice(["left", "right", "equal", "both_bad"]))
@sides_options
@click.option("--reason", "reasons", multiple=True)
@click.option("--note", default="")
@click.option("--corrected", help="The right answer; it becomes a gold answer.")
@common
def label_submit(
    ticket: str,
    annotator: str,
    choice: str | None,
    rights: str | None,
    left_wrong: tuple[str, ...],
    right_wrong: tuple[str, ...],
    reasons: tuple[str, ...],
    note: str,
    corrected: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Answer an item: which response is better, which is right, or which fields are wrong."""
    from workbench.review import effect_of, item_of, submit, submit_absolute
    from workbench.store.labels import candidate_of_replay

    if (choice is not None) + says_sides(rights, left_wrong, right_wrong) != 1:
        raise click.UsageError("Say --choice; or --right, or the wrong fields.")
    space, store = open_workspace(workspace)
    with store:
        item = item_of(space, store, ticket, annotator)
        said: dict[str, Any] = {"reasons": reasons, "note": note, "corrected": corrected}
        each = judged(item, rights, left_wrong, right_wrong)
        if each is not None:
            label = submit_absolute(space, store, item, annotator, each, **said)
        else:
            label = submit(space, store, item, annotator, item.verdict(choice or ""), **said)
        candidate = candidate_of_replay(store, label.replay_id) or ""
        effect = effect_of(space, store, item.task, candidate, label)
    document = label_document(label) | {"effect": effect.text if effect else None}
    emit(document, as_json=as_json, text=f"Saved.{' ' + effect.text if effect else ''}")


@click.command("skip")
@click.argument("ticket")
@reviewer_option
@click.option("--reason", default="", help="Why, in a few words.")
@common
def label_skip(ticket: str, annotator: str, reason: str, workspace: str | None, as_json: bool) -> None:
    """Put an item aside for others; until somebody labels it, it counts as harmful."""
    from workbench.review import item_of, skip

    space, store = open_workspace(workspace)
    with store:
        label = skip(space, store, item_of(space, store, ticket, annotator), annotator, reason=reason)
    emit(label_document(label), as_json=as_json, text="Skipped.")


@click.command("undo")
@of_queue
@reviewer_option
@common
def label_undo(task: str, candidate_name: str, annotator: str, workspace: str | None, as_json: bool) -> None:
    """Take your last label or skip back, and get its item again."""
    from workbench.review import undo

    space, store = open_workspace(workspace)
    with store:
        item = undo(space, store, task, candidate_name, annotator)
    text = item_text(item) if item else "There is nothing of yours to take back."
    emit(item_document(item), as_json=as_json, text=text)


@click.command("history")
@of_queue
@reviewer_option
@click.option(
    "--choice", "choices", multiple=True, type=click.Choice(["left", "right", "equal", "both_bad", "skipped"])
)
@click.option("--reason", "reasons", multiple=True)
@click.option("--text", default="", help="In the request, the note or the corrected answer.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@common
def label_history(
    task: str,
    candidate_name: str,
    annotator: str,
    choices: tuple[str, ...],
    reasons: tuple[str, ...],
    text: str,
    limit: int,
    workspace: str | None,
    as_json: bool,
) -> None:
    """List your own labels, newest first."""
    from workbench.review import history

    space, store = open_workspace(workspace)
    with store:
        found = history(
            space,
            store,
            task,
            candidate_name,
            annotator,
            choices=choices,
            reasons=reasons,
            text=text,
            limit=limit,
        )
    rows = [label_document(each) for each in found]
    lines = [
        f"{row['label_id'][:12]}  {row['created_at']:%Y-%m-%d %H:%M}  {row['choice']:8}  {row['call_id']}  "
        f"{', '.join(row['reasons'])}{'  ' + row['note'] if row['note'] else ''}"
        for row in rows
    ]
    emit(rows, as_json=as_json, text="\n".join(lines) or "Nothing yet.")


@click.command("look")
@click.argument("label_id", metavar="LABEL")
@of_queue
@reviewer_option
@common
def label_look(
    label_id: str, task: str, candidate_name: str, annotator: str, workspace: str | None, as_json: bool
) -> None:
    """Look at a label of yours again: the pair as you saw it, what you said, the guidelines of then.

    LABEL is how its id begins, or `last`.
    """
    from dataclasses import replace

    from workbench.review import guideline_texts, look_again, own_label

    space, store = open_workspace(workspace)
    with store:
        label = own_label(space, store, task, candidate_name, annotator, label_id)
        item = look_again(space, store, task, candidate_name, annotator, label)
        known = {each.version: each.text for each in guideline_texts(space, store, task)}
    version = label.guideline_version or ""
    item = replace(item, guideline_version=version, guidelines=known.get(version) or "")
    said = label_document(label)
    document = item_document(item) | {"ticket": None, "label": said}
    document["guidelines"] = known.get(version)
    told = f"You said: {said['choice']}{_beside(label)}"
    how = (
        f"workbench label amend {label.label_id[:12]} --task {task} --candidate {candidate_name} "
        "--as NAME --choice left|right|equal|both_bad"
    )
    emit(document, as_json=as_json, text=item_text(item, how=f"{told}\n\n{how}"))


def _beside(label: Label) -> str:
    """Return reasons, note and right answer of a label, as the end of a line."""
    parts = [
        f" ({', '.join(label.reasons)})" if label.reasons else "",
        f" - {label.note}" if label.note else "",
    ]
    return "".join([*parts, f" - right would be: {label.corrected}" if label.corrected else ""])


@click.command("amend")
@click.argument("label_id", metavar="LABEL")
@of_queue
@reviewer_option
@click.option("--choice", type=click.Choice(["left", "right", "equal", "both_bad"]))
@sides_options
@click.option("--reason", "reasons", multiple=True, help="Instead of the reasons given before.")
@click.option("--no-reasons", is_flag=True, help="Take the reasons out.")
@click.option("--note", help="Instead of the note given before.")
@click.option("--corrected", help="The right answer; it becomes a gold answer.")
@common
def label_amend(
    label_id: str,
    task: str,
    candidate_name: str,
    annotator: str,
    choice: str | None,
    rights: str | None,
    left_wrong: tuple[str, ...],
    right_wrong: tuple[str, ...],
    reasons: tuple[str, ...],
    no_reasons: bool,
    note: str | None,
    corrected: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Change a label of yours, or add to it. What you said before stays on record.

    LABEL is how its id begins, or `last`. Left and right are the sides that `look` shows you.
    """
    from workbench.review import amend, amend_absolute, look_again, own_label

    sides = says_sides(rights, left_wrong, right_wrong)
    if choice is not None and sides:
        raise click.UsageError("Say --choice; or --right, or the wrong fields.")
    if reasons and no_reasons:
        raise click.UsageError("Give --reason or --no-reasons, not both.")
    if not (choice or sides or reasons or no_reasons or note is not None or corrected is not None):
        raise click.UsageError("Say what changes: --choice, --right, --reason, --note, --corrected.")
    space, store = open_workspace(workspace)
    with store:
        before = label = own_label(space, store, task, candidate_name, annotator, label_id)
        item = look_again(space, store, task, candidate_name, annotator, label)
        if each := judged(item, rights, left_wrong, right_wrong):
            label = amend_absolute(space, store, item, label, annotator, each)
        label = amend(
            store,
            label,
            annotator,
            verdict=item.verdict(choice) if choice else None,
            reasons=reasons if reasons or no_reasons else None,
            note=note,
            corrected=corrected,
        )
    text = "That is what you said already." if label.label_id == before.label_id else "Changed."
    emit(label_document(label), as_json=as_json, text=text)


@click.command("guidelines")
@task_option
@click.option("--version", help="Print this one whole; how it begins is enough.")
@common
def label_guidelines(task: str, version: str | None, workspace: str | None, as_json: bool) -> None:
    """List the versions of the guidelines that labels were made under, or print one."""
    from workbench.review import guideline_text, guideline_texts

    space, store = open_workspace(workspace)
    with store:
        if version is not None:
            one = guideline_text(space, store, task, version)
            text = "Its text was not kept." if one.text is None else one.text or "There were no guidelines."
            emit(one, as_json=as_json, text=text)
            return
        found = guideline_texts(space, store, task)
    lines = [
        f"{each.version}{' (now)' if each.current else ''}  {each.labels:,} labels"
        f"{'' if each.text is not None else '  text not kept'}"
        for each in found
    ]
    emit(found, as_json=as_json, text="\n".join(lines))


COMMANDS = (
    label_queue,
    label_next,
    label_submit,
    label_skip,
    label_undo,
    label_history,
    label_look,
    label_amend,
    label_guidelines,
)
