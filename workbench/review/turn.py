"""One turn at the desk: a label committed and the next item handed out, in one round to the store.

Whoever labels by keys waits for this, so everything that can be read before is: `prepare`
reads the queue after an item was shown, and as long as nobody commits in between, an
answer asks the store for nothing but the next pair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from workbench import compare
from workbench.access import requires
from workbench.config import Workspace
from workbench.records import AbsoluteJudgement, Label, LabelVerdict
from workbench.review import forecast
from workbench.review.absolute import submit_absolute
from workbench.review.apart import hand_out_by_hand
from workbench.review.handing import Desk, Handing
from workbench.review.items import ReviewItem, build_item, handed, reviewer_name
from workbench.review.judging import skip, submit
from workbench.review.pool import languages_of, members_of, pool_of
from workbench.review.queue import assigned
from workbench.review.states import Board, Clock, Pair, in_utc, scope_of, utc_now
from workbench.roles import Right
from workbench.store import Store, desk
from workbench.store import labels as rows
from workbench.store.labels import Scope

KEPT = 32
"""Queues whose rows are kept in memory."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer said of an item: a verdict, or a judgement of each side; a skip without either."""

    verdict: LabelVerdict | str | None = None
    absolute: AbsoluteJudgement | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""
    corrected: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """The label that was committed, and what this person judges next; None where nothing is left."""

    label: Label
    following: ReviewItem | None


@dataclass(frozen=True)
class _Queue:
    """The rows of one queue at one version of the store, and the signature of its pool."""

    version: int
    draws: list[dict[str, Any]]
    leases: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    opened: dict[str, set[Pair]]
    signature: tuple[Any, ...]

    @property
    def reviewed(self) -> int:
        """Return how many pairs have a standing verdict of any source but those kept apart."""
        return _reviewed(self.labels)


_queues: dict[tuple[str, Scope], _Queue] = {}
_lock = Lock()


@requires(Right.LABEL)
def prepare(workspace: Workspace, store: Store, task: str, candidate: str, *, renew: bool = True) -> bool:
    """Read what the next answer needs, and make the forecast again if it is old; after an item is shown.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the queue is.
        task: The task.
        candidate: The candidate's name.
        renew: Whether to make the forecast, which may take seconds where there is much evidence.

    Returns:
        Whether the forecast is due still.
    """
    scope = scope_of(workspace, store, task, candidate)
    reviewed = _queue(store, store, scope).reviewed
    if renew:
        forecast.refresh(workspace, store, task, candidate, scope, reviewed)
        return False
    return forecast.is_due(store, scope, reviewed)


@requires(Right.LABEL, task=lambda given: given["item"].task)
def answer(
    workspace: Workspace,
    store: Store,
    item: ReviewItem,
    candidate: str,
    annotator: str,
    given: Answer,
    *,
    languages: Collection[str] | None = None,
    now: Clock = utc_now,
) -> Turn:
    """Commit what a reviewer said of an item and hand out the next one, in one transaction.

    The label is what `submit`, `submit_absolute` or `skip` would commit, the next item what
    `next_item` would give; its progress line may rest on a forecast that `prepare` renews.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the label goes.
        item: What the reviewer was shown.
        candidate: The candidate's name.
        annotator: Who judged.
        given: What they said.
        languages: The languages they read; None takes the eval's assignment.
        now: The clock.

    Raises:
        UsageError: The item was never offered to this person, or an argument is wrong.
    """
    annotator = reviewer_name(annotator)
    config = workspace.eval_for(item.task)
    scope = scope_of(workspace, store, item.task, candidate)
    moment = in_utc(now())
    reads = languages if languages is not None else assigned(config.review, annotator)
    with store.writing() as writer:
        queue = _queue(store, writer, scope)
        before = Board.of(scope, moment, queue.draws, queue.leases, queue.labels)
        label = _record(workspace, store, item, annotator, given, before, lambda: moment)
        labels = _with(queue.labels, label)
        draws = queue.draws
        if label.verdict is LabelVerdict.CONTROL_BETTER:
            # It may have drawn a second review.
            draws = rows.draw_rows(writer, scope)
        reviewed = _reviewed(labels)
        foci = forecast.foci_of(workspace, store, item.task, candidate, scope, reviewed=reviewed)
        signature = queue.signature
        handing = Handing(
            writer,
            scope,
            pool_of(store, scope, config, signature),
            compare.basis(config),
            Desk(
                annotator=annotator,
                languages=reads,
                language_of=languages_of(store, scope, signature) if reads is not None else {},
                foci=foci,
                rules=config.review,
            ),
            lambda wanted: members_of(store, scope, config, wanted, signature),
            moment,
            board=Board.of(scope, moment, draws, queue.leases, labels),
            opened=queue.opened.get(annotator, set()),
        )
        found = handing.hand_out()
        if found is None:
            return Turn(label, None)
        attempt = sum(row["draw_id"] == found[0] and row["annotator"] == annotator for row in labels)
        progress = forecast.progress_of(workspace, store, item.task, candidate, scope, reviewed=reviewed)
        following = build_item(
            writer, config, found[0], found[1], annotator, progress=progress, attempt=attempt
        )
    return Turn(label, handed(store, following))


@requires(Right.LABEL, task=lambda given: given["item"].task)
def answer_by_hand(
    workspace: Workspace,
    store: Store,
    item: ReviewItem,
    candidate: str,
    annotator: str,
    given: Answer,
    *,
    now: Clock = utc_now,
) -> Turn:
    """Commit what somebody said of one of the ten by hand and hand out the next, in one transaction.

    Args:
        workspace: Names the eval.
        store: Where the label goes.
        item: What they were shown (`next_by_hand`).
        candidate: The candidate's name.
        annotator: Who judged.
        given: What they said.
        now: The clock.

    Raises:
        UsageError: The item was never offered to this person, or an argument is wrong.
    """
    annotator = reviewer_name(annotator)
    scope = scope_of(workspace, store, item.task, candidate)
    moment = in_utc(now())
    with store.writing() as writer:
        label = _record(workspace, store, item, annotator, given, None, lambda: moment)
        following = hand_out_by_hand(workspace, writer, scope, candidate, annotator, moment)
    return Turn(label, None if following is None else handed(store, following))


def _record(
    workspace: Workspace,
    store: Store,
    item: ReviewItem,
    annotator: str,
    given: Answer,
    board: Board | None,
    now: Clock,
) -> Label:
    if given.verdict is None and given.absolute is None:
        return skip(workspace, store, item, annotator, reason=given.note, board=board, now=now)
    said: dict[str, Any] = {
        "reasons": given.reasons,
        "note": given.note,
        "corrected": given.corrected,
        "board": board,
        "now": now,
    }
    if given.absolute is not None:
        return submit_absolute(workspace, store, item, annotator, given.absolute, **said)
    return submit(workspace, store, item, annotator, given.verdict or "", **said)


def _with(labels: list[dict[str, Any]], label: Label) -> list[dict[str, Any]]:
    """Return label rows with one more, unless it is among them, as after a double click."""
    if any(row["label_id"] == label.label_id for row in labels):
        return labels
    newest = max((row["seq"] for row in labels), default=0) + 1
    kept = [row | {"current": False} if row["label_id"] == label.supersedes else row for row in labels]
    return [*kept, rows.from_label(label) | {"seq": newest, "current": True}]


def _reviewed(labels: Iterable[dict[str, Any]]) -> int:
    return len(
        {
            (row["replay_id"], row["call_id"])
            for row in labels
            if row["current"] and row["verdict"] and row["source"] not in forecast.UNCOUNTED
        }
    )


def _queue(store: Store, reader: Any, scope: Scope) -> _Queue:
    """Return the rows of a queue: from memory where nobody committed since, else read now.

    Inside of a transaction nobody else can commit, so that what is in memory is what stands.
    """
    key = (str(store.path), scope)
    version = store.version()
    with _lock:
        known = _queues.get(key)
    if known is not None and known.version == version:
        return known
    found = _Queue(
        version,
        rows.draw_rows(reader, scope),
        rows.lease_rows(reader, scope),
        rows.label_rows(reader, scope.task, scope.fingerprint),
        desk.openings(reader, scope),
        rows.pool_signature(reader, scope),
    )
    if store.version() == version:
        with _lock:
            _queues.pop(key, None)
            _queues[key] = found
            while len(_queues) > KEPT:
                _queues.pop(next(iter(_queues)))
    return found
