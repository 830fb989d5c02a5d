"""`workbench label queue|next|submit|...`: one reviewer's desk without the app."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench.commands.base import common, open_workspace
from workbench.terminal import emit

if TYPE_CHECKING:
    from workbench.records import Label
    from workbench.review import ReviewItem

F = TypeVar("F", bound=Callable[..., Any])

task_option = click.option("--task", required=True)
candidate_option = click.option("--candidate", "candidate_name", required=True)
reviewer_option = click.option("--as", "annotator", required=True, metavar="NAME", help="Who judges.")


def of_queue(function: F) -> F:
    """Give a command --task and --candidate."""
    return task_option(candidate_option(function))


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


def item_text(item: ReviewItem | None) -> str:
    """Return an item as a person reads it at a terminal."""
    from workbench.review.handover import answer_text, request_text

    if item is None:
        return "Nothing waits for your label here."
    parts = [
        f"{item.progress.text}    ticket {item.ticket}",
        f"--- Request\n{request_text(item.request)}",
        f"--- Response 1\n{answer_text(item.left)}",
        f"--- Response 2\n{answer_text(item.right)}",
        f"workbench label submit {item.ticket} --as NAME --choice left|right|equal|both_bad",
    ]
    return "\n\n".join(parts)


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
@click.option(
    "--right", "rights", type=click.Choice(["left", "right", "both", "neither"]), help="Which is right."
)
@click.option("--left-wrong", multiple=True, metavar="FIELD", help="A field that is wrong in response 1.")
@click.option("--right-wrong", multiple=True, metavar="FIELD", help="A field that is wrong in response 2.")
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

    wrong = bool(left_wrong or right_wrong)
    if (choice is not None) + (rights is not None or wrong) != 1:
        raise click.UsageError("Say --choice; or --right, or the wrong fields.")
    space, store = open_workspace(workspace)
    with store:
        item = item_of(space, store, ticket, annotator)
        said: dict[str, Any] = {"reasons": reasons, "note": note, "corrected": corrected}
        if choice is not None:
            label = submit(space, store, item, annotator, item.verdict(choice), **said)
        else:
            judged = item.absolute(
                None if rights is None else rights in ("left", "both"),
                None if rights is None else rights in ("right", "both"),
                left_wrong=left_wrong,
                right_wrong=right_wrong,
            )
            label = submit_absolute(space, store, item, annotator, judged, **said)
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
        f"{row['created_at']:%Y-%m-%d %H:%M}  {row['choice']:8}  {row['call_id']}  "
        f"{', '.join(row['reasons'])}{'  ' + row['note'] if row['note'] else ''}"
        for row in rows
    ]
    emit(rows, as_json=as_json, text="\n".join(lines) or "Nothing yet.")


COMMANDS = (label_queue, label_next, label_submit, label_skip, label_undo, label_history)
