"""Items for reviewers who work in another program, and their labels back.

The files are written and read here, and sent nowhere. The queue draws the items as it does
for anybody, stores its draws, and leases them to the program; a label that comes back on
such a draw is a label of the queue, with the probability that the draw had.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from workbench import compare
from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.ingest.treated import Treatment
from workbench.normal import clean_text, content_hash
from workbench.records import (
    AbsoluteJudgement,
    EvalKind,
    Label,
    LabelVerdict,
    Message,
    Output,
    Request,
    told_error,
)
from workbench.review.absolute import check_absolute, critical_paths, verdict_from_absolute
from workbench.review.handing import Desk, Handing
from workbench.review.items import (
    REASONS,
    ReviewItem,
    ReviewProgress,
    build_item,
    check_reasons,
    order_shown,
    reviewer_name,
)
from workbench.review.judging import ask_for_confirmation, cleaned_text
from workbench.review.pool import members_of, pool_of
from workbench.review.states import Board, Clock, Plan, in_utc, scope_of, utc_now
from workbench.roles import Right
from workbench.specs import EvalConfig
from workbench.store import Store, accesses, guidelines
from workbench.store import labels as rows

LEASE_DAYS = 14.0
"""How long items in another program wait for their labels; then they lapse, which counts as harm."""

TEXT_CHARS = 100_000
"""Of a request or an answer; the rest is cut and the text says so."""


@dataclass(frozen=True, slots=True)
class Given:
    """One answer as another program holds it, before it is checked.

    `item` is the draw, `annotator` who gave it, `choice` one of left, right, equal and
    both_bad, or None where each side was judged by itself. `moment` is when it was given.
    """

    item: str
    annotator: str
    choice: str | None
    reasons: tuple[str, ...] = ()
    note: str = ""
    corrected: str = ""
    left_wrong: tuple[str, ...] = ()
    right_wrong: tuple[str, ...] = ()
    guideline_version: str | None = None
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """A program that reviewers may work in: its name, what it reads, and how its answers are understood.

    `write` gets the folder, the eval and the items and returns the files it wrote; `read`
    turns one record of an exported file into answers, and `knows` says whether it is one of its.
    """

    name: str
    title: str
    write: Callable[[Path, EvalConfig, list[ReviewItem]], list[Path]]
    knows: Callable[[dict[str, Any]], bool]
    read: Callable[[dict[str, Any]], Iterator[Given]]


@dataclass(frozen=True, slots=True)
class HandOver:
    """What was written for another program."""

    program: str
    items: int
    files: tuple[str, ...]
    until: datetime

    @property
    def text(self) -> str:
        """Return it as lines for people."""
        if not self.items:
            return "Nothing is left to draw: compare more calls, or wait for labels that are out."
        files = "\n".join(f"  {each}" for each in self.files)
        return (
            f"{self.items:,} items for {self.program}. Unlabelled by {self.until:%d %B %Y} they lapse, and a "
            f"lapsed item counts as harmful until somebody labels it.\n{files}"
        )


def programs() -> dict[str, Program]:
    """Return the programs that items can go to, by name."""
    from workbench.review.argilla import ARGILLA
    from workbench.review.label_studio import LABEL_STUDIO

    return {each.name: each for each in (ARGILLA, LABEL_STUDIO)}


def program_of(name: str) -> Program:
    """Return a program by name.

    Raises:
        UsageError: There is none of that name.
    """
    known = programs()
    if name not in known:
        raise UsageError(f"{name!r} is no program to label in.", did_you_mean(name, known))
    return known[name]


@requires(Right.EXPORT)
def hand_over(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    folder: Path | str,
    *,
    to: str,
    limit: int = 100,
    days: float = LEASE_DAYS,
    again: bool = False,
    now: Clock = utc_now,
) -> HandOver:
    """Draw items and write them as files for another program. Nothing is sent anywhere.

    The files say no more than the review page does: no model, score, cost or verdict, and the
    sides in a random order. Draws, probabilities and order stay in the store.

    Args:
        workspace: Names the eval and the candidate.
        store: Where draws are kept.
        task: The task.
        candidate: The candidate's name.
        folder: Where to write; made if it isn't there.
        to: argilla or label-studio.
        limit: Items to draw at most.
        days: How long they may take.
        again: Write those that are out and unanswered once more, instead of drawing others.
        now: The clock.

    Raises:
        UsageError: Task, candidate or program is not known, or the files can't be written.
    """
    program = program_of(to)
    if limit < 1 or not 0 < days <= 365:
        raise UsageError("That is no number of items or days.", "Take at least 1 item, and up to 365 days.")
    config = workspace.eval_for(task)
    scope = scope_of(workspace, store, task, candidate)
    basis = compare.basis(config)
    moment = in_utc(now())
    until = moment + timedelta(days=days)
    if again:
        board = Board.read(store, scope, moment)
        drawn = [
            (each["draw_id"], (each["replay_id"], each["call_id"]))
            for each in board.draws
            if any(lease["annotator"] == program.name for lease in board.leases.get(each["draw_id"], ()))
            and not any(label["current"] for label in board.on_draw.get(each["draw_id"], ()))
        ][:limit]
    else:
        pool = pool_of(store, scope, config)
        desk = Desk(program.name, rules=config.review)
        with store.writing() as writer:
            handing = Handing(
                writer,
                scope,
                pool,
                basis,
                desk,
                lambda focus: members_of(store, scope, config, focus),
                moment,
            )
            drawn = handing.draw_many(limit, until)
            # Their labels come back under this version, whatever guidelines.md says by then.
            guidelines.keep(writer, task, config.guideline_version, config.guidelines, moment)
    progress = ReviewProgress(0, None, None, "")
    items = [
        build_item(store, config, draw_id, pair, program.name, progress=progress, attempt=0)
        for draw_id, pair in drawn
    ]
    if items:
        accesses.exported(store, accesses.Kind.HAND_OVER, task, len(items))
    files = program.write(Path(folder), config, items) if items else []
    return HandOver(program.title, len(items), tuple(str(each) for each in files), until)


class Refused(ValueError):
    """An answer can't be taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one answer: a label, or None where it was known already."""

    label: Label | None


def take_back(
    workspace: Workspace,
    store: Store,
    program: Program,
    task: str,
    answers: Iterable[Given],
    now: Clock,
    treatment: Treatment | None = None,
) -> Iterator[Taken | Refused]:
    """Store answers from another program as labels of the queue, one transaction for all of them.

    The same answer again adds nothing; a later one of the same person supersedes the earlier.
    Which side was the control's follows from the draw, not from the file.

    Args:
        workspace: Names the eval.
        store: Where the labels go.
        program: Where the items were.
        task: The task that they belong to.
        answers: What came back.
        now: The clock.
        treatment: How texts about redacted calls are redacted, if any are.

    Yields:
        For each answer in order, what became of it.
    """
    config = workspace.eval_for(task)
    found: list[Taken | Refused] = []
    with store.writing() as writer:
        for each in answers:
            try:
                found.append(_take(writer, config, program, each, in_utc(now()), treatment))
            except Refused as error:
                found.append(error)
            except UsageError as error:
                found.append(Refused(error.message))
    yield from found


def _take(
    writer: Any,
    config: EvalConfig,
    program: Program,
    given: Given,
    moment: datetime,
    treatment: Treatment | None,
) -> Taken:
    draw = rows.offered_draw(writer, given.item, program.name)
    if draw is None or draw["task"] != config.task:
        raise Refused(f"no item of task {config.task} that went to {program.title} has this id")
    annotator = reviewer_name(given.annotator, own=False)
    pair = (draw["replay_id"], draw["call_id"])
    given = given if treatment is None else _redacted(given, pair[1], treatment)
    item = build_item(
        writer,
        config,
        given.item,
        pair,
        program.name,
        progress=ReviewProgress(0, None, None, ""),
        attempt=0,
    )
    verdict, absolute = _verdict(config, item, given)
    given_at = in_utc(given.moment) if given.moment else moment
    reasons = check_reasons(verdict, tuple(each for each in given.reasons if each))
    given_words = (verdict, reasons, given.note, given.corrected, given.left_wrong, given.right_wrong)
    mark = (given.item, annotator, program.name, given_words, str(given.moment) if given.moment else "")
    said = (verdict, reasons, cleaned_text(given.note), cleaned_text(given.corrected) or None, absolute)
    label_id = content_hash("label", *mark)
    on_draw = [row for row in rows.labels_on_pair(writer, *pair) if row["draw_id"] == given.item]
    own = [row for row in on_draw if row["annotator"] == annotator]
    standing = [row for row in own if row["current"] and (row["verdict"] or row["skipped"])]
    if given.moment is None:
        # Without times the file that comes last stands: said, changed and said again is a third label.
        if standing and _says(standing[-1], said):
            return Taken(None)
        if any(row["label_id"] == label_id for row in own):
            label_id = content_hash(
                "label again", label_id, standing[-1]["label_id"] if standing else len(own)
            )
    else:
        known = any(row["label_id"] == label_id for row in own)
        later = bool(standing) and in_utc(standing[-1]["created_at"]) > given_at
        # The same answer may come from another kind of export, which names its author otherwise.
        twin = any(in_utc(row["created_at"]) == given_at and _says(row, said) for row in on_draw)
        if known or later or twin:
            return Taken(None)
    plan = Plan(draw["plan"])
    label = Label(
        label_id=label_id,
        replay_id=pair[0],
        call_id=pair[1],
        verdict=verdict,
        annotator=annotator,
        reasons=reasons,
        note=said[2],
        corrected=said[3],
        shown_order=order_shown(program.name, pair[1], pair[0]),
        draw_id=given.item,
        draw_probability=draw["draw_probability"],
        guideline_version=given.guideline_version,
        source=plan.source,
        supersedes=standing[-1]["label_id"] if standing else None,
        created_at=min(given_at, moment),
        absolute=absolute,
    )
    rows.add_label(writer, label)
    ask_for_confirmation(writer, draw, label, moment)
    return Taken(label)


def _redacted(given: Given, call_id: str, treatment: Treatment) -> Given:
    """Return an answer with its free texts redacted as its call was, before anything is made of them."""
    return replace(
        given,
        note=treatment.text(call_id, clean_text(given.note)[0]),
        corrected=treatment.text(call_id, clean_text(given.corrected)[0]),
        reasons=treatment.texts(call_id, given.reasons),
    )


def _says(row: dict[str, Any], said: tuple[Any, ...]) -> bool:
    """Say whether a stored label says what an answer says."""
    known = rows.to_label(row)
    return (known.verdict, known.reasons, known.note, known.corrected, known.absolute) == said


def _verdict(
    config: EvalConfig, item: ReviewItem, given: Given
) -> tuple[LabelVerdict, AbsoluteJudgement | None]:
    """Return the verdict; wrong fields that were named are kept beside a choice that says the same."""
    if given.choice is not None:
        verdict = item.verdict(given.choice)
        if not (given.left_wrong or given.right_wrong):
            return verdict, None
    if config.kind is not EvalKind.FIELDS:
        raise Refused("the choice is missing")
    judged = item.absolute(left_wrong=given.left_wrong, right_wrong=given.right_wrong)
    check_absolute(item, judged)
    follows = verdict_from_absolute(judged, critical_paths(config))
    # A choice outranks what the fields add up to: the person saw the answers, the rule only counts.
    return (follows, judged) if given.choice is None or follows is verdict else (verdict, None)


def request_text(request: Request) -> str:
    """Return a request as plain text: who said what, and the tools offered."""
    parts = [f"[{each.role}]\n{_message_text(each)}" for each in request.messages]
    if request.tools:
        parts.append("[tools]\n" + json.dumps(list(request.tools), ensure_ascii=False, indent=2))
    return _capped("\n\n".join(parts))


def _message_text(message: Message) -> str:
    content = message.content
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False) if content else ""
    calls = [f"{each.name}({json.dumps(each.arguments, ensure_ascii=False)})" for each in message.tool_calls]
    return "\n".join([text, *calls]).strip()


def answer_text(output: Output) -> str:
    """Return an answer as plain text: its text, its tool calls, or that there is none."""
    parts = [output.text or ""]
    parts += [
        f"{each.name}({json.dumps(each.arguments, ensure_ascii=False, indent=2)})"
        for each in output.tool_calls
    ]
    if output.error:
        parts.append(f"(no answer: {told_error(output.error.kind)})")
    return _capped("\n".join(part for part in parts if part) or "(empty)")


def _capped(text: str) -> str:
    cleaned = clean_text(text)[0]
    if len(cleaned) <= TEXT_CHARS:
        return cleaned
    return f"{cleaned[:TEXT_CHARS]}\n(cut: {len(cleaned) - TEXT_CHARS:,} more characters)"


CHOICES = {
    "left": "Response 1 better",
    "right": "Response 2 better",
    "equal": "Equal",
    "both_bad": "Both bad",
}
"""What a reviewer chooses from: the stored word, and how it reads."""


def choice_named(text: str) -> str:
    """Return the stored word of a choice, given as that word or as it reads.

    Raises:
        Refused: It is no choice.
    """
    wanted = text.strip().casefold()
    for word, title in CHOICES.items():
        if wanted in (word, title.casefold()):
            return word
    raise Refused(f"{text[:60]!r} is no choice: use left, right, equal or both_bad")


def reason_named(text: str) -> str:
    """Return the stored word of a reason, given as that word or as it reads; others stay as they are."""
    wanted = text.strip()
    return next((word for word, title in REASONS.items() if wanted.casefold() == title.casefold()), wanted)
