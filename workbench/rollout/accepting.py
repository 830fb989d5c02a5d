"""Accepting a share: what was shown is what is accepted, or nothing is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench import access
from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import GateRefused, UsageError
from workbench.normal import clean_text, visible
from workbench.records import to_json
from workbench.roles import Right
from workbench.rollout.decisions import (
    Decision,
    Moves,
    checked_claim,
    checked_override,
    entry_hash,
    fallback_share,
    in_utc,
    override_of,
    slices_at,
    standing,
)
from workbench.rollout.log import in_force, log_of
from workbench.scoring.considered import Considered, consider
from workbench.stats.slice_shares import effective_share
from workbench.stats.wording import percent
from workbench.store import decisions as rows
from workbench.store.database import Writer

if TYPE_CHECKING:
    from workbench.store import Store

NAME_CHARS = 200


def present_actor() -> str:
    """Return who acts: whoever is signed in, or the name that this program's user goes by."""
    return access.current().name


@requires(Right.RAMP)
def accept(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    share: float,
    shown: str,
    who: str | None = None,
    latest: str | None = None,
    current_share: float | None = None,
    reason: str = "",
    until: datetime | None = None,
    now: datetime | None = None,
) -> Decision:
    """Accept a share of a task's traffic for a candidate, and write it into the decision log.

    The evidence is read and decided on again under the saved policy; unless its hash is the one that
    was shown, nothing is written. A share other than the recommended one is an override.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds the evidence and the log.
        task: The task.
        candidate: The candidate's name.
        share: What is accepted, 0..1.
        shown: `evidence_hash` of the recommendation that was looked at.
        who: Who accepts; the present actor unless given.
        latest: Id of the newest decision on this task and candidate that was looked at, empty where
            there was none: refused if somebody has decided since. Not looked at unless given.
        current_share: Share served now, as it was when the recommendation was shown; what is in
            force unless given. More than that needs a reason, and shows in the log.
        reason: Why; needed for an override, and where more is served than was accepted.
        until: When an override ends, at most 30 days from now. One without a zone counts as UTC.
        now: The present; this moment unless given.

    Returns:
        The decision as it stands in the log.

    Raises:
        GateRefused: Evidence, policy or recommendation changed since they were shown, or somebody
            else decided.
        UsageError: The share is none, an override has no reason or no end, more is said to be served than
            is in force without a reason, or a name is unknown.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"{share!r} is no share of traffic.", "Name one from 0 to 1.")
    name = clean_text(present_actor() if who is None else who)[0].strip()[:NAME_CHARS]
    if not name:
        raise UsageError("A decision needs the name of whoever takes it.", "Say who accepts.")
    if access.current().signed_in:
        access.own_name(name)
    moment = in_utc(now or datetime.now(UTC))
    version = store.version()
    made = _considered(workspace, store, task, candidate, current_share, moment)
    _refuse_change(made, shown)
    with store.writing() as writer:
        if store.version() != version:
            # Somebody wrote in between; nobody can while this transaction is open.
            made = _considered(workspace, store, task, candidate, current_share, moment)
            _refuse_change(made, shown)
        if latest is not None:
            _refuse_decided(writer, made, latest)
        return _written(writer, made, share, name, reason, until, moment)


def _considered(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    current_share: float | None,
    moment: datetime,
) -> Considered:
    if current_share is None:
        current_share = in_force(workspace, store, task, candidate, now=moment).share
    return consider(workspace, store, task, candidate, current_share=current_share, now=moment)


def _refuse_change(made: Considered, shown: str) -> None:
    if made.evidence_hash == shown.strip():
        return
    answer = made.recommendation
    raise GateRefused(
        f"Nothing was accepted: the evidence for {made.task} / {made.candidate} changed since it was shown "
        f"(shown {visible(shown.strip()[:40]) or 'nothing'}, now {made.evidence_hash}). Recommended now: "
        f"{answer.action} {percent(answer.share)}. {answer.binding_reason}",
        "Look at it again, then accept what you see. The share that is served now counts, too.",
    )


def _refuse_decided(writer: Writer, made: Considered, latest: str) -> None:
    log = log_of(writer, made.task, made.candidate)
    if not log or log[-1].decision_id == latest:
        return
    last = log[-1]
    raise GateRefused(
        f"Nothing was accepted: {visible(last.decided_by)} accepted {percent(last.share)} for {made.task} / "
        f"{made.candidate} after this was shown.",
        "Look at the log, then accept what you see.",
    )


def _written(
    writer: Writer,
    made: Considered,
    share: float,
    who: str,
    reason: str,
    until: datetime | None,
    now: datetime,
) -> Decision:
    answer = made.recommendation
    said, end = checked_override(override_of(share, answer.share), reason, until, now)
    before = standing(log_of(writer, made.task, made.candidate), made.fingerprint, now)
    checked_claim(answer.current_share, before.share, said)
    after = fallback_share(share, answer.share, before.without_override)
    row: dict[str, Any] = {
        "task": made.task,
        "candidate": made.candidate,
        "candidate_fingerprint": made.fingerprint,
        "evaluator_version": made.evaluator_version,
        "action": str(answer.action),
        "share": share,
        "recommended_share": answer.share,
        "supported_share": answer.cap,
        "current_share": answer.current_share,
        "moves": to_json(moves_at(made, share)).decode(),
        "fallback": to_json(moves_at(made, after)).decode(),
        "harm": to_json(answer.harm).decode(),
        "binding_reason": answer.binding_reason,
        "reason": said,
        "expires_at": None if end is None else end.replace(tzinfo=None),
        "decided_by": who,
        "decided_at": now.replace(tzinfo=None),
        "evidence_hash": made.evidence_hash,
        "policy_version": made.policy_version,
        "policy": to_json(made.policy).decode(),
        "previous_hash": rows.last_entry_hash(writer),
    }
    row["entry_hash"] = entry_hash(row)
    row["decision_id"] = row["entry_hash"][:16]
    rows.add_decision(writer, row)
    return next(each for each in reversed(log_of(writer, made.task, made.candidate)))


def moves_at(made: Considered, share: float) -> Moves:
    """Return what moves at a share of the task under the evidence that was considered."""
    slices = slices_at(made.recommendation.slices, share)
    return Moves(share, effective_share(made.evidence, slices, share), slices)
